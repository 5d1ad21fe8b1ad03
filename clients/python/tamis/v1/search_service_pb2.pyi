import datetime

from google.protobuf import duration_pb2 as _duration_pb2
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

class BudgetBasis(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BUDGET_BASIS_UNSPECIFIED: _ClassVar[BudgetBasis]
    BUDGET_BASIS_FIXED_SHARES: _ClassVar[BudgetBasis]
    BUDGET_BASIS_MEASURED: _ClassVar[BudgetBasis]
    BUDGET_BASIS_MEASURED_COSTS: _ClassVar[BudgetBasis]
    BUDGET_BASIS_PARTLY_MEASURED: _ClassVar[BudgetBasis]
BUDGET_BASIS_UNSPECIFIED: BudgetBasis
BUDGET_BASIS_FIXED_SHARES: BudgetBasis
BUDGET_BASIS_MEASURED: BudgetBasis
BUDGET_BASIS_MEASURED_COSTS: BudgetBasis
BUDGET_BASIS_PARTLY_MEASURED: BudgetBasis

class RetrieveRequest(_message.Message):
    __slots__ = ("collection", "query", "pipeline", "filter", "page_size", "document_hit_limit", "page_token", "group_by_document", "score_thresholds", "boosts", "sort_keys", "facet_specs", "stage_overrides", "like_document_ids", "min_sequence")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_HIT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    SCORE_THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    BOOSTS_FIELD_NUMBER: _ClassVar[int]
    SORT_KEYS_FIELD_NUMBER: _ClassVar[int]
    FACET_SPECS_FIELD_NUMBER: _ClassVar[int]
    STAGE_OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    LIKE_DOCUMENT_IDS_FIELD_NUMBER: _ClassVar[int]
    MIN_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    collection: str
    query: str
    pipeline: str
    filter: _filter_pb2.Filter
    page_size: int
    document_hit_limit: int
    page_token: str
    group_by_document: bool
    score_thresholds: _containers.RepeatedCompositeFieldContainer[ScoreThreshold]
    boosts: _containers.RepeatedCompositeFieldContainer[Boost]
    sort_keys: _containers.RepeatedCompositeFieldContainer[SortKey]
    facet_specs: _containers.RepeatedCompositeFieldContainer[FacetSpec]
    stage_overrides: _containers.RepeatedCompositeFieldContainer[StageOverride]
    like_document_ids: _containers.RepeatedScalarFieldContainer[str]
    min_sequence: int
    def __init__(self, collection: _Optional[str] = ..., query: _Optional[str] = ..., pipeline: _Optional[str] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., page_size: _Optional[int] = ..., document_hit_limit: _Optional[int] = ..., page_token: _Optional[str] = ..., group_by_document: _Optional[bool] = ..., score_thresholds: _Optional[_Iterable[_Union[ScoreThreshold, _Mapping]]] = ..., boosts: _Optional[_Iterable[_Union[Boost, _Mapping]]] = ..., sort_keys: _Optional[_Iterable[_Union[SortKey, _Mapping]]] = ..., facet_specs: _Optional[_Iterable[_Union[FacetSpec, _Mapping]]] = ..., stage_overrides: _Optional[_Iterable[_Union[StageOverride, _Mapping]]] = ..., like_document_ids: _Optional[_Iterable[str]] = ..., min_sequence: _Optional[int] = ...) -> None: ...

class RetrieveResponse(_message.Message):
    __slots__ = ("hits", "stage_reports", "unreachable", "usage", "pipeline", "next_page_token", "facets", "suggested_query", "index_progress")
    HITS_FIELD_NUMBER: _ClassVar[int]
    STAGE_REPORTS_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FACETS_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_QUERY_FIELD_NUMBER: _ClassVar[int]
    INDEX_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Hit]
    stage_reports: _containers.RepeatedCompositeFieldContainer[_passage_pb2.StageReport]
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    usage: _passage_pb2.Usage
    pipeline: str
    next_page_token: str
    facets: _containers.RepeatedCompositeFieldContainer[Facet]
    suggested_query: str
    index_progress: _containers.RepeatedCompositeFieldContainer[IndexProgress]
    def __init__(self, hits: _Optional[_Iterable[_Union[_passage_pb2.Hit, _Mapping]]] = ..., stage_reports: _Optional[_Iterable[_Union[_passage_pb2.StageReport, _Mapping]]] = ..., unreachable: _Optional[_Iterable[str]] = ..., usage: _Optional[_Union[_passage_pb2.Usage, _Mapping]] = ..., pipeline: _Optional[str] = ..., next_page_token: _Optional[str] = ..., facets: _Optional[_Iterable[_Union[Facet, _Mapping]]] = ..., suggested_query: _Optional[str] = ..., index_progress: _Optional[_Iterable[_Union[IndexProgress, _Mapping]]] = ...) -> None: ...

