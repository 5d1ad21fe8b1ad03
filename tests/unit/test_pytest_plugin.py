"""The pytest plugin: what it makes of a fixture, and what it says of one that it can make nothing of."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

FIXTURE = """
import pytest
from tamis.testing.plugins import WordReranker

@pytest.fixture(scope="module"{params})
def tamis_plugin{more}(){returned}:
    return WordReranker(WordReranker.Settings())
"""


def _fixture(*, more: str = "", returned: str = " -> WordReranker", params: str = "") -> str:
    return FIXTURE.format(more=more, returned=returned, params=params)


MODULES = {
    "test_one": _fixture(),
    "test_two": _fixture() + _fixture(more="_without_cache"),
    "test_params": _fixture(params=", params=['a', 'b']"),
    "test_other": "def test_nothing(tamis_plugin): pass",
    "test_silent": _fixture(returned=""),
    "test_number": _fixture(returned=" -> int"),
    "test_unknown": _fixture(returned=" -> 'Nobody'"),
}


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says that it would run of all these modules."""
    folder = tmp_path_factory.mktemp("modules")
    for name, text in MODULES.items():
        (folder / f"{name}.py").write_text(text)
    options = ["--collect-only", "-q", "-c", os.devnull, f"--rootdir={folder}", "--import-mode=importlib"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, folder], cwd=folder, capture_output=True, text=True, check=False
    )
    return ran.stdout


def _tests(collected: str, module: str) -> list[str]:
    return re.findall(rf"^{module}\.py::(.*)$", collected, re.MULTILINE)


def test_a_fixture_brings_the_tests_of_the_role_that_it_is_annotated_with(collected: str) -> None:
    tests = _tests(collected, "test_one")
    assert len(tests) > 30
    assert "TestWordReranker::test_nothing_is_yielded_for_no_passages" in tests
    assert not [each for each in tests if "test_it_keeps_an_index" in each]


def test_several_fixtures_of_a_module_are_told_apart_by_their_names(collected: str) -> None:
    names = {each.partition("::")[0] for each in _tests(collected, "test_two")}
    assert names == {"TestWordReranker", "TestWordRerankerWithoutCache"}


def test_a_fixture_with_params_is_tested_with_each(collected: str) -> None:
    tests = _tests(collected, "test_params")
    assert {f"TestWordReranker::test_settings_are_frozen[{each}]" for each in "ab"} <= set(tests)


def test_anything_else_of_that_name_is_left_alone(collected: str) -> None:
    assert _tests(collected, "test_other") == ["test_nothing"]


@pytest.mark.parametrize("module", ["test_silent", "test_number", "test_unknown"])
def test_a_fixture_that_does_not_say_what_it_returns_is_an_error_with_the_remedy(collected: str, module: str) -> None:
    (told,) = re.findall(rf"ERROR collecting {module}\.py _+\n(.*?)\n_*(?:_ ERROR|=+ )", collected, re.DOTALL)
    assert "say in the fixture's return annotation which class it returns" in told
    assert "-> MyReranker" in told
