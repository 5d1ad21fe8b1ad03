"""The precision that is chosen for a device."""

from __future__ import annotations

import pytest
import torch

from tamis_transformers import checkpoint


@pytest.mark.parametrize(("is_native", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_cuda_computes_in_bfloat16_where_it_is_native(
    monkeypatch: pytest.MonkeyPatch, is_native: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: is_native or including_emulation)
    assert checkpoint.dtype("auto", torch.device("cuda")) is expected


@pytest.mark.parametrize(("is_native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_cpu_computes_in_bfloat16_where_it_is_native(
    monkeypatch: pytest.MonkeyPatch, is_native: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(checkpoint, "_cpu_multiplies_bfloat16", lambda: is_native)
    assert checkpoint.dtype("auto", torch.device("cpu")) is expected


def test_what_is_asked_for_is_taken() -> None:
    assert checkpoint.dtype("float32", torch.device("cuda")) is torch.float32
    assert checkpoint.device("cpu").type == "cpu"
    assert checkpoint.device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
