"""What a search finds: hits with their passages and the path each took, and an answer with its citations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

from tamis.client.enums import FinishReason, ScoreKind
from tamis.client.spans import Span
from tamis.client.values import Value

__all__ = ["Answer", "Citation", "Contribution", "Hit", "Hits", "Locator", "Passage", "StageScore"]


@dataclass(frozen=True, slots=True)
class Locator:
    """Where in a document people find something: pages and lines from 1, 0 where it is not known."""

    first_page: int = 0
    last_page: int = 0
    first_line: int = 0
    last_line: int = 0


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of one version of a document. To send passages of your own, give each an `id` and a `text`."""

    id: str
    text: str = ""
    title: str = ""
    heading: str = ""
    document_id: str = ""
    metadata: Mapping[str, Value] = field(default_factory=dict)
    document_span: Span | None = None
    """Where `text` stands in the document."""
    document_version: int = 0
    heading_path: tuple[str, ...] = ()
    locator: Locator | None = None


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one side of a fusion added to a fused score; `rank` is 0 for a boost."""

    stage: str
    rank: int
    value: float


@dataclass(frozen=True, slots=True)
class StageScore:
    """What one stage made of a hit: its rank there, from 1, and its score unless the stage only ranks."""

    stage: str
    rank: int
    score: float | None = None
    score_kind: ScoreKind | None = None
    contributions: tuple[Contribution, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage in relation to a query.

    `score` is that of the last stage that scored it, comparable within one result and one kind only. `stage_scores` is
    the path it took, stage by stage.
    """

    passage: Passage
    score: float | None = None
    score_kind: ScoreKind | None = None
    stage_scores: tuple[StageScore, ...] = ()
    snippet: str = ""
    snippet_highlights: tuple[Span, ...] = ()

    @property
    def id(self) -> str:
        """The passage's."""
        return self.passage.id

    @property
    def document_id(self) -> str:
        """That of the document it comes from."""
        return self.passage.document_id

    @property
    def text(self) -> str:
        """The passage's."""
        return self.passage.text

    def stage(self, name: str) -> StageScore | None:
        """What the stage of that name made of it; None when it did not have it."""
        return next((each for each in self.stage_scores if each.stage == name), None)

    @property
    def highlighted(self) -> tuple[tuple[str, bool], ...]:
        """The snippet in pieces, each with whether the query asked for it."""
        pieces, packed, at = list[tuple[str, bool]](), self.snippet.encode(), 0
        for each in self.snippet_highlights:
            pieces += [(packed[at : each.start].decode(), False), (packed[each.start : each.end].decode(), True)]
            at = each.end
        return tuple(piece for piece in (*pieces, (packed[at:].decode(), False)) if piece[0])


@dataclass(frozen=True, slots=True, repr=False)
class Hits(Sequence[Hit]):
    """Hits, best first. In a notebook they show the path that each took."""

    all: tuple[Hit, ...] = ()

    @overload
    def __getitem__(self, place: int) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> Hits: ...
    def __getitem__(self, place: int | slice) -> Hit | Hits:
        return Hits(self.all[place]) if isinstance(place, slice) else self.all[place]

    def __len__(self) -> int:
        return len(self.all)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.all)

    def __repr__(self) -> str:
        return f"Hits({list(self.all)!r})"

    def _repr_html_(self) -> str:
        from tamis.client.html import hits_as_html

        return hits_as_html(self)


@dataclass(frozen=True, slots=True)
class Citation:
    """Evidence for a part of an answer."""

    answer_span: Span
    passage_id: str
    document_id: str
    document_version: int
    document_span: Span
    locator: Locator | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a query; `text` is empty unless the finish reason is ANSWERED or TRUNCATED."""

    text: str = ""
    citations: tuple[Citation, ...] = ()
    finish_reason: FinishReason = FinishReason.NOT_REQUESTED

    def __str__(self) -> str:
        return self.text
