"""Writes batches over one stream after another until each is acknowledged."""

from __future__ import annotations

import asyncio
import random
import threading
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any, TypeAlias

import grpc

from tamis.client.documents import Document, Written
from tamis.client.errors import CallError, typed_errors
from tamis.v1 import index_service_pb2, passage_pb2

__all__ = ["AsyncWriting", "Outbox", "Writing", "batched", "batched_async"]

AnyDocument: TypeAlias = Document | passage_pb2.Document
Batch: TypeAlias = list[passage_pb2.Document]

_BATCH_BYTES = 4 << 20
_MOST_FAILURES = 16  # in a row, without an acknowledgement between; the pauses add up to a minute at most
_LONGEST_PAUSE = 5.0


class Outbox:
    """Batches that were sent and wait for their acknowledgement, each under a name of its own, so that one sent again
    after a server was away is written once."""

    def __init__(self, collection: str, *, is_patient: bool = True) -> None:
        """Nothing is sent again unless `is_patient`."""
        self._collection, self._is_patient = collection, is_patient
        self._sent: dict[int, index_service_pb2.WriteDocumentsRequest] = {}
        self._failures = self._reached = 0
        self._had_waiting = False
        self.taken = self.acknowledged = 0
        self.problem: Exception | None = None
        """What the caller's own documents raised; nothing is taken of them afterwards."""

    def begin(self) -> int:
        """A stream begins. The number of the first batch to send over it."""
        self._reached, self._had_waiting = self.acknowledged, bool(self._sent)
        return self.acknowledged

    def waiting(self, number: int) -> index_service_pb2.WriteDocumentsRequest | None:
        """One that was sent before and not acknowledged."""
        return self._sent.get(number)

    def add(self, documents: Batch) -> None:
        """Names the next batch."""
        self._sent[self.taken] = index_service_pb2.WriteDocumentsRequest(
            collection=self._collection, documents=documents, request_id=uuid.uuid4().hex
        )
        self.taken += 1

    def acknowledge(self, response: index_service_pb2.WriteDocumentsResponse) -> Written:
        """Forgets the batch that was longest without an answer."""
        del self._sent[self.acknowledged]
        self.acknowledged += 1
        return Written(self.acknowledged, response.sequence, response.written_count, response.unchanged_count)

    def pause_after(self, error: CallError) -> float | None:
        """Seconds after which to open another stream; None to give up.

        A stream that ends by its deadline is followed by another one, unless nothing was acknowledged over it though
        something had waited since before it began.
        """
        has_moved = self.acknowledged > self._reached
        if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return 0.0 if has_moved or not self._had_waiting else None
        self._failures = 1 if has_moved else self._failures + 1
        if error.code is not grpc.StatusCode.UNAVAILABLE or self._failures == _MOST_FAILURES or not self._is_patient:
            return None
        pause = random.uniform(0.5, 1.0) * min(_LONGEST_PAUSE, 0.4 * 2.0 ** (self._failures - 1))
        return max(pause, error.retry_after or 0.0)


class Writing:
    """Writes from threads."""

    def __init__(self, outbox: Outbox, batches: Iterator[Batch], pause: Callable[[float], object]) -> None:
        """`pause` waits for a number of seconds."""
        self._outbox, self._batches, self._pause = outbox, batches, pause
        self._taking = threading.Lock()

    def run(self, call: Callable[[Iterator[Any]], Any]) -> Generator[Written, None, None]:
        """The acknowledgements, one a batch, in order. Raises `CallError`, and what the documents' iterator does."""
        while True:
            stream = call(self._requests(self._outbox.begin()))
            try:
                with typed_errors():
                    for response in stream:
                        yield self._outbox.acknowledge(response)
                if self._outbox.problem is not None:
                    raise self._outbox.problem
                return
            except CallError as error:
                pause = self._outbox.pause_after(error)
                if pause is None:
                    raise
            finally:
                stream.cancel()
            self._pause(pause)

    def _requests(self, begin: int) -> Iterator[index_service_pb2.WriteDocumentsRequest]:
        """Those from number `begin` on. Runs on a thread of gRPC's, and may do so a little longer than its stream."""
        number = begin
        while (request := self._request(number)) is not None:
            yield request
            number += 1

    def _request(self, number: int) -> index_service_pb2.WriteDocumentsRequest | None:
        """One that waits for its acknowledgement, or the next; None at the end, and for a stream that has been left."""
        with self._taking:
            if number == self._outbox.taken and self._outbox.problem is None:
                try:
                    documents = next(self._batches, None)
                except Exception as problem:  # gRPC's thread would swallow it
                    self._outbox.problem = problem
                    return None
                if documents is not None:
                    self._outbox.add(documents)
            return self._outbox.waiting(number)


