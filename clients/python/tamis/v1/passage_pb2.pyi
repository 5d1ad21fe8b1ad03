import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from tamis.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ScoreKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCORE_KIND_UNSPECIFIED: _ClassVar[ScoreKind]
    SCORE_KIND_RANK_FUSION: _ClassVar[ScoreKind]
    SCORE_KIND_NORMALIZED: _ClassVar[ScoreKind]
    SCORE_KIND_COSINE: _ClassVar[ScoreKind]
    SCORE_KIND_BM25: _ClassVar[ScoreKind]
    SCORE_KIND_MAX_SIM: _ClassVar[ScoreKind]
    SCORE_KIND_LOGIT: _ClassVar[ScoreKind]
    SCORE_KIND_PROBABILITY: _ClassVar[ScoreKind]
    SCORE_KIND_LOG_PROBABILITY: _ClassVar[ScoreKind]

class StageRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_ROLE_UNSPECIFIED: _ClassVar[StageRole]
    STAGE_ROLE_RETRIEVER: _ClassVar[StageRole]
    STAGE_ROLE_FUSION: _ClassVar[StageRole]
    STAGE_ROLE_RERANKER: _ClassVar[StageRole]
    STAGE_ROLE_CONTEXT_BUILDER: _ClassVar[StageRole]
    STAGE_ROLE_GENERATOR: _ClassVar[StageRole]

class StageOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_OUTCOME_UNSPECIFIED: _ClassVar[StageOutcome]
    STAGE_OUTCOME_RAN: _ClassVar[StageOutcome]
    STAGE_OUTCOME_PARTIAL: _ClassVar[StageOutcome]
    STAGE_OUTCOME_SKIPPED: _ClassVar[StageOutcome]
    STAGE_OUTCOME_FELL_BACK: _ClassVar[StageOutcome]
    STAGE_OUTCOME_UNREACHABLE: _ClassVar[StageOutcome]

class StageReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_REASON_UNSPECIFIED: _ClassVar[StageReason]
    STAGE_REASON_DEADLINE: _ClassVar[StageReason]
    STAGE_REASON_FAILED: _ClassVar[StageReason]
    STAGE_REASON_INVALID_OUTPUT: _ClassVar[StageReason]
    STAGE_REASON_OVERLOADED: _ClassVar[StageReason]
    STAGE_REASON_INCOMPLETE: _ClassVar[StageReason]

class FinishReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_REASON_UNSPECIFIED: _ClassVar[FinishReason]
    FINISH_REASON_ANSWERED: _ClassVar[FinishReason]
    FINISH_REASON_NO_HITS: _ClassVar[FinishReason]
    FINISH_REASON_INSUFFICIENT_EVIDENCE: _ClassVar[FinishReason]
    FINISH_REASON_TRUNCATED: _ClassVar[FinishReason]
    FINISH_REASON_NOT_REQUESTED: _ClassVar[FinishReason]
    FINISH_REASON_SKIPPED: _ClassVar[FinishReason]
    FINISH_REASON_FAILED: _ClassVar[FinishReason]
SCORE_KIND_UNSPECIFIED: ScoreKind
SCORE_KIND_RANK_FUSION: ScoreKind
SCORE_KIND_NORMALIZED: ScoreKind
SCORE_KIND_COSINE: ScoreKind
SCORE_KIND_BM25: ScoreKind
SCORE_KIND_MAX_SIM: ScoreKind
SCORE_KIND_LOGIT: ScoreKind
SCORE_KIND_PROBABILITY: ScoreKind
SCORE_KIND_LOG_PROBABILITY: ScoreKind
STAGE_ROLE_UNSPECIFIED: StageRole
STAGE_ROLE_RETRIEVER: StageRole
STAGE_ROLE_FUSION: StageRole
STAGE_ROLE_RERANKER: StageRole
STAGE_ROLE_CONTEXT_BUILDER: StageRole
STAGE_ROLE_GENERATOR: StageRole
STAGE_OUTCOME_UNSPECIFIED: StageOutcome
STAGE_OUTCOME_RAN: StageOutcome
STAGE_OUTCOME_PARTIAL: StageOutcome
STAGE_OUTCOME_SKIPPED: StageOutcome
STAGE_OUTCOME_FELL_BACK: StageOutcome
STAGE_OUTCOME_UNREACHABLE: StageOutcome
STAGE_REASON_UNSPECIFIED: StageReason
STAGE_REASON_DEADLINE: StageReason
STAGE_REASON_FAILED: StageReason
STAGE_REASON_INVALID_OUTPUT: StageReason
STAGE_REASON_OVERLOADED: StageReason
STAGE_REASON_INCOMPLETE: StageReason
FINISH_REASON_UNSPECIFIED: FinishReason
FINISH_REASON_ANSWERED: FinishReason
FINISH_REASON_NO_HITS: FinishReason
FINISH_REASON_INSUFFICIENT_EVIDENCE: FinishReason
FINISH_REASON_TRUNCATED: FinishReason
FINISH_REASON_NOT_REQUESTED: FinishReason
FINISH_REASON_SKIPPED: FinishReason
FINISH_REASON_FAILED: FinishReason