class RerankRequest(_message.Message):
    __slots__ = ("query", "passages", "pipeline", "page_size", "stage_overrides")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    STAGE_OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    query: str
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Passage]
    pipeline: str
    page_size: int
    stage_overrides: _containers.RepeatedCompositeFieldContainer[StageOverride]
    def __init__(self, query: _Optional[str] = ..., passages: _Optional[_Iterable[_Union[_passage_pb2.Passage, _Mapping]]] = ..., pipeline: _Optional[str] = ..., page_size: _Optional[int] = ..., stage_overrides: _Optional[_Iterable[_Union[StageOverride, _Mapping]]] = ...) -> None: ...

class RerankResponse(_message.Message):
    __slots__ = ("hits", "stage_reports", "usage", "pipeline")
    HITS_FIELD_NUMBER: _ClassVar[int]
    STAGE_REPORTS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Hit]
    stage_reports: _containers.RepeatedCompositeFieldContainer[_passage_pb2.StageReport]
    usage: _passage_pb2.Usage
    pipeline: str
    def __init__(self, hits: _Optional[_Iterable[_Union[_passage_pb2.Hit, _Mapping]]] = ..., stage_reports: _Optional[_Iterable[_Union[_passage_pb2.StageReport, _Mapping]]] = ..., usage: _Optional[_Union[_passage_pb2.Usage, _Mapping]] = ..., pipeline: _Optional[str] = ...) -> None: ...

class StreamRerankRequest(_message.Message):
    __slots__ = ("query", "passages", "pipeline", "page_size", "stage_overrides")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    STAGE_OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    query: str
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Passage]
    pipeline: str
    page_size: int
    stage_overrides: _containers.RepeatedCompositeFieldContainer[StageOverride]
    def __init__(self, query: _Optional[str] = ..., passages: _Optional[_Iterable[_Union[_passage_pb2.Passage, _Mapping]]] = ..., pipeline: _Optional[str] = ..., page_size: _Optional[int] = ..., stage_overrides: _Optional[_Iterable[_Union[StageOverride, _Mapping]]] = ...) -> None: ...

class StreamRerankResponse(_message.Message):
    __slots__ = ("hits_revised", "stage_completed", "completed")
    HITS_REVISED_FIELD_NUMBER: _ClassVar[int]
    STAGE_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    hits_revised: HitsRevised
    stage_completed: _passage_pb2.StageReport
    completed: Completed
    def __init__(self, hits_revised: _Optional[_Union[HitsRevised, _Mapping]] = ..., stage_completed: _Optional[_Union[_passage_pb2.StageReport, _Mapping]] = ..., completed: _Optional[_Union[Completed, _Mapping]] = ...) -> None: ...

class GenerateRequest(_message.Message):
    __slots__ = ("query", "passages", "pipeline", "stage_overrides")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    STAGE_OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    query: str
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Passage]
    pipeline: str
    stage_overrides: _containers.RepeatedCompositeFieldContainer[StageOverride]
    def __init__(self, query: _Optional[str] = ..., passages: _Optional[_Iterable[_Union[_passage_pb2.Passage, _Mapping]]] = ..., pipeline: _Optional[str] = ..., stage_overrides: _Optional[_Iterable[_Union[StageOverride, _Mapping]]] = ...) -> None: ...

