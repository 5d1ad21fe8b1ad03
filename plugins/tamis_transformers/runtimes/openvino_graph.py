"""Networks computed by OpenVINO."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any, cast

import torch

from tamis_transformers.quiet import quiet
from tamis_transformers.runtimes import keys
from tamis_transformers.runtimes.exports import example, loaded
from tamis_transformers.runtimes.network import Network, Rows, padded, unpadded

__all__ = ["OpenVinoGraph"]

_FILE = "model.xml"


class OpenVinoGraph:
    """A network converted from its torch weights, on the CPU, with as many threads as torch has."""

    def __init__(self, network: Network, *, weights: str, dtype: torch.dtype, cache: Path | None) -> None:
        """`dtype` is that of the computation, float32 or bfloat16; the network's own must be float32."""
        self._form, self._dtype = network.form, dtype
        versions = keys.versions("openvino", "torch", "transformers")
        name = f"openvino-{keys.key(weights, versions, repr(network.form))}"
        self._graph = loaded(cache, name, lambda folder: self._make(network, folder), self._load)

    @property
    def name(self) -> str:
        return f"openvino {str(self._dtype).removeprefix('torch.')}"

    def run(self, rows: Rows) -> torch.Tensor:
        inputs = padded(self._form, rows)
        return unpadded(self._graph(list(inputs.arrays))[0], inputs, self._form)

    def _make(self, network: Network, folder: Path) -> None:
        openvino = _openvino()
        with warnings.catch_warnings(), quiet():
            warnings.simplefilter("ignore")  # about tracing: that shapes stay dynamic is tested
            model = openvino.convert_model(network, example_input=example(network.form))
        openvino.save_model(model, folder / _FILE, compress_to_fp16=False)

    def _load(self, folder: Path) -> Any:
        openvino = _openvino()
        precision = "bf16" if self._dtype is torch.bfloat16 else "f32"
        hints = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": precision,
        }
        return openvino.Core().compile_model(str(folder / _FILE), "CPU", hints)


def _openvino() -> Any:
    """The package, without what reports its use to its makers."""
    sys.modules.setdefault("openvino_telemetry", cast("Any", None))
    import openvino

    return openvino
