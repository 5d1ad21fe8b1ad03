"""What goes into the journal and comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias, Union

from tamis.errors import NotFound
from tamis.model import Change, Document, Passage, Value

__all__ = [
    "Changes",
    "Collection",
    "DeadLetter",
    "Delete",
    "Generation",
    "Mutation",
    "Patch",
    "Portion",
    "Recipe",
    "RequestKey",
    "Rewrite",
    "Upsert",
    "Written",
]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a generation is made of: the name of the chunker, empty for the built-in one, and a digest of its settings,
    None where an older Tamis wrote none down; and for each stage that another one stands in for, that one's name."""

    chunker: str = ""
    chunker_digest: str | None = ""
    replacements: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Generation:
    """One set of a collection's indexes. Generations of one `split` share their passages.

    `divided_count` documents have passages in that split; all of them once it `is_divided`, and so for good.
    One that `is_dropped` waits for its last traces to be removed; nothing follows the journal for it.
    """

    number: int
    recipe: Recipe
    split: int
    create_time: datetime
    is_divided: bool = True
    is_dropped: bool = False
    divided_count: int = 0


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection as the journal knows it. A recreated one has another incarnation; sequences are dense from 1.

    `language` is an ISO 639-1 code, empty when none was given. `passage_count` is that of the generation that serves.
    `generations` are in the order of their numbers, dropped ones among them for as long as they leave traces. Changes
    up to `compacted_upto` may be gone where they were superseded.
    """

    id: str
    incarnation: str
    create_time: datetime
    last_sequence: int = 0
    document_count: int = 0
    passage_count: int = 0
    language: str = ""
    serving_generation: int = 1
    generations: tuple[Generation, ...] = ()
    compacted_upto: int = 0

    @property
    def live(self) -> tuple[Generation, ...]:
        """The generations that follow the journal, or will once they are divided."""
        return tuple(each for each in self.generations if not each.is_dropped)

    @property
    def splits(self) -> dict[int, Recipe]:
        """The ways in which its documents are divided at present, each with what divides them."""
        return {each.split: each.recipe for each in reversed(self.live)}

    def generation(self, number: int) -> Generation:
        """Raises `NotFound`."""
        found = next((each for each in self.live if each.number == number), None)
        if found is None:
            known = [str(each.number) for each in self.live]
            raise NotFound("generation", str(number), available=known, field="generation")
        return found


@dataclass(frozen=True, slots=True)
class Upsert:
    """Write a document in place of any older version, divided into passages: in each split of the collection in its own
    way. Passages without a split are those of split 1."""

    document: Document
    passages: tuple[Passage, ...] | Mapping[int, tuple[Passage, ...]]

    @property
    def divisions(self) -> Mapping[int, tuple[Passage, ...]]:
        """The passages of each split."""
        return self.passages if isinstance(self.passages, Mapping) else {1: self.passages}


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a document, if it is there."""

    document_id: str


@dataclass(frozen=True, slots=True)
class Patch:
    """Set and remove keys of a document's metadata, and leave the rest. The document must be there."""

    document_id: str
    metadata: Mapping[str, Value] = field(default_factory=dict)
    removed_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Write a document as it is, in a new version, so that every index sees it again; if it is there."""

    document_id: str


Mutation: TypeAlias = Union[Upsert, Delete, Patch, Rewrite]


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Names a request, so that it is carried out once. `fingerprint` is of what it asks for."""

    id: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """What a write changed. `sequence` is the one to wait for: the newest version of anything in the batch."""

    sequence: int
    written_count: int
    unchanged_count: int


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes in order, superseded ones left out; nothing up to `upto` is missing otherwise."""

    changes: tuple[Change, ...]
    upto: int


@dataclass(frozen=True, slots=True)
class Portion:
    """Documents that a split lacks, by id, those beyond `after`; none when there are no more."""

    after: str
    documents: tuple[Document, ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A document that an index could not take. `reason` is for people, and never a part of the document."""

    stage: str
    generation: int
    document_id: str
    document_version: int
    reason: str
    create_time: datetime