class Document(_message.Message):
    __slots__ = ("id", "title", "text", "metadata", "version", "landmarks")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _value_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LANDMARKS_FIELD_NUMBER: _ClassVar[int]
    id: str
    title: str
    text: str
    metadata: _containers.MessageMap[str, _value_pb2.Value]
    version: int
    landmarks: _containers.RepeatedCompositeFieldContainer[Landmark]
    def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ..., text: _Optional[str] = ..., metadata: _Optional[_Mapping[str, _value_pb2.Value]] = ..., version: _Optional[int] = ..., landmarks: _Optional[_Iterable[_Union[Landmark, _Mapping]]] = ...) -> None: ...

class Landmark(_message.Message):
    __slots__ = ("start", "heading", "page")
    START_FIELD_NUMBER: _ClassVar[int]
    HEADING_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    start: int
    heading: Heading
    page: int
    def __init__(self, start: _Optional[int] = ..., heading: _Optional[_Union[Heading, _Mapping]] = ..., page: _Optional[int] = ...) -> None: ...

class Heading(_message.Message):
    __slots__ = ("text", "level")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    text: str
    level: int
    def __init__(self, text: _Optional[str] = ..., level: _Optional[int] = ...) -> None: ...

class Locator(_message.Message):
    __slots__ = ("first_page", "last_page", "first_line", "last_line")
    FIRST_PAGE_FIELD_NUMBER: _ClassVar[int]
    LAST_PAGE_FIELD_NUMBER: _ClassVar[int]
    FIRST_LINE_FIELD_NUMBER: _ClassVar[int]
    LAST_LINE_FIELD_NUMBER: _ClassVar[int]
    first_page: int
    last_page: int
    first_line: int
    last_line: int
    def __init__(self, first_page: _Optional[int] = ..., last_page: _Optional[int] = ..., first_line: _Optional[int] = ..., last_line: _Optional[int] = ...) -> None: ...

class Passage(_message.Message):
    __slots__ = ("id", "document_id", "document_version", "text", "title", "heading", "document_span", "metadata", "heading_path", "locator")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _value_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    HEADING_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_SPAN_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    HEADING_PATH_FIELD_NUMBER: _ClassVar[int]
    LOCATOR_FIELD_NUMBER: _ClassVar[int]
    id: str
    document_id: str
    document_version: int
    text: str
    title: str
    heading: str
    document_span: ByteSpan
    metadata: _containers.MessageMap[str, _value_pb2.Value]
    heading_path: _containers.RepeatedScalarFieldContainer[str]
    locator: Locator
    def __init__(self, id: _Optional[str] = ..., document_id: _Optional[str] = ..., document_version: _Optional[int] = ..., text: _Optional[str] = ..., title: _Optional[str] = ..., heading: _Optional[str] = ..., document_span: _Optional[_Union[ByteSpan, _Mapping]] = ..., metadata: _Optional[_Mapping[str, _value_pb2.Value]] = ..., heading_path: _Optional[_Iterable[str]] = ..., locator: _Optional[_Union[Locator, _Mapping]] = ...) -> None: ...

