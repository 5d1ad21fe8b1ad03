import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from tamis.v1 import filter_pb2 as _filter_pb2
from tamis.v1 import passage_pb2 as _passage_pb2
from tamis.v1 import search_service_pb2 as _search_service_pb2
from tamis.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PluginRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PLUGIN_ROLE_UNSPECIFIED: _ClassVar[PluginRole]
    PLUGIN_ROLE_EMBEDDER: _ClassVar[PluginRole]
    PLUGIN_ROLE_RERANKER: _ClassVar[PluginRole]
    PLUGIN_ROLE_RETRIEVER: _ClassVar[PluginRole]
    PLUGIN_ROLE_GENERATOR: _ClassVar[PluginRole]
    PLUGIN_ROLE_LLM: _ClassVar[PluginRole]

class BillingUnit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BILLING_UNIT_UNSPECIFIED: _ClassVar[BillingUnit]
    BILLING_UNIT_SEARCH: _ClassVar[BillingUnit]
    BILLING_UNIT_INPUT_TOKEN: _ClassVar[BillingUnit]
    BILLING_UNIT_OUTPUT_TOKEN: _ClassVar[BillingUnit]

class TextKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TEXT_KIND_UNSPECIFIED: _ClassVar[TextKind]
    TEXT_KIND_QUERY: _ClassVar[TextKind]
    TEXT_KIND_PASSAGE: _ClassVar[TextKind]
PLUGIN_ROLE_UNSPECIFIED: PluginRole
PLUGIN_ROLE_EMBEDDER: PluginRole
PLUGIN_ROLE_RERANKER: PluginRole
PLUGIN_ROLE_RETRIEVER: PluginRole
PLUGIN_ROLE_GENERATOR: PluginRole
PLUGIN_ROLE_LLM: PluginRole
BILLING_UNIT_UNSPECIFIED: BillingUnit
BILLING_UNIT_SEARCH: BillingUnit
BILLING_UNIT_INPUT_TOKEN: BillingUnit
BILLING_UNIT_OUTPUT_TOKEN: BillingUnit
TEXT_KIND_UNSPECIFIED: TextKind
TEXT_KIND_QUERY: TextKind
TEXT_KIND_PASSAGE: TextKind

class DescribeRequest(_message.Message):
    __slots__ = ("component", "contract_versions")
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    component: str
    contract_versions: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, component: _Optional[str] = ..., contract_versions: _Optional[_Iterable[int]] = ...) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("contract_version", "role", "plugin", "plugin_version", "settings_schema", "score_kind", "filter_operators", "languages", "candidate_limit", "cross_document", "keeps_index", "dimension_count", "token_limit", "fingerprint", "context_token_count", "embeds_sparse", "embeds_tokens")
    CONTRACT_VERSION_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PLUGIN_FIELD_NUMBER: _ClassVar[int]
    PLUGIN_VERSION_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SCORE_KIND_FIELD_NUMBER: _ClassVar[int]
    FILTER_OPERATORS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    CROSS_DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    KEEPS_INDEX_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_LIMIT_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    EMBEDS_SPARSE_FIELD_NUMBER: _ClassVar[int]
    EMBEDS_TOKENS_FIELD_NUMBER: _ClassVar[int]
    contract_version: int
    role: PluginRole
    plugin: str
    plugin_version: str
    settings_schema: _struct_pb2.Struct
    score_kind: _passage_pb2.ScoreKind
    filter_operators: _containers.RepeatedScalarFieldContainer[str]
    languages: _containers.RepeatedScalarFieldContainer[str]
    candidate_limit: int
    cross_document: bool
    keeps_index: bool
    dimension_count: int
    token_limit: int
    fingerprint: str
    context_token_count: int
    embeds_sparse: bool
    embeds_tokens: bool
    def __init__(self, contract_version: _Optional[int] = ..., role: _Optional[_Union[PluginRole, str]] = ..., plugin: _Optional[str] = ..., plugin_version: _Optional[str] = ..., settings_schema: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., score_kind: _Optional[_Union[_passage_pb2.ScoreKind, str]] = ..., filter_operators: _Optional[_Iterable[str]] = ..., languages: _Optional[_Iterable[str]] = ..., candidate_limit: _Optional[int] = ..., cross_document: _Optional[bool] = ..., keeps_index: _Optional[bool] = ..., dimension_count: _Optional[int] = ..., token_limit: _Optional[int] = ..., fingerprint: _Optional[str] = ..., context_token_count: _Optional[int] = ..., embeds_sparse: _Optional[bool] = ..., embeds_tokens: _Optional[bool] = ...) -> None: ...

