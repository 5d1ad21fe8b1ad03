"""What a request's plain fields may hold, and how one that may not is refused."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from tamis.errors import InvalidRequest

__all__ = [
    "bounded_text",
    "collection_id",
    "decoded_page_token",
    "distinct",
    "document_hit_limit",
    "encoded_page_token",
    "identifier",
    "page_size",
    "query_text",
    "request_id",
]

_COLLECTION = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_REQUEST = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_LONGEST_QUERY = 10_000


def collection_id(value: str, field: str = "collection") -> str:
    """1 to 63 characters of a-z, 0-9, - and _, beginning with a letter or a digit."""
    if not value:
        raise InvalidRequest.of(field, "is required")
    if not _COLLECTION.fullmatch(value):
        description = "is 1 to 63 characters of a-z, 0-9, - and _, beginning with a letter or a digit"
        raise InvalidRequest.of(field, description)
    return value


def query_text(value: str, field: str = "query") -> str:
    """1 to 10,000 characters, not only white space."""
    if not value.strip():
        raise InvalidRequest.of(field, "is required: the query is empty or only white space")
    if len(value) > _LONGEST_QUERY:
        raise InvalidRequest.of(field, f"has {len(value):,} characters; at most {_LONGEST_QUERY:,} are allowed")
    return value


def identifier(value: str, field: str, *, most_bytes: int = 512) -> str:
    """1 to `most_bytes` bytes without control characters."""
    if not value:
        raise InvalidRequest.of(field, "is required")
    if len(value.encode()) > most_bytes:
        raise InvalidRequest.of(field, f"has {len(value.encode()):,} bytes; at most {most_bytes} are allowed")
    if _CONTROL.search(value):
        raise InvalidRequest.of(field, "holds a control character")
    return value


def request_id(value: str) -> str:
    """Empty, or 1 to 128 characters of A-Z, a-z, 0-9, ., _, : and -."""
    if value and not _REQUEST.fullmatch(value):
        raise InvalidRequest.of("request_id", "is 1 to 128 characters of A-Z, a-z, 0-9, '.', '_', ':' and '-'")
    return value


def bounded_text(value: str, field: str, *, most_bytes: int) -> str:
    """At most `most_bytes` of UTF-8."""
    if len(value) > most_bytes or len(value.encode()) > most_bytes:
        raise InvalidRequest.of(field, f"has {len(value.encode()):,} bytes; at most {most_bytes:,} are allowed")
    return value


def page_size(value: int, *, default: int, most: int, field: str = "page_size") -> int:
    """0 means the default, more than `most` is cut to it."""
    if value < 0:
        raise InvalidRequest.of(field, f"is {value}; it cannot be negative")
    return min(value or default, most)


def document_hit_limit(value: int) -> int:
    """0 means any number."""
    if value < 0:
        raise InvalidRequest.of("document_hit_limit", f"is {value}; it cannot be negative")
    return value


def distinct(ids: Iterable[str], field: str) -> None:
    """Refuses the second of two equal ids; `field` is its path with `{}` for the place."""
    seen: dict[str, int] = {}
    for place, each in enumerate(ids):
        first = seen.setdefault(each, place)
        if first != place:
            raise InvalidRequest.of(field.format(place), f"is the same as {field.format(first)}; ids must be distinct")


def encoded_page_token(after: str) -> str:
    """An opaque token for what comes after an id; empty for the empty id."""
    return base64.urlsafe_b64encode(after.encode()).decode()


def decoded_page_token(token: str) -> str:
    """What `encoded_page_token` was given."""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidRequest.of("page_token", "is not a token that this server made") from None