class GenerateResponse(_message.Message):
    __slots__ = ("answer_delta", "stage_completed", "completed")
    ANSWER_DELTA_FIELD_NUMBER: _ClassVar[int]
    STAGE_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    answer_delta: AnswerDelta
    stage_completed: _passage_pb2.StageReport
    completed: Completed
    def __init__(self, answer_delta: _Optional[_Union[AnswerDelta, _Mapping]] = ..., stage_completed: _Optional[_Union[_passage_pb2.StageReport, _Mapping]] = ..., completed: _Optional[_Union[Completed, _Mapping]] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("collection", "query", "pipeline", "filter", "page_size", "document_hit_limit", "page_token", "group_by_document", "score_thresholds", "boosts", "sort_keys", "facet_specs", "stage_overrides", "like_document_ids", "min_sequence")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_HIT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    SCORE_THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    BOOSTS_FIELD_NUMBER: _ClassVar[int]
    SORT_KEYS_FIELD_NUMBER: _ClassVar[int]
    FACET_SPECS_FIELD_NUMBER: _ClassVar[int]
    STAGE_OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    LIKE_DOCUMENT_IDS_FIELD_NUMBER: _ClassVar[int]
    MIN_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    collection: str
    query: str
    pipeline: str
    filter: _filter_pb2.Filter
    page_size: int
    document_hit_limit: int
    page_token: str
    group_by_document: bool
    score_thresholds: _containers.RepeatedCompositeFieldContainer[ScoreThreshold]
    boosts: _containers.RepeatedCompositeFieldContainer[Boost]
    sort_keys: _containers.RepeatedCompositeFieldContainer[SortKey]
    facet_specs: _containers.RepeatedCompositeFieldContainer[FacetSpec]
    stage_overrides: _containers.RepeatedCompositeFieldContainer[StageOverride]
    like_document_ids: _containers.RepeatedScalarFieldContainer[str]
    min_sequence: int
    def __init__(self, collection: _Optional[str] = ..., query: _Optional[str] = ..., pipeline: _Optional[str] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., page_size: _Optional[int] = ..., document_hit_limit: _Optional[int] = ..., page_token: _Optional[str] = ..., group_by_document: _Optional[bool] = ..., score_thresholds: _Optional[_Iterable[_Union[ScoreThreshold, _Mapping]]] = ..., boosts: _Optional[_Iterable[_Union[Boost, _Mapping]]] = ..., sort_keys: _Optional[_Iterable[_Union[SortKey, _Mapping]]] = ..., facet_specs: _Optional[_Iterable[_Union[FacetSpec, _Mapping]]] = ..., stage_overrides: _Optional[_Iterable[_Union[StageOverride, _Mapping]]] = ..., like_document_ids: _Optional[_Iterable[str]] = ..., min_sequence: _Optional[int] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("hits", "answer", "stage_reports", "unreachable", "usage", "pipeline", "next_page_token", "facets", "suggested_query", "index_progress")
    HITS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    STAGE_REPORTS_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FACETS_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_QUERY_FIELD_NUMBER: _ClassVar[int]
    INDEX_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Hit]
    answer: _passage_pb2.Answer
    stage_reports: _containers.RepeatedCompositeFieldContainer[_passage_pb2.StageReport]
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    usage: _passage_pb2.Usage
    pipeline: str
    next_page_token: str
    facets: _containers.RepeatedCompositeFieldContainer[Facet]
    suggested_query: str
    index_progress: _containers.RepeatedCompositeFieldContainer[IndexProgress]
    def __init__(self, hits: _Optional[_Iterable[_Union[_passage_pb2.Hit, _Mapping]]] = ..., answer: _Optional[_Union[_passage_pb2.Answer, _Mapping]] = ..., stage_reports: _Optional[_Iterable[_Union[_passage_pb2.StageReport, _Mapping]]] = ..., unreachable: _Optional[_Iterable[str]] = ..., usage: _Optional[_Union[_passage_pb2.Usage, _Mapping]] = ..., pipeline: _Optional[str] = ..., next_page_token: _Optional[str] = ..., facets: _Optional[_Iterable[_Union[Facet, _Mapping]]] = ..., suggested_query: _Optional[str] = ..., index_progress: _Optional[_Iterable[_Union[IndexProgress, _Mapping]]] = ...) -> None: ...

class BatchSearchRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[SearchRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[SearchRequest, _Mapping]]] = ...) -> None: ...

class BatchSearchResponse(_message.Message):
    __slots__ = ("request_index", "response", "failure")
    REQUEST_INDEX_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    request_index: int
    response: SearchResponse
    failure: SearchFailure
    def __init__(self, request_index: _Optional[int] = ..., response: _Optional[_Union[SearchResponse, _Mapping]] = ..., failure: _Optional[_Union[SearchFailure, _Mapping]] = ...) -> None: ...

