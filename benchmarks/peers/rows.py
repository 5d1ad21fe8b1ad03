"""The rows of the comparison: which runner, in which environment, with which options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from peers.environments import TAMIS

__all__ = ["OURS", "OURS_LATE", "REFERENCE", "ROWS", "Row", "chosen"]


@dataclass(frozen=True, slots=True)
class Row:
    """`served` rows take requests side by side; the others compute one after the other, in one queue.

    `same_model` rows give the scores of the same model, so that their order can be compared with the reference's.
    `needs` is a module of this environment without which the row is left out; `extra` rows are for `--full`.
    """

    name: str
    runner: str
    environment: str
    options: Mapping[str, Any] = field(default_factory=dict)
    served: bool = False
    same_model: bool = True
    needs: str = ""
    extra: bool = False


def _runtime(name: str) -> Mapping[str, Any]:
    return {"settings": {"runtime": name}}


REFERENCE = "sentence-transformers"
"""In float32 as it comes: whose order the others are compared with, and whose time."""
OURS = "tamis, server"
"""Whose documents a second are divided by each other row's."""
OURS_LATE = "tamis, late interaction, server"
"""The same where the other is late interaction."""
ROWS = (
    Row(OURS, "tamis_server", TAMIS, served=True),
    Row(REFERENCE, "sentence_transformers", "sentence-transformers"),
    Row("tamis, plugin alone", "tamis_plugin", TAMIS),
    Row("sentence-transformers, tuned", "sentence_transformers", "sentence-transformers", {"tuned": True}),
    Row("sentence-transformers, OpenVINO", "sentence_transformers", "openvino", {"backend": "openvino", "tuned": True}),
    Row("sentence-transformers, ONNX", "sentence_transformers", "onnx", {"backend": "onnx", "tuned": True}),
    Row("rerankers", "rerankers", "rerankers"),
    Row("haystack", "haystack", "haystack"),
    Row("infinity, server", "infinity", "infinity", served=True),
    Row("routir, server", "routir", "routir", served=True),
    Row(OURS_LATE, "tamis_server", TAMIS, {"late": True}, served=True, same_model=False),
    Row("pylate, late interaction", "pylate", "pylate", same_model=False),
    Row("tamis, server, torch", "tamis_server", TAMIS, _runtime("torch"), served=True, extra=True),
    Row(
        "tamis, server, OpenVINO",
        "tamis_server",
        TAMIS,
        _runtime("openvino"),
        served=True,
        needs="openvino",
        extra=True,
    ),
    Row(
        "tamis, server, ONNX",
        "tamis_server",
        TAMIS,
        _runtime("onnxruntime"),
        served=True,
        needs="onnxruntime",
        extra=True,
    ),
)
"""In the order in which they are measured; what matters most comes first, for time may run out."""


def chosen(name: str, *, full: bool = False) -> list[Row]:
    """Rows whose name has `name` in it, and always the reference and ours; without a name all, those for `--full` only
    with `full`. Raises `ValueError` when there is none."""
    wanted = [part.strip() for part in name.split(",") if part.strip()]
    found = [row for row in ROWS if (not wanted and full >= row.extra) or any(part in row.name for part in wanted)]
    if not found:
        raise ValueError(f"{name!r} is in none of: {'; '.join(row.name for row in ROWS)}")
    return [row for row in ROWS if row in found or row.name in (REFERENCE, OURS)]
