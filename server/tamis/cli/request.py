"""Options of `tamis search` as fields of the request: `year>=2020`, `-year`, `cosine=0.3`, `answer.max_sentences=5`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

import typer

from tamis.v1 import filter_pb2, passage_pb2, value_pb2
from tamis.v1 import search_service_pb2 as pb
from tamis.wire.values import from_value

__all__ = ["facet_specs", "filter_of", "metadata_of", "overrides", "recencies", "sort_keys", "thresholds"]

_CONDITION = re.compile(r"(?P<field>[^=<>!]+?)\s*(?P<operator>!=|<=|>=|=|<|>)\s*(?P<value>.*)", re.DOTALL)
_OPERATORS = {
    "=": filter_pb2.COMPARISON_OPERATOR_EQUAL,
    "!=": filter_pb2.COMPARISON_OPERATOR_NOT_EQUAL,
    "<": filter_pb2.COMPARISON_OPERATOR_LESS,
    "<=": filter_pb2.COMPARISON_OPERATOR_LESS_OR_EQUAL,
    ">": filter_pb2.COMPARISON_OPERATOR_GREATER,
    ">=": filter_pb2.COMPARISON_OPERATOR_GREATER_OR_EQUAL,
}
_PERIODS = {"h": 3_600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400}


def filter_of(conditions: Sequence[str]) -> filter_pb2.Filter | None:
    """All of the conditions; None when there are none."""
    if not conditions:
        return None
    found = filter_pb2.Filter()
    getattr(found, "and").filters.extend(map(_condition, conditions))
    return found


def metadata_of(texts: Sequence[str]) -> dict[str, value_pb2.Value]:
    """`year=2024`; a value may be any JSON, and is a string where it is none."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise typer.BadParameter(f"{text!r}: write KEY=VALUE")
        found[key.strip()] = _any_value(value)
    return found


def sort_keys(fields: Sequence[str]) -> list[pb.SortKey]:
    """`year` rises, `-year` falls."""
    return [pb.SortKey(field=each.removeprefix("-"), descending=each.startswith("-")) for each in fields]


def facet_specs(fields: Sequence[str]) -> list[pb.FacetSpec]:
    """The fields to count."""
    return [pb.FacetSpec(field=each) for each in fields]


def thresholds(texts: Sequence[str]) -> list[pb.ScoreThreshold]:
    """`cosine=0.3`."""
    found = []
    for text in texts:
        kind, _, least = text.partition("=")
        name = f"SCORE_KIND_{kind.strip().upper()}"
        kinds = [each for each, number in passage_pb2.ScoreKind.items() if number]
        if name not in kinds:
            known = ", ".join(each.removeprefix("SCORE_KIND_").lower() for each in kinds)
            raise typer.BadParameter(f"{text!r}: write KIND=NUMBER, where KIND is one of {known}")
        found.append(pb.ScoreThreshold(score_kind=name, min_score=_number(least, text)))
    return found


def recencies(texts: Sequence[str]) -> list[pb.Boost]:
    """`updated=30d` halves what a document gains every 30 days; `updated=30d*0.5` weighs it half."""
    found = []
    for text in texts:
        field, _, rest = text.partition("=")
        period, _, weight = rest.partition("*")
        unit = _PERIODS.get(period.strip()[-1:])
        if not field or unit is None:
            raise typer.BadParameter(f"{text!r}: write FIELD=HALF-LIFE with h, d, w or y, such as updated=30d")
        boost = pb.Boost(weight=_number(weight, text) if weight else 1.0)
        boost.recency.field = field
        try:
            boost.recency.half_life_duration.FromSeconds(int(_number(period.strip()[:-1], text) * unit))
        except (ValueError, OverflowError):
            raise typer.BadParameter(f"{text!r}: that is no length of time") from None
        found.append(boost)
    return found


def overrides(texts: Sequence[str]) -> list[pb.StageOverride]:
    """`answer.max_sentences=5`."""
    found = []
    for text in texts:
        name, equals, value = text.partition("=")
        stage, dot, setting = name.partition(".")
        if not equals or not dot:
            raise typer.BadParameter(f"{text!r}: write STAGE.SETTING=VALUE")
        found.append(pb.StageOverride(stage=stage.strip(), setting=setting.strip(), value=_value(value)))
    return found


def _condition(text: str) -> filter_pb2.Filter:
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r}: write FIELD=VALUE, or with one of != < <= > >=")
    operator, value = _OPERATORS[match["operator"]], _value(match["value"])
    comparison = filter_pb2.Comparison(field=match["field"].strip(), operator=operator, value=value)
    return filter_pb2.Filter(comparison=comparison)


def _value(text: str) -> value_pb2.Value:
    """A scalar of JSON where it is one, else the text itself: 2020 is a number, "2020" and draft are strings."""
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = text
    is_number = (isinstance(found, int) and abs(found) < 1 << 63) or (isinstance(found, float) and math.isfinite(found))
    return from_value(found if found is None or is_number or isinstance(found, str) else text)


def _any_value(text: str) -> value_pb2.Value:
    """Lists, maps and bools as well."""
    try:
        found: Any = json.loads(text)
        return from_value(found) if isinstance(found, (bool, list, dict)) else _value(text)
    except ValueError:
        return _value(text)


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{whole!r}: {text!r} is not a number") from None
