import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tamis.v1 import filter_pb2 as _filter_pb2
from tamis.v1 import passage_pb2 as _passage_pb2
from tamis.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GenerationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GENERATION_STATE_UNSPECIFIED: _ClassVar[GenerationState]
    GENERATION_STATE_BUILDING: _ClassVar[GenerationState]
    GENERATION_STATE_READY: _ClassVar[GenerationState]
    GENERATION_STATE_SERVING: _ClassVar[GenerationState]
GENERATION_STATE_UNSPECIFIED: GenerationState
GENERATION_STATE_BUILDING: GenerationState
GENERATION_STATE_READY: GenerationState
GENERATION_STATE_SERVING: GenerationState

class Collection(_message.Message):
    __slots__ = ("id", "create_time", "last_sequence", "document_count", "passage_count", "indexes", "language", "generations", "serving_generation", "tenant_partitioned")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    PASSAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    INDEXES_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    GENERATIONS_FIELD_NUMBER: _ClassVar[int]
    SERVING_GENERATION_FIELD_NUMBER: _ClassVar[int]
    TENANT_PARTITIONED_FIELD_NUMBER: _ClassVar[int]
    id: str
    create_time: _timestamp_pb2.Timestamp
    last_sequence: int
    document_count: int
    passage_count: int
    indexes: _containers.RepeatedCompositeFieldContainer[IndexState]
    language: str
    generations: _containers.RepeatedCompositeFieldContainer[Generation]
    serving_generation: int
    tenant_partitioned: bool
    def __init__(self, id: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_sequence: _Optional[int] = ..., document_count: _Optional[int] = ..., passage_count: _Optional[int] = ..., indexes: _Optional[_Iterable[_Union[IndexState, _Mapping]]] = ..., language: _Optional[str] = ..., generations: _Optional[_Iterable[_Union[Generation, _Mapping]]] = ..., serving_generation: _Optional[int] = ..., tenant_partitioned: _Optional[bool] = ...) -> None: ...

class Generation(_message.Message):
    __slots__ = ("number", "state", "chunker", "replacements", "create_time", "divided_document_count", "indexes")
    class ReplacementsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CHUNKER_FIELD_NUMBER: _ClassVar[int]
    REPLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    DIVIDED_DOCUMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    INDEXES_FIELD_NUMBER: _ClassVar[int]
    number: int
    state: GenerationState
    chunker: str
    replacements: _containers.ScalarMap[str, str]
    create_time: _timestamp_pb2.Timestamp
    divided_document_count: int
    indexes: _containers.RepeatedCompositeFieldContainer[IndexState]
    def __init__(self, number: _Optional[int] = ..., state: _Optional[_Union[GenerationState, str]] = ..., chunker: _Optional[str] = ..., replacements: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., divided_document_count: _Optional[int] = ..., indexes: _Optional[_Iterable[_Union[IndexState, _Mapping]]] = ...) -> None: ...

class IndexState(_message.Message):
    __slots__ = ("stage", "applied_sequence", "lag_count", "problem", "dead_letter_count")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    APPLIED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAG_COUNT_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_COUNT_FIELD_NUMBER: _ClassVar[int]
    stage: str
    applied_sequence: int
    lag_count: int
    problem: str
    dead_letter_count: int
    def __init__(self, stage: _Optional[str] = ..., applied_sequence: _Optional[int] = ..., lag_count: _Optional[int] = ..., problem: _Optional[str] = ..., dead_letter_count: _Optional[int] = ...) -> None: ...

