"""What a page token holds, and what it refuses."""

from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime, timedelta

import pytest

from tamis.errors import InvalidRequest
from tamis.v1 import search_service_pb2 as pb
from tamis.wire.searches import PageTokens

REQUEST = pb.SearchRequest(collection="docs", query="sauce")


def _at(token: str) -> tuple[int, datetime]:
    request = pb.SearchRequest()
    request.CopyFrom(REQUEST)
    request.page_token = token
    return PageTokens(request).place()


def test_every_page_reckons_ages_from_the_instant_of_the_first() -> None:
    first = PageTokens(REQUEST)
    token = first.token(10)
    assert _at(token) == (10, first.place()[1])
    second = pb.SearchRequest(collection="docs", query="sauce", page_token=token, page_size=3)
    assert _at(PageTokens(second).token(13)) == (13, first.place()[1])
    assert abs(first.place()[1] - datetime.now(UTC)) < timedelta(days=1)


@pytest.mark.parametrize("microseconds", [-(1 << 63), (1 << 63) - 1])
def test_a_forged_instant_is_refused(microseconds: int) -> None:
    digest = base64.urlsafe_b64decode(PageTokens(REQUEST).token(1))[:8]
    with pytest.raises(InvalidRequest, match="not a token"):
        _at(base64.urlsafe_b64encode(struct.pack(">8sIq", digest, 1, microseconds)).decode())


def test_a_forged_place_far_away_is_only_an_empty_page() -> None:
    assert _at(PageTokens(REQUEST).token((1 << 32) - 1))[0] == (1 << 32) - 1
