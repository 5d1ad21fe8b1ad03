"""Writes a passage and what is known of it as YAML, the way Cohere wants tables and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tamis.model import Passage, Value

__all__ = ["document"]


def document(passage: Passage, fields: Sequence[str], longest: int) -> str:
    """A YAML mapping of the named fields in their order, without those that are empty; empty where all are. Of a text
    the first `longest` characters are written, as writing takes a second for half a million.

    `title`, `heading` and `text` are the passage's own, everything else is metadata, with dots inside objects. What
    stands first survives where a long document is cut.
    """
    import yaml

    found = {name: _plain(_field(passage, name), longest) for name in fields}
    known = {name: value for name, value in found.items() if value not in (None, "", [], {})}
    if not known:
        return ""
    written: str = yaml.safe_dump(known, sort_keys=False, allow_unicode=True, width=float("inf"))
    return written


def _field(passage: Passage, name: str) -> Value:
    if name in ("title", "heading", "text"):
        value: Value = getattr(passage, name)
        return value
    found: Value = passage.metadata.get(name)
    if found is None and "." in name:
        found = passage.metadata
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _plain(value: Value, longest: int) -> Any:
    """The value in the types that YAML's writer knows, its texts cut."""
    if isinstance(value, str):
        return value[:longest]
    if isinstance(value, Mapping):
        return {key: _plain(each, longest) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [_plain(each, longest) for each in value]
    return value
