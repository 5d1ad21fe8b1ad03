"""What was measured on this machine, kept beside the exports so that the next start does not measure again."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import Field, TypeAdapter

from tamis_transformers.runtimes import keys
from tamis_transformers.runtimes.settings import BATCH_TOKEN_COUNT, RuntimeName, RuntimeSettings

__all__ = ["Calibration", "Wish", "facts", "recall", "remember", "wish_of"]

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the settings say about where a checkpoint computes; None, "auto": what was measured, or will be.

    Nothing is kept, and nothing measured, without a `cache`.
    """

    path: Path
    runtime: Literal["auto", "torch", "openvino", "onnxruntime"] = "auto"
    dtype: str = "auto"
    batch_token_count: int | None = None
    cache: Path | None = None

    @property
    def is_measured(self) -> bool:
        """Whether something is left to a measurement, and its outcome may be kept."""
        return self.cache is not None and (self.runtime == "auto" or self.batch_token_count is None)

    @property
    def file(self) -> Path | None:
        """Where the measurement is kept, by weights, wish, hardware and versions. Reads the weights."""
        if self.cache is None:
            return None
        known = keys.versions("torch", "transformers", "openvino", "onnxruntime")
        name = keys.key(keys.weights(self.path), self.runtime, self.dtype, keys.hardware(), known)
        return self.cache / f"calibration-{name}.json"


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fastest runtime, its batch size, and tokens per second of everything that was tried."""

    runtime: RuntimeName
    batch_token_count: Annotated[int, Field(ge=64)]
    tokens_per_second: dict[str, float]


_CALIBRATION = TypeAdapter(Calibration)


def wish_of(settings: RuntimeSettings, path: Path, cache: Path | None) -> Wish:
    """What settings say about a checkpoint."""
    return Wish(path, settings.runtime, settings.dtype, settings.batch_token_count, cache)


def facts(wish: Wish, device: str) -> list[str]:
    """For `tamis doctor`: where the checkpoint computes, or that this is still to be measured. Loads nothing."""
    batch = wish.batch_token_count or BATCH_TOKEN_COUNT
    unmeasured = "onnxruntime" if wish.dtype == "int8" else "torch" if wish.runtime == "auto" else wish.runtime
    if not wish.is_measured or device not in ("auto", "cpu"):
        return [f"runs in {unmeasured}, in batches of {batch} tokens"]
    found = recall(wish)
    if found is None:
        return [f"runs in {unmeasured}; an encoder on the CPU in what the first start measures to be fastest"]
    batch = wish.batch_token_count or found.batch_token_count
    return [f"runs in {found.runtime}, in batches of {batch} tokens, as measured here"]


def recall(wish: Wish) -> Calibration | None:
    """What was measured before; None when nothing was, or it cannot be read."""
    try:
        return _CALIBRATION.validate_json(wish.file.read_bytes()) if wish.file else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        _LOG.warning("a measurement of runtimes cannot be read and is made again")
        return None


def remember(wish: Wish, calibration: Calibration) -> None:
    """For the next start; a folder that cannot be written to costs that one a measurement, and is logged."""
    if wish.file is None:
        return
    try:
        wish.file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=wish.file.parent)
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(asdict(calibration), file)
            os.replace(name, wish.file)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        _LOG.warning("a measurement of runtimes cannot be kept", error=error.strerror)
