"""What a named request asks for, as its fingerprint: how it was divided into passages is no part of it."""

from __future__ import annotations

from collections.abc import Sequence

from tamis.encoding import encode, encode_landmarks
from tamis.filters import Filter
from tamis.journal.records import Patch, RequestKey
from tamis.journal.requests import fingerprint
from tamis.model import Document

__all__ = ["deletion", "deletion_by_filter", "patching", "writing"]


def writing(id: str, documents: Sequence[Document]) -> RequestKey | None:
    """None without a name, as everywhere here."""
    if not id:
        return None
    parts = [part for each in documents for part in _parts(each)]
    return RequestKey(id, fingerprint("write", parts))


def deletion(id: str, document_ids: Sequence[str]) -> RequestKey | None:
    """For documents by their ids."""
    return RequestKey(id, fingerprint("delete", document_ids)) if id else None


def deletion_by_filter(id: str, filter: Filter) -> RequestKey | None:
    """For all that a filter chooses."""
    return RequestKey(id, fingerprint("delete by filter", [repr(filter)])) if id else None


def patching(id: str, patches: Sequence[Patch]) -> RequestKey | None:
    """For patches of metadata."""
    if not id:
        return None
    rows = ((each.document_id, encode(each.metadata), repr(each.removed_keys)) for each in patches)
    return RequestKey(id, fingerprint("patch", [part for row in rows for part in row]))


def _parts(document: Document) -> tuple[str, ...]:
    return (
        document.id,
        document.title,
        document.text,
        encode(document.metadata),
        encode_landmarks(document.landmarks),
    )
