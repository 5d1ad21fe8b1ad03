"""Clients that write without end and know what was acknowledged to them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from random import Random

import grpc

from tamis.client import Client
from tamis.v1 import index_service_pb2, passage_pb2

__all__ = ["Writer", "Writers"]

_IDS = 40


class Writer:
    """One client with documents of its own: writes, re-writes and deletes them, several batches in flight.

    `known` is what was acknowledged, by id; `pending` what was sent after that, batch by batch, None for a deletion.
    """

    def __init__(self, name: str, seed: int, collection: str = "docs", ids: int = _IDS) -> None:
        self.name, self._random, self._collection, self._ids = name, Random(seed), collection, ids
        self.known: dict[str, str] = {}
        self.pending: deque[dict[str, str | None]] = deque()
        self.failure: grpc.RpcError | None = None
        self._turn = 0

    def write(self, address: str, acknowledged: Callable[[], None], until: threading.Event) -> None:
        """Goes on until the server is gone, refuses something, or the event is set."""
        self.failure = None
        try:
            with Client(address) as client:
                while not until.is_set():
                    if self.known and self._random.random() < 0.3:
                        self._delete(client, acknowledged)
                    else:
                        self._stream(client, acknowledged)
        except grpc.RpcError as error:
            self.failure = error

    def settle(self, documents: dict[str, str]) -> None:
        """What the journal has must be what was acknowledged and a beginning of what was sent after it."""
        mine = {id: text for id, text in documents.items() if id.startswith(f"{self.name}-")}
        state = dict(self.known)
        for batch in [{}, *self.pending]:
            _apply(state, batch)
            if state == mine:
                self.known = state
                self.pending.clear()
                return
        lost = {id: text for id, text in self.known.items() if mine.get(id) != text}
        raise AssertionError(f"{self.name}: acknowledged and not there, or half a batch there: {sorted(lost)[:5]}")

    def _stream(self, client: Client, acknowledged: Callable[[], None]) -> None:
        batches = [self._batch() for _ in range(self._random.randint(1, 5))]
        requests = (
            index_service_pb2.WriteDocumentsRequest(
                collection=self._collection,
                documents=[passage_pb2.Document(id=id, text=text) for id, text in batch.items()],
            )
            for batch in batches
        )
        self.pending.extend(dict[str, str | None](each) for each in batches)
        for _ in client.stubs.index.WriteDocuments(requests, timeout=60):
            self._acknowledge(acknowledged)

    def _delete(self, client: Client, acknowledged: Callable[[], None]) -> None:
        gone = self._random.sample(sorted(self.known), min(len(self.known), self._random.randint(1, 4)))
        self.pending.append(dict.fromkeys(gone))
        request = index_service_pb2.DeleteDocumentsRequest(collection=self._collection, document_ids=gone)
        client.stubs.index.DeleteDocuments(request, timeout=60)
        self._acknowledge(acknowledged)

    def _acknowledge(self, acknowledged: Callable[[], None]) -> None:
        _apply(self.known, self.pending.popleft())
        acknowledged()

    def _batch(self) -> dict[str, str]:
        """Some of the documents, as nobody has written them before."""
        self._turn += 1
        numbers = self._random.sample(range(self._ids), self._random.randint(1, 8))
        return {f"{self.name}-{each}": f"sauce {each} of {self.name} in turn {self._turn}. " * 3 for each in numbers}


class Writers:
    """Several of them at once, each on a thread of its own."""

    def __init__(self, count: int, seed: int, ids: int = _IDS) -> None:
        """`ids` is the most documents that each has at once."""
        self.each = [Writer(f"w{number}", seed * 100 + number, ids=ids) for number in range(count)]
        self._acknowledged = threading.Semaphore(0)
        self._until = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, address: str) -> None:
        self._acknowledged, self._until = threading.Semaphore(0), threading.Event()
        arguments = (address, self._acknowledged.release, self._until)
        self._threads = [threading.Thread(target=each.write, args=arguments) for each in self.each]
        for thread in self._threads:
            thread.start()

    def wait(self, acknowledgements: int) -> None:
        """Returns after so many more batches were acknowledged."""
        for _ in range(acknowledgements):
            assert self._acknowledged.acquire(timeout=60), "nothing is acknowledged any more"

    def stop(self) -> None:
        """They finish what they have begun."""
        self._until.set()
        self.join()

    def join(self) -> None:
        """Returns once all have ended, as they do when the server is gone."""
        for thread in self._threads:
            thread.join(90)
            assert not thread.is_alive()

    def settle(self, documents: dict[str, str]) -> None:
        """Raises `AssertionError` when something acknowledged is not there."""
        for each in self.each:
            each.settle(documents)

    @property
    def failures(self) -> Sequence[grpc.RpcError]:
        return [each.failure for each in self.each if each.failure is not None]


def _apply(state: dict[str, str], batch: dict[str, str | None]) -> None:
    for id, text in batch.items():
        if text is None:
            state.pop(id, None)
        else:
            state[id] = text
