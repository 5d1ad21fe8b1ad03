"""Asks many queries side by side, a bounded number at a time, each again where that may help."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc

from tamis.cli.candidates import Question
from tamis.client import CallError, Client
from tamis.client.errors import typed_errors
from tamis.v1 import search_service_pb2 as pb

__all__ = ["Answer", "BatchRun", "Response"]

Response: TypeAlias = pb.SearchResponse | pb.RerankResponse

_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_LONGEST_PAUSE = 10.0
_LOOK_SECONDS = 0.2  # between two looks at whether the run was interrupted
_ITS_OWN = ("query", "passages")


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a question: a response or an error, after how many seconds, waiting included."""

    question: Question
    response: Response | None
    error: CallError | None
    seconds: float


@dataclass(slots=True)
class BatchRun:
    """How to ask. `retries` is how often a query that met an absent or full server is asked again.

    `fields` are those that the requests for searching and for reranking share. Once `interrupted` is set nothing more
    is asked, and what is under way is cancelled. `is_proven` says that some query was answered with these fields.
    """

    client: Client
    collection: str
    fields: dict[str, Any]
    deadline: float | None
    concurrency: int
    retries: int
    interrupted: threading.Event
    is_proven: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)
    _calls: set[Any] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def answers(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """Each answer as it comes, in any order; never more than `concurrency` questions are held.

        Raises `CallError` once no server answers, or when the first answer is that it refuses what all questions share;
        what was answered before has come then. Closing cancels the calls under way.
        """
        waiting: set[Future[Answer | None]] = set()
        source = iter(questions)
        fatal: CallError | None = None
        with ThreadPoolExecutor(self.concurrency, thread_name_prefix="tamis-batch") as threads:
            try:
                while True:
                    if self.interrupted.is_set():
                        self._cancel()
                    while not self._stop.is_set() and len(waiting) < self.concurrency and (asked := next(source, None)):
                        waiting.add(threads.submit(self._answer, asked))
                    if not waiting:
                        break
                    done, waiting = wait(waiting, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
                    for answer in filter(None, (each.result() for each in done)):
                        if answer.error is None or not self._concerns_all(answer.error):
                            self.is_proven |= answer.error is None
                            yield answer
                        else:
                            fatal = fatal or answer.error
                            self._cancel()
            finally:
                self._cancel()
        if fatal is not None:
            raise fatal

    def _answer(self, asked: Question) -> Answer | None:
        """None when the run was stopped meanwhile."""
        started = time.monotonic()
        for attempt in range(self.retries + 1):
            error: CallError | None = None
            try:
                response = self._call(asked)
            except CallError as failure:
                response, error = None, failure
            if self._stop.is_set() and error is not None:
                return None
            if error is None or error.code not in _PASSING or attempt == self.retries:
                return Answer(asked, response, error, time.monotonic() - started)
            pause = error.retry_after or min(0.25 * 2**attempt, _LONGEST_PAUSE)
            if self._stop.wait(pause * random.uniform(1.0, 1.25)):
                return None
        return None

    def _begun(self, asked: Question) -> Any:
        if asked.passages is None:
            search = pb.SearchRequest(collection=self.collection, query=asked.query, **self.fields)
            return self.client.stubs.search.Search.future(search, timeout=self.deadline)
        rerank = pb.RerankRequest(query=asked.query, passages=asked.passages, **self.fields)
        return self.client.stubs.search.Rerank.future(rerank, timeout=self.deadline)

    def _call(self, asked: Question) -> Response:
        """The response of a call that `_cancel` can end. Raises `CallError`."""
        with typed_errors():
            call = self._begun(asked)
            with self._guard:
                self._calls.add(call)
            try:
                if self._stop.is_set():
                    call.cancel()
                response: Response = call.result()
                return response
            except grpc.FutureCancelledError:
                raise CallError(grpc.StatusCode.CANCELLED, "stopped") from None
            finally:
                with self._guard:
                    self._calls.discard(call)

    def _cancel(self) -> None:
        self._stop.set()
        with self._guard:
            for each in tuple(self._calls):
                each.cancel()

    def _concerns_all(self, error: CallError) -> bool:
        """Whether every other query would fare the same: no server, or nothing of the query itself is to blame."""
        if error.code is grpc.StatusCode.UNAVAILABLE and not error.reason:
            return True
        is_shared = bool(error.violations) and not any(each.field.startswith(_ITS_OWN) for each in error.violations)
        return not self.is_proven and (is_shared or error.metadata.get("kind") == "collection")
