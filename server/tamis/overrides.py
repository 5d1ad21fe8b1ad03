"""Settings that a request changes for itself: only those declared overridable, only to what they allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_json

from tamis.component import Component
from tamis.context import Options
from tamis.errors import InvalidRequest
from tamis.model import Value
from tamis.pipeline import Pipeline

__all__ = ["Override", "checked", "checked_value", "overridable_settings"]


@dataclass(frozen=True, slots=True)
class Override:
    """One setting of one stage. `field` is where the request says so."""

    stage: str
    setting: str
    value: Value
    field: str


def checked(pipeline: Pipeline, overrides: Sequence[Override]) -> Options:
    """Raises `InvalidRequest` at the first that the pipeline cannot take, with what is allowed there."""
    found: dict[str, dict[str, object]] = {}
    for each in overrides:
        if each.stage not in pipeline.stages:
            known = ", ".join(sorted(pipeline.stages))
            raise InvalidRequest.of(
                f"{each.field}.stage", f"{each.stage!r} is no stage of the pipeline; it has: {known}"
            )
        options = found.setdefault(each.stage, {})
        if each.setting in options:
            raise InvalidRequest.of(f"{each.field}.setting", f"{each.setting!r} of {each.stage!r} is set twice")
        options[each.setting] = checked_value(pipeline.components[each.stage], each)
    return found


def overridable_settings(component: Component) -> dict[str, FieldInfo]:
    """The settings of a plugin that requests may change."""
    fields = component.Settings.model_fields.items()
    return {name: info for name, info in fields if _extra(info).get("overridable") is True}


def checked_value(component: Component, override: Override) -> object:
    """The value, of the setting's own type. Raises `InvalidRequest` when the component does not allow it."""
    allowed = overridable_settings(component)
    if override.setting not in allowed:
        names = ", ".join(sorted(allowed)) or "none"
        message = f"{override.setting!r} cannot be set by a request; of {override.stage!r} these can: {names}"
        raise InvalidRequest.of(f"{override.field}.setting", message)
    try:
        adapter = TypeAdapter(_type(allowed[override.setting]))
        # Strictly, so that "3" and true are no numbers; as JSON, whose strings enumerations and durations read.
        return adapter.validate_json(to_json(override.value), strict=True)
    except ValidationError as error:
        raise InvalidRequest.of(f"{override.field}.value", error.errors(include_url=False)[0]["msg"]) from None


def _type(info: FieldInfo) -> Any:
    """What the setting itself is checked by."""
    bare: Any = info.annotation
    return Annotated[bare, *info.metadata] if info.metadata else bare


def _extra(info: FieldInfo) -> Mapping[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
