"""Puts foreign text on one line that no prompt's labels can be mistaken for, and cuts it to what a model can read."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["cut", "one_line"]

_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)
_WIDE = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F) if chr(code - 0xFEE0).isalnum()}
_LIKE_ASCII = _WIDE | str.maketrans("[]【】［］﹇﹈＜﹤", "()()()()<<")  # what tokenizers that normalise read as such
_TAG = re.compile(r"<(?=[|｜/／!！A-Za-z])")  # the wide bar is DeepSeek's
_LABEL = re.compile(
    r"\b(passages?|documents?|query|question|relevant|order|answer|user|assistant|system|human)"
    r"(\s{0,2}[A-Za-z0-9]{0,3}\s?)[:：﹕︓]",
    re.IGNORECASE,
)
_LONGEST_TOKEN = 24  # characters a token has at most, in any text worth reading


def one_line(text: str, tokens: int) -> str:
    """The text without line breaks, brackets, tags, control characters or a colon behind what prompts call things.

    So nothing in it begins a line, is a label (`[3]`, `Passage B:`) or spells a token of a chat template, in wide
    letters neither. What is far beyond `tokens` tokens is left out before anything else is done.
    """
    text = " ".join(_INVISIBLE.sub("", text[: tokens * _LONGEST_TOKEN]).split())
    return _LABEL.sub(r"\1\2 -", _TAG.sub("< ", text.translate(_LIKE_ASCII)))


def cut(text: str, tokens: int, count: Callable[[str], int]) -> str:
    """The beginning of `text` that costs at most `tokens` tokens, up to a blank where there is one near."""
    while text and (needed := count(text)) > tokens:
        kept = text[: min(len(text) - 1, len(text) * max(tokens, 0) // needed)]
        at_blank = kept.rpartition(" ")[0]
        text = at_blank if len(at_blank) > len(kept) // 2 else kept
    return text
