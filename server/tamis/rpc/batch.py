"""Several searches in one call: side by side, each with an end of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

import structlog

from tamis.deadline import Deadline
from tamis.errors import InvalidRequest, TamisError
from tamis.rpc.interceptor import request_id
from tamis.v1 import search_service_pb2 as pb

__all__ = ["side_by_side"]

_LOG = structlog.get_logger(__name__)
_MOST_REQUESTS = 100
_AT_ONCE = 8  # more would only take the models from other callers


async def side_by_side(
    requests: Sequence[pb.SearchRequest],
    search: Callable[[pb.SearchRequest, Deadline], Awaitable[pb.SearchResponse]],
    deadline: Deadline,
) -> AsyncGenerator[pb.BatchSearchResponse, None]:
    """Each response as soon as it is there. What has to wait for its turn gets as much time as what goes first.

    Closing ends the searches under way. Raises `InvalidRequest`.
    """
    if not 1 <= len(requests) <= _MOST_REQUESTS:
        raise InvalidRequest.of("requests", f"holds {len(requests):,} searches; 1 to {_MOST_REQUESTS} are allowed")
    turns = asyncio.Semaphore(_AT_ONCE)
    waiting = len(requests)

    async def run(place: int) -> pb.BatchSearchResponse:
        nonlocal waiting
        async with turns:
            share = deadline.within(deadline.remaining / -(-waiting // _AT_ONCE))
            waiting -= 1
            try:
                return pb.BatchSearchResponse(request_index=place, response=await search(requests[place], share))
            except TamisError as error:
                return pb.BatchSearchResponse(request_index=place, failure=_failure(error))
            except Exception:
                _LOG.exception("search of a batch failed", request_id=request_id.get())
                return pb.BatchSearchResponse(request_index=place, failure=_failure(TamisError("internal error")))

    tasks = [asyncio.ensure_future(run(place)) for place in range(len(requests))]
    try:
        for done in asyncio.as_completed(tasks):
            yield await done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _failure(error: TamisError) -> pb.SearchFailure:
    return pb.SearchFailure(
        code=error.code.value,
        message=error.message,
        reason=error.reason,
        violations=[f"{each.field}: {each.description}" for each in error.violations],
    )
