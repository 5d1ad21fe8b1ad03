"""The client's writing over a server that goes away."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
import pytest

from tamis.client import DeadlineExceeded, InvalidRequest, Unavailable
from tamis.client.writing import Outbox, Writing
from tamis.v1 import index_service_pb2 as pb
from tamis.v1 import passage_pb2


class Away(grpc.RpcError):
    """A status as gRPC raises it."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "gone"

    def trailing_metadata(self) -> None:
        """None."""


class Stream:
    """Responses, as gRPC's call gives them."""

    def __init__(self, responses: Iterator[pb.WriteDocumentsResponse]) -> None:
        self._responses = responses

    def __iter__(self) -> Iterator[pb.WriteDocumentsResponse]:
        return self._responses

    def cancel(self) -> None:
        """Nothing to end."""


class Server:
    """Reads ahead as gRPC does, remembers names, and ends stream number n after as many acknowledgements as it is told,
    having written one more batch than that."""

    def __init__(self, *ends: int, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        self.ends, self.code = list(ends), code
        self.written: dict[str, list[str]] = {}
        self.streams = 0

    def __call__(self, requests: Iterator[pb.WriteDocumentsRequest]) -> Stream:
        return Stream(self._serve(requests))

    def _serve(self, requests: Iterator[pb.WriteDocumentsRequest]) -> Iterator[pb.WriteDocumentsResponse]:
        self.streams += 1
        left = self.ends.pop(0) if self.ends else None
        for number, request in enumerate(requests):
            self.written.setdefault(request.request_id, [each.id for each in request.documents])
            if number == left:
                next(requests, None)  # read and lost
                raise Away(self.code)
            yield pb.WriteDocumentsResponse(batch=number + 1, written_count=len(request.documents))


def _batches(count: int) -> Iterator[list[passage_pb2.Document]]:
    return iter([[passage_pb2.Document(id=f"d{each}")] for each in range(count)])


def _writing(batches: Iterator[list[passage_pb2.Document]], pause: Callable[[float], object]) -> Writing:
    return Writing(Outbox("docs"), batches, pause)


def test_batches_without_an_acknowledgement_are_sent_again_under_the_same_names() -> None:
    server, pauses = Server(2, 0, 1), list[float]()
    found = list(_writing(_batches(7), pauses.append).run(server))
    assert [each.batch for each in found] == [1, 2, 3, 4, 5, 6, 7]
    assert list(server.written.values()) == [[f"d{each}"] for each in range(7)]
    assert server.streams == 4
    assert len(pauses) == 3
    assert all(0.2 <= each <= 0.8 for each in pauses)


def test_a_server_that_stays_away_is_given_up() -> None:
    server, pauses = Server(*[0] * 20), list[float]()
    with pytest.raises(Unavailable):
        list(_writing(_batches(3), pauses.append).run(server))
    assert server.streams == 16
    assert 30 < sum(pauses) < 62


def test_what_the_server_refuses_is_not_sent_again() -> None:
    server = Server(1, code=grpc.StatusCode.INVALID_ARGUMENT)
    writing = _writing(_batches(3), lambda seconds: pytest.fail("nobody waits"))
    with pytest.raises(InvalidRequest):
        list(writing.run(server))
    assert server.streams == 1


def test_a_stream_that_was_left_takes_nothing_away_from_the_next() -> None:
    """Its thread may still ask for a batch once the next stream is open."""
    asked: list[Iterator[pb.WriteDocumentsRequest]] = []

    def served(requests: Iterator[pb.WriteDocumentsRequest]) -> Iterator[pb.WriteDocumentsResponse]:
        asked.append(requests)
        if len(asked) == 1:
            next(requests)
            raise Away(grpc.StatusCode.UNAVAILABLE)
        for request in requests:
            late = next(asked[0], None)
            seen.append((request.documents[0].id, late.documents[0].id if late else ""))
            yield pb.WriteDocumentsResponse(batch=1)

    seen: list[tuple[str, str]] = []
    assert len(list(_writing(_batches(4), lambda seconds: None).run(lambda requests: Stream(served(requests))))) == 4
    assert [ours for ours, _ in seen] == ["d0", "d1", "d2", "d3"]


def test_a_server_that_acknowledges_nothing_until_two_deadlines_have_passed_is_given_up() -> None:
    server, pauses = Server(0, 0, 0, code=grpc.StatusCode.DEADLINE_EXCEEDED), list[float]()
    with pytest.raises(DeadlineExceeded):
        list(_writing(_batches(3), pauses.append).run(server))
    assert (server.streams, pauses) == (2, [0.0])


def test_a_stream_that_ends_by_its_deadline_after_some_acknowledgements_is_followed_by_another() -> None:
    server = Server(1, 1, 1, code=grpc.StatusCode.DEADLINE_EXCEEDED)
    assert len(list(_writing(_batches(6), lambda seconds: None).run(server))) == 6
    assert len(server.written) == 6
