"""Readers of files with a document in every row: JSON lines, CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from tamis.model import Document, Value
from tamis.reading import Reader, Unreadable
from tamis_readers.decoding import NotText, decoded

__all__ = ["CsvReader", "JsonLinesReader"]

_INT64 = range(-(1 << 63), 1 << 63)
_TEXT_COLUMNS = ("text", "content", "body")
_LONGEST_VALUE = 1_000  # characters of a cell that becomes metadata
_SAMPLE = 1 << 16


class JsonLinesReader(Reader):
    """An object in every line, with `text` or `title`; `id` or `_id` if it has one; every other key is metadata."""

    suffixes = (".jsonl", ".ndjson")
    format = "jsonl"

    def read(self, path: Path, name: str) -> Iterator[Document | Unreadable]:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                    if text.strip():
                        yield _document(text, f"{name}:{number}", number)
                except UnicodeDecodeError as error:
                    yield Unreadable(path, f"is not UTF-8 (byte {error.start} of the line)", number)
                except ValueError as error:
                    yield Unreadable(path, str(error), number)


class CsvReader(Reader):
    """A document for every row after the first, which names the columns. The separator is found out.

    The columns `text`, `content` or `body`, `title` and `id` are what they say; every other one is metadata, as a
    number where it is written like one. Where no column is the text, all of them are, as `column: value` lines.
    """

    suffixes = (".csv", ".tsv")
    format = "csv"

    def read(self, path: Path, name: str) -> Iterator[Document | Unreadable]:
        try:
            text = decoded(path.read_bytes())
        except NotText as error:
            yield Unreadable(path, str(error))
            return
        csv.field_size_limit(len(text) + 1)
        rows = csv.reader(text.splitlines(keepends=True), _dialect(text, path.suffix.lower()))
        try:
            columns = [each.strip() or f"column {place}" for place, each in enumerate(next(rows, []), 1)]
            number = rows.line_num + 1
            for row in rows:
                if any(each.strip() for each in row):
                    fields = dict(zip(columns, row, strict=False))
                    yield _row(fields, f"{name}:{number}", number)
                number = rows.line_num + 1
        except csv.Error as error:
            yield Unreadable(path, f"is not CSV from here on: {error}", rows.line_num)


def _dialect(text: str, suffix: str) -> type[csv.Dialect] | csv.Dialect:
    sample = text[:_SAMPLE].rpartition("\n")[0] or text[:_SAMPLE]
    if suffix == ".tsv":
        return csv.excel_tab()
    first = sample.partition("\n")[0]
    # The sniffer looks for regularities anywhere, prose included; the names of the columns say more.
    delimiter = max(",;\t|", key=first.count)
    found = csv.excel()
    found.delimiter = delimiter if delimiter in first else ","
    return found


def _row(fields: Mapping[str, str], fallback_id: str, line: int) -> Document:
    known = {key.lower(): key for key in reversed(list(fields))}
    text_key = next((known[each] for each in _TEXT_COLUMNS if each in known), None)
    title_key, id_key = known.get("title"), known.get("id", known.get("_id"))
    text = fields[text_key] if text_key else "\n".join(f"{key}: {each}" for key, each in fields.items() if each.strip())
    used = {text_key, title_key, id_key}
    metadata = {key: _scalar(each) for key, each in fields.items() if key not in used and len(each) <= _LONGEST_VALUE}
    id = fields[id_key].strip() if id_key else ""
    title = fields[title_key].strip() if title_key else ""
    return Document(id or fallback_id, text, title, {"line": line, **metadata})


def _scalar(text: str) -> Value:
    """A number where the text is exactly how that number is written; `007` stays text."""
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if str(value) == text and (kind is float or value in _INT64) and text not in ("inf", "-inf", "nan"):
            return value
    return text


def _document(line: str, fallback_id: str, number: int) -> Document:
    try:
        fields = json.loads(line, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nests too deep") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} (column {error.colno})") from None
    if not isinstance(fields, dict):
        raise ValueError("is not a JSON object")
    id = fields.pop("id", fields.pop("_id", fallback_id))
    text, title = fields.pop("text", ""), fields.pop("title", "")
    metadata = fields.pop("metadata", None) or {}
    if isinstance(id, int):
        id = str(id)
    if not (
        isinstance(id, str) and id and isinstance(text, str) and isinstance(title, str) and isinstance(metadata, dict)
    ):
        raise ValueError("id, title and text are strings, metadata is an object")
    if not text.strip() and not title.strip():
        raise ValueError("has neither text nor title")
    values = {str(key): _value(value) for key, value in {"line": number, **fields, **metadata}.items()}
    try:
        f"{id}{text}{title}{values}".encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a surrogate pair, which is no character") from None
    return Document(id, text, title, values)


def _value(value: Any, depth: int = 0) -> Value:
    if depth > 16:
        raise ValueError("nests too deep")
    if isinstance(value, dict):
        if "" in value:
            raise ValueError("has metadata with an empty name")
        return {key: _value(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_value(each, depth + 1) for each in value]
    if isinstance(value, int) and value not in _INT64:
        raise ValueError("holds an integer of more than 64 bits")
    scalar: Value = value
    return scalar


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"holds {constant}, which is not JSON")
