"""Documents, and what a server says of documents and collections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tamis.client.values import Value, from_metadata, to_metadata
from tamis.v1 import catalog_service_pb2, index_service_pb2, passage_pb2

__all__ = [
    "Collection",
    "DeadLetter",
    "Deleted",
    "Document",
    "Heading",
    "IndexState",
    "MetadataPatch",
    "Page",
    "Patched",
    "Pipeline",
    "Plugin",
    "Retried",
    "ServerInfo",
    "Written",
]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a document's text that begins at byte `start`; `level` counts from 1, the outermost, to 9."""

    start: int
    text: str
    level: int = 1


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a document's text that begins at byte `start`; `number` counts from 1."""

    start: int
    number: int


@dataclass(frozen=True, slots=True)
class Document:
    """A text as its owner wrote it. `id` is unique in its collection; `version` is the server's and not sent."""

    id: str
    text: str = ""
    title: str = ""
    metadata: Mapping[str, Value] = field(default_factory=dict)
    landmarks: Sequence[Heading | Page] = ()
    version: int = 0

    @property
    def message(self) -> passage_pb2.Document:
        """As it is sent. Raises `TypeError` or `ValueError` for metadata that cannot be."""
        landmarks = [
            passage_pb2.Landmark(start=each.start, heading=passage_pb2.Heading(text=each.text, level=each.level))
            if isinstance(each, Heading)
            else passage_pb2.Landmark(start=each.start, page=each.number)
            for each in self.landmarks
        ]
        return passage_pb2.Document(
            id=self.id, text=self.text, title=self.title, metadata=from_metadata(self.metadata), landmarks=landmarks
        )

    @classmethod
    def of(cls, message: passage_pb2.Document) -> Document:
        """What came."""
        landmarks = tuple(
            Page(each.start, each.page)
            if each.HasField("page")
            else Heading(each.start, each.heading.text, each.heading.level)
            for each in message.landmarks
        )
        return cls(message.id, message.text, message.title, to_metadata(message.metadata), landmarks, message.version)


@dataclass(frozen=True, slots=True)
class MetadataPatch:
    """Changes the metadata of one document: keys to set, each as a whole, and keys to remove."""

    document_id: str
    metadata: Mapping[str, Value] = field(default_factory=dict)
    removed_keys: Sequence[str] = ()

    @property
    def message(self) -> index_service_pb2.MetadataPatch:
        """As it is sent. Raises `TypeError` or `ValueError` for metadata that cannot be."""
        return index_service_pb2.MetadataPatch(
            document_id=self.document_id, metadata=from_metadata(self.metadata), removed_keys=self.removed_keys
        )


@dataclass(frozen=True, slots=True)
class Written:
    """What was acknowledged, and is durable. `batch` counts acknowledgements; wait for `sequence` to find it."""

    batch: int = 0
    sequence: int = 0
    written_count: int = 0
    unchanged_count: int = 0

    @classmethod
    def of(cls, message: index_service_pb2.WriteDocumentsResponse) -> Written:
        """What came."""
        return cls(message.batch, message.sequence, message.written_count, message.unchanged_count)

    def __add__(self, later: Written) -> Written:
        return Written(
            later.batch,
            max(self.sequence, later.sequence),
            self.written_count + later.written_count,
            self.unchanged_count + later.unchanged_count,
        )


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many documents are no more; `sequence` is 0 when nothing changed."""

    deleted_count: int
    sequence: int

    @classmethod
    def of(cls, message: index_service_pb2.DeleteDocumentsResponse) -> Deleted:
        """What came."""
        return cls(message.deleted_count, message.sequence)


@dataclass(frozen=True, slots=True)
class Patched:
    """How many documents are different now, and how many were like that before."""

    written_count: int
    unchanged_count: int
    sequence: int

    @classmethod
    def of(cls, message: index_service_pb2.PatchMetadataResponse) -> Patched:
        """What came."""
        return cls(message.written_count, message.unchanged_count, message.sequence)


@dataclass(frozen=True, slots=True)
class Retried:
    """How many dead letters are tried again; `sequence` is 0 when there were none."""

    retried_count: int
    sequence: int

    @classmethod
    def of(cls, message: index_service_pb2.RetryDeadLettersResponse) -> Retried:
        """What came."""
        return cls(message.retried_count, message.sequence)


@dataclass(frozen=True, slots=True)
class IndexState:
    """How far one index has followed; `problem` says in a word why it does not, and is empty while all is well."""

    stage: str
    applied_sequence: int
    lag_count: int
    problem: str = ""
    dead_letter_count: int = 0

    @classmethod
    def of(cls, message: index_service_pb2.IndexState) -> IndexState:
        """What came."""
        return cls(
            message.stage, message.applied_sequence, message.lag_count, message.problem, message.dead_letter_count
        )


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of documents, as the caller sees it."""

    id: str
    create_time: datetime
    last_sequence: int
    document_count: int
    passage_count: int
    indexes: tuple[IndexState, ...]
    language: str = ""
    tenant_partitioned: bool = False

    @classmethod
    def of(cls, message: index_service_pb2.Collection) -> Collection:
        """What came."""
        return cls(
            id=message.id,
            create_time=_time(message.create_time),
            last_sequence=message.last_sequence,
            document_count=message.document_count,
            passage_count=message.passage_count,
            indexes=tuple(map(IndexState.of, message.indexes)),
            language=message.language,
            tenant_partitioned=message.tenant_partitioned,
        )


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A document that an index could not take, and why."""

    stage: str
    generation: int
    document_id: str
    document_version: int
    reason: str
    create_time: datetime

    @classmethod
    def of(cls, message: index_service_pb2.DeadLetter) -> DeadLetter:
        """What came."""
        return cls(
            stage=message.stage,
            generation=message.generation,
            document_id=message.document_id,
            document_version=message.document_version,
            reason=message.reason,
            create_time=_time(message.create_time),
        )


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A configured pipeline."""

    name: str
    expression: str
    fusion: str
    required_stages: tuple[str, ...]
    description: str

    @classmethod
    def of(cls, message: catalog_service_pb2.Pipeline) -> Pipeline:
        """What came."""
        return cls(
            message.name, message.expression, message.fusion, tuple(message.required_stages), message.description
        )


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed plugin; `problem` says why it cannot be loaded, and is empty when it can."""

    name: str
    group: str
    distribution: str
    version: str
    problem: str
    used_by: tuple[str, ...]

    @classmethod
    def of(cls, message: catalog_service_pb2.Plugin) -> Plugin:
        """What came."""
        return cls(
            name=message.name,
            group=message.group,
            distribution=message.distribution,
            version=message.version,
            problem=message.problem,
            used_by=tuple(message.used_by),
        )


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server's version and limits."""

    version: str
    contract_version: int
    start_time: datetime
    default_deadline_seconds: float
    max_message_byte_count: int

    @classmethod
    def of(cls, message: catalog_service_pb2.GetServerInfoResponse) -> ServerInfo:
        """What came."""
        return cls(
            version=message.version,
            contract_version=message.contract_version,
            start_time=_time(message.start_time),
            default_deadline_seconds=message.default_deadline_duration.ToTimedelta().total_seconds(),
            max_message_byte_count=message.max_message_byte_count,
        )


def _time(message: Any) -> datetime:
    found: datetime = message.ToDatetime(tzinfo=UTC)
    return found