class SearchFailure(_message.Message):
    __slots__ = ("code", "message", "reason", "violations")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    reason: str
    violations: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., reason: _Optional[str] = ..., violations: _Optional[_Iterable[str]] = ...) -> None: ...

class StreamSearchRequest(_message.Message):
    __slots__ = ("collection", "query", "pipeline", "filter", "page_size", "document_hit_limit", "page_token", "group_by_document", "score_thresholds", "boosts", "sort_keys", "facet_specs", "stage_overrides", "like_document_ids", "min_sequence")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_HIT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    SCORE_THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    BOOSTS_FIELD_NUMBER: _ClassVar[int]
    SORT_KEYS_FIELD_NUMBER: _ClassVar[int]
    FACET_SPECS_FIELD_NUMBER: _ClassVar[int]
    STAGE_OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    LIKE_DOCUMENT_IDS_FIELD_NUMBER: _ClassVar[int]
    MIN_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    collection: str
    query: str
    pipeline: str
    filter: _filter_pb2.Filter
    page_size: int
    document_hit_limit: int
    page_token: str
    group_by_document: bool
    score_thresholds: _containers.RepeatedCompositeFieldContainer[ScoreThreshold]
    boosts: _containers.RepeatedCompositeFieldContainer[Boost]
    sort_keys: _containers.RepeatedCompositeFieldContainer[SortKey]
    facet_specs: _containers.RepeatedCompositeFieldContainer[FacetSpec]
    stage_overrides: _containers.RepeatedCompositeFieldContainer[StageOverride]
    like_document_ids: _containers.RepeatedScalarFieldContainer[str]
    min_sequence: int
    def __init__(self, collection: _Optional[str] = ..., query: _Optional[str] = ..., pipeline: _Optional[str] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., page_size: _Optional[int] = ..., document_hit_limit: _Optional[int] = ..., page_token: _Optional[str] = ..., group_by_document: _Optional[bool] = ..., score_thresholds: _Optional[_Iterable[_Union[ScoreThreshold, _Mapping]]] = ..., boosts: _Optional[_Iterable[_Union[Boost, _Mapping]]] = ..., sort_keys: _Optional[_Iterable[_Union[SortKey, _Mapping]]] = ..., facet_specs: _Optional[_Iterable[_Union[FacetSpec, _Mapping]]] = ..., stage_overrides: _Optional[_Iterable[_Union[StageOverride, _Mapping]]] = ..., like_document_ids: _Optional[_Iterable[str]] = ..., min_sequence: _Optional[int] = ...) -> None: ...

class StreamSearchResponse(_message.Message):
    __slots__ = ("hits_revised", "stage_completed", "answer_delta", "completed")
    HITS_REVISED_FIELD_NUMBER: _ClassVar[int]
    STAGE_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    ANSWER_DELTA_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    hits_revised: HitsRevised
    stage_completed: _passage_pb2.StageReport
    answer_delta: AnswerDelta
    completed: Completed
    def __init__(self, hits_revised: _Optional[_Union[HitsRevised, _Mapping]] = ..., stage_completed: _Optional[_Union[_passage_pb2.StageReport, _Mapping]] = ..., answer_delta: _Optional[_Union[AnswerDelta, _Mapping]] = ..., completed: _Optional[_Union[Completed, _Mapping]] = ...) -> None: ...

class HitsRevised(_message.Message):
    __slots__ = ("revision", "stage", "hits")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    stage: str
    hits: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Hit]
    def __init__(self, revision: _Optional[int] = ..., stage: _Optional[str] = ..., hits: _Optional[_Iterable[_Union[_passage_pb2.Hit, _Mapping]]] = ...) -> None: ...

class AnswerDelta(_message.Message):
    __slots__ = ("text", "citations")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CITATIONS_FIELD_NUMBER: _ClassVar[int]
    text: str
    citations: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Citation]
    def __init__(self, text: _Optional[str] = ..., citations: _Optional[_Iterable[_Union[_passage_pb2.Citation, _Mapping]]] = ...) -> None: ...

