"""Turns a question and passages into a prompt, by a template that users may replace."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template
from xml.sax.saxutils import escape, quoteattr

from tamis.errors import ConfigurationError
from tamis.model import Passage
from tamis.models import Message, Prompt

__all__ = ["INSUFFICIENT", "PromptTemplate"]

INSUFFICIENT = "INSUFFICIENT"
"""What the model is asked to say, and nothing else, when the passages do not answer."""

_DIVIDER = "\n---\n"


class PromptTemplate:
    """A text file: what the system says, a line `---`, what the user says; `$passages` and `$question` are filled in."""

    def __init__(self, file: Path | None) -> None:
        """Without a file the built-in one. Raises `ConfigurationError` for one that cannot be filled in."""
        text, name = _read(file), str(file or "the built-in prompt")
        system, divider, user = text.partition(_DIVIDER)
        if not divider:
            raise ConfigurationError("a prompt file has two parts, divided by a line `---`", path=name)
        self._system, self._user = system.strip(), Template(user.strip())
        used = set(self._user.get_identifiers())
        if not self._user.is_valid() or used != {"passages", "question"}:
            message = (
                f"below the `---` a prompt file uses $passages and $question, and only these; it uses {sorted(used)}"
            )
            raise ConfigurationError(message, path=name)

    def prompt(self, question: str, passages: Sequence[Passage]) -> Prompt:
        """The conversation that asks for an answer from these passages, numbered from 1."""
        numbered = "\n".join(_quoted(number, each) for number, each in enumerate(passages, 1))
        user = self._user.substitute(passages=numbered, question=question)
        return Prompt((Message("system", self._system), Message("user", user)))


def _quoted(number: int, passage: Passage) -> str:
    """A passage as an element. Its text is escaped, so that it cannot end its element and pass for instructions."""
    title = f" title={quoteattr(passage.title)}" if passage.title else ""
    return f'<passage number="{number}"{title}>\n{escape(passage.text)}\n</passage>'


def _read(file: Path | None) -> str:
    if file is None:
        return resources.files("tamis_llm").joinpath("answer.txt").read_text(encoding="utf-8")
    try:
        return file.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the prompt file cannot be read: {error}", path=str(file)) from error
