"""Dead letters to their messages, and where a page of them begins."""

from __future__ import annotations

import json

from google.protobuf.timestamp_pb2 import Timestamp

from tamis.errors import InvalidRequest
from tamis.journal import DeadLetter
from tamis.v1 import index_service_pb2 as pb
from tamis.wire.checks import decoded_page_token, encoded_page_token

__all__ = ["from_dead_letter", "from_place", "to_place"]


def from_dead_letter(letter: DeadLetter) -> pb.DeadLetter:
    """A dead letter."""
    create_time = Timestamp()
    create_time.FromDatetime(letter.create_time)
    return pb.DeadLetter(
        stage=letter.stage,
        generation=letter.generation,
        document_id=letter.document_id,
        document_version=letter.document_version,
        reason=letter.reason,
        create_time=create_time,
    )


def from_place(letter: DeadLetter) -> str:
    """The token for what comes after a dead letter."""
    return encoded_page_token(json.dumps([letter.stage, letter.document_id, letter.generation]))


def to_place(token: str) -> tuple[str, str, int] | None:
    """What `from_place` made, as stage, document id and generation; None for an empty one. Raises `InvalidRequest`."""
    if not token:
        return None
    try:
        stage, document_id, generation = json.loads(decoded_page_token(token))
    except (ValueError, TypeError):
        raise InvalidRequest.of("page_token", "is not a token that this server made") from None
    if not (isinstance(stage, str) and isinstance(document_id, str) and type(generation) is int):
        raise InvalidRequest.of("page_token", "is not a token that this server made")
    return stage, document_id, generation
