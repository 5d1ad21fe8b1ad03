"""Settings of Tamis' cross-encoder for a row: the same cut as the peers', and no memory of earlier scores."""

from __future__ import annotations

from typing import Any

from protocol import Given

from tamis_transformers import CrossEncoderReranker

__all__ = ["dtype_of", "stage_settings"]

_NO_MEMORY = {"cached_scores": 0}
"""Scores that are remembered would make the second pass free."""


def stage_settings(given: Given) -> dict[str, Any]:
    """Without those that this version does not have yet. Raises `ValueError` for one that the row needs."""
    known = CrossEncoderReranker.Settings.model_fields
    wished = given.get("settings", {})
    if missing := wished.keys() - known.keys():
        raise ValueError(f"this version has no setting {', '.join(sorted(missing))}")
    off = {name: value for name, value in _NO_MEMORY.items() if name in known}
    return {"model": given["model"], "max_tokens": 256, "long_passages": "cut", **off, **wished}


def dtype_of(given: Given) -> str:
    """What `auto` comes to here, in PyTorch."""
    import torch

    from tamis_transformers.checkpoint import dtype

    found = dtype(given.get("settings", {}).get("dtype", "auto"), torch.device("cpu"))
    return str(found).removeprefix("torch.")
