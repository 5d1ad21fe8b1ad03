"""What plugins have in common whose model computes in batches: its loading, its queue, a thread that tokenizes."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field

from tamis.component import Component, Settings
from tamis_transformers.model_queue import ModelQueue

__all__ = ["QueuedModel", "QueuedModelSettings"]

Model = TypeVar("Model")
Item = TypeVar("Item")
Result = TypeVar("Result")
T = TypeVar("T")


class QueuedModelSettings(Settings):
    """`batch_token_count` is the padded size of a batch; more than `most_waiting` items are refused."""

    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch_token_count: Annotated[int, Field(ge=64)] = 4_096
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
        queue = ModelQueue(compute, batch_cost=self.batch_cost(model), most_waiting=settings.most_waiting)
        queue.start()
        self._opened = model, queue

    async def close(self) -> None:
        if self._opened is not None:
            await self._in_executor(self._opened[1].close)
        self._tokenizing.shutdown(wait=False)

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
