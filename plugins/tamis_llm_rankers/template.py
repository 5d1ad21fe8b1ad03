"""Prompts as tables of TOML, built in or of one's own, and how they are filled in."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from itertools import cycle
from pathlib import Path
from string import Template
from typing import Any, Literal

from pydantic import ValidationError

from tamis.component import Settings
from tamis.errors import ConfigurationError
from tamis.models import Message, Prompt

__all__ = ["LETTERS", "PromptTable", "PromptTemplate", "Role"]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Role = Literal["listwise", "pairwise", "setwise", "query-likelihood"]
_NEEDED: Mapping[str, frozenset[str]] = {
    "listwise": frozenset({"query", "passages"}),
    "pairwise": frozenset({"query", "first", "second"}),
    "setwise": frozenset({"query", "passages"}),
    "query-likelihood": frozenset({"passage"}),
}


class PromptTable(Settings):
    """A prompt. `user` is what is asked in the end, after `system` and `turns`, a user's and an assistant's by turns:
    examples. Filled in are `$query`, `$count` and, by the plugin, `$passages`, `$first` and `$second`, or `$passage`.

    Where several passages are shown each stands as `passage` says, `between` parting them; with a `reply` each is a
    turn of its own, to which the assistant replies so. `labels` are what passages are called, `choice` how an answer
    names one. For two passages the labels are the answers that prefer the first and the second. An answer ends at any
    of `stops`.
    """

    user: str
    system: str = ""
    turns: tuple[str, ...] = ()
    passage: str = "[$label] $text"
    between: str = "\n"
    reply: str = ""
    labels: Literal["numbers", "letters"] | tuple[str, ...] = "letters"
    choice: str = "$label"
    stops: tuple[str, ...] = ()


class PromptTemplate:
    """A prompt of one plugin, checked: it says everything that the plugin asks, and nothing is left to be filled in."""

    def __init__(self, role: Role, prompt: str | PromptTable, file: Path | None = None) -> None:
        """The file, or the table, or the built-in one of that name. Raises `ConfigurationError`."""
        if file is not None:
            name, table = str(file), _table(_read(file), str(file))
        elif isinstance(prompt, PromptTable):
            name, table = "prompt", prompt
        else:
            name = f"the built-in prompt {prompt}"
            found = resources.files("tamis_llm_rankers").joinpath("prompts", role, f"{prompt}.toml")
            table = _table(found.read_text(encoding="utf-8"), name)
        self.table = table
        self.stops = table.stops
        self._check(role, name)

    def labels(self, count: int) -> list[str]:
        """What `count` passages are called."""
        kinds = {"numbers": [str(number) for number in range(1, count + 1)], "letters": list(LETTERS[:count])}
        return kinds[self.table.labels] if isinstance(self.table.labels, str) else list(self.table.labels[:count])

    def choices(self, count: int) -> list[str]:
        """How an answer begins that prefers each passage, up to its label: the rest is the same for all."""
        opening = self.table.choice.partition("$label")[0]
        return [opening + label for label in self.labels(count)]

    def answers(self, count: int) -> list[str]:
        """How an answer names each passage, whole."""
        return [Template(self.table.choice).substitute(label=label) for label in self.labels(count)]

    def prompt(self, query: str, texts: Sequence[str]) -> Prompt:
        """The conversation that asks about these passages."""
        table, labels = self.table, self.labels(len(texts))
        common = {"query": query, "count": str(len(texts))}
        shown = [
            Template(table.passage).substitute(common, label=label, text=text)
            for label, text in zip(labels, texts, strict=False)
        ]
        filled = {**common, "passages": table.between.join(shown), "passage": texts[0], "first": texts[0]}
        messages = [Message("system", table.system.strip())] if table.system.strip() else []
        said = [Template(each.strip()).substitute(common) for each in table.turns]
        if table.reply:
            replies = (Template(table.reply).substitute(label=label) for label in labels)
            said += [turn for pair in zip(shown, replies, strict=True) for turn in pair]
        said.append(Template(table.user.strip()).substitute(filled, second=texts[-1]))
        messages += [Message(role, text) for role, text in zip(cycle(("user", "assistant")), said, strict=False)]
        return Prompt(tuple(messages))

    def _check(self, role: Role, name: str) -> None:
        table, needed = self.table, _NEEDED[role]
        allowed = needed | {"query", "count"} if role != "query-likelihood" else needed
        if table.reply:
            needed = needed - {"passages"}
        used = _names(table.user, name)
        if not needed <= used <= allowed:
            message = f"the user's last turn needs {_listed(needed)} and may use {_listed(allowed)}"
            raise ConfigurationError(f"{message}; found {_listed(used) or 'none'}", path=name)
        if len(table.turns) % 2 or any(not _names(each, name) <= {"query", "count"} for each in table.turns):
            raise ConfigurationError(
                "turns are a user's and an assistant's in pairs, and use $query and $count only", path=name
            )
        if _names(table.choice, name) != {"label"} or not _names(table.reply, name) <= {"label"}:
            raise ConfigurationError("choice uses $label, and reply nothing else", path=name)
        if not {"label", "text"} <= _names(table.passage, name) <= {"label", "text", "query"}:
            raise ConfigurationError("passage uses $label and $text", path=name)
        labels = [each.upper() for each in self.labels(len(LETTERS))]
        if len(set(labels)) < len(labels) or not all(each.strip() for each in labels):
            raise ConfigurationError("labels are distinct, capitals or not, and none is empty", path=name)
        if role == "listwise" and any(re.search(r"[\s\[\]<>,;]", each) for each in labels):
            raise ConfigurationError("labels of a list are words without blanks, brackets, > or commas", path=name)
        if role == "pairwise" and len(self.labels(2)) != 2:
            raise ConfigurationError("labels are two for a pair", path=name)


def _names(text: str, name: str) -> set[str]:
    template = Template(text)
    if not template.is_valid():
        raise ConfigurationError("a $ that names nothing is written $$", path=name)
    return set(template.get_identifiers())


def _listed(names: set[str] | frozenset[str]) -> str:
    return ", ".join(f"${each}" for each in sorted(names))


def _read(file: Path) -> str:
    try:
        return file.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the prompt file cannot be read: {error}", path=str(file)) from error


def _table(text: str, name: str) -> PromptTable:
    try:
        found: dict[str, Any] = tomllib.loads(text)
        return PromptTable.model_validate(found)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"the prompt is no TOML: {error}", path=name) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{where}: {first['msg']}", path=name) from error
