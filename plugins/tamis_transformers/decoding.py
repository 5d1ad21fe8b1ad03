"""Tokens into text as they come: whole characters only, and nothing from a stop string on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["StopStrings", "TextStream"]

_UNFINISHED = "\ufffd"
_MOST_HELD = 8  # a character has four bytes at most; what is still unfinished after so many tokens never will be


class TextStream:
    """The text of tokens, one after the other; the pieces concatenate to the text of all of them.

    A piece is what a token adds to the text of those just before it, since a tokenizer's blanks depend on neighbours.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._before: list[int] = []  # tokens whose text has been given, as far back as blanks depend on
        self._held: list[int] = []

    def feed(self, token: int) -> str:
        """The text that is certain by now; empty while a character is unfinished."""
        self._held.append(token)
        given, text = self._decode(self._before), self._decode([*self._before, *self._held])
        is_new = len(text) > len(given)  # a token without text says nothing of the blanks around the next
        if len(self._held) < _MOST_HELD and (text.endswith(_UNFINISHED) or not is_new):
            return ""
        self._before, self._held = self._held if is_new else self._before, []
        return text[len(given) :]

    def end(self) -> str:
        """What was held back, without a character that was cut in two."""
        text = self._decode([*self._before, *self._held])
        return text[len(self._decode(self._before)) :].rstrip(_UNFINISHED)


class StopStrings:
    """Holds back text that may become a stop string, and ends at the first that comes."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.has_stopped = False

    def feed(self, text: str) -> str:
        """What can be given out; nothing more once a stop string has come."""
        self._held += text
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            self.has_stopped = True
        cut = min(places) if places else len(self._held) - self._beginning()
        ready, self._held = self._held[:cut], "" if places else self._held[cut:]
        return ready

    def end(self) -> str:
        """What was held back and became no stop string."""
        rest, self._held = self._held, ""
        return rest

    def _beginning(self) -> int:
        """How many characters at the end may be the beginning of a stop string."""
        lengths = (
            length for stop in self._stops for length in range(1, len(stop)) if self._held.endswith(stop[:length])
        )
        return max(lengths, default=0)