class ByteSpan(_message.Message):
    __slots__ = ("start", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class Hit(_message.Message):
    __slots__ = ("passage", "score", "score_kind", "stage_scores", "snippet", "snippet_highlights")
    PASSAGE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SCORE_KIND_FIELD_NUMBER: _ClassVar[int]
    STAGE_SCORES_FIELD_NUMBER: _ClassVar[int]
    SNIPPET_FIELD_NUMBER: _ClassVar[int]
    SNIPPET_HIGHLIGHTS_FIELD_NUMBER: _ClassVar[int]
    passage: Passage
    score: float
    score_kind: ScoreKind
    stage_scores: _containers.RepeatedCompositeFieldContainer[StageScore]
    snippet: str
    snippet_highlights: _containers.RepeatedCompositeFieldContainer[ByteSpan]
    def __init__(self, passage: _Optional[_Union[Passage, _Mapping]] = ..., score: _Optional[float] = ..., score_kind: _Optional[_Union[ScoreKind, str]] = ..., stage_scores: _Optional[_Iterable[_Union[StageScore, _Mapping]]] = ..., snippet: _Optional[str] = ..., snippet_highlights: _Optional[_Iterable[_Union[ByteSpan, _Mapping]]] = ...) -> None: ...

class StageScore(_message.Message):
    __slots__ = ("stage", "rank", "score", "score_kind", "contributions")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SCORE_KIND_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    stage: str
    rank: int
    score: float
    score_kind: ScoreKind
    contributions: _containers.RepeatedCompositeFieldContainer[Contribution]
    def __init__(self, stage: _Optional[str] = ..., rank: _Optional[int] = ..., score: _Optional[float] = ..., score_kind: _Optional[_Union[ScoreKind, str]] = ..., contributions: _Optional[_Iterable[_Union[Contribution, _Mapping]]] = ...) -> None: ...

class Contribution(_message.Message):
    __slots__ = ("stage", "rank", "value")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    stage: str
    rank: int
    value: float
    def __init__(self, stage: _Optional[str] = ..., rank: _Optional[int] = ..., value: _Optional[float] = ...) -> None: ...

class Citation(_message.Message):
    __slots__ = ("answer_span", "passage_id", "document_id", "document_version", "document_span", "locator")
    ANSWER_SPAN_FIELD_NUMBER: _ClassVar[int]
    PASSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_SPAN_FIELD_NUMBER: _ClassVar[int]
    LOCATOR_FIELD_NUMBER: _ClassVar[int]
    answer_span: ByteSpan
    passage_id: str
    document_id: str
    document_version: int
    document_span: ByteSpan
    locator: Locator
    def __init__(self, answer_span: _Optional[_Union[ByteSpan, _Mapping]] = ..., passage_id: _Optional[str] = ..., document_id: _Optional[str] = ..., document_version: _Optional[int] = ..., document_span: _Optional[_Union[ByteSpan, _Mapping]] = ..., locator: _Optional[_Union[Locator, _Mapping]] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("text", "citations", "finish_reason")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CITATIONS_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    text: str
    citations: _containers.RepeatedCompositeFieldContainer[Citation]
    finish_reason: FinishReason
    def __init__(self, text: _Optional[str] = ..., citations: _Optional[_Iterable[_Union[Citation, _Mapping]]] = ..., finish_reason: _Optional[_Union[FinishReason, str]] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("pair_count", "input_token_count", "output_token_count", "model_call_count", "cache_hit_count", "model_duration", "cost")
    PAIR_COUNT_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    MODEL_CALL_COUNT_FIELD_NUMBER: _ClassVar[int]
    CACHE_HIT_COUNT_FIELD_NUMBER: _ClassVar[int]
    MODEL_DURATION_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    pair_count: int
    input_token_count: int
    output_token_count: int
    model_call_count: int
    cache_hit_count: int
    model_duration: _duration_pb2.Duration
    cost: Money
    def __init__(self, pair_count: _Optional[int] = ..., input_token_count: _Optional[int] = ..., output_token_count: _Optional[int] = ..., model_call_count: _Optional[int] = ..., cache_hit_count: _Optional[int] = ..., model_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., cost: _Optional[_Union[Money, _Mapping]] = ...) -> None: ...

class Money(_message.Message):
    __slots__ = ("currency_code", "units", "nanos")
    CURRENCY_CODE_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    NANOS_FIELD_NUMBER: _ClassVar[int]
    currency_code: str
    units: int
    nanos: int
    def __init__(self, currency_code: _Optional[str] = ..., units: _Optional[int] = ..., nanos: _Optional[int] = ...) -> None: ...

class StageReport(_message.Message):
    __slots__ = ("stage", "role", "outcome", "reason", "done_count", "total_count", "elapsed_duration", "budget_duration", "usage", "notes", "planned_count", "planned_duration")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DONE_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_DURATION_FIELD_NUMBER: _ClassVar[int]
    BUDGET_DURATION_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    PLANNED_COUNT_FIELD_NUMBER: _ClassVar[int]
    PLANNED_DURATION_FIELD_NUMBER: _ClassVar[int]
    stage: str
    role: StageRole
    outcome: StageOutcome
    reason: StageReason
    done_count: int
    total_count: int
    elapsed_duration: _duration_pb2.Duration
    budget_duration: _duration_pb2.Duration
    usage: Usage
    notes: _containers.RepeatedScalarFieldContainer[str]
    planned_count: int
    planned_duration: _duration_pb2.Duration
    def __init__(self, stage: _Optional[str] = ..., role: _Optional[_Union[StageRole, str]] = ..., outcome: _Optional[_Union[StageOutcome, str]] = ..., reason: _Optional[_Union[StageReason, str]] = ..., done_count: _Optional[int] = ..., total_count: _Optional[int] = ..., elapsed_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., budget_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., notes: _Optional[_Iterable[str]] = ..., planned_count: _Optional[int] = ..., planned_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
