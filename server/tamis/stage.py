"""Retriever and reranker: the roles that know search, and what a plugin must be to fill one."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Sequence, Set
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from tamis.component import Component
from tamis.context import Call
from tamis.model import Candidate, Change, Passage, Query
from tamis.scores import ScoreCache

__all__ = [
    "Compacts",
    "HasIndex",
    "Index",
    "ListwiseReranker",
    "Order",
    "PointwiseReranker",
    "Prepares",
    "Reranker",
    "Reranking",
    "Retriever",
    "SharedIndex",
    "Suggests",
]


class Retriever(Component):
    """Finds candidates for a query in a collection."""

    @abstractmethod
    async def retrieve(self, query: Query, *, limit: int, call: Call) -> Sequence[Candidate]:
        """At most `limit` distinct candidates, best first, all of the declared kind of score.

        Every passage that satisfies `query.filter` may be returned; one that does not may be, too: the server checks
        again. Raises `NotFound` for a collection, or a generation of it, that it has no open index of.
        """


class Reranking:
    """A complete order of the passages given, best first.

    `scores[i]` is the score of passage i, or None where it has none (yet). `ranked_count` is how many passages this
    stage has looked at so far. They stand in front and the rest behind them in their prior order, unless `ranked` says
    which they are. `is_settled` says that the stage leaves out the others on purpose: it has judged that they do not
    belong to what is asked for.
    """

    __slots__ = ("_order", "_ranked", "is_settled", "ranked_count", "scores")

    def __init__(
        self,
        scores: tuple[float | None, ...],
        ranked_count: int,
        order: tuple[int, ...] | None = None,
        ranked: Set[int] | None = None,
        *,
        is_settled: bool = False,
    ) -> None:
        """Without `order`, scored passages come first by falling score; ties keep their prior order."""
        self.scores = scores
        self.ranked_count = ranked_count
        self.is_settled = is_settled
        self._order = order
        self._ranked = ranked

    @property
    def order(self) -> tuple[int, ...]:
        """A permutation of the passages' indices. Sorted when first asked for: most rerankings are soon replaced."""
        if self._order is None:
            keys = [math.inf if score is None else -score for score in self.scores]
            self._order = tuple(sorted(range(len(keys)), key=keys.__getitem__))
        return self._order

    @property
    def ranked(self) -> Set[int]:
        """The indices of the passages this stage has looked at."""
        return frozenset(self.order[: self.ranked_count]) if self._ranked is None else self._ranked


class Reranker(Component):
    """Reorders passages. Implement `PointwiseReranker` or `ListwiseReranker`; this class only to combine others, or
    where a passage's score changes on the way, and then repair and note what those two do."""

    @abstractmethod
    def rerank(
        self, query: Query, passages: Sequence[Passage], *, top_n: int, call: Call
    ) -> AsyncGenerator[Reranking, None]:
        """Better and better complete orders; the last one is the result. Yields nothing for no passages."""


class PointwiseReranker(Reranker):
    """Scores each passage by itself. All are submitted at once, so that a model can batch by length.

    Where its settings derive from `tamis.scores.CachedScoresSettings`, scores are kept, and `score` is asked only for
    those that are not known.
    """

    __known: ScoreCache | None = None  # mangled, as plugins have private names of their own

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.__known = ScoreCache.of(settings)

    @abstractmethod
    def score(self, query: Query, passages: Sequence[Passage], *, call: Call) -> AsyncIterator[tuple[int, float]]:
        """Index and score of a passage, in any order, each index once; higher is better.

        Ends early when the call is over; what has been yielded until then counts.
        """

    def text_of(self, passage: Passage) -> str:
        """All of a passage that its score depends on: of two that are alike in it the scores are, too."""
        return passage.full_text

    async def rerank(
        self, query: Query, passages: Sequence[Passage], *, top_n: int, call: Call
    ) -> AsyncGenerator[Reranking, None]:
        scores: list[float | None] = [None] * len(passages)
        ranked = 0
        async with aclosing(self.__scored(query, passages, call)) as stream:
            async for index, score in stream:
                if not 0 <= index < len(passages) or scores[index] is not None:
                    call.note("duplicate or unknown index dropped")
                elif not math.isfinite(score):
                    call.note("score that is not finite dropped")
                else:
                    scores[index] = float(score)
                    ranked += 1
                    yield Reranking(tuple(scores), ranked)
        if ranked < len(passages):
            call.note("passages left without a score")

    async def __scored(
        self, query: Query, passages: Sequence[Passage], call: Call
    ) -> AsyncGenerator[tuple[int, float], None]:
        """What `score` gives, or gave before."""
        known = self.__known
        if known is None:
            stream = self.score(query, passages, call=call)
        else:
            keys = await known.keys(query.text, map(self.text_of, passages), call)
            stream = known.scored(keys, lambda left: self.score(query, [passages[i] for i in left], call=call), call)
        async with aclosing(stream) as scores:  # type: ignore[type-var]
            async for each in scores:
                yield each


