"""Networks computed by ONNX Runtime, in float32 or with weights and activations of a byte."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import torch

from tamis_transformers.quiet import quiet
from tamis_transformers.runtimes import keys
from tamis_transformers.runtimes.exports import example, loaded
from tamis_transformers.runtimes.network import Network, Rows, padded, unpadded

__all__ = ["OnnxGraph"]

_FILE = "model.onnx"
_INPUTS = ("ids", "mask", "segments")
_MOST_ROWS = 65_536


class OnnxGraph:
    """A network exported from its torch weights, on the CPU, with as many threads as torch has."""

    def __init__(self, network: Network, *, weights: str, int8: bool, cache: Path | None, most_tokens: int) -> None:
        """`most_tokens` is the longest row there will be; the network's own precision must be float32. `int8`
        quantises the products of matrices: weights once, activations as they come."""
        self._form, self._int8, self._most_tokens = network.form, int8, most_tokens
        versions = keys.versions("onnxruntime", "onnx", "torch", "transformers")
        key = keys.key(weights, versions, repr((network.form, most_tokens)))

        def export(folder: Path) -> None:
            self._export(network, folder / _FILE)

        def quantise(folder: Path) -> None:
            loaded(cache, f"onnx-{key}", export, lambda full: _quantise(full / _FILE, folder / _FILE))

        name, make = (f"onnx-int8-{key}", quantise) if int8 else (f"onnx-{key}", export)
        self._graph = loaded(cache, name, make, self._load)

    @property
    def name(self) -> str:
        return f"onnxruntime {'int8' if self._int8 else 'float32'}"

    def run(self, rows: Rows) -> torch.Tensor:
        inputs = padded(self._form, rows)
        (output,) = self._graph.run(None, dict(zip(_INPUTS, inputs.arrays, strict=False)))
        return unpadded(output, inputs, self._form)

    def _export(self, network: Network, file: Path) -> None:
        arrays = example(network.form)
        shape = {0: torch.export.Dim("rows", max=_MOST_ROWS), 1: torch.export.Dim("tokens", max=self._most_tokens)}
        names = list(_INPUTS[: len(arrays)])
        logger = logging.getLogger("torch.onnx")
        level = logger.level
        logger.setLevel(logging.ERROR)  # it names every operator of packages that are not installed
        try:
            with warnings.catch_warnings(), quiet():
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    network,
                    arrays,
                    file,
                    dynamo=True,
                    dynamic_shapes=tuple(shape for _ in arrays),
                    input_names=names,
                    verbose=False,
                )
        finally:
            logger.setLevel(level)

    def _load(self, folder: Path) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(str(folder / _FILE), options, providers=["CPUExecutionProvider"])


def _quantise(full: Path, file: Path) -> None:
    """Without signs: processors that lack VNNI add signed products in sixteen bits, which overflow, or need weights of
    seven bits, which cost 2 % of nDCG@10 with MiniLM."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(full, file, op_types_to_quantize=["MatMul", "Gemm"], weight_type=QuantType.QUInt8)
