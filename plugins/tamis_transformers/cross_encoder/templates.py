"""Prompts of rerankers that answer with a token: the table of published ones, and how to write another."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tamis.component import Settings
from tamis.errors import ConfigurationError

__all__ = ["Template", "built_in", "chosen"]

_SLOTS = ("query", "passage", "instruction")
_TABLE = Path(__file__).with_name("templates.toml")


class Template(Settings):
    """What a model reads of a query and a passage, and by which token it answers.

    `prompt` is a list of parts, each tokenized by itself. One part has `{query}`, one ends with `{passage}`, some may
    have `{instruction}` and are left out where `instruction` is empty; a brace of its own is doubled. Special tokens
    stand in parts without a slot, and are text everywhere else. `bos` and `eos` put the tokenizer's own in front and
    at the end. The score is the logit of `yes`, less that of `no` where there is one; each is one token.
    `max_tokens` is how much the model was trained to read.
    """

    prompt: Annotated[tuple[str, ...], Field(min_length=1)]
    yes: Annotated[str, Field(min_length=1)]
    no: Annotated[str, Field(min_length=1)] | None = None
    instruction: str = ""
    bos: bool = False
    eos: bool = False
    max_tokens: Annotated[int, Field(ge=16)] | None = None

    @model_validator(mode="after")
    def _has_its_slots(self) -> Template:
        counts = dict.fromkeys(_SLOTS, 0)
        for part in self.prompt:
            for slot in _slots(part):
                if slot not in counts:
                    allowed = ", ".join(f"{{{each}}}" for each in _SLOTS)
                    raise ValueError(f"{{{slot}}} is no placeholder; allowed are {allowed}")
                counts[slot] += 1
        if counts["query"] != 1 or counts["passage"] != 1:
            raise ValueError("a prompt has {query} once and {passage} once")
        if any("{passage}" in part and not part.endswith("{passage}") for part in self.prompt):
            raise ValueError("{passage} stands at the end of its part; what follows it is a part of its own")
        if any(len(_slots(part)) > 1 for part in self.prompt):
            raise ValueError("each placeholder stands in a part of its own")
        return self

    def parts(self, instruction: str | None = None) -> list[tuple[Literal["", "query", "passage"], str, str]]:
        """The parts in order: which slot it has, the text before that, and the text after it."""
        wanted = self.instruction if instruction is None else instruction
        found: list[tuple[Literal["", "query", "passage"], str, str]] = []
        for part in self.prompt:
            slots = _slots(part)
            if slots == ["instruction"] and not wanted:
                continue
            before, _, after = part.partition("{" + slots[0] + "}") if slots else (part, "", "")
            before, after = before.format(), after.format()
            if slots == ["query"]:
                found.append(("query", before, after))
            elif slots == ["passage"]:
                found.append(("passage", before, after))
            else:
                found.append(("", f"{before}{wanted}{after}" if slots else before, ""))
        return found


def built_in(name: str) -> Template:
    """The template of that name in the table. Raises `ConfigurationError` with the names there are."""
    table = _table()
    if name not in table:
        raise ConfigurationError(f"there is no template {name!r}; there are {_names()}, or write one as a table")
    return table[name][1]


def chosen(model: str) -> Template:
    """The template for a model by its own name, the last part of a hub id or of a folder's path.

    Raises `ConfigurationError` for a name that no template is for, and for a model that compares two passages.
    """
    name = model.replace("\\", "/").rstrip("/").rpartition("/")[2].lower()
    if name.startswith("duot5"):
        raise ConfigurationError(f"{model!r} compares two passages: use the plugin pairwise with a model of seq2seq-lm")
    for patterns, template in _table().values():
        if any(fnmatch(name, pattern) for pattern in patterns):
            return template
    raise ConfigurationError(
        f"how {model!r} was prompted when it was trained cannot be told by its name; set template to one of "
        f"{_names()}, or to a table with prompt, yes and no"
    )


@cache
def _table() -> Mapping[str, tuple[tuple[str, ...], Template]]:
    read: dict[str, dict[str, Any]] = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    return {name: (tuple(entry.pop("models")), Template(**entry)) for name, entry in read.items()}


def _names() -> str:
    return ", ".join(sorted(_table()))


def _slots(part: str) -> list[str]:
    """The names in braces, with whatever else stands in there."""
    found = Formatter().parse(part)
    return [f"{name}{'!' if cast else ''}{cast or ''}{how}" for _, name, how, cast in found if name is not None]
