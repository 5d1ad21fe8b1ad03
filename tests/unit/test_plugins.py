"""Discovery and construction, with distributions that are nothing but an entry point on the path."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from tamis.config import parse
from tamis.errors import ConfigurationError
from tamis.plugins import build, discover, inspect

MODULE = """
from tamis.component import Capabilities, Ref, Settings
from tamis.models import Embedder
from tamis.stage import Retriever
from tamis.testing.embedders import HashEmbedder

LOG = []


class Sized(Settings):
    size: int


class Linked(Settings):
    embedder: Ref[Embedder]


class Several(Settings):
    embedders: tuple[Ref[Embedder], ...]


class Plain(Retriever):
    async def retrieve(self, query, *, limit, call):
        return []

    async def open(self):
        LOG.append(f"open {type(self).__name__}")

    async def close(self):
        LOG.append(f"close {type(self).__name__}")


class WithSize(Plain):
    Settings = Sized


class WithEmbedder(Plain):
    Settings = Linked


class WithEmbedders(Plain):
    Settings = Several


class Failing(Plain):
    async def open(self):
        raise RuntimeError("no")


class ForAnotherContract(Plain):
    capabilities = Capabilities(contract_version=99)


class Unfinished(Retriever):
    pass


class NoRetriever:
    pass
"""

ENTRY_POINTS = """
[tamis.retrievers]
plain = {module}:Plain
with-size = {module}:WithSize
with-embedder = {module}:WithEmbedder
with-embedders = {module}:WithEmbedders
failing = {module}:Failing
other-contract = {module}:ForAnotherContract
unfinished = {module}:Unfinished
no-retriever = {module}:NoRetriever
no-module = {module}_gone:Plain

[tamis.embedders]
hash = tamis.testing.embedders:HashEmbedder
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A distribution `acme-plugins` 1.2, by the name of its module."""
    module = f"acme_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{module}.py").write_text(MODULE)
    info = tmp_path / "acme_plugins-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Acme_Plugins\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS.format(module=module))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return module


def _refused(text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        build(parse(text, path="tamis.toml"))
    return caught.value


def test_a_plugin_is_found_with_its_distribution_and_imports_nothing(acme: str) -> None:
    (found,) = [each for each in discover() if each.name == "plain"]
    assert (found.group, found.distribution, found.version) == ("tamis.retrievers", "acme-plugins", "1.2")
    assert acme not in sys.modules


def test_inspection_says_why_a_plugin_cannot_be_loaded(acme: str) -> None:
    problems = {each.plugin.name: each.problem for each in inspect() if each.plugin.distribution == "acme-plugins"}
    assert problems["plain"] == ""
    assert "contract version 99" in problems["other-contract"]
    assert "does not implement retrieve" in problems["unfinished"]
    assert "is not a class derived from Retriever" in problems["no-retriever"]
    assert f"needs the module '{acme}_gone'" in problems["no-module"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('[stages.a]\nplugin = "plian"\n', 2, "did you mean 'plain'"),
        ('[stages.a]\nplugin = "nothing-like-it"\n', 2, "available:"),
        ('[models.a]\nplugin = "plain"\n', 2, "no model plugin named 'plain'"),
        ('[stages.a]\nplugin = "no-module"\n', 2, "cannot be loaded"),
        ('[stages.a]\nplugin = "with-size"\n', 1, "size: Field required"),
        ('[stages.a]\nplugin = "with-size"\nsize = "big"\n', 3, "size: Input should be a valid integer"),
        ('[stages.a]\nplugin = "plain"\nsise = 3\n', 3, "unknown key 'sise'"),
        ('[stages.a]\nplugin = "with-embedder"\nembedder = "b"\n', 3, "which is not configured; configured: none"),
        (
            '[stages.a]\nplugin = "with-embedder"\nembedder = "b"\n[stages.b]\nplugin = "plain"\n',
            3,
            "which is a Plain, not a Embedder",
        ),
        ('[stages.a]\nplugin = "with-embedder"\nembedder = "a"\n', 1, "in a circle: a -> a"),
        ('[stages.a]\nplugin = "with-embedders"\nembedders = ["b"]\n', 3, "which is not configured"),
        ('[stages.a]\nplugin = "with-embedders"\nembedders = [3]\n', 3, "names 3, which is not configured"),
        ('[stages.a]\nplugin = "with-embedders"\nembedders = "b"\n', 3, "embedders: Input should be a valid tuple"),
    ],
)
def test_what_cannot_be_built_is_refused_with_its_line(acme: str, text: str, line: int, message: str) -> None:
    error = _refused(text)
    assert error.line == line
    assert message in error.message


def test_a_plugin_that_is_named_and_cannot_load_names_what_is_installed(acme: str) -> None:
    assert "also installed: " in _refused('[stages.a]\nplugin = "unfinished"\n').message


def test_a_name_that_two_distributions_offer_has_to_be_qualified(acme: str, tmp_path: Path) -> None:
    info = tmp_path / "rival-3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 3\n")
    (info / "entry_points.txt").write_text(f"[tamis.retrievers]\nplain = {acme}:Plain\n")
    importlib.invalidate_caches()
    assert "ambiguous" in _refused('[stages.a]\nplugin = "plain"\n').message


def test_several_references_become_the_plugins_they_name_in_order(acme: str) -> None:
    models = '[models.b]\nplugin = "hash"\n[models.c]\nplugin = "hash"\n'
    components = build(parse(f'[stages.a]\nplugin = "with-embedders"\nembedders = ["c", "b"]\n{models}'))
    assert components["a"].settings.embedders == (components["c"], components["b"])
    assert list(components)[-1] == "a"


def test_a_reference_becomes_the_plugin_it_names_and_is_opened_before(acme: str) -> None:
    components = build(parse('[stages.a]\nplugin = "with-embedder"\nembedder = "b"\n[models.b]\nplugin = "hash"\n'))
    assert list(components) == ["b", "a"]
    assert components["a"].settings.embedder is components["b"]


async def test_when_one_fails_to_open_those_opened_are_closed_in_reverse(acme: str) -> None:
    text = "".join(f'[stages.{name}]\nplugin = "{plugin}"\n' for name, plugin in (("a", "plain"), ("b", "with-size")))
    components = build(parse(f'{text}size = 1\n[stages.c]\nplugin = "failing"\n'))
    with pytest.raises(ConfigurationError, match="'c' cannot be opened: RuntimeError: no"):
        await components.open()
    log: list[str] = sys.modules[acme].LOG
    assert log == ["open Plain", "open WithSize", "close Failing", "close WithSize", "close Plain"]


def test_a_plugin_made_for_nothing_is_not_imported(acme: str) -> None:
    build(parse('[models.b]\nplugin = "hash"\n'))
    assert acme not in sys.modules
