"""Documents per second on a CUDA device by precision, attention and packing: python benchmarks/gpu.py [--documents N]

MiniLM with a head of random weights reads made-up rows of 128 to 256 tokens. Without a device it says so and ends.
"""

from __future__ import annotations

import time
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForSequenceClassification

from tamis_transformers.checkpoint import BUNDLED, located
from tamis_transformers.runtimes.eager import PackedTorch, PaddedTorch
from tamis_transformers.runtimes.network import Form, Network, Rows, Runtime

SIZES = (4_096, 16_384, 65_536)
VARIANTS = (
    ("float32", "eager"),
    ("float32", "sdpa"),
    ("bfloat16", "sdpa"),
    ("float16", "sdpa"),
    ("bfloat16", "packed"),
    ("float16", "packed"),
)
"""Precision and attention; packed rows are attended to by one kernel over all of them."""


def placed(dtype: str, attention: str, device: torch.device) -> Runtime:
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(located(BUNDLED), num_labels=1).eval()
    network = Network(model.to(device, getattr(torch, dtype)), Form(per_token=False, reads_segments=True))
    if attention == "packed":
        return PackedTorch(network, device)
    model.set_attn_implementation(attention)
    return PaddedTorch(network, device)


def rate(runtime: Runtime, batches: list[Rows], device: torch.device) -> float:
    """Documents per second, scores on the host; the best of three passes after a first one."""
    best = 0.0
    for _ in range(4):
        if device.type == "cuda":
            torch.cuda.synchronize()
        begun = time.perf_counter()
        for batch in batches:
            runtime.run(batch).cpu()
        best = max(best, sum(len(batch.tokens) for batch in batches) / (time.perf_counter() - begun))
    return best


def made_up(count: int, size: int) -> list[Rows]:
    """Longest first, each batch within `size` tokens when padded."""
    chance = np.random.default_rng(0)
    lengths = sorted(chance.integers(128, 257, count).tolist(), reverse=True)
    found: list[Rows] = []
    while lengths:
        some = lengths[: max(1, size // lengths[0])]
        lengths = lengths[len(some) :]
        tokens = [tuple(chance.integers(1_000, 30_000, length).tolist()) for length in some]
        found.append(Rows(tokens, [(0,) * length for length in some]))
    return found


def main(
    documents: Annotated[int, typer.Option(help="How many documents.")] = 2_000,
    on: Annotated[str, typer.Option(help="The torch device; `cpu` only shows that this runs.")] = "cuda",
) -> None:
    if on == "cuda" and not torch.cuda.is_available():
        print("there is no CUDA device here")
        return
    device = torch.device(on)
    name = torch.cuda.get_device_name() if on == "cuda" else on
    table = Table("precision", "attention", "batch", "documents/s", title=name)
    for dtype, attention in VARIANTS:
        runtime = placed(dtype, attention, device)
        for size in SIZES:
            try:
                figure = f"{rate(runtime, made_up(documents, size), device):,.0f}"
            except (RuntimeError, ImportError) as error:
                figure = f"{type(error).__name__}: {str(error).splitlines()[0][:60]}"
            table.add_row(dtype, attention, str(size), figure)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
