"""Things with weights that know nothing of search: embedders and language models."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tamis.component import Component
from tamis.context import Call

__all__ = [
    "CUT_AT_LIMIT",
    "Embedder",
    "EmbedsSparse",
    "EmbedsTokens",
    "Float32Array",
    "Llm",
    "Message",
    "Prompt",
    "SparseVector",
    "TextKind",
    "Tokenizes",
]

Float32Array: TypeAlias = NDArray[np.float32]

CUT_AT_LIMIT = "the model was cut off at its token limit"
"""What a language model notes on the call when it had more to say than it was allowed tokens."""


class TextKind(Enum):
    """Which side of a search a text is on; some encoders prefix the two differently."""

    QUERY = "query"
    PASSAGE = "passage"


class Embedder(Component):
    """Turns texts into vectors of unit length, so that a dot product is their cosine."""

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """Length of every vector."""

    @property
    @abstractmethod
    def max_tokens(self) -> int:
        """How many tokens of a text are read; the rest is ignored."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Identifies the weights and the pooling: vectors of equal fingerprints are comparable."""

    @abstractmethod
    async def embed(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> Float32Array:
        """Vectors of shape [len(texts), dimensions], finite, in the order of `texts`.

        Raises `CallEnded` once the call is over, `Overloaded` when the queue is full.
        """


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Weights of a few dimensions out of 2**32: `indices` rise and are distinct, `values` are theirs and finite."""

    indices: NDArray[np.uint32]
    values: Float32Array


@runtime_checkable
class EmbedsSparse(Protocol):
    """An embedder that can also weigh terms, for an inverted index: SPLADE and its like."""

    async def embed_sparse(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> list[SparseVector]:
        """For each text its terms and their weights, in the order of `texts`; none for a text without terms.

        The dot product of a query's and a passage's is their score. Raises like `Embedder.embed`.
        """
        ...


@runtime_checkable
class EmbedsTokens(Protocol):
    """An embedder that can also give one vector a token, for late interaction."""

    async def embed_tokens(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> list[Float32Array]:
        """For each text, unit vectors of shape [its tokens, token dimensions], special tokens left out but for those
        that the model was trained to match."""
        ...


@runtime_checkable
class Tokenizes(Protocol):
    """A model that can say where its tokens are, so that passages can be cut to what it reads."""

    @property
    def extra_tokens(self) -> int:
        """How many tokens it adds to every passage it reads: special ones, and those of a prefix."""
        ...

    def token_offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Half-open character ranges of the tokens of `text`, in order, special tokens and prefixes left out.

        Blocks; safe to call from any thread. In time linear in the text's length.
        """
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is `system`, `user` or `assistant`."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a language model is asked: a conversation."""

    messages: tuple[Message, ...]


class Llm(Component):
    """Continues prompts."""

    @property
    @abstractmethod
    def context_token_count(self) -> int:
        """How many tokens prompt and answer may have together."""

    @abstractmethod
    def generate(self, prompt: Prompt, *, limit: int, call: Call) -> AsyncIterator[str]:
        """Pieces of the answer as they come, at most `limit` tokens; they concatenate to it.

        What was used is in `call.usage` when the last piece has come; a model that had more to say also notes
        `CUT_AT_LIMIT`. Raises `CallEnded` once the call is over, `Overloaded` when the model takes no more work now,
        `Unavailable` when it cannot be reached or breaks off, `InvalidRequest` for a prompt longer than it reads.
        """

    def count_tokens(self, text: str) -> int:
        """How many tokens a text costs. A careful estimate unless the model's tokenizer is at hand: never fewer than
        a token for three bytes of UTF-8. Safe to call from any thread."""
        return -(-len(text.encode()) // 3)

    async def log_probabilities(self, prompt: Prompt, choices: Sequence[str], *, call: Call) -> NDArray[Any]:
        """Natural log-probability of each choice as the continuation; shape [len(choices)].

        Raises `NotImplementedError` where the model gives none.
        """
        raise NotImplementedError(f"{type(self).__name__} gives no log-probabilities")
