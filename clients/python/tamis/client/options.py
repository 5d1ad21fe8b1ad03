"""What a search may ask for, as Python's own values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from tamis.client.enums import ScoreKind
from tamis.client.filters import Boost, Filter, SortKey
from tamis.client.values import Value, from_value
from tamis.v1 import search_service_pb2 as pb

__all__ = ["SearchOptions", "fields_of", "overrides_of", "search_request"]


class SearchOptions(TypedDict, total=False):
    """What a search may ask for beyond a query. `docs/search.md` says what each is good for."""

    pipeline: str
    """A configured pipeline's name or an expression; `default` if empty."""
    filter: Filter | None
    """What must hold for every hit: `field("year") >= 2020`."""
    page_size: int
    """The most hits: 0 means 10, more than 1,000 is cut to 1,000."""
    page_token: str
    """`next_page_token` of the page before; all else as it was then, but for `page_size`."""
    document_hit_limit: int
    """The most hits of one document; 0 means any number."""
    group_by_document: bool
    """Whether the hits of one document stand together; `page_size` then counts documents."""
    score_thresholds: Mapping[ScoreKind, float]
    """The least score of a kind that stays."""
    boosts: Sequence[Boost]
    """What else makes a hit better: `field("updated").recent(timedelta(days=30))`."""
    sort_keys: Sequence[SortKey]
    """Another order: `field("year").descending()`."""
    facet_specs: Mapping[str, int] | Sequence[str]
    """Fields whose values are counted, perhaps with the most values of each."""
    stage_overrides: Mapping[str, Mapping[str, Value]]
    """Settings for this request, by stage: `{"answer": {"max_sentences": 5}}`."""
    like_document_ids: Sequence[str]
    """Documents to find others like; the query may then be empty."""
    min_sequence: int
    """Waits until the indexes have applied this sequence of a write."""


def search_request(collection: str, query: str = "", **options: Unpack[SearchOptions]) -> pb.SearchRequest:
    """A request for `batch_search`."""
    return pb.SearchRequest(collection=collection, query=query, **fields_of(options))


def fields_of(options: SearchOptions) -> dict[str, Any]:
    """The fields of a request that searches. Raises `TypeError` or `ValueError` for values that cannot be sent."""
    fields: dict[str, Any] = dict(options)
    filter = options.get("filter")
    if filter is not None:
        fields["filter"] = filter.message
    fields["boosts"] = [each.message for each in options.get("boosts", ())]
    fields["sort_keys"] = [each.message for each in options.get("sort_keys", ())]
    fields["score_thresholds"] = [
        pb.ScoreThreshold(score_kind=kind.value, min_score=least)  # type: ignore[arg-type]
        for kind, least in options.get("score_thresholds", {}).items()
    ]
    facets = options.get("facet_specs", ())
    limits = facets.items() if isinstance(facets, Mapping) else [(each, 0) for each in facets]
    fields["facet_specs"] = [pb.FacetSpec(field=name, value_limit=most) for name, most in limits]
    fields["stage_overrides"] = overrides_of(options.get("stage_overrides", {}))
    return fields


def overrides_of(overrides: Mapping[str, Mapping[str, Value]]) -> list[pb.StageOverride]:
    """Settings by stage, as they are sent."""
    return [
        pb.StageOverride(stage=stage, setting=setting, value=from_value(value))
        for stage, settings in overrides.items()
        for setting, value in settings.items()
    ]
