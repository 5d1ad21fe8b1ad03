"""What a caller asks for, from the messages that say so."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

from google.protobuf.duration_pb2 import Duration

from tamis.errors import InvalidRequest
from tamis.facets import FacetSpec
from tamis.model import Query, ScoreKind
from tamis.overrides import Override
from tamis.pipeline import Pipeline
from tamis.presentation import Boost, Condition, Presentation, Recency, SortKey
from tamis.search import Search
from tamis.v1 import passage_pb2
from tamis.v1 import search_service_pb2 as pb
from tamis.wire.checks import collection_id, distinct, document_hit_limit, identifier, page_size, query_text, sequence
from tamis.wire.filters import to_filter, to_path
from tamis.wire.values import to_value

__all__ = ["MOST_RERANKED", "PageTokens", "SearchMessage", "to_generation", "to_reranking", "to_search"]

Item = TypeVar("Item")
SearchMessage: TypeAlias = pb.RetrieveRequest | pb.SearchRequest | pb.StreamSearchRequest
"""The three requests that search a collection; their fields have the same names and numbers."""

MOST_RERANKED = 10_000
"""The most passages that a stateless call may bring to be reranked."""

_DEFAULT_PAGE, _MOST_PAGE = 10, 1_000
_MOST_BOOSTS, _MOST_SORT_KEYS, _MOST_FACETS, _MOST_OVERRIDES, _MOST_LIKE = 20, 8, 20, 100, 20
_LARGEST_WEIGHT = 10.0
_PLACE = struct.Struct(">8sIq")
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_KINDS = {f"SCORE_KIND_{kind.name}": kind for kind in ScoreKind if kind is not ScoreKind.NONE}


def to_search(message: SearchMessage, pipeline: Pipeline, tokens: PageTokens) -> Search:
    """`tokens` are those of the message. Raises `InvalidRequest` with the path of the first field to blame."""
    like = _like(message.like_document_ids)
    text = message.query if like and not message.query.strip() else query_text(message.query)
    filter = to_filter(message.filter) if message.HasField("filter") else None
    return Search(
        pipeline,
        Query(text, collection_id(message.collection), filter),
        _presentation(message, tokens),
        _facet_specs(message.facet_specs),
        _overrides(message.stage_overrides),
        like,
        sequence(message.min_sequence, "min_sequence"),
    )


def to_reranking(message: pb.RerankRequest | pb.StreamRerankRequest, pipeline: Pipeline) -> Search:
    """An order that is asked for; `to_passages` reads the passages. Raises `InvalidRequest`."""
    size = page_size(message.page_size, default=MOST_RERANKED, most=MOST_RERANKED)
    query = Query(query_text(message.query))
    return Search(pipeline, query, Presentation(size), overrides=_overrides(message.stage_overrides))


def to_generation(message: pb.GenerateRequest, pipeline: Pipeline) -> Search:
    """An answer that is asked for; `to_passages` reads the passages. Raises `InvalidRequest`."""
    return Search(pipeline, Query(query_text(message.query)), overrides=_overrides(message.stage_overrides))


class PageTokens:
    """The page tokens of one request. A token holds a place, the instant from which ages are reckoned on all pages, and
    a digest of everything that must stay the same."""

    def __init__(self, message: SearchMessage) -> None:
        self._message, self._token = message, message.page_token
        self._first_seen = datetime.now(UTC)

    def token(self, offset: int | None) -> str:
        """A token for the page that begins at an offset; empty for none."""
        if offset is None:
            return ""
        place = _PLACE.pack(self._digest, offset, (self.place()[1] - _EPOCH) // _MICROSECOND)
        return base64.urlsafe_b64encode(place).decode()

    def place(self) -> tuple[int, datetime]:
        """Where the request's page begins, and the instant of the first page's request. Raises `InvalidRequest`."""
        if not self._token:
            return 0, self._first_seen
        try:
            data = base64.b64decode(self._token, altchars=b"-_", validate=True)
            digest, offset, microseconds = _PLACE.unpack(data)
            now = _EPOCH + microseconds * _MICROSECOND
        except (binascii.Error, ValueError, OverflowError, struct.error):
            raise InvalidRequest.of("page_token", "is not a token that this server made") from None
        if digest != self._digest:
            raise InvalidRequest.of("page_token", "belongs to another request: only page_size may change between pages")
        return offset, now

    @cached_property
    def _digest(self) -> bytes:
        """Most requests have no token and need none."""
        same: Any = type(self._message)()
        same.CopyFrom(self._message)
        same.ClearField("page_token")
        same.ClearField("page_size")
        return hashlib.blake2b(same.SerializeToString(deterministic=True), digest_size=8).digest()


def _presentation(message: SearchMessage, tokens: PageTokens) -> Presentation:
    offset, now = tokens.place()
    return Presentation(
        limit=page_size(message.page_size, default=_DEFAULT_PAGE, most=_MOST_PAGE),
        offset=offset,
        document_limit=document_hit_limit(message.document_hit_limit),
        grouped=message.group_by_document,
        thresholds=_thresholds(message.score_thresholds),
        boosts=_boosts(message.boosts),
        sort_keys=_sort_keys(message.sort_keys),
        now=now,
    )


def _overrides(messages: Sequence[pb.StageOverride]) -> tuple[Override, ...]:
    _at_most(len(messages), _MOST_OVERRIDES, "stage_overrides")
    return tuple(
        Override(each.stage, each.setting, to_value(each.value, f"{field}.value"), field)
        for each, field in _placed(messages, "stage_overrides")
    )


def _like(ids: Sequence[str]) -> tuple[str, ...]:
    _at_most(len(ids), _MOST_LIKE, "like_document_ids")
    checked = tuple(identifier(each, field) for each, field in _placed(ids, "like_document_ids"))
    distinct(checked, "like_document_ids[{}]")
    return checked


def _thresholds(messages: Sequence[pb.ScoreThreshold]) -> Mapping[ScoreKind, float]:
    found: dict[ScoreKind, float] = {}
    for each, field in _placed(messages, "score_thresholds"):
        kind = _kind(each.score_kind, f"{field}.score_kind")
        if kind in found:
            raise InvalidRequest.of(f"{field}.score_kind", "has a threshold already")
        if not math.isfinite(each.min_score):
            raise InvalidRequest.of(f"{field}.min_score", "is not finite")
        found[kind] = each.min_score
    return found


def _kind(number: passage_pb2.ScoreKind, field: str) -> ScoreKind:
    names = {value: name for name, value in passage_pb2.ScoreKind.items()}
    kind = _KINDS.get(names.get(number, ""))
    if kind is None:
        raise InvalidRequest.of(field, f"is one of {', '.join(_KINDS)}")
    return kind


def _boosts(messages: Sequence[pb.Boost]) -> tuple[Boost, ...]:
    _at_most(len(messages), _MOST_BOOSTS, "boosts")
    return tuple(_boost(each, field) for each, field in _placed(messages, "boosts"))


def _boost(message: pb.Boost, field: str) -> Boost:
    if not (0 < abs(message.weight) <= _LARGEST_WEIGHT):
        raise InvalidRequest.of(f"{field}.weight", f"is from {-_LARGEST_WEIGHT:g} to {_LARGEST_WEIGHT:g} and not 0")
    match message.WhichOneof("kind"):
        case "condition":
            return Boost(message.weight, Condition(to_filter(message.condition, f"{field}.condition")))
        case "recency":
            path = to_path(message.recency.field, f"{field}.recency.field")
            half_life = _positive(message.recency.half_life_duration, f"{field}.recency.half_life_duration")
            return Boost(message.weight, Recency(path, half_life))
    raise InvalidRequest.of(field, "has no kind: set condition or recency")


def _positive(message: Duration, field: str) -> timedelta:
    try:
        duration = message.ToTimedelta()
    except (ValueError, OverflowError):
        raise InvalidRequest.of(field, "is too long") from None
    if duration <= timedelta():
        raise InvalidRequest.of(field, "is required and positive")
    return duration


def _sort_keys(messages: Sequence[pb.SortKey]) -> tuple[SortKey, ...]:
    _at_most(len(messages), _MOST_SORT_KEYS, "sort_keys")
    return tuple(
        SortKey(to_path(each.field, f"{field}.field"), each.descending)
        for each, field in _placed(messages, "sort_keys")
    )


def _facet_specs(messages: Sequence[pb.FacetSpec]) -> tuple[FacetSpec, ...]:
    _at_most(len(messages), _MOST_FACETS, "facet_specs")
    return tuple(
        FacetSpec(
            each.field,
            to_path(each.field, f"{field}.field"),
            page_size(each.value_limit, default=10, most=1_000, field=f"{field}.value_limit"),
        )
        for each, field in _placed(messages, "facet_specs")
    )


def _placed(messages: Sequence[Item], field: str) -> list[tuple[Item, str]]:
    return [(each, f"{field}[{place}]") for place, each in enumerate(messages)]


def _at_most(count: int, most: int, field: str) -> None:
    if count > most:
        raise InvalidRequest.of(field, f"holds {count:,}; at most {most:,} are allowed")
