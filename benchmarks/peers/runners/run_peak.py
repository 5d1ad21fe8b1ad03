"""The most this machine multiplies: square matrices by torch, all threads, in the environment of Tamis."""

from __future__ import annotations

import json
import time

import torch

_SIZE = 2_048
_SECONDS = 3.0


def peak(dtype: torch.dtype) -> float:
    """The best of as many products as fit into three seconds, in floating-point operations a second."""
    left, right = (torch.rand(_SIZE, _SIZE).to(dtype) for _ in range(2))
    best, until = float("inf"), time.perf_counter() + _SECONDS
    while time.perf_counter() < until:
        begun = time.perf_counter()
        torch.mm(left, right)
        best = min(best, time.perf_counter() - begun)
    return 2 * _SIZE**3 / best


if __name__ == "__main__":
    found = {str(each).removeprefix("torch."): peak(each) for each in (torch.float32, torch.bfloat16)}
    print(json.dumps({"flops": found, "threads": torch.get_num_threads(), "torch": torch.__version__}))
