"""Queries and passages in JSON lines, and what is wrong with a line that holds neither."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from tamis.model import Value
from tamis.v1 import passage_pb2 as pb
from tamis.wire.values import from_metadata

__all__ = ["Malformed", "Question", "objects", "passage_of", "question"]

_MOST_TEXT = 1 << 20
_DEEPEST = 16
_INT64 = range(-(1 << 63), 1 << 63)


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that cannot be used, by its number from 1, and why."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Question:
    """A query, and the passages to order by it; None where it is to be searched for."""

    id: str
    query: str
    passages: tuple[pb.Passage, ...] | None = None


def objects(lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any]] | Malformed]:
    """The object in each line that is not blank, with the line's number."""
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            if text.strip():
                yield number, _object(text)
        except UnicodeDecodeError as error:
            yield Malformed(number, f"is not UTF-8 (byte {error.start} of the line)")
        except RecursionError:
            yield Malformed(number, "nests too deep")
        except ValueError as error:
            yield Malformed(number, str(error))


def question(fields: dict[str, Any], number: int, *, query: str = "", needs_id: bool = False) -> Question:
    """What a line asks: `{"id", "query", "passages"}`. `query` holds where it has none, `number` where it has no id.

    Raises `ValueError` saying what is wrong.
    """
    asked = fields.get("query", query)
    if not isinstance(asked, str) or not asked.strip():
        raise ValueError('has no "query"')
    if needs_id and _given_id(fields) is None:
        raise ValueError('has no "id", by which its answer could be told from others')
    given = fields.get("passages")
    if given is None:
        return Question(_id(fields, number), _text(asked))
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise ValueError('"passages" is a list of objects')
    return Question(_id(fields, number), _text(asked), tuple(_distinct(given)))


def passage_of(fields: dict[str, Any], number: int) -> pb.Passage:
    """A passage of `{"id", "text", "title", "heading", "document_id", "metadata"}`; `number` is its id without one.

    Raises `ValueError` when it cannot be sent.
    """
    texts: dict[str, Any] = {name: fields.get(name) or "" for name in ("text", "title", "heading", "document_id")}
    metadata = fields.get("metadata") or {}
    if not all(isinstance(each, str) for each in texts.values()) or not isinstance(metadata, dict):
        raise ValueError('"text", "title", "heading" and "document_id" are strings, "metadata" is an object')
    if not texts["text"].strip() and not texts["title"].strip():
        raise ValueError('a passage has neither "text" nor "title"')
    if (size := len(_text(texts["text"]).encode())) > _MOST_TEXT:
        raise ValueError(f"a text has {size:,} bytes; at most {_MOST_TEXT:,} are read")
    values = {_text(key): _value(each) for key, each in metadata.items()}
    for each in texts.values():
        _text(each)
    return pb.Passage(id=_id(fields, number), metadata=from_metadata(values), **texts)


def _distinct(given: Sequence[dict[str, Any]]) -> Iterator[pb.Passage]:
    seen: set[str] = set()
    for number, fields in enumerate(given, 1):
        passage = passage_of(fields, number)
        if passage.id in seen:
            raise ValueError(f"a second passage has the id {passage.id!r}")
        seen.add(passage.id)
        yield passage


def _given_id(fields: dict[str, Any]) -> Any:
    return fields.get("id", fields.get("_id"))


def _id(fields: dict[str, Any], number: int) -> str:
    given = _given_id(fields)
    if given is None:
        return str(number)
    if isinstance(given, bool) or not isinstance(given, (str, int)) or given == "":
        raise ValueError("an id is a string or an integer, and not empty")
    return _text(str(given))


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a surrogate pair, which is no character") from None
    return text


def _value(value: Any, depth: int = 0) -> Value:
    if depth > _DEEPEST:
        raise ValueError("nests too deep")
    if isinstance(value, dict):
        return {_text(key): _value(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_value(each, depth + 1) for each in value]
    if isinstance(value, int) and value not in _INT64:
        raise ValueError("holds an integer of more than 64 bits")
    found: Value = _text(value) if isinstance(value, str) else value
    return found


def _object(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} (column {error.colno})") from None
    if not isinstance(fields, dict):
        raise ValueError("is not a JSON object")
    return fields


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"holds {constant}, which is not JSON")
