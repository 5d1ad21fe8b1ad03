"""Counts the tokens of stretches of a text, by a model's tokenizer or by a careful estimate."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Sequence

from tamis.models import Tokenizes
from tamis.windows import windows

__all__ = ["EstimatedTokens", "TokenCounts"]

_PIECE = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]|[^\W_]{1,4}|\S")
_LONGEST = 12  # characters that count as a token at least, whatever the tokenizer makes of a blob of letters


class EstimatedTokens:
    """For want of a tokenizer: a token for four letters of a word, for each sign, and for each ideograph."""

    extra_tokens = 2

    def token_offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """More than the tokenizers of common encoders find in ordinary text."""
        return [match.span() for match in _PIECE.finditer(text)]


class TokenCounts:
    """Where the tokens of one text begin."""

    def __init__(self, text: str, tokenizer: Tokenizes) -> None:
        """Reads the text once, in windows, so that even a long one takes eight bytes a token."""
        self.starts = array("q")
        for offset, part in windows(text):
            self.starts.extend(offset + start for start, _ in tokenizer.token_offsets(part))

    def cost(self, start: int, end: int) -> int:
        """What a stretch counts: its tokens, and no less than one for every twelve characters begun."""
        tokens = bisect_left(self.starts, end) - bisect_left(self.starts, start)
        return max(tokens, -(-(end - start) // _LONGEST))

    def reach(self, start: int, end: int, budget: int) -> int:
        """How far a stretch that begins at `start` and ends at `end` or before may go to cost `budget`."""
        place = bisect_left(self.starts, start) + budget
        border = self.starts[place] if place < len(self.starts) else end
        return max(start + 1, min(end, border, start + budget * _LONGEST))
