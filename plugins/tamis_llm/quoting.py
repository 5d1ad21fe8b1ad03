"""Quotes passages so that a model sees where they begin and end, and nothing in them passes for anything else."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from tamis.model import Passage

__all__ = ["MARK", "quoted"]

MARK = "\u02c6"
"""Stands in place of white space in marked passages."""

_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
"""Control characters, changes of direction, and the tag block, in which text is written that nobody sees."""
_CONTROL_WORD = re.compile(r"\[(/?[A-Z][A-Z_]{2,30})\]")  # Mistral's [INST] and the like; those in <> are escaped


def quoted(number: int, passage: Passage, *, is_marked: bool = False) -> str:
    """A passage as an element with its number, title, headings and pages.

    Its text cannot end the element, open another or spell a control token of a chat template. With `is_marked` its
    words are joined by `MARK`, the datamarking of Hines et al., "Defending Against Indirect Prompt Injection Attacks
    With Spotlighting", 2024.
    """
    headings = passage.heading_path or ((passage.heading,) if passage.heading else ())
    described = {"title": passage.title, "section": " › ".join(headings), "page": _pages(passage)}
    attributes = "".join(f" {name}={quoteattr(_plain(value))}" for name, value in described.items() if value)
    text = escape(_plain(passage.text))
    if is_marked:
        text = MARK.join(text.replace(MARK, "").split())
    return f'<passage number="{number}"{attributes}>\n{text}\n</passage>'


def _plain(text: str) -> str:
    return _CONTROL_WORD.sub(r"[ \1 ]", _INVISIBLE.sub("", text))


def _pages(passage: Passage) -> str:
    first, last = passage.locator.first_page, passage.locator.last_page
    return "" if not first else str(first) if last in (0, first) else f"{first}-{last}"