class AsyncWriting:
    """Writes from an event loop."""

    def __init__(self, outbox: Outbox, batches: AsyncIterator[Batch]) -> None:
        self._outbox, self._batches = outbox, batches
        self._taking: asyncio.Task[None] | None = None
        self._has_ended = False

    async def run(self, call: Callable[[AsyncIterator[Any]], Any]) -> AsyncGenerator[Written, None]:
        """As `Writing.run`."""
        try:
            while True:
                stream = call(self._requests(self._outbox.begin()))
                try:
                    with typed_errors():
                        async for response in stream:
                            yield self._outbox.acknowledge(response)
                    if self._outbox.problem is not None:
                        raise self._outbox.problem
                    return
                except CallError as error:
                    pause = self._outbox.pause_after(error)
                    if pause is None:
                        raise
                finally:
                    stream.cancel()
                await asyncio.sleep(pause)
        finally:
            if self._taking is not None:
                self._taking.cancel()

    async def _requests(self, begin: int) -> AsyncIterator[index_service_pb2.WriteDocumentsRequest]:
        number = begin
        while (request := await self._request(number)) is not None:
            yield request
            number += 1

    async def _request(self, number: int) -> index_service_pb2.WriteDocumentsRequest | None:
        """A stream that ends while it waits for the caller's documents leaves the wait to the next one: cancelled, it
        would end the caller's generator."""
        while number == self._outbox.taken and not self._has_ended:
            if self._taking is None:
                self._taking = asyncio.create_task(self._take())
            await asyncio.shield(self._taking)
        return self._outbox.waiting(number)

    async def _take(self) -> None:
        try:
            documents = await anext(self._batches, None)
            if documents is None:
                self._has_ended = True
            else:
                self._outbox.add(documents)
        except Exception as problem:
            self._outbox.problem, self._has_ended = problem, True
        finally:
            self._taking = None


class _Batches:
    """Fills batches up to a number of documents and about 4 MiB."""

    def __init__(self, size: int) -> None:
        if not 1 <= size <= 1_000:
            raise ValueError("batch_size must be from 1 to 1,000")
        self._size, self._byte_count = size, 0
        self._batch: Batch = []

    def add(self, document: AnyDocument) -> Batch | None:
        """The batch that this document no longer fits into."""
        message = document.message if isinstance(document, Document) else document
        byte_count = message.ByteSize()
        full = self._batch and (len(self._batch) == self._size or self._byte_count + byte_count > _BATCH_BYTES)
        done = self.rest() if full else None
        self._batch.append(message)
        self._byte_count += byte_count
        return done

    def rest(self) -> Batch | None:
        """What is left."""
        done, self._batch, self._byte_count = self._batch, [], 0
        return done or None


def batched(documents: Iterable[AnyDocument], size: int) -> Iterator[Batch]:
    """Documents in batches, as they come."""
    batches = _Batches(size)
    for each in documents:
        if (full := batches.add(each)) is not None:
            yield full
    if (last := batches.rest()) is not None:
        yield last


async def batched_async(
    documents: Iterable[AnyDocument] | AsyncIterable[AnyDocument], size: int
) -> AsyncIterator[Batch]:
    """Documents in batches, as they come."""
    batches = _Batches(size)
    if isinstance(documents, AsyncIterable):
        async for each in documents:
            if (full := batches.add(each)) is not None:
                yield full
    else:
        for each in documents:
            if (full := batches.add(each)) is not None:
                yield full
    if (last := batches.rest()) is not None:
        yield last