class Completed(_message.Message):
    __slots__ = ("finish_reason", "stage_reports", "unreachable", "usage", "pipeline", "revision", "budget_basis", "next_page_token", "facets", "suggested_query", "index_progress")
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    STAGE_REPORTS_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    BUDGET_BASIS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FACETS_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_QUERY_FIELD_NUMBER: _ClassVar[int]
    INDEX_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    finish_reason: _passage_pb2.FinishReason
    stage_reports: _containers.RepeatedCompositeFieldContainer[_passage_pb2.StageReport]
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    usage: _passage_pb2.Usage
    pipeline: str
    revision: int
    budget_basis: BudgetBasis
    next_page_token: str
    facets: _containers.RepeatedCompositeFieldContainer[Facet]
    suggested_query: str
    index_progress: _containers.RepeatedCompositeFieldContainer[IndexProgress]
    def __init__(self, finish_reason: _Optional[_Union[_passage_pb2.FinishReason, str]] = ..., stage_reports: _Optional[_Iterable[_Union[_passage_pb2.StageReport, _Mapping]]] = ..., unreachable: _Optional[_Iterable[str]] = ..., usage: _Optional[_Union[_passage_pb2.Usage, _Mapping]] = ..., pipeline: _Optional[str] = ..., revision: _Optional[int] = ..., budget_basis: _Optional[_Union[BudgetBasis, str]] = ..., next_page_token: _Optional[str] = ..., facets: _Optional[_Iterable[_Union[Facet, _Mapping]]] = ..., suggested_query: _Optional[str] = ..., index_progress: _Optional[_Iterable[_Union[IndexProgress, _Mapping]]] = ...) -> None: ...

class IndexProgress(_message.Message):
    __slots__ = ("stage", "applied_sequence", "lag_count")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    APPLIED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAG_COUNT_FIELD_NUMBER: _ClassVar[int]
    stage: str
    applied_sequence: int
    lag_count: int
    def __init__(self, stage: _Optional[str] = ..., applied_sequence: _Optional[int] = ..., lag_count: _Optional[int] = ...) -> None: ...

class ScoreThreshold(_message.Message):
    __slots__ = ("score_kind", "min_score")
    SCORE_KIND_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    score_kind: _passage_pb2.ScoreKind
    min_score: float
    def __init__(self, score_kind: _Optional[_Union[_passage_pb2.ScoreKind, str]] = ..., min_score: _Optional[float] = ...) -> None: ...

class Boost(_message.Message):
    __slots__ = ("weight", "condition", "recency")
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    RECENCY_FIELD_NUMBER: _ClassVar[int]
    weight: float
    condition: _filter_pb2.Filter
    recency: Recency
    def __init__(self, weight: _Optional[float] = ..., condition: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., recency: _Optional[_Union[Recency, _Mapping]] = ...) -> None: ...

class Recency(_message.Message):
    __slots__ = ("field", "half_life_duration")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    HALF_LIFE_DURATION_FIELD_NUMBER: _ClassVar[int]
    field: str
    half_life_duration: _duration_pb2.Duration
    def __init__(self, field: _Optional[str] = ..., half_life_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class SortKey(_message.Message):
    __slots__ = ("field", "descending")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    DESCENDING_FIELD_NUMBER: _ClassVar[int]
    field: str
    descending: bool
    def __init__(self, field: _Optional[str] = ..., descending: _Optional[bool] = ...) -> None: ...

class FacetSpec(_message.Message):
    __slots__ = ("field", "value_limit")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    field: str
    value_limit: int
    def __init__(self, field: _Optional[str] = ..., value_limit: _Optional[int] = ...) -> None: ...

class Facet(_message.Message):
    __slots__ = ("field", "counts", "document_count", "value_count")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    VALUE_COUNT_FIELD_NUMBER: _ClassVar[int]
    field: str
    counts: _containers.RepeatedCompositeFieldContainer[FacetCount]
    document_count: int
    value_count: int
    def __init__(self, field: _Optional[str] = ..., counts: _Optional[_Iterable[_Union[FacetCount, _Mapping]]] = ..., document_count: _Optional[int] = ..., value_count: _Optional[int] = ...) -> None: ...

class FacetCount(_message.Message):
    __slots__ = ("value", "document_count")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    value: _value_pb2.Value
    document_count: int
    def __init__(self, value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., document_count: _Optional[int] = ...) -> None: ...

class StageOverride(_message.Message):
    __slots__ = ("stage", "setting", "value")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SETTING_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    stage: str
    setting: str
    value: _value_pb2.Value
    def __init__(self, stage: _Optional[str] = ..., setting: _Optional[str] = ..., value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ...) -> None: ...
