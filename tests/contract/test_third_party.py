"""A plugin of somebody else is found, built and run by its entry point alone."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tamis.config import parse
from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.events import StageRole
from tamis.model import Query
from tamis.plugins import build, inspect
from tamis.stage import Reranker
from tamis.testing.contract import RerankerContract, opened
from tamis.testing.contract.collections import passage

SOURCE = Path(__file__).parents[1] / "fixtures" / "third_party"
CONFIGURATION = """
[stages.longest]
plugin = "acme-longest-first"
most_words = 5
"""


@pytest.fixture(scope="module", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Installs the distribution into a folder of its own, which is on the path for this module's tests only."""
    target = tmp_path_factory.mktemp("site-packages")
    options = ["--quiet", "--disable-pip-version-check", "--no-build-isolation", "--no-deps", "--no-index"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(SOURCE)]
    subprocess.run(command, check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(target)
        importlib.invalidate_caches()
        yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme_reranker"]:
        del sys.modules[name]


def configured() -> Reranker:
    reranker = build(parse(CONFIGURATION))["longest"]
    assert isinstance(reranker, Reranker)
    return reranker


def test_it_is_listed_with_its_distribution_version_and_settings() -> None:
    (found,) = [each for each in inspect() if each.plugin.name == "acme-longest-first"]
    plugin = found.plugin
    assert (plugin.group, plugin.distribution, plugin.version) == ("tamis.rerankers", "acme-reranker", "1.4.2")
    assert found.problem == ""
    assert found.settings_schema is not None
    assert found.settings_schema["properties"]["most_words"]["default"] == 200


def test_it_is_built_by_its_name_in_the_role_of_its_group() -> None:
    components = build(parse(CONFIGURATION))
    assert components.roles == {"longest": StageRole.RERANKER}
    assert type(components["longest"]).__module__ == "acme_reranker.longest_first"


def test_its_settings_are_checked_with_their_place_in_the_file() -> None:
    for wrong, line in (("most_words = 0", 4), ("most_word = 5", 4)):
        with pytest.raises(ConfigurationError, match="most_words") as caught:
            build(parse(CONFIGURATION.replace("most_words = 5", wrong)))
        assert caught.value.line == line


async def test_it_reranks() -> None:
    passages = [passage("a", "short"), passage("b", "a somewhat longer passage"), passage("c", "not long")]
    async with opened(configured()) as reranker:
        *_, last = [each async for each in reranker.rerank(Query("any"), passages, top_n=3, call=Call())]
    assert last.order == (1, 2, 0)
    assert last.scores == (0.2, 0.8, 0.4)


class TestLongestFirst(RerankerContract):
    def component(self) -> Reranker:
        return configured()
