"""Vocabularies for tiny tokenizers of the real classes: some whole words, and every character for the rest."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

__all__ = ["byte_pairs", "letters", "pieces", "word_pieces"]

WORDS = (
    "moon", "sun", "sea", "tide", "sauce", "smooth", "query", "document", "relevant", "passage", "answer", "yes", "no",
    "true", "false",
)  # fmt: skip
LETTERS = [chr(code) for code in range(33, 127)]
# Frequent enough for each to become one token, with the words of the published prompts.
_READ = (
    "yes no Yes No 1 0 system user assistant query document passage Instruct Query Document <Query>: <Document>: think "
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided You are Qwen, "
    "created by Alibaba Cloud helpful assistant a search relevance expert who evaluates how well documents match "
    "search queries binary judgment not relevant Given a web search retrieve relevant passages that answer the query"
)


def letters() -> list[str]:
    """Words, and all printable letters of ASCII."""
    return [*WORDS, *LETTERS]


def word_pieces(special: Iterable[str]) -> dict[str, int]:
    """As BERT has it: what goes on inside a word begins with ##."""
    return _numbered([*special, *letters(), *(f"##{letter}" for letter in LETTERS)])


def pieces(special: Iterable[str], whole: Iterable[str] = ()) -> list[tuple[str, float]]:
    """As SentencePiece has it, with log-probabilities by which a whole word is likelier than its letters."""
    words = dict.fromkeys(f"▁{word}" for word in (*WORDS, *whole))
    return [*((each, 0.0) for each in special), *((word, -2.0) for word in words), ("▁", -3.0), *_letters()]


@cache
def byte_pairs(special: tuple[str, ...]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges as GPT-2 and Qwen have them, over bytes; trained on a few sentences."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=alphabet, special_tokens=list(special), show_progress=False
    )
    tokenizer.train_from_iterator([_READ, *_READ.split()] * 3, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [(one, other) for one, other in model["merges"]]


def _letters() -> list[tuple[str, float]]:
    return [(letter, -8.0) for letter in LETTERS]


def _numbered(tokens: Iterable[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}
