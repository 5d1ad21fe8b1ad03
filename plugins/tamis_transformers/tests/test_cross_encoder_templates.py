"""Templates: the table of published prompts, and what a prompt must be."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tamis_transformers.cross_encoder import CrossEncoderSettings
from tamis_transformers.cross_encoder.templates import Template, built_in, chosen


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("mixedbread-ai/mxbai-rerank-base-v2", "mxbai-v2"),
        ("models/mxbai-rerank-large-v2/", "mxbai-v2"),
        ("Qwen/Qwen3-Reranker-0.6B", "qwen3"),
        ("C:\\models\\Qwen3-Reranker-8B", "qwen3"),
        ("BAAI/bge-reranker-v2-gemma", "bge-gemma"),
        ("castorini/monot5-base-msmarco-10k", "monot5"),
        ("unicamp-dl/mt5-base-mmarco-v2", "mmarco-mt5"),
        ("google/flan-t5-xl", "flan-t5"),
    ],
)
def test_a_published_reranker_is_known_by_its_name(model: str, name: str) -> None:
    assert chosen(model) == built_in(name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": ["{query}", "{document}"]}, r"{document} is no placeholder; allowed are {query}, {passage}"),
        ({"prompt": ["{query}", "and"]}, r"{passage} once"),
        ({"prompt": ["{query}", "{query}", "{passage}"]}, r"{query} once"),
        ({"prompt": ["{query}", "{passage} end"]}, "at the end of its part"),
        ({"prompt": ["{query} {passage}"]}, "a part of its own"),
        ({"prompt": ["{query", "{passage}"]}, "expected '}'"),
        ({"prompt": ["{query!r}", "{passage}"]}, "placeholder"),
        ({"prompt": ["{query:>9}", "{passage}"]}, "placeholder"),
        ({"yes": ""}, "yes"),
        ({"maybe": "perhaps"}, "maybe"),
    ],
)
def test_a_prompt_that_says_nothing_of_what_it_asks_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Template(**{"prompt": ["{query}", "{passage}"], "yes": "yes"} | changes)


def test_braces_are_doubled_and_an_instruction_may_be_left_out() -> None:
    template = Template(prompt=("{{a}}", "Do {instruction}.", "Q {query}!", "P {passage}"), yes="yes")
    assert template.parts() == [("", "{a}", ""), ("query", "Q ", "!"), ("passage", "P ", "")]
    assert template.parts("find")[1] == ("", "Do find.", "")
    assert template.parts("find {it}")[1] == ("", "Do find {it}.", "")


def test_a_temperature_without_probabilities_is_refused() -> None:
    with pytest.raises(ValidationError, match="probability"):
        CrossEncoderSettings(model="x", temperature=2.0)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ({"prompt": ["{query}", "{document}"], "yes": "yes"}, r"template\.table\n.*{document} is no placeholder"),
        ({"prompt": ["{query}", "{passage}"]}, r"template\.table\.yes\n.*required"),
        (3, r"template\.name\n.*valid string"),
    ],
)
def test_a_mistake_in_a_template_is_told_where_it_is(template: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CrossEncoderSettings(model="x", template=template)