@dataclass(frozen=True, slots=True)
class Order:
    """An order of passage indices, best first, of a reranker that has looked at those in `ranked` so far.

    The others may stand anywhere: a window that slides from the back leaves the front for last.
    """

    indices: Sequence[int]
    ranked: Set[int]


class ListwiseReranker(Reranker):
    """Orders passages by looking at several at a time. Its hits carry ranks and no scores."""

    @abstractmethod
    def order(
        self, query: Query, passages: Sequence[Passage], *, top_n: int, call: Call
    ) -> AsyncIterator[Sequence[int] | Order]:
        """Better and better orders of passage indices, best first; each may be partial.

        What an order leaves out follows as it stood before. A bare sequence says that all in it were looked at.
        Ends early when the call is over; the last order counts.
        """

    async def rerank(
        self, query: Query, passages: Sequence[Passage], *, top_n: int, call: Call
    ) -> AsyncGenerator[Reranking, None]:
        if not passages:
            return
        none = (None,) * len(passages)
        order: tuple[int, ...] = tuple(range(len(passages)))
        async with aclosing(self.order(query, passages, top_n=top_n, call=call)) as stream:  # type: ignore[type-var]
            async for proposed in stream:
                indices = proposed.indices if isinstance(proposed, Order) else proposed
                kept = dict.fromkeys(index for index in indices if 0 <= index < len(passages))
                if len(kept) != len(indices):
                    call.note("duplicate or unknown index dropped")
                order = (*kept, *(index for index in order if index not in kept))
                ranked = proposed.ranked & kept.keys() if isinstance(proposed, Order) else kept.keys()
                yield Reranking(none, len(ranked), order, frozenset(ranked))


class Index(Protocol):
    """What one stage keeps of one collection. One writer at a time; the server sees to that."""

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        """Applies changes in order, then makes them and the checkpoint `upto` durable together.

        Idempotent: applying again what was applied changes nothing. On return every change is searchable.
        Raises `Unusable` for a document that it can never take; the follower then gives that one up, says so in the
        dead letters, and goes on with the rest. Any other error is tried again with fewer changes, and lays blame on a
        document only if the rest can be applied.
        """
        ...

    async def checkpoint(self) -> int:
        """The sequence up to which everything is durable here; 0 for a new index.

        Raises `Unavailable` when the index is kept on a server that is away; it is asked again, also at the start.
        """
        ...

    def ids(self) -> AsyncIterator[tuple[str, int]]:
        """Every passage id held, with its document version, in any order."""
        ...

    async def close(self) -> None:
        """Releases files and processes; the index can be opened again."""
        ...

    async def drop(self) -> None:
        """Closes and removes everything it stored."""
        ...


@runtime_checkable
class SharedIndex(Protocol):
    """An `Index` that several servers see, as one on another machine. One of them at a time follows the journal for it,
    in an epoch that the journal counts; each begins with `take_over`."""

    async def take_over(self, epoch: int) -> int:
        """Begins to write in `epoch`, and returns the checkpoint to go on from.

        From then on nothing that an earlier epoch still writes, be it late, changes what is found here: neither its
        passages, nor its deletions, nor its checkpoint. Raises `Superseded` when a later epoch has begun; so does
        `apply` as soon as it sees one. Raises `Unavailable` when the index is away.
        """
        ...


@runtime_checkable
class Prepares(Protocol):
    """An `Index` that can do a part of the work on changes, such as embedding, before their turn has come."""

    async def prepared(self, changes: Sequence[Change]) -> Any:
        """Whatever `apply_prepared` needs to apply these changes; the index itself stays as it is.

        Runs beside `apply` of earlier changes, and may be cancelled. Its result may never be applied. Raises like
        `apply`.
        """
        ...

    async def apply_prepared(self, prepared: Any, *, upto: int) -> None:
        """As `apply` of the changes that were prepared, of which all before have been applied by now."""
        ...


@runtime_checkable
class Compacts(Protocol):
    """An `Index` that can give back the space of what it replaced or removed."""

    async def compact(self) -> None:
        """Returns once that is done; nothing is applied meanwhile, searches go on. Changes nothing that is found."""
        ...


@runtime_checkable
class HasIndex(Protocol):
    """A stage that keeps something for each document: postings, vectors, token embeddings."""

    async def open_index(
        self, collection: str, generation: int, *, directory: Path, language: str = ""
    ) -> Index | None:
        """Opens or creates the index of `collection` under `directory`, which is this index's alone.

        None from a stage whose settings have it keep nothing.

        `language` is the collection's, an ISO 639-1 code; the index's own setting holds where it is empty.
        Afterwards the stage answers queries on that collection and generation from it, until it is closed or dropped.
        Several generations of a collection may be open at a time.
        Raises `ConfigurationError` when what is stored there was made with other settings.
        """
        ...


@runtime_checkable
class Suggests(Protocol):
    """A retriever that knows the words of its index, and so can mend a query's."""

    async def suggest(self, query: Query, *, call: Call) -> str:
        """The query's text with words that no passage has replaced by the likeliest near ones that some have.

        Empty when every word is known or nothing near is. Everything but those words stays as it was written.
        """
        ...
