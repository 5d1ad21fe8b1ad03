"""Takes out of a streamed answer what would make a reader's program call a foreign address."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["LinkFilter"]

_IMAGE = r"!\[(?P<alt>[^\]\n]{0,500})\](?:\([^)\n]{0,2000}\)|\[[^\]\n]{0,500}\])"
_LINK = r"\[(?P<label>[^\]\n]{0,500})\]\((?P<target>[^)\n]{0,2000})\)"
_TAG = r"<(?P<tag>[a-zA-Z][\w-]{0,30})\b[^<>]{0,2000}=[^<>]{0,2000}>"
_ADDRESS = r"(?P<address>(?:https?://|ftp://|(?<![^\W_])www\.)[^\s<>\"'`\])}]+)"
_FOUND = re.compile("|".join((_IMAGE, _LINK, _TAG, _ADDRESS)), re.IGNORECASE)
_STARTS = ("https://", "http://", "ftp://", "www.")
_BEGUN = "|".join(
    sorted({re.escape(each[:end]) for each in _STARTS for end in range(1, len(each))}, key=len, reverse=True)
)
_UNDECIDED = re.compile(
    r"!\Z"
    r"|!?\[[^\]\n]{0,500}\Z"
    r"|!?\[[^\]\n]{0,500}\](?:\([^)\n]{0,2000}|\[[^\]\n]{0,500}\]?)?\Z"
    r"|<(?:[a-zA-Z][^<>]{0,2000})?\Z"
    rf"|(?:{_BEGUN}|(?:https?://|ftp://|www\.)[^\s<>\"'`\])}}]{{0,2000}})\Z",
    re.IGNORECASE,
)
_TRAILING = ".,;:!?"


class LinkFilter:
    """Fed with pieces of an answer, gives its text without images, and without links that stand in no source.

    An image becomes its description and a link its label; an address by itself goes. A link whose very address stands
    in a source stays. Text that may still become a link is held back until that is decided.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        self._sources = sources
        self._held = ""
        self.dropped_count = 0

    def feed(self, piece: str) -> str:
        """What can be passed on now."""
        self._held += piece
        undecided = _UNDECIDED.search(self._held)
        cut = undecided.start() if undecided else len(self._held)
        ready, self._held = self._held[:cut], self._held[cut:]
        return self._filtered(ready)

    def end(self) -> str:
        """What was still held back."""
        rest, self._held = self._held, ""
        return self._filtered(rest)

    def _filtered(self, text: str) -> str:
        return _FOUND.sub(self._kept, text)

    def _kept(self, found: re.Match[str]) -> str:
        kind = found.lastgroup
        if kind == "target":
            return self._link(found)
        address = found[0].rstrip(_TRAILING) if kind == "address" else found[0]
        is_anchor = kind == "tag" and found["tag"].lower() == "a"
        is_quoted = is_anchor and any(address in each for each in self._sources)
        if is_quoted or (kind == "address" and self._stands(address)):
            return found[0]
        self.dropped_count += 1
        return self._filtered(found["alt"]) if kind == "alt" else found[0][len(address) :]

    def _link(self, found: re.Match[str]) -> str:
        """A number with an address is a citation that somebody decorated."""
        label, target = found["label"], found["target"].split(" ")[0].strip("<>")
        if label.strip().isdigit():
            return f"[{label}]"
        if target and self._stands(target):
            return found[0]
        self.dropped_count += 1
        return self._filtered(label)

    def _stands(self, text: str) -> bool:
        """Whether a source has it as a whole, and not only as the beginning of something longer."""
        whole = re.compile(rf"(?<![\w/]){re.escape(text)}(?![\w/?&=#%-])")
        return any(text in each and whole.search(each) for each in self._sources)
