"""The most this machine multiplies: square matrices by torch, all threads, in the environment of Tamis."""

from __future__ import annotations

import json
import time

import torch

_SIZES = (256, 512, 1_024, 2_048)
_SECONDS = 0.7


def peak(dtype: torch.dtype) -> float:
    """The best product of any size, in operations a second; larger ones only as long as they are quick."""
    best = 0.0
    for size in _SIZES:
        left, right = (torch.rand(size, size).to(dtype) for _ in range(2))
        until, taken = time.perf_counter() + _SECONDS, 0.0
        while time.perf_counter() < until:
            begun = time.perf_counter()
            torch.mm(left, right)
            taken = time.perf_counter() - begun
            best = max(best, 2 * size**3 / taken)
        if taken > _SECONDS / 8:
            break
    return best


if __name__ == "__main__":
    found = {str(each).removeprefix("torch."): peak(each) for each in (torch.float32, torch.bfloat16)}
    print(json.dumps({"flops": found, "threads": torch.get_num_threads(), "torch": torch.__version__}))