class DeadLetter(_message.Message):
    __slots__ = ("stage", "generation", "document_id", "document_version", "reason", "create_time")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    stage: str
    generation: int
    document_id: str
    document_version: int
    reason: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, stage: _Optional[str] = ..., generation: _Optional[int] = ..., document_id: _Optional[str] = ..., document_version: _Optional[int] = ..., reason: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetCollectionRequest(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    def __init__(self, collection: _Optional[str] = ...) -> None: ...

class GetCollectionResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class ListCollectionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCollectionsResponse(_message.Message):
    __slots__ = ("collections", "next_page_token")
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    collections: _containers.RepeatedCompositeFieldContainer[Collection]
    next_page_token: str
    def __init__(self, collections: _Optional[_Iterable[_Union[Collection, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateCollectionRequest(_message.Message):
    __slots__ = ("collection", "language", "tenant_partitioned")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TENANT_PARTITIONED_FIELD_NUMBER: _ClassVar[int]
    collection: str
    language: str
    tenant_partitioned: bool
    def __init__(self, collection: _Optional[str] = ..., language: _Optional[str] = ..., tenant_partitioned: _Optional[bool] = ...) -> None: ...

class CreateCollectionResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class DeleteCollectionRequest(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    def __init__(self, collection: _Optional[str] = ...) -> None: ...

class DeleteCollectionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetDocumentRequest(_message.Message):
    __slots__ = ("collection", "document_id")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    collection: str
    document_id: str
    def __init__(self, collection: _Optional[str] = ..., document_id: _Optional[str] = ...) -> None: ...

class GetDocumentResponse(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: _passage_pb2.Document
    def __init__(self, document: _Optional[_Union[_passage_pb2.Document, _Mapping]] = ...) -> None: ...

class ListDocumentsRequest(_message.Message):
    __slots__ = ("collection", "page_size", "page_token")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    collection: str
    page_size: int
    page_token: str
    def __init__(self, collection: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDocumentsResponse(_message.Message):
    __slots__ = ("documents", "next_page_token")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Document]
    next_page_token: str
    def __init__(self, documents: _Optional[_Iterable[_Union[_passage_pb2.Document, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteDocumentsRequest(_message.Message):
    __slots__ = ("collection", "document_ids", "filter", "request_id")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_IDS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    collection: str
    document_ids: _containers.RepeatedScalarFieldContainer[str]
    filter: _filter_pb2.Filter
    request_id: str
    def __init__(self, collection: _Optional[str] = ..., document_ids: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteDocumentsResponse(_message.Message):
    __slots__ = ("deleted_count", "sequence")
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    deleted_count: int
    sequence: int
    def __init__(self, deleted_count: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class PatchMetadataRequest(_message.Message):
    __slots__ = ("collection", "patches", "request_id")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    PATCHES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    collection: str
    patches: _containers.RepeatedCompositeFieldContainer[MetadataPatch]
    request_id: str
    def __init__(self, collection: _Optional[str] = ..., patches: _Optional[_Iterable[_Union[MetadataPatch, _Mapping]]] = ..., request_id: _Optional[str] = ...) -> None: ...

class MetadataPatch(_message.Message):
    __slots__ = ("document_id", "metadata", "removed_keys")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _value_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ...) -> None: ...
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    REMOVED_KEYS_FIELD_NUMBER: _ClassVar[int]
    document_id: str
    metadata: _containers.MessageMap[str, _value_pb2.Value]
    removed_keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, document_id: _Optional[str] = ..., metadata: _Optional[_Mapping[str, _value_pb2.Value]] = ..., removed_keys: _Optional[_Iterable[str]] = ...) -> None: ...

class PatchMetadataResponse(_message.Message):
    __slots__ = ("written_count", "unchanged_count", "sequence")
    WRITTEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    written_count: int
    unchanged_count: int
    sequence: int
    def __init__(self, written_count: _Optional[int] = ..., unchanged_count: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class ListDeadLettersRequest(_message.Message):
    __slots__ = ("collection", "page_size", "page_token")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    collection: str
    page_size: int
    page_token: str
    def __init__(self, collection: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDeadLettersResponse(_message.Message):
    __slots__ = ("dead_letters", "next_page_token")
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dead_letters: _containers.RepeatedCompositeFieldContainer[DeadLetter]
    next_page_token: str
    def __init__(self, dead_letters: _Optional[_Iterable[_Union[DeadLetter, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RetryDeadLettersRequest(_message.Message):
    __slots__ = ("collection", "document_ids")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_IDS_FIELD_NUMBER: _ClassVar[int]
    collection: str
    document_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, collection: _Optional[str] = ..., document_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class RetryDeadLettersResponse(_message.Message):
    __slots__ = ("retried_count", "sequence")
    RETRIED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    retried_count: int
    sequence: int
    def __init__(self, retried_count: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class BuildGenerationRequest(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    def __init__(self, collection: _Optional[str] = ...) -> None: ...

class BuildGenerationResponse(_message.Message):
    __slots__ = ("generation",)
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    generation: Generation
    def __init__(self, generation: _Optional[_Union[Generation, _Mapping]] = ...) -> None: ...

class SwitchGenerationRequest(_message.Message):
    __slots__ = ("collection", "generation")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    generation: int
    def __init__(self, collection: _Optional[str] = ..., generation: _Optional[int] = ...) -> None: ...

class SwitchGenerationResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class DropGenerationRequest(_message.Message):
    __slots__ = ("collection", "generation")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    generation: int
    def __init__(self, collection: _Optional[str] = ..., generation: _Optional[int] = ...) -> None: ...

class DropGenerationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CompactCollectionRequest(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    def __init__(self, collection: _Optional[str] = ...) -> None: ...

class CompactCollectionResponse(_message.Message):
    __slots__ = ("removed_change_count", "freed_byte_count", "compacted_stages")
    REMOVED_CHANGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    FREED_BYTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    COMPACTED_STAGES_FIELD_NUMBER: _ClassVar[int]
    removed_change_count: int
    freed_byte_count: int
    compacted_stages: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, removed_change_count: _Optional[int] = ..., freed_byte_count: _Optional[int] = ..., compacted_stages: _Optional[_Iterable[str]] = ...) -> None: ...

class VerifyCollectionRequest(_message.Message):
    __slots__ = ("collection", "repair")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    REPAIR_FIELD_NUMBER: _ClassVar[int]
    collection: str
    repair: bool
    def __init__(self, collection: _Optional[str] = ..., repair: _Optional[bool] = ...) -> None: ...

class VerifyCollectionResponse(_message.Message):
    __slots__ = ("stage", "generation", "sequence", "passage_count", "missing_count", "extra_count", "repaired_document_count", "document_ids", "problems")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PASSAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    MISSING_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXTRA_COUNT_FIELD_NUMBER: _ClassVar[int]
    REPAIRED_DOCUMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_IDS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    stage: str
    generation: int
    sequence: int
    passage_count: int
    missing_count: int
    extra_count: int
    repaired_document_count: int
    document_ids: _containers.RepeatedScalarFieldContainer[str]
    problems: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, stage: _Optional[str] = ..., generation: _Optional[int] = ..., sequence: _Optional[int] = ..., passage_count: _Optional[int] = ..., missing_count: _Optional[int] = ..., extra_count: _Optional[int] = ..., repaired_document_count: _Optional[int] = ..., document_ids: _Optional[_Iterable[str]] = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...

class WaitIndexedRequest(_message.Message):
    __slots__ = ("collection", "sequence")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    collection: str
    sequence: int
    def __init__(self, collection: _Optional[str] = ..., sequence: _Optional[int] = ...) -> None: ...

class WaitIndexedResponse(_message.Message):
    __slots__ = ("indexes", "elapsed_duration")
    INDEXES_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_DURATION_FIELD_NUMBER: _ClassVar[int]
    indexes: _containers.RepeatedCompositeFieldContainer[IndexState]
    elapsed_duration: _duration_pb2.Duration
    def __init__(self, indexes: _Optional[_Iterable[_Union[IndexState, _Mapping]]] = ..., elapsed_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WriteDocumentsRequest(_message.Message):
    __slots__ = ("collection", "documents", "request_id")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    collection: str
    documents: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Document]
    request_id: str
    def __init__(self, collection: _Optional[str] = ..., documents: _Optional[_Iterable[_Union[_passage_pb2.Document, _Mapping]]] = ..., request_id: _Optional[str] = ...) -> None: ...

class WriteDocumentsResponse(_message.Message):
    __slots__ = ("batch", "sequence", "written_count", "unchanged_count")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    batch: int
    sequence: int
    written_count: int
    unchanged_count: int
    def __init__(self, batch: _Optional[int] = ..., sequence: _Optional[int] = ..., written_count: _Optional[int] = ..., unchanged_count: _Optional[int] = ...) -> None: ...
