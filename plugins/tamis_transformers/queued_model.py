"""What plugins have in common whose model computes in batches: its loading, its queue, a thread that tokenizes."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field

from tamis.component import Component, Settings
from tamis.context import Call
from tamis_transformers.device_slot import slot_of
from tamis_transformers.model_queue import ModelQueue, Part

__all__ = ["QueuedModel", "QueuedModelSettings"]

Model = TypeVar("Model")
Item = TypeVar("Item")
Result = TypeVar("Result")
Text = TypeVar("Text")
T = TypeVar("T")
_FIRST, _MOST = 32, 256  # texts that are tokenized at a time; the call is asked in between


class QueuedModelSettings(Settings):
    """`batch_token_count` is the padded size of a batch, less where that takes longer than about `batch_seconds`; more
    than `most_waiting` items are refused."""

    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch_token_count: Annotated[int, Field(ge=64)] = 4_096
    batch_seconds: Annotated[float, Field(gt=0)] = 0.1
    most_waiting: Annotated[int, Field(ge=1)] = 20_000


class QueuedModel(Component, Generic[Model, Item, Result]):
    """A plugin that loads one model and has a queue compute with it."""

    def __init__(self, settings: QueuedModelSettings) -> None:
        super().__init__(settings)
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="tamis-tokenize")
        self._opened: tuple[Model, ModelQueue[Item, Result]] | None = None

    @abstractmethod
    def load(self) -> tuple[Model, Callable[[Sequence[Item]], Sequence[Result]]]:
        """Loads the weights; and what the queue computes with. Blocks. Raises `ConfigurationError`."""

    def batch_cost(self, model: Model) -> int:
        """The padded size of a batch."""
        settings: QueuedModelSettings = self.settings
        return settings.batch_token_count

    async def open(self) -> None:
        model, compute = await self._in_executor(self.load)
        settings: QueuedModelSettings = self.settings
        queue = ModelQueue(
            compute,
            batch_cost=self.batch_cost(model),
            batch_seconds=settings.batch_seconds,
            most_waiting=settings.most_waiting,
            slot=await self._in_executor(slot_of, settings.device),
        )
        queue.start()
        self._opened = model, queue

    async def close(self) -> None:
        if self._opened is not None:
            await self._in_executor(self._opened[1].close)
        self._tokenizing.shutdown(wait=False)

    async def computed(
        self,
        texts: Sequence[Text],
        tokenized: Callable[[Sequence[Text]], Sequence[Item]],
        token_count: Callable[[Item], int],
        call: Call,
    ) -> AsyncGenerator[tuple[int, Result], None]:
        """Position and result of each item that `tokenized` makes of the texts, counted over all of them.

        Some texts are computed while the next are tokenized, in order, in a thread. The tokens of what is computed are
        in the call's usage. Raises as `ModelQueue.stream_parts` does.
        """
        counts: list[int] = []

        async def parts() -> AsyncGenerator[Part[Item], None]:
            start, size = 0, _FIRST
            while start < len(texts):
                call.check()
                items = await self._in_executor(tokenized, texts[start : start + size])
                costs = [token_count(each) for each in items]
                counts.extend(costs)
                yield items, costs
                start, size = start + size, min(_MOST, 2 * size)

        async with aclosing(self._queue.stream_parts(parts(), call, count=len(texts))) as stream:
            async for position, result in stream:
                call.usage.input_token_count += counts[position]
                yield position, result

    async def _in_executor(self, work: Callable[..., T], *arguments: Any) -> T:
        """In the thread that tokenizes."""
        return await asyncio.get_running_loop().run_in_executor(self._tokenizing, work, *arguments)

    @property
    def _model(self) -> Model:
        return self._both[0]

    @property
    def _queue(self) -> ModelQueue[Item, Result]:
        return self._both[1]

    @property
    def _both(self) -> tuple[Model, ModelQueue[Item, Result]]:
        if self._opened is None:
            raise RuntimeError("the model is not open")
        return self._opened