class PluginCall(_message.Message):
    __slots__ = ("component", "contract_version", "request_id", "tenant", "subject", "options", "budget_duration")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _value_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ...) -> None: ...
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_VERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_DURATION_FIELD_NUMBER: _ClassVar[int]
    component: str
    contract_version: int
    request_id: str
    tenant: str
    subject: str
    options: _containers.MessageMap[str, _value_pb2.Value]
    budget_duration: _duration_pb2.Duration
    def __init__(self, component: _Optional[str] = ..., contract_version: _Optional[int] = ..., request_id: _Optional[str] = ..., tenant: _Optional[str] = ..., subject: _Optional[str] = ..., options: _Optional[_Mapping[str, _value_pb2.Value]] = ..., budget_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class PluginReport(_message.Message):
    __slots__ = ("usage", "charges", "notes")
    USAGE_FIELD_NUMBER: _ClassVar[int]
    CHARGES_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    usage: _passage_pb2.Usage
    charges: _containers.RepeatedCompositeFieldContainer[Charge]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, usage: _Optional[_Union[_passage_pb2.Usage, _Mapping]] = ..., charges: _Optional[_Iterable[_Union[Charge, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class Charge(_message.Message):
    __slots__ = ("product", "unit", "count")
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    product: str
    unit: BillingUnit
    count: float
    def __init__(self, product: _Optional[str] = ..., unit: _Optional[_Union[BillingUnit, str]] = ..., count: _Optional[float] = ...) -> None: ...

class EmbedRequest(_message.Message):
    __slots__ = ("call", "text_kind", "fingerprint", "texts")
    CALL_FIELD_NUMBER: _ClassVar[int]
    TEXT_KIND_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    call: PluginCall
    text_kind: TextKind
    fingerprint: str
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, call: _Optional[_Union[PluginCall, _Mapping]] = ..., text_kind: _Optional[_Union[TextKind, str]] = ..., fingerprint: _Optional[str] = ..., texts: _Optional[_Iterable[str]] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("vectors", "report")
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    vectors: bytes
    report: PluginReport
    def __init__(self, vectors: _Optional[bytes] = ..., report: _Optional[_Union[PluginReport, _Mapping]] = ...) -> None: ...

class EmbedSparseRequest(_message.Message):
    __slots__ = ("call", "text_kind", "fingerprint", "texts")
    CALL_FIELD_NUMBER: _ClassVar[int]
    TEXT_KIND_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    call: PluginCall
    text_kind: TextKind
    fingerprint: str
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, call: _Optional[_Union[PluginCall, _Mapping]] = ..., text_kind: _Optional[_Union[TextKind, str]] = ..., fingerprint: _Optional[str] = ..., texts: _Optional[_Iterable[str]] = ...) -> None: ...

class EmbedSparseResponse(_message.Message):
    __slots__ = ("embeddings", "report")
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    embeddings: _containers.RepeatedCompositeFieldContainer[SparseEmbedding]
    report: PluginReport
    def __init__(self, embeddings: _Optional[_Iterable[_Union[SparseEmbedding, _Mapping]]] = ..., report: _Optional[_Union[PluginReport, _Mapping]] = ...) -> None: ...

class SparseEmbedding(_message.Message):
    __slots__ = ("terms", "weights")
    TERMS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    terms: bytes
    weights: bytes
    def __init__(self, terms: _Optional[bytes] = ..., weights: _Optional[bytes] = ...) -> None: ...

class EmbedTokensRequest(_message.Message):
    __slots__ = ("call", "text_kind", "fingerprint", "texts")
    CALL_FIELD_NUMBER: _ClassVar[int]
    TEXT_KIND_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    call: PluginCall
    text_kind: TextKind
    fingerprint: str
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, call: _Optional[_Union[PluginCall, _Mapping]] = ..., text_kind: _Optional[_Union[TextKind, str]] = ..., fingerprint: _Optional[str] = ..., texts: _Optional[_Iterable[str]] = ...) -> None: ...

class EmbedTokensResponse(_message.Message):
    __slots__ = ("token_dimension_count", "embeddings", "report")
    TOKEN_DIMENSION_COUNT_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    token_dimension_count: int
    embeddings: _containers.RepeatedCompositeFieldContainer[TokenEmbeddings]
    report: PluginReport
    def __init__(self, token_dimension_count: _Optional[int] = ..., embeddings: _Optional[_Iterable[_Union[TokenEmbeddings, _Mapping]]] = ..., report: _Optional[_Union[PluginReport, _Mapping]] = ...) -> None: ...

class TokenEmbeddings(_message.Message):
    __slots__ = ("vectors",)
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    vectors: bytes
    def __init__(self, vectors: _Optional[bytes] = ...) -> None: ...

class PluginServiceRerankRequest(_message.Message):
    __slots__ = ("call", "query", "top_count", "passages")
    CALL_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TOP_COUNT_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    call: PluginCall
    query: str
    top_count: int
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Passage]
    def __init__(self, call: _Optional[_Union[PluginCall, _Mapping]] = ..., query: _Optional[str] = ..., top_count: _Optional[int] = ..., passages: _Optional[_Iterable[_Union[_passage_pb2.Passage, _Mapping]]] = ...) -> None: ...

class PluginServiceRerankResponse(_message.Message):
    __slots__ = ("scores", "order", "ranked", "done_count", "settled", "report")
    SCORES_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    RANKED_FIELD_NUMBER: _ClassVar[int]
    DONE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    scores: _containers.RepeatedCompositeFieldContainer[PassageScore]
    order: _containers.RepeatedScalarFieldContainer[int]
    ranked: _containers.RepeatedScalarFieldContainer[int]
    done_count: int
    settled: bool
    report: PluginReport
    def __init__(self, scores: _Optional[_Iterable[_Union[PassageScore, _Mapping]]] = ..., order: _Optional[_Iterable[int]] = ..., ranked: _Optional[_Iterable[int]] = ..., done_count: _Optional[int] = ..., settled: _Optional[bool] = ..., report: _Optional[_Union[PluginReport, _Mapping]] = ...) -> None: ...

class PassageScore(_message.Message):
    __slots__ = ("index", "score")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    index: int
    score: float
    def __init__(self, index: _Optional[int] = ..., score: _Optional[float] = ...) -> None: ...

class PluginServiceRetrieveRequest(_message.Message):
    __slots__ = ("call", "query", "collection", "index", "filter", "candidate_limit")
    CALL_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    call: PluginCall
    query: str
    collection: str
    index: IndexReference
    filter: _filter_pb2.Filter
    candidate_limit: int
    def __init__(self, call: _Optional[_Union[PluginCall, _Mapping]] = ..., query: _Optional[str] = ..., collection: _Optional[str] = ..., index: _Optional[_Union[IndexReference, _Mapping]] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., candidate_limit: _Optional[int] = ...) -> None: ...

class PluginServiceRetrieveResponse(_message.Message):
    __slots__ = ("candidates", "report")
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    report: PluginReport
    def __init__(self, candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., report: _Optional[_Union[PluginReport, _Mapping]] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("passage_id", "document_version", "score", "score_kind", "snippet", "snippet_highlights")
    PASSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SCORE_KIND_FIELD_NUMBER: _ClassVar[int]
    SNIPPET_FIELD_NUMBER: _ClassVar[int]
    SNIPPET_HIGHLIGHTS_FIELD_NUMBER: _ClassVar[int]
    passage_id: str
    document_version: int
    score: float
    score_kind: _passage_pb2.ScoreKind
    snippet: str
    snippet_highlights: _containers.RepeatedCompositeFieldContainer[_passage_pb2.ByteSpan]
    def __init__(self, passage_id: _Optional[str] = ..., document_version: _Optional[int] = ..., score: _Optional[float] = ..., score_kind: _Optional[_Union[_passage_pb2.ScoreKind, str]] = ..., snippet: _Optional[str] = ..., snippet_highlights: _Optional[_Iterable[_Union[_passage_pb2.ByteSpan, _Mapping]]] = ...) -> None: ...

class PluginServiceGenerateRequest(_message.Message):
    __slots__ = ("call", "query", "hits")
    CALL_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    call: PluginCall
    query: str
    hits: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Hit]
    def __init__(self, call: _Optional[_Union[PluginCall, _Mapping]] = ..., query: _Optional[str] = ..., hits: _Optional[_Iterable[_Union[_passage_pb2.Hit, _Mapping]]] = ...) -> None: ...

class PluginServiceGenerateResponse(_message.Message):
    __slots__ = ("delta", "finish_reason", "report")
    DELTA_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    delta: _search_service_pb2.AnswerDelta
    finish_reason: _passage_pb2.FinishReason
    report: PluginReport
    def __init__(self, delta: _Optional[_Union[_search_service_pb2.AnswerDelta, _Mapping]] = ..., finish_reason: _Optional[_Union[_passage_pb2.FinishReason, str]] = ..., report: _Optional[_Union[PluginReport, _Mapping]] = ...) -> None: ...

class CompleteRequest(_message.Message):
    __slots__ = ("call", "messages", "output_token_limit")
    CALL_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKEN_LIMIT_FIELD_NUMBER: _ClassVar[int]
    call: PluginCall
    messages: _containers.RepeatedCompositeFieldContainer[ChatMessage]
    output_token_limit: int
    def __init__(self, call: _Optional[_Union[PluginCall, _Mapping]] = ..., messages: _Optional[_Iterable[_Union[ChatMessage, _Mapping]]] = ..., output_token_limit: _Optional[int] = ...) -> None: ...

class ChatMessage(_message.Message):
    __slots__ = ("role", "text")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    role: str
    text: str
    def __init__(self, role: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class CompleteResponse(_message.Message):
    __slots__ = ("text", "report")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    text: str
    report: PluginReport
    def __init__(self, text: _Optional[str] = ..., report: _Optional[_Union[PluginReport, _Mapping]] = ...) -> None: ...

class ScoreChoicesRequest(_message.Message):
    __slots__ = ("call", "messages", "choices")
    CALL_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    call: PluginCall
    messages: _containers.RepeatedCompositeFieldContainer[ChatMessage]
    choices: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, call: _Optional[_Union[PluginCall, _Mapping]] = ..., messages: _Optional[_Iterable[_Union[ChatMessage, _Mapping]]] = ..., choices: _Optional[_Iterable[str]] = ...) -> None: ...

class ScoreChoicesResponse(_message.Message):
    __slots__ = ("log_probabilities", "report")
    LOG_PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    log_probabilities: _containers.RepeatedScalarFieldContainer[float]
    report: PluginReport
    def __init__(self, log_probabilities: _Optional[_Iterable[float]] = ..., report: _Optional[_Union[PluginReport, _Mapping]] = ...) -> None: ...

class IndexReference(_message.Message):
    __slots__ = ("key", "language")
    KEY_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    key: str
    language: str
    def __init__(self, key: _Optional[str] = ..., language: _Optional[str] = ...) -> None: ...

class GetCheckpointRequest(_message.Message):
    __slots__ = ("call", "index")
    CALL_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    call: PluginCall
    index: IndexReference
    def __init__(self, call: _Optional[_Union[PluginCall, _Mapping]] = ..., index: _Optional[_Union[IndexReference, _Mapping]] = ...) -> None: ...

class GetCheckpointResponse(_message.Message):
    __slots__ = ("sequence",)
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    def __init__(self, sequence: _Optional[int] = ...) -> None: ...

class TakeOverIndexRequest(_message.Message):
    __slots__ = ("call", "index", "epoch")
    CALL_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    call: PluginCall
    index: IndexReference
    epoch: int
    def __init__(self, call: _Optional[_Union[PluginCall, _Mapping]] = ..., index: _Optional[_Union[IndexReference, _Mapping]] = ..., epoch: _Optional[int] = ...) -> None: ...

class TakeOverIndexResponse(_message.Message):
    __slots__ = ("sequence",)
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    def __init__(self, sequence: _Optional[int] = ...) -> None: ...

class ApplyChangesRequest(_message.Message):
    __slots__ = ("call", "index", "epoch", "known_sequence", "sequence", "changes")
    CALL_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    KNOWN_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    call: PluginCall
    index: IndexReference
    epoch: int
    known_sequence: int
    sequence: int
    changes: _containers.RepeatedCompositeFieldContainer[Change]
    def __init__(self, call: _Optional[_Union[PluginCall, _Mapping]] = ..., index: _Optional[_Union[IndexReference, _Mapping]] = ..., epoch: _Optional[int] = ..., known_sequence: _Optional[int] = ..., sequence: _Optional[int] = ..., changes: _Optional[_Iterable[_Union[Change, _Mapping]]] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("sequence", "document_id", "passages", "continued")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    CONTINUED_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    document_id: str
    passages: _containers.RepeatedCompositeFieldContainer[_passage_pb2.Passage]
    continued: bool
    def __init__(self, sequence: _Optional[int] = ..., document_id: _Optional[str] = ..., passages: _Optional[_Iterable[_Union[_passage_pb2.Passage, _Mapping]]] = ..., continued: _Optional[bool] = ...) -> None: ...

class ApplyChangesResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListIndexedPassagesRequest(_message.Message):
    __slots__ = ("call", "index")
    CALL_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    call: PluginCall
    index: IndexReference
    def __init__(self, call: _Optional[_Union[PluginCall, _Mapping]] = ..., index: _Optional[_Union[IndexReference, _Mapping]] = ...) -> None: ...

class ListIndexedPassagesResponse(_message.Message):
    __slots__ = ("passages",)
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    passages: _containers.RepeatedCompositeFieldContainer[IndexedPassage]
    def __init__(self, passages: _Optional[_Iterable[_Union[IndexedPassage, _Mapping]]] = ...) -> None: ...

class IndexedPassage(_message.Message):
    __slots__ = ("passage_id", "document_version")
    PASSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    passage_id: str
    document_version: int
    def __init__(self, passage_id: _Optional[str] = ..., document_version: _Optional[int] = ...) -> None: ...

class DropIndexRequest(_message.Message):
    __slots__ = ("call", "index")
    CALL_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    call: PluginCall
    index: IndexReference
    def __init__(self, call: _Optional[_Union[PluginCall, _Mapping]] = ..., index: _Optional[_Union[IndexReference, _Mapping]] = ...) -> None: ...

class DropIndexResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
