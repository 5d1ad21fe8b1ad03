"""What all hosted rerankers share: requests side by side, within one deadline, and answers that are not believed."""

from __future__ import annotations

import asyncio
import math
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tamis.component import Capabilities
from tamis.context import BillingUnit, Call
from tamis.endpoint import EndpointSettings, Failure, Pacing, asked, told_count
from tamis.errors import ConfigurationError, Unavailable
from tamis.model import Passage, Query, ScoreKind
from tamis.pauses import Pauses
from tamis.scores import CachedScoresSettings
from tamis.stage import PointwiseReranker
from tamis_hosted.portions import PortionSettings, portions

__all__ = ["NO_ANSWER", "Answer", "HostedReranker", "HostedSettings", "no_answer"]

NO_ANSWER = (ValueError, AttributeError, LookupError, TypeError, OverflowError, RecursionError)
"""What reading something that is no answer raises, as SDKs check little of it."""

_LOWEST = {ScoreKind.PROBABILITY: 0.0, ScoreKind.COSINE: -1.0, ScoreKind.LOGIT: -100.0}


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint says to one request, all as it stands there and unchecked: index and score of each text, the
    tokens that it read, and what it bills; None where it does not say."""

    scores: Sequence[tuple[Any, Any]]
    token_count: Any = None
    billed: Any = None


class HostedSettings(EndpointSettings, PortionSettings, CachedScoresSettings):
    """`concurrent_requests` is how many requests are under way at the same time, of all searches together.

    `cached_scores` are kept for `cached_score_seconds`: nobody tells when the model behind an endpoint changes."""

    concurrent_requests: Annotated[int, Field(ge=1, le=64)] = 8
    cached_score_seconds: Annotated[float, Field(gt=0)] = 3_600.0


class HostedReranker(PointwiseReranker):
    """Scores by an API. Derive from it for each wire format.

    Passages are divided among requests that run side by side; the scores of each come when it is answered. The texts
    are sent once where passages share one. A passage without text gets the lowest score and is not sent. Where a
    request fails for good, the scores of the others are given before its error is raised.
    """

    capabilities = Capabilities(score_kind=ScoreKind.PROBABILITY)
    vendor: ClassVar[str]
    addresses: ClassVar[tuple[str, ...]] = ()
    """Where the vendor bills requests, as `VENDOR/MODEL`."""
    billing_unit: ClassVar[BillingUnit] = BillingUnit.INPUT_TOKEN
    extra: ClassVar[str]
    """The extra of the distribution that brings what `connect` imports."""

    _settings: HostedSettings

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._settings = settings
        self._key = settings.key()
        if not self._key and settings.base_url.rstrip("/") in self.addresses:
            raise ConfigurationError(f"{settings.base_url} wants a key: set api_key_file, or api_key")
        model = str(getattr(settings, "model", "")).rpartition("/")[2]
        self._product = settings.billed_as(f"{self.vendor}/{model}", *self.addresses)
        self._pacing = Pacing()
        self._slots = asyncio.Semaphore(settings.concurrent_requests)

    async def open(self) -> None:
        try:
            await self.connect(self._key)
        except ModuleNotFoundError as error:
            raise ConfigurationError(f"needs {error.name!r}: pip install 'tamis[{self.extra}]'") from error

    async def score(self, query: Query, passages: Sequence[Passage], *, call: Call) -> AsyncIterator[tuple[int, float]]:
        """Raises `Overloaded` for 429, `Unavailable` for everything else that the endpoint does wrong."""
        call.check()
        asked_text = self._settings.cut(query.text)
        places: dict[str, list[int]] = {}
        pauses = Pauses()
        for index, passage in enumerate(passages):
            await pauses.take()
            call.check()
            text = self._text(passage, call) if asked_text.strip() else ""
            places.setdefault(text, []).append(index)
        blank = places.pop("", [])
        async with aclosing(self._scored(asked_text, list(places), call)) as scored:
            async for text, score in scored:
                for index in places[text]:
                    yield index, score
        for index in blank:  # last, since what has a score stands before what has none
            call.note("nothing to compare; lowest score given")
            yield index, _LOWEST[self.capabilities.score_kind]

    @abstractmethod
    async def connect(self, key: str) -> None:
        """Makes the client, without anything of the environment. It may import what only this provider needs."""

    @abstractmethod
    async def ask(self, query: str, texts: Sequence[str]) -> Answer:
        """What the endpoint says to one request. May raise anything; `judged` says what it means."""

    @abstractmethod
    def judged(self, error: Exception) -> Failure | None:
        """What an exception of `ask` means, None where it is none of the endpoint's."""

    def text_of(self, passage: Passage) -> str:
        """What is sent of a passage."""
        return passage.full_text

    def _text(self, passage: Passage, call: Call) -> str:
        whole = self.text_of(passage)
        text = self._settings.cut(whole)
        if len(text) < len(whole):
            call.note("passages cut before they were sent")
        return text if text.strip() else ""

    async def _scored(self, query: str, texts: Sequence[str], call: Call) -> AsyncGenerator[tuple[str, float], None]:
        """Texts with their scores. A worker ends at its first failure, so that a dead endpoint is soon left alone."""
        waiting = list(portions(query, texts, self._settings))
        answers: asyncio.Queue[list[tuple[str, float]] | None] = asyncio.Queue()
        count = min(len(waiting), self._settings.concurrent_requests)
        todo = iter(waiting)
        workers = [asyncio.create_task(self._work(query, todo, answers, call)) for _ in range(count)]
        try:
            while count:
                scored = await call.wait(answers.get())
                if scored is None:
                    count -= 1
                for pair in scored or ():
                    yield pair
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(
        self,
        query: str,
        todo: Iterator[Sequence[str]],
        answers: asyncio.Queue[list[tuple[str, float]] | None],
        call: Call,
    ) -> None:
        """Scores one portion after the other; None when there are none left, or one has failed."""
        try:
            for texts in todo:
                async with self._slots:
                    answers.put_nowait(await self._portion(query, texts, call))
        finally:
            answers.put_nowait(None)

    async def _portion(self, query: str, texts: Sequence[str], call: Call) -> list[tuple[str, float]]:
        async def attempt() -> Answer:
            call.usage.model_call_count += 1
            return await self.ask(query, texts)

        retries = self._settings.max_retries
        answer = await asked(attempt, judged=self.judged, retries=retries, call=call, pacing=self._pacing)
        self._count(answer, len(texts), call)
        scores = _believed(answer, len(texts), call)
        if not scores:
            raise no_answer().error
        return [(texts[index], score) for index, score in scores.items()]

    def _count(self, answer: Answer, pair_count: int, call: Call) -> None:
        call.usage.pair_count += pair_count
        call.usage.input_token_count += int(told_count(answer.token_count) or 0)
        if not self._product:
            return
        billed = told_count(answer.billed)
        if billed is None:
            call.note("the endpoint does not say what it bills; not charged")
        else:
            call.usage.charge(self._product, self.billing_unit, billed)


def no_answer() -> Failure:
    """What something means that is no answer."""
    return Failure(Unavailable("the endpoint does not answer as it should"))


def _believed(answer: Answer, count: int, call: Call) -> dict[int, float]:
    """The scores that can be used: of texts that were sent, the first of each, and finite numbers."""
    believed: dict[int, float] = {}
    for index, told in answer.scores:
        score = _number(told)
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count or index in believed:
            call.note("duplicate or unknown index dropped")
        elif score is None:
            call.note("score that is no finite number dropped")
        else:
            believed[index] = score
    return believed


def _number(told: Any) -> float | None:
    if not isinstance(told, (int, float)) or isinstance(told, bool):
        return None
    try:
        number = float(told)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
