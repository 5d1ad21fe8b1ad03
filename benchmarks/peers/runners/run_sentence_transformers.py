"""sentence-transformers: `CrossEncoder.predict`, as it comes or tuned, on any of its backends.

Options: `backend`; `tuned`, then in bfloat16 where the processor multiplies it, with the best of a few batch sizes.
`predict` itself sorts pairs by length.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from protocol import Given, Peer, best_of, one_at_a_time, run, versions
from sentence_transformers import CrossEncoder

_SIZES = (4, 8, 16, 32, 64)


def opened(given: Given) -> Peer:
    """With scores before any activation, as every other peer's."""
    backend, tuned = given.get("backend", "torch"), given.get("tuned", False)
    dtype = "bfloat16" if backend == "torch" and tuned and _multiplies_bfloat16() else "float32"
    model = CrossEncoder(
        _exported(given, backend), backend=backend, device="cpu", model_kwargs=_options(backend, dtype)
    )

    def predict(size: int, query: str, texts: Sequence[str]) -> Any:
        pairs = [(query, text) for text in texts]
        return model.predict(pairs, batch_size=size, activation_fn=torch.nn.Identity(), show_progress_bar=False)

    size = 32
    if tuned:
        sample = given["sample"]
        size = best_of(_SIZES, lambda tried: predict(tried, sample["query"], sample["texts"]))
    note = f"batches of {size}" if tuned else ""
    return Peer(
        one_at_a_time(lambda query, texts: predict(size, query, texts)),
        dtype=_native(backend) or dtype,
        versions=versions("sentence-transformers", "transformers", "openvino", "onnxruntime"),
        note=note,
    )


def _options(backend: str, dtype: str) -> dict[str, Any]:
    if backend == "torch":
        return {"torch_dtype": dtype}
    return {"provider": "CPUExecutionProvider"} if backend == "onnx" else {}


def _exported(given: Given, backend: str) -> str:
    """A copy for backends that write what they make of a checkpoint beside it."""
    if backend == "torch":
        return str(given["model"])
    copy = Path(given["work"]) / "model"
    if not copy.exists():
        copy.mkdir(parents=True)
        for file in Path(given["model"]).iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
    return str(copy)


def _native(backend: str) -> str | None:
    """OpenVINO computes in bfloat16 by itself where the processor does."""
    return "bfloat16" if backend == "openvino" and _multiplies_bfloat16() else None


def _multiplies_bfloat16() -> bool:
    tells = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(tell() for tell in tells if tell is not None)


if __name__ == "__main__":
    run(opened)
