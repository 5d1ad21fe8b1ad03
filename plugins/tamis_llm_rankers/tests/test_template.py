"""Prompts: the built-in ones, one's own, and those that cannot work."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tamis.errors import ConfigurationError
from tamis_llm_rankers.template import PromptTable, PromptTemplate, Role

ROLES: tuple[Role, ...] = ("listwise", "pairwise", "setwise", "query-likelihood")
BUILT_IN = [
    (role, file.name.removesuffix(".toml"))
    for role in ROLES
    for file in sorted(resources.files("tamis_llm_rankers").joinpath("prompts", role).iterdir(), key=str)
]


@pytest.mark.parametrize(("role", "name"), BUILT_IN)
def test_a_built_in_prompt_shows_every_text_once_and_the_query(role: Role, name: str) -> None:
    texts = ["$first text", "the other {text}"][: 1 if role == "query-likelihood" else 2]
    prompt = PromptTemplate(role, name).prompt("cost in $", texts)
    said = "\n".join(each.text for each in prompt.messages)
    assert all(said.count(text) == 1 for text in texts)
    assert ("cost in $" in said) == (role != "query-likelihood")
    assert prompt.messages[-1].role == "user"
    assert prompt.messages[-1].text == prompt.messages[-1].text.strip()


def test_the_prompt_of_rank_zephyr_is_what_it_was_trained_on() -> None:
    system, user = PromptTemplate("listwise", "rank-zephyr").prompt("tides", ["The moon.", "A loaf."]).messages
    assert system.text.startswith("You are RankLLM, an intelligent assistant that can rank passages")
    assert user.text.startswith(
        "I will provide you with 2 passages, each indicated by a numerical identifier []. Rank the passages based on "
        "their relevance to the search query: tides.\n[1] The moon.\n[2] A loaf.\nSearch Query: tides.\nRank the 2"
    )


def test_the_prompt_of_rank_gpt_shows_each_passage_in_a_turn_of_its_own() -> None:
    messages = PromptTemplate("listwise", "rank-gpt").prompt("tides", ["The moon.", "A loaf."]).messages
    assert [each.role for each in messages[1:]] == ["user", "assistant"] * 3 + ["user"]
    assert [each.text for each in messages[3:7]] == [
        "[1] The moon.",
        "Received passage [1].",
        "[2] A loaf.",
        "Received passage [2].",
    ]


def test_the_prompt_of_duo_t5_is_what_it_was_trained_on() -> None:
    template = PromptTemplate("pairwise", "duo-t5")
    (message,) = template.prompt("tides", ["The moon.", "A loaf."]).messages
    assert message.text == "Query: tides Document0: The moon. Document1: A loaf. Relevant:"
    assert template.choices(2) == ["true", "false"]


def test_a_choice_is_scored_up_to_its_label() -> None:
    template = PromptTemplate("listwise", "first")
    assert template.choices(2) == ["[A", "[B"]
    assert template.answers(2) == ["[A]", "[B]"]


def test_a_table_of_ones_own_replaces_the_built_in_ones() -> None:
    table = PromptTable(user="$query? $passages", passage="<$label> $text", between=" / ", labels=("x", "y"))
    (message,) = PromptTemplate("listwise", table).prompt("tides", ["one", "two"]).messages
    assert message.text == "tides? <x> one / <y> two"


def test_a_file_of_ones_own_replaces_them_too(tmp_path: Path) -> None:
    file = tmp_path / "prompt.toml"
    file.write_text('user = "$query: $first or $second?"\nlabels = ["one", "two"]\n')
    template = PromptTemplate("pairwise", "instruct", file)
    assert template.prompt("tides", ["moon", "loaf"]).messages[0].text == "tides: moon or loaf?"
    assert template.choices(2) == ["one", "two"]


@pytest.mark.parametrize(
    ("role", "table", "complaint"),
    [
        ("listwise", {"user": "$query"}, r"needs \$passages, \$query"),
        ("pairwise", {"user": "$query $first"}, r"\$second"),
        ("query-likelihood", {"user": "$query $passage"}, r"may use \$passage"),
        ("setwise", {"user": "$query $passages $other"}, r"found .*\$other"),
        ("setwise", {"user": "$query $passages for 3$"}, r"\$\$"),
        ("setwise", {"user": "$query $passages", "turns": ["alone"]}, "in pairs"),
        ("setwise", {"user": "$query $passages", "turns": ["$passages", "B"]}, r"\$query and \$count only"),
        ("setwise", {"user": "$query $passages", "choice": "the best"}, r"\$label"),
        ("setwise", {"user": "$query $passages", "passage": "$text"}, r"\$label"),
        ("pairwise", {"user": "$query $first $second", "labels": ["one"]}, "two"),
        ("pairwise", {"user": "$query $first $second", "labels": ["Yes", "yes"]}, "distinct"),
        ("setwise", {"user": "$query $passages", "labels": ["x", " ", "y"]}, "none is empty"),
        ("listwise", {"user": "$query $passages", "labels": ["number one", "number two"]}, "without blanks"),
    ],
)
def test_a_prompt_that_cannot_work_is_refused(role: Role, table: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        PromptTemplate(role, PromptTable.model_validate(table))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("user = ", "no TOML"), ("asks = 'x'", "user"), ("user = 3", "user"), (None, "cannot be read")],
)
def test_a_file_that_holds_no_prompt_is_refused(tmp_path: Path, text: str | None, complaint: str) -> None:
    file = tmp_path / "prompt.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=complaint):
        PromptTemplate("listwise", "instruct", file)
