"""The layers on top of a ColBERT's encoder, from safetensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from tamis.errors import ConfigurationError
from tamis_transformers.checkpoint import json_of

__all__ = ["projection_of", "weight_files"]

_PACKAGES = {"", "torch.nn", "torch.nn.modules.linear", "torch.nn.modules.activation"}
_ACTIVATIONS = {"Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid"}


class _Layer(torch.nn.Module):
    """A linear layer and its activation, and beside them what came in, through a layer of its own or as it is."""

    def __init__(self, linear: torch.nn.Linear, activation: torch.nn.Module, beside: torch.nn.Module | None) -> None:
        super().__init__()
        self.linear, self.activation, self.beside = linear, activation, beside

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        projected: torch.Tensor = self.activation(self.linear(vectors))
        return projected if self.beside is None else projected + self.beside(vectors)


def projection_of(folders: Sequence[Path], *, width: int, device: Any) -> tuple[torch.nn.Module, int]:
    """The layers in these folders, one after the other, in float32, and how long the vectors are that they give.

    `width` is the length of the vectors that come in. Raises `ConfigurationError`.
    """
    layers = [_layer(folder) for folder in folders]
    for layer in layers:
        if layer.linear.in_features != width:
            raise ConfigurationError(f"{folders[0]}: a layer takes vectors of {layer.linear.in_features}, gets {width}")
        width = layer.linear.out_features
    return torch.nn.Sequential(*layers).to(device).eval(), width


def weight_files(folder: Path) -> list[Path]:
    """The safetensors in a folder, sorted by name. Raises `ConfigurationError` when there are none."""
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        pickled = sorted(each.name for each in folder.glob("*.bin"))
        why = f", only {pickled[0]}, a pickle, which may run code when it is read: save it as such" if pickled else ""
        raise ConfigurationError(f"{folder} holds no safetensors{why}")
    return found


def _layer(folder: Path) -> _Layer:
    said = json_of(folder / "config.json")
    name = str(said.get("activation_function", "Identity"))
    if not _is_known(name):
        raise ConfigurationError(f"{folder}: unknown activation function {name}")
    weights = _weights(folder, ("linear.weight", "linear.bias", "residual.weight"))
    if "linear.weight" not in weights:
        raise ConfigurationError(f"{folder} lacks the weights of its projection: linear.weight")
    beside: torch.nn.Module | None = None
    if said.get("use_residual"):
        beside = _linear(weights["residual.weight"]) if "residual.weight" in weights else torch.nn.Identity()
    activation: torch.nn.Module = getattr(torch.nn, name.rpartition(".")[2])()
    return _Layer(_linear(weights["linear.weight"], weights.get("linear.bias")), activation, beside)


def _is_known(activation: str) -> bool:
    package, _, name = activation.rpartition(".")
    return package in _PACKAGES and name in _ACTIVATIONS


def _linear(weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.nn.Linear:
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        linear.weight.copy_(weight)
        if bias is not None:
            linear.bias.copy_(bias)
    return linear


def _weights(folder: Path, names: Sequence[str]) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for file in weight_files(folder):
        try:
            with safe_open(file, framework="pt") as tensors:
                found |= {name: tensors.get_tensor(name) for name in names if name in tensors.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ConfigurationError(f"{file} cannot be read: {error}") from error
    return found
