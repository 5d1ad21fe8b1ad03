"""What goes into the journal and comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias, Union

from tamis.model import Change, Document, Passage, Value

__all__ = [
    "Changes",
    "Collection",
    "DeadLetter",
    "Delete",
    "Mutation",
    "Patch",
    "RequestKey",
    "Rewrite",
    "Upsert",
    "Written",
]


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection as the journal knows it. A recreated one has another incarnation; sequences are dense from 1.

    `language` is an ISO 639-1 code, empty when none was given.
    """

    id: str
    incarnation: str
    create_time: datetime
    last_sequence: int = 0
    document_count: int = 0
    passage_count: int = 0
    language: str = ""


@dataclass(frozen=True, slots=True)
class Upsert:
    """Write a document, split into passages, in place of any older version."""

    document: Document
    passages: tuple[Passage, ...]


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
class DeadLetter:
    """A document that an index could not take. `reason` is for people, and never a part of the document."""

    stage: str
    generation: int
    document_id: str
    document_version: int
    reason: str
    create_time: datetime
