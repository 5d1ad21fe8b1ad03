"""Changes of metadata from their messages."""

from __future__ import annotations

from collections.abc import Sequence

from tamis.errors import InvalidRequest
from tamis.journal import Patch
from tamis.v1 import index_service_pb2 as pb
from tamis.wire.checks import distinct, identifier
from tamis.wire.values import to_metadata

__all__ = ["to_patches"]

_MOST_METADATA = 1 << 16


def to_patches(messages: Sequence[pb.MetadataPatch], *, most: int) -> list[Patch]:
    """Raises `InvalidRequest` with the path of the first wrong field."""
    if not 1 <= len(messages) <= most:
        raise InvalidRequest.of("patches", f"holds {len(messages):,} patches; 1 to {most:,} are allowed")
    patches = [_patch(each, f"patches[{place}]") for place, each in enumerate(messages)]
    distinct((each.document_id for each in patches), "patches[{}].document_id")
    return patches


def _patch(message: pb.MetadataPatch, field: str) -> Patch:
    identifier(message.document_id, f"{field}.document_id")
    size = sum(len(key.encode()) + each.ByteSize() for key, each in message.metadata.items())
    if size > _MOST_METADATA:
        raise InvalidRequest.of(f"{field}.metadata", f"has {size:,} bytes; at most {_MOST_METADATA:,} are allowed")
    removed = tuple(message.removed_keys)
    for place, key in enumerate(removed):
        if not key:
            raise InvalidRequest.of(f"{field}.removed_keys[{place}]", "is empty")
        if key in message.metadata:
            raise InvalidRequest.of(f"{field}.removed_keys[{place}]", "is also set by this patch")
    return Patch(message.document_id, to_metadata(message.metadata, f"{field}.metadata"), removed)
