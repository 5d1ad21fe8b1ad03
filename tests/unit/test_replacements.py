"""Stages that stand in for others: which can, and what a mistake is told."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from fake_plugins import write_distribution

from tamis.config import parse
from tamis.diagnosis import diagnose
from tamis.errors import ConfigurationError
from tamis.journal import Recipe
from tamis.pipeline import Pipelines
from tamis.plugins import build
from tamis.recipes import Recipes

STAGES = """
[stages.words]
plugin = "fake-memory"
[stages.rank]
plugin = "fake-words"
[pipelines.default]
expression = "words >> rank"
"""


@pytest.fixture(autouse=True)
def _fakes_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_distribution(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()


def _stage(name: str, replaces: str, plugin: str = "fake-memory", kind: str = "stages") -> str:
    return f'[{kind}.{name}]\nplugin = "{plugin}"\nreplaces = "{replaces}"\n'


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (_stage("b", "nothing"), "[stages.b] replaces names 'nothing', which is no configured stage; there are: rank"),
        (_stage("b", "b"), "[stages.b] replaces itself"),
        (_stage("b", "rank"), "[stages.b] replaces names 'rank', which is a reranker and not a retriever"),
        (_stage("b", "words") + _stage("c", "b"), "[stages.c] replaces names 'b', which itself replaces 'words'"),
        (_stage("b", "words") + _stage("c", "words"), "replaces names 'words', which 'c' replaces already"),
        (_stage("m", "words", "fake-hash", "models"), "[models.m] replaces: only a stage replaces another"),
        (_stage("b", "words") + STAGES.replace("words >>", "b >>"), "no stage named 'b'"),
    ],
)
def test_a_replacement_that_makes_no_sense_is_refused_with_the_reason(table: str, message: str) -> None:
    text = table if "[stages.words]" in table else STAGES + table
    with pytest.raises(ConfigurationError) as caught:
        config = parse(text, path="tamis.toml")
        Pipelines(config, build(config))
    assert message in caught.value.message
    assert caught.value.line is not None


def test_a_stage_that_refers_to_one_that_is_replaced_is_replaced_as_well() -> None:
    text = (
        STAGES
        + """
[stages.both]
plugin = "ensemble"
rerankers = ["rank"]
"""
        + _stage("rank-two", "rank", "fake-words")
    )
    with pytest.raises(ConfigurationError, match="let a stage that refers to 'rank-two' replace this one as well"):
        build(parse(text))
    both = _stage("both-two", "both", "ensemble")
    with pytest.raises(ConfigurationError, match="refers to 'rank', which 'rank-two' replaces: refer to 'rank-two'"):
        build(parse(text + both + 'rerankers = ["rank"]\n'))
    build(parse(text + both + 'rerankers = ["rank-two"]\n'))


def test_a_generation_is_answered_by_what_it_was_made_of_until_that_has_the_name_itself() -> None:
    components = build(config := parse(STAGES + _stage("later", "words")))
    recipes = Recipes(config, components)
    assert recipes.current.replacements == {"words": "later"}
    assert recipes.indexed(Recipe())["words"] is components["words"]
    assert recipes.indexed(recipes.current)["words"] is components["later"]
    assert set(recipes.indexed(recipes.current)) == {"words", "rank"}
    renamed = build(config := parse(STAGES))
    assert Recipes(config, renamed).indexed(Recipe(replacements={"words": "later"}))["words"] is renamed["words"]


def test_a_stage_that_waits_to_replace_another_is_not_said_to_be_unused() -> None:
    config = parse(STAGES + _stage("later", "words"))
    assert [each.rule for each in diagnose(config, Pipelines(config, build(config)).list())] == []
