"""A text that grows part by part, with the headings and pages that stand in it."""

from __future__ import annotations

from tamis.model import Heading, Landmark, PageBreak

__all__ = ["Outline", "shortened"]

_LONGEST_HEADING = 200  # characters; on the wire 1,024 bytes are allowed
_LONGEST_TITLE = 500
_MOST_LANDMARKS = 100_000


class Outline:
    """Parts and landmarks. Landmarks stand where the next part begins."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.landmarks: list[Landmark] = []
        self.size = 0
        """In UTF-8 bytes."""

    def add(self, text: str) -> None:
        """Goes on with `text`."""
        self.parts.append(text)
        self.size += len(text.encode())

    def heading(self, text: str, level: int) -> None:
        """A heading begins here; one without a word is none."""
        name = shortened(text, _LONGEST_HEADING)
        if name and len(self.landmarks) < _MOST_LANDMARKS:
            self.landmarks.append(Heading(self.size, name, max(1, min(9, level))))

    def page(self, number: int) -> None:
        """A page begins here."""
        if len(self.landmarks) < _MOST_LANDMARKS:
            self.landmarks.append(PageBreak(self.size, number))

    @property
    def text(self) -> str:
        """All parts."""
        return "".join(self.parts)

    def title(self, given: str, fallback: str) -> str:
        """What the file says its title is, else its first heading of the outermost level, else the fallback."""
        headings = [each for each in self.landmarks if isinstance(each, Heading)]
        first = min(headings, key=lambda each: each.level).text if headings else ""
        return shortened(given, _LONGEST_TITLE) or first or fallback


def shortened(text: str, most: int = _LONGEST_TITLE) -> str:
    """On one line, at most `most` characters, cut after a word."""
    words = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    if len(words) <= most:
        return words
    return words[:most].rsplit(" ", 1)[0].rstrip() + " …"
