"""Reads documents from files: plain text, Markdown, JSON lines."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tamis.model import Document, Value

__all__ = ["READERS", "Unreadable", "files", "read"]

_MOST_BYTES = 32 << 20
_HEADING = re.compile(r"\s*#[ \t]+(\S.*?)[ \t#]*$", re.MULTILINE)
_INT64 = range(-(1 << 63), 1 << 63)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that could not be read: the file, the line (from 1) if it has one, and why."""

    path: Path
    reason: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.path}{f':{self.line}' if self.line else ''}: {self.reason}"


def files(paths: Iterable[Path]) -> Iterator[tuple[Path, str] | Unreadable]:
    """Each file to read with the name its document gets: `guide/intro.md` for a file under the folder `guide`.

    Folders are walked in order, hidden entries and unknown kinds of file left out; links to folders are not followed.
    A file named by itself must be of a known kind.
    """
    for path in paths:
        if path.is_dir():
            yield from _walked(path)
        elif not path.exists():
            yield Unreadable(path, "does not exist")
        elif path.suffix.lower() not in READERS:
            yield Unreadable(path, f"is of no known kind; known are {', '.join(READERS)}")
        else:
            yield path, path.name


def read(path: Path, name: str) -> Iterator[Document | Unreadable]:
    """The documents of one file, and what of it could not be read."""
    try:
        if path.stat().st_size > _MOST_BYTES and path.suffix.lower() != ".jsonl":
            yield Unreadable(path, f"is larger than {_MOST_BYTES >> 20} MiB")
            return
        yield from READERS[path.suffix.lower()](path, name)
    except UnicodeDecodeError as error:
        yield Unreadable(path, f"is not UTF-8 (byte {error.start})")
    except OSError as error:
        yield Unreadable(path, error.strerror or type(error).__name__)


def _walked(folder: Path) -> Iterator[tuple[Path, str]]:
    root = folder.resolve()
    for directory, names, file_names in os.walk(root):
        names[:] = sorted(each for each in names if not each.startswith("."))
        for each in sorted(file_names):
            path = Path(directory, each)
            if not each.startswith(".") and path.suffix.lower() in READERS:
                yield path, (root.name / path.relative_to(root)).as_posix() if root.name else path.as_posix()


def _read_text(path: Path, name: str) -> Iterator[Document | Unreadable]:
    text = path.read_text(encoding="utf-8-sig")
    if not text.strip():
        yield Unreadable(path, "is empty")
        return
    heading = _HEADING.match(text) if path.suffix.lower() == ".md" else None
    yield Document(name, text, heading[1] if heading else path.stem, {"path": name})


def _read_json_lines(path: Path, name: str) -> Iterator[Document | Unreadable]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield _document(line, f"{name}:{number}")
                except ValueError as error:
                    yield Unreadable(path, str(error), number)


def _document(line: str, fallback_id: str) -> Document:
    """An object with `text` or `title`; `id` or `_id` if it has one; every other key is metadata."""
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
    values = {str(key): _value(value) for key, value in {**fields, **metadata}.items()}
    try:
        f"{id}{text}{title}{values}".encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a surrogate pair, which is no character") from None
    return Document(id, text, title, values)


def _value(value: Any) -> Value:
    if isinstance(value, dict):
        if "" in value:
            raise ValueError("has metadata with an empty name")
        return {key: _value(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_value(each) for each in value]
    if isinstance(value, int) and value not in _INT64:
        raise ValueError("holds an integer of more than 64 bits")
    scalar: Value = value
    return scalar


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"holds {constant}, which is not JSON")


READERS: dict[str, Callable[[Path, str], Iterator[Document | Unreadable]]] = {
    ".txt": _read_text,
    ".md": _read_text,
    ".jsonl": _read_json_lines,
}
"""How each kind of file is read, by its suffix."""
