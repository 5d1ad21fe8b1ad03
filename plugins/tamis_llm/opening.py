"""Tells from its first words whether an answer says that there is none."""

from __future__ import annotations

import re

__all__ = ["INSUFFICIENT", "Opening"]

INSUFFICIENT = "INSUFFICIENT"
"""What the model is asked to say, and nothing else, when the passages do not answer."""

_LEAD = re.compile(r"(?:[\W\d_]|(?:the\s+)?\b(?:answer|response|output)\b(?:\s+is\b)?\s*[:>]*)*", re.IGNORECASE)
_LEAD_WORDS = ("the answer is", "answer", "response", "output")
_WHOLE = re.compile(r"insufficient(?:\s+(?:evidence|information|data|context|passages))?\W*\Z", re.IGNORECASE)
_LONGEST = 60


class Opening:
    """Holds back the beginning of an answer for as long as it may be the word that says there is none.

    The word counts in capitals, with quotes, emphasis, a label such as `Answer:` or anything else around it; in other
    letters only where nothing but the word and what is insufficient is said.
    """

    def __init__(self) -> None:
        self._held = ""
        self.is_decided = False
        self.is_refusal = False

    def feed(self, piece: str) -> str:
        """What can be passed on; everything, once it is decided."""
        self._held += piece
        if not self.is_decided:
            self._decide(is_end=False)
        return self._released()

    def end(self) -> str:
        """What was held back, unless it was a refusal."""
        if not self.is_decided:
            self._decide(is_end=True)
        return self._released()

    def _decide(self, *, is_end: bool) -> None:
        said = self._held[_LEAD.match(self._held).end() :]  # type: ignore[union-attr]
        if said.startswith(INSUFFICIENT) and (is_end or len(said) > len(INSUFFICIENT)):
            self.is_decided, self.is_refusal = True, not said[len(INSUFFICIENT) :][:1].isalpha()
        elif is_end:
            self.is_decided, self.is_refusal = True, _WHOLE.match(said) is not None
        else:
            self.is_decided = not self._may_refuse(said)

    def _may_refuse(self, said: str) -> bool:
        if len(self._held) > _LONGEST:
            return False
        said = said.lower()
        begun = any(each.startswith(said) for each in (INSUFFICIENT.lower(), *_LEAD_WORDS))
        return begun or said.startswith(INSUFFICIENT.lower())

    def _released(self) -> str:
        if not self.is_decided or self.is_refusal:
            return ""
        text, self._held = self._held, ""
        return text
