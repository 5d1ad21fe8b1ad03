"""Which runtime a network computes in, and in batches of which size: as set, as measured before, or measured now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
import torch

from tamis.errors import ConfigurationError
from tamis_transformers.checkpoint import dtype as dtype_of
from tamis_transformers.runtimes import keys
from tamis_transformers.runtimes.eager import PackedTorch, PaddedTorch, packs
from tamis_transformers.runtimes.measuring import Sample, measured, preferred
from tamis_transformers.runtimes.network import Network, Runtime
from tamis_transformers.runtimes.settings import BATCH_TOKEN_COUNT, RuntimeName
from tamis_transformers.runtimes.stored import Calibration, Wish, recall, remember

__all__ = ["Choice", "choose", "weights_dtype"]

_LOG = structlog.get_logger(__name__)
_NEEDED = {"openvino": ("openvino",), "onnxruntime": ("onnxruntime", "onnx", "onnxscript")}


@dataclass(frozen=True, slots=True)
class Choice:
    """A network in its runtime, and the padded size of its batches."""

    runtime: Runtime
    batch_token_count: int


def choose(network: Network, wish: Wish, *, device: torch.device, most_tokens: int) -> Choice:
    """The network, on its device and in its `weights_dtype`, in the runtime that the wish comes to. Blocks, and may
    measure for some seconds. The network is the runtime's from then on. Raises `ConfigurationError`."""
    makers = _Makers(network, wish, device, most_tokens)
    if device.type != "cpu" or not wish.is_measured:
        return Choice(makers.make(_unmeasured(wish, device)), wish.batch_token_count or BATCH_TOKEN_COUNT)
    found = recall(wish)
    if found is None:
        found = _calibrated(makers, wish)
        if found.tokens_per_second:
            remember(wish, found)
    runtime = makers.made([*dict.fromkeys((found.runtime, *_candidates(wish)))])
    return Choice(runtime, wish.batch_token_count or found.batch_token_count)


def weights_dtype(wish: Wish, device: torch.device) -> torch.dtype:
    """The precision to load weights in: float32 where they may be exported, else that of the computation."""
    may_be_exported = wish.runtime not in ("auto", "torch") or (wish.runtime == "auto" and wish.is_measured)
    if wish.dtype == "int8" or (device.type == "cpu" and may_be_exported):
        return torch.float32
    found: torch.dtype = dtype_of(wish.dtype, device)
    return found


def _unmeasured(wish: Wish, device: torch.device) -> RuntimeName:
    inferred: RuntimeName = "onnxruntime" if wish.dtype == "int8" else "torch"
    name = inferred if wish.runtime == "auto" else wish.runtime
    if name != "torch" and device.type != "cpu":
        raise ConfigurationError(f'runtime = "{name}" computes on the CPU; set device = "cpu"')
    return name


def _candidates(wish: Wish) -> tuple[RuntimeName, ...]:
    """ONNX Runtime was the slowest wherever it was measured, and takes ten seconds to export: only when asked for."""
    if wish.runtime != "auto" or wish.dtype == "int8":
        return (_unmeasured(wish, torch.device("cpu")),)
    openvino = keys.is_installed(*_NEEDED["openvino"]) and wish.dtype != "float16"
    return ("openvino", "torch") if openvino else ("torch",)


def _calibrated(makers: _Makers, wish: Wish) -> Calibration:
    begun = time.perf_counter()
    _LOG.info("measuring which runtime is fastest", model=wish.path.name)
    found: dict[RuntimeName, dict[int, float]] = {}
    sample, candidates = Sample.of(makers.network, makers.most_tokens), _candidates(wish)
    if len(candidates) == 1:
        makers.make(candidates[0])  # there is no other
    for name in candidates:  # torch last: it changes the network's precision and attention
        try:
            found[name] = measured(makers.make(name), sample)
        except Exception as error:  # a start must not fail for what might have been faster
            _LOG.warning("a runtime could not be measured", model=wish.path.name, runtime=name, reason=str(error))
    if not found:
        return Calibration(candidates[-1], BATCH_TOKEN_COUNT, {})
    fastest = max(found, key=lambda name: max(found[name].values()))
    batch = preferred(found[fastest])
    _LOG.info(
        "measured", model=wish.path.name, runtime=fastest, batch_token_count=batch, seconds=time.perf_counter() - begun
    )
    speeds = {f"{name} {size}": speed for name, sizes in found.items() for size, speed in sizes.items()}
    return Calibration(fastest, batch, speeds)


class _Makers:
    """Puts one network into runtimes, each at most once."""

    def __init__(self, network: Network, wish: Wish, device: torch.device, most_tokens: int) -> None:
        self.network, self.most_tokens = network, most_tokens
        self._wish, self._device = wish, device
        self._made: dict[RuntimeName, Runtime] = {}

    def made(self, names: Sequence[RuntimeName]) -> Runtime:
        """The first of these that can be made. Raises `ConfigurationError` when none can."""
        for name in names[:-1]:
            try:
                return self.make(name)
            except ConfigurationError as error:
                _LOG.warning("a runtime cannot be used", model=self._wish.path.name, runtime=name, reason=error.message)
        return self.make(names[-1])

    def make(self, name: RuntimeName) -> Runtime:
        """Raises `ConfigurationError`."""
        if name not in self._made:
            make = {"torch": self._torch, "openvino": self._openvino, "onnxruntime": self._onnx}[name]
            try:
                self._made[name] = make()
            except Exception as error:  # converters raise what they like
                if name == "torch" or isinstance(error, ConfigurationError):
                    raise
                message = f'runtime = "{name}" cannot compute the model {self._wish.path.name}; torch can'
                raise ConfigurationError(message) from error
        return self._made[name]

    def _torch(self) -> Runtime:
        if self._wish.dtype == "int8":
            raise ConfigurationError('dtype = "int8" is for runtime = "onnxruntime"')
        self.network.to(self._device, dtype_of(self._wish.dtype, self._device))
        packed = packs(self.network) and self._device.type == "cpu"
        return (PackedTorch if packed else PaddedTorch)(self.network, self._device)

    def _openvino(self) -> Runtime:
        self._check("openvino", ("auto", "float32", "bfloat16"))
        from tamis_transformers.runtimes.openvino_graph import OpenVinoGraph

        dtype = dtype_of(self._wish.dtype, self._device)
        return OpenVinoGraph(self.network, weights=keys.weights(self._wish.path), dtype=dtype, cache=self._wish.cache)

    def _onnx(self) -> Runtime:
        self._check("onnxruntime", ("auto", "float32", "int8"))
        from tamis_transformers.runtimes.onnx_graph import OnnxGraph

        return OnnxGraph(
            self.network,
            weights=keys.weights(self._wish.path),
            int8=self._wish.dtype == "int8",
            cache=self._wish.cache,
            most_tokens=self.most_tokens,
        )

    def _check(self, name: RuntimeName, dtypes: tuple[str, ...]) -> None:
        if not keys.is_installed(*_NEEDED[name]):
            raise ConfigurationError(f"runtime = \"{name}\" needs packages: pip install 'tamis[{name}]'")
        if self._wish.dtype not in dtypes:
            raise ConfigurationError(
                f'dtype = "{self._wish.dtype}" is not computed by runtime = "{name}"; it has {", ".join(dtypes)}'
            )
