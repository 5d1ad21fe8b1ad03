"""The values a search is made of: query, passage, candidate, hit. All frozen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias, Union

if TYPE_CHECKING:
    from tamis.filters import Filter

__all__ = [
    "Candidate",
    "Change",
    "Citation",
    "Contribution",
    "Document",
    "FinishReason",
    "Heading",
    "Hit",
    "Landmark",
    "Locator",
    "PageBreak",
    "Passage",
    "Query",
    "ScoreKind",
    "Span",
    "StageScore",
    "Value",
]

Value: TypeAlias = Union[None, bool, int, float, str, datetime, Sequence["Value"], Mapping[str, "Value"]]
"""A metadata value. Integers are 64-bit signed, floats finite, datetimes aware; keys are non-empty strings."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of UTF-8 bytes, `start <= end`, that never cuts a character."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"not a half-open span: [{self.start}, {self.end})")

    def shifted(self, by: int) -> Span:
        """The same length, `by` bytes further on."""
        return Span(self.start + by, self.end + by)

    def of(self, text: str) -> str:
        """The part of `text` this span covers."""
        return text.encode()[self.start : self.end].decode()


class ScoreKind(Enum):
    """What a score means. Scores of two kinds are never compared."""

    NONE = "none"
    RANK_FUSION = "rank_fusion"
    NORMALIZED = "normalized"
    COSINE = "cosine"
    BM25 = "bm25"
    MAX_SIM = "max_sim"
    LOGIT = "logit"
    PROBABILITY = "probability"
    LOG_PROBABILITY = "log_probability"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading that begins at byte `start` of a document's text and holds until the next of its level or a higher one.

    `level` is 1, the outermost, to 9. The text may, but need not, stand in the document's text.
    """

    start: int
    text: str
    level: int = 1


@dataclass(frozen=True, slots=True)
class PageBreak:
    """Page `page`, from 1, begins at byte `start` of a document's text."""

    start: int
    page: int


Landmark: TypeAlias = Union[Heading, PageBreak]
"""A place in a document's text that passages are named after."""


@dataclass(frozen=True, slots=True)
class Locator:
    """Where people find something in a document. All count from 1; 0 where it is not known."""

    first_page: int = 0
    last_page: int = 0
    first_line: int = 0
    last_line: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """What a caller wrote. `version` is the journal sequence that wrote it (0 before it is written).

    `landmarks` are its headings and pages by rising start; without any, headings are recognised in the text itself.
    """

    id: str
    text: str
    title: str = ""
    metadata: Mapping[str, Value] = field(default_factory=dict)
    version: int = 0
    landmarks: tuple[Landmark, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of one version of a document, short enough to rank. It never has a score.

    `span` says where `text` stands in the document: `span.of(document.text) == text`.
    `heading_path` are the headings above it, the outermost first; `locator` says on which pages and lines it stands.
    """

    id: str
    document_id: str
    document_version: int
    text: str
    title: str = ""
    heading: str = ""
    span: Span = Span(0, 0)
    metadata: Mapping[str, Value] = field(default_factory=dict)
    heading_path: tuple[str, ...] = ()
    locator: Locator = Locator()

    @property
    def full_text(self) -> str:
        """Title, heading and text, each on its own line: what an encoder should read."""
        return "\n".join(part for part in (self.title, self.heading, self.text) if part)


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked, of which collection. The filter holds for every hit.

    `generation` is the set of the collection's indexes that answers. Hits of `excluded_document_ids` are dropped by the
    server; an index may ignore them.
    """

    text: str
    collection: str = ""
    filter: Filter | None = None
    excluded_document_ids: frozenset[str] = frozenset()
    generation: int = 1


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one side of a fusion added to a hit's fused score, and its rank there (from 1)."""

    stage: str
    rank: int
    value: float


@dataclass(frozen=True, slots=True)
class StageScore:
    """What one stage made of a hit: its rank (from 1) and, where the stage scores, its score.

    A fusion's `contributions` add up to its score.
    """

    stage: str
    rank: int
    score: float | None
    kind: ScoreKind
    contributions: tuple[Contribution, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """What an index found: a passage by id and by the document version it was indexed from.

    `score` is finite and of `kind`. `snippet` is a short excerpt, empty where the index makes none; `highlights` are
    the spans of the query's words in it, by rising start, none overlapping.
    """

    passage_id: str
    document_version: int
    score: float
    kind: ScoreKind
    snippet: str = ""
    highlights: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        if not math.isfinite(self.score):
            raise ValueError("a candidate's score is finite")


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage in relation to a query, with what every stage made of it, in the order they ran."""

    passage: Passage
    score: float | None
    kind: ScoreKind
    stage_scores: tuple[StageScore, ...] = ()
    snippet: str = ""
    highlights: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the journal as an index sees it: a document replaced by `passages`, or deleted if there are none.

    Whatever the index held for `document_id` goes; `sequence` is the change's place in the collection's log and, for
    an upsert, the document's version.
    """

    sequence: int
    document_id: str
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """Evidence for a part of an answer: a span of the answer, and the span of the document that supports it."""

    answer_span: Span
    passage_id: str
    document_id: str
    document_version: int
    document_span: Span
    locator: Locator = Locator()


class FinishReason(Enum):
    """Why an answer ended where it did. None of these is an error."""

    ANSWERED = "answered"
    NO_HITS = "no_hits"
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"
    TRUNCATED = "truncated"
    NOT_REQUESTED = "not_requested"
    SKIPPED = "skipped"
    FAILED = "failed"
