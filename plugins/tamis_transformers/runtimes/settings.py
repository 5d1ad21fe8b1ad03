"""The settings of models that can compute in several runtimes."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from tamis_transformers.queued_model import QueuedModelSettings

__all__ = ["BATCH_TOKEN_COUNT", "RuntimeName", "RuntimeSettings"]

BATCH_TOKEN_COUNT = 4_096
"""A batch's padded size where nothing has been measured."""

_Count: TypeAlias = Annotated[
    Annotated[int, Field(ge=64)] | None, BeforeValidator(lambda given: None if given == "auto" else given)
]
RuntimeName: TypeAlias = Literal["torch", "openvino", "onnxruntime"]


class RuntimeSettings(QueuedModelSettings):
    """`runtime` is where an encoder computes: `auto` takes what was measured to be fastest here, torch where nothing
    may be kept. `batch_token_count` is a batch's padded size, `auto` (None) for the measured one. `int8` is for
    ONNX Runtime and never chosen by itself."""

    runtime: Literal["auto", "torch", "openvino", "onnxruntime"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto"  # type: ignore[assignment]
    batch_token_count: _Count = None  # type: ignore[assignment]
