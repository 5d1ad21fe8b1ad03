from tamis.v1 import filter_pb2 as _filter_pb2
from tamis.v1 import passage_pb2 as _passage_pb2
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
BUDGET_BASIS_UNSPECIFIED: BudgetBasis
BUDGET_BASIS_FIXED_SHARES: BudgetBasis
BUDGET_BASIS_MEASURED: BudgetBasis

class RetrieveRequest(_message.Message):
    __slots__ = ("collection", "query", "pipeline", "filter", "page_size", "document_hit_limit")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_HIT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    collection: str
    query: str
    pipeline: str
    filter: _filter_pb2.Filter
    page_size: int
    document_hit_limit: int
    def __init__(self, collection: _Optional[str] = ..., query: _Optional[str] = ..., pipeline: _Optional[str] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., page_size: _Optional[int] = ..., document_hit_limit: _Optional[int] = ...) -> None: ...

class RetrieveResponse(_message.Message):
    __slots__ = ("hits", "stage_reports", "unreachable", "usage", "pipeline")
    HITS_FIELD_NUMBER: _ClassVar[int]
    STAGE_REPORTS_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Hit]
    stage_reports: _containers.RepeatedCompositeFieldContainer[_passage_pb2.StageReport]
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    usage: _passage_pb2.Usage
    pipeline: str
    def __init__(self, hits: _Optional[_Iterable[_Union[_passage_pb2.Hit, _Mapping]]] = ..., stage_reports: _Optional[_Iterable[_Union[_passage_pb2.StageReport, _Mapping]]] = ..., unreachable: _Optional[_Iterable[str]] = ..., usage: _Optional[_Union[_passage_pb2.Usage, _Mapping]] = ..., pipeline: _Optional[str] = ...) -> None: ...

class RerankRequest(_message.Message):
    __slots__ = ("query", "passages", "pipeline", "page_size")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    query: str
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Passage]
    pipeline: str
    page_size: int
    def __init__(self, query: _Optional[str] = ..., passages: _Optional[_Iterable[_Union[_passage_pb2.Passage, _Mapping]]] = ..., pipeline: _Optional[str] = ..., page_size: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("query", "passages", "pipeline", "page_size")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    query: str
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Passage]
    pipeline: str
    page_size: int
    def __init__(self, query: _Optional[str] = ..., passages: _Optional[_Iterable[_Union[_passage_pb2.Passage, _Mapping]]] = ..., pipeline: _Optional[str] = ..., page_size: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("query", "passages", "pipeline")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    query: str
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Passage]
    pipeline: str
    def __init__(self, query: _Optional[str] = ..., passages: _Optional[_Iterable[_Union[_passage_pb2.Passage, _Mapping]]] = ..., pipeline: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("collection", "query", "pipeline", "filter", "page_size", "document_hit_limit")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_HIT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    collection: str
    query: str
    pipeline: str
    filter: _filter_pb2.Filter
    page_size: int
    document_hit_limit: int
    def __init__(self, collection: _Optional[str] = ..., query: _Optional[str] = ..., pipeline: _Optional[str] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., page_size: _Optional[int] = ..., document_hit_limit: _Optional[int] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("hits", "answer", "stage_reports", "unreachable", "usage", "pipeline")
    HITS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    STAGE_REPORTS_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Hit]
    answer: _passage_pb2.Answer
    stage_reports: _containers.RepeatedCompositeFieldContainer[_passage_pb2.StageReport]
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    usage: _passage_pb2.Usage
    pipeline: str
    def __init__(self, hits: _Optional[_Iterable[_Union[_passage_pb2.Hit, _Mapping]]] = ..., answer: _Optional[_Union[_passage_pb2.Answer, _Mapping]] = ..., stage_reports: _Optional[_Iterable[_Union[_passage_pb2.StageReport, _Mapping]]] = ..., unreachable: _Optional[_Iterable[str]] = ..., usage: _Optional[_Union[_passage_pb2.Usage, _Mapping]] = ..., pipeline: _Optional[str] = ...) -> None: ...

class StreamSearchRequest(_message.Message):
    __slots__ = ("collection", "query", "pipeline", "filter", "page_size", "document_hit_limit")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_HIT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    collection: str
    query: str
    pipeline: str
    filter: _filter_pb2.Filter
    page_size: int
    document_hit_limit: int
    def __init__(self, collection: _Optional[str] = ..., query: _Optional[str] = ..., pipeline: _Optional[str] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., page_size: _Optional[int] = ..., document_hit_limit: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("finish_reason", "stage_reports", "unreachable", "usage", "pipeline", "revision", "budget_basis")
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    STAGE_REPORTS_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    BUDGET_BASIS_FIELD_NUMBER: _ClassVar[int]
    finish_reason: _passage_pb2.FinishReason
    stage_reports: _containers.RepeatedCompositeFieldContainer[_passage_pb2.StageReport]
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    usage: _passage_pb2.Usage
    pipeline: str
    revision: int
    budget_basis: BudgetBasis
    def __init__(self, finish_reason: _Optional[_Union[_passage_pb2.FinishReason, str]] = ..., stage_reports: _Optional[_Iterable[_Union[_passage_pb2.StageReport, _Mapping]]] = ..., unreachable: _Optional[_Iterable[str]] = ..., usage: _Optional[_Union[_passage_pb2.Usage, _Mapping]] = ..., pipeline: _Optional[str] = ..., revision: _Optional[int] = ..., budget_basis: _Optional[_Union[BudgetBasis, str]] = ...) -> None: ...
