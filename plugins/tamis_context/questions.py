"""Tells questions that want a fact from those that want a survey."""

from __future__ import annotations

import re

__all__ = ["is_research"]

_SURVEY = (
    # English
    r"compar\w*|contrast|versus|vs|overview|survey|summar\w+|pros and cons|advantages|disadvantages|trade-?offs"
    r"|differences?|similarities|alternatives|approaches|implications"
    # German, French, Spanish
    r"|vergleich\w*|überblick|unterschied\w*|zusammenfass\w*|vorteile|nachteile"
    r"|compare[rz]|différences?|résum\w+|avantages|inconvénients"
    r"|comparación|diferencias?|resum\w+|ventajas|desventajas"
)
_ASKS_FOR_MUCH = re.compile(rf"\b(?:{_SURVEY})\b", re.IGNORECASE)
_QUESTION_MARKS = re.compile(r"[?？؟]+(?=\s|\Z)")


def is_research(question: str) -> bool:
    """Whether it asks to compare, sum up or weigh, or asks several things at once.

    By words of English, German, French and Spanish; a question in another language is taken for one after a fact.
    """
    return _ASKS_FOR_MUCH.search(question) is not None or len(_QUESTION_MARKS.findall(question)) > 1
