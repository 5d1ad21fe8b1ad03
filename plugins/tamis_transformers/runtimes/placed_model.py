"""What plugins have in common whose model can compute in several runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

from tamis_transformers.queued_model import QueuedModel
from tamis_transformers.runtimes.settings import RuntimeSettings
from tamis_transformers.runtimes.stored import Wish, facts, wish_of

__all__ = ["PlacedModel"]


class Placed(Protocol):
    """A model that knows the padded size of its batches."""

    batch_token_count: int


Model = TypeVar("Model", bound=Placed)
Item = TypeVar("Item")
Result = TypeVar("Result")


class PlacedModel(QueuedModel[Model, Item, Result]):
    """A queued model that is placed in a runtime by its settings and by what was measured."""

    def __init__(self, settings: RuntimeSettings, path: Path) -> None:
        """`path` is the checkpoint's folder."""
        super().__init__(settings)
        self._placing, self._path = settings, path

    def batch_cost(self, model: Model) -> int:
        return model.batch_token_count

    def facts(self) -> list[str]:
        return facts(self._wish, self._placing.device)

    @property
    def _wish(self) -> Wish:
        return wish_of(self._placing, self._path, self.cache_directory)
