"""Writes batches over one stream after another until each is acknowledged."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator

import grpc

from tamis.client.errors import CallError, typed_errors
from tamis.v1 import index_service_pb2, passage_pb2

__all__ = ["Writing"]

Call = Callable[[Iterator[index_service_pb2.WriteDocumentsRequest]], Iterable[index_service_pb2.WriteDocumentsResponse]]

_MOST_FAILURES = 16  # in a row, without an acknowledgement between; the pauses add up to a minute at most
_LONGEST_PAUSE = 5.0


class Writing:
    """Sends each batch under a name of its own, so that one sent again after a server was away is written once."""

    def __init__(
        self,
        collection: str,
        batches: Iterator[list[passage_pb2.Document]],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`pause` waits for a number of seconds."""
        self._collection, self._batches, self._pause = collection, batches, pause
        self._sent: dict[int, index_service_pb2.WriteDocumentsRequest] = {}
        self._taken = self._acknowledged = 0
        self._taking = threading.Lock()

    def run(self, call: Call) -> Iterator[index_service_pb2.WriteDocumentsResponse]:
        """The acknowledgements, one a batch, in order. Raises `CallError` when the server refuses, or stays away."""
        failures = 0
        while True:
            reached = self._acknowledged
            try:
                with typed_errors():
                    yield from self._stream(call)
                return
            except CallError as error:
                failures = 1 if self._acknowledged > reached else failures + 1
                if error.code is not grpc.StatusCode.UNAVAILABLE or failures == _MOST_FAILURES:
                    raise
            self._pause(random.uniform(0.5, 1.0) * min(_LONGEST_PAUSE, 0.4 * 2.0 ** (failures - 1)))

    def _stream(self, call: Call) -> Iterator[index_service_pb2.WriteDocumentsResponse]:
        for response in call(self._requests(self._acknowledged)):
            del self._sent[self._acknowledged]
            self._acknowledged += 1
            response.batch = self._acknowledged
            yield response

    def _requests(self, begin: int) -> Iterator[index_service_pb2.WriteDocumentsRequest]:
        """Those from number `begin` on. Runs on a thread of gRPC's, and may do so a little longer than its stream."""
        number = begin
        while (request := self._request(number)) is not None:
            yield request
            number += 1

    def _request(self, number: int) -> index_service_pb2.WriteDocumentsRequest | None:
        """One that waits for its acknowledgement, or the next; None at the end, and for a stream that has been left."""
        with self._taking:
            if number != self._taken:
                return self._sent.get(number)
            documents = next(self._batches, None)
            if documents is None:
                return None
            request = index_service_pb2.WriteDocumentsRequest(
                collection=self._collection, documents=documents, request_id=uuid.uuid4().hex
            )
            self._sent[number] = request
            self._taken += 1
            return request
