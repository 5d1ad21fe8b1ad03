"""Documents on their way from the process that read them, as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tamis.encoding import decode, decode_landmarks, encode, encode_landmarks
from tamis.model import Document
from tamis.reading import Unreadable

__all__ = ["packed", "unpacked"]


def packed(each: Document | Unreadable) -> str:
    """One line."""
    if isinstance(each, Unreadable):
        return json.dumps([each.reason, each.line]) + "\n"
    fields = [each.id, each.text, each.title, encode(each.metadata), encode_landmarks(each.landmarks)]
    return json.dumps(fields, ensure_ascii=False) + "\n"


def unpacked(spool: Path, path: Path) -> Iterator[Document | Unreadable]:
    """What was read of the file `path`, in order; the spool is removed at the end."""
    try:
        with spool.open(encoding="utf-8", newline="\n") as lines:
            for line in lines:
                fields = json.loads(line)
                if len(fields) == 2:
                    yield Unreadable(path, fields[0], fields[1])
                else:
                    id, text, title, metadata, landmarks = fields
                    yield Document(id, text, title, decode(metadata), landmarks=decode_landmarks(landmarks))
    finally:
        spool.unlink(missing_ok=True)
