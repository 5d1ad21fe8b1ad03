"""Documents per second of a cross-encoder by runtime, precision, batch size and packing, beside the machine's peak.

    python benchmarks/runtimes.py COLLECTION [--documents N] [--threads N] [--runtimes torch,openvino] [--json FILE]

A head of random weights on the real MiniLM body reads the first question with each document, cut at 256 tokens; the
collection is of the formats of `judged.read`. Speeds are by wall time, or by processor time with one thread, which
other programs on the machine disturb less. Every row is the best of three passes, taken in turns.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import judged
import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tamis_transformers.checkpoint import BUNDLED, located
from tamis_transformers.runtimes.choice import choose
from tamis_transformers.runtimes.eager import PackedTorch, PaddedTorch
from tamis_transformers.runtimes.network import Form, Network, Rows, Runtime
from tamis_transformers.runtimes.stored import Wish

LONGEST = 256
SIZES = (512, 1_024, 2_048, 4_096)
PASSES = 3
VARIANTS = (
    ("torch", "float32", False),
    ("torch", "float32", True),
    ("torch", "bfloat16", True),
    ("openvino", "float32", False),
    ("openvino", "bfloat16", False),
    ("onnxruntime", "float32", False),
    ("onnxruntime", "int8", False),
)
"""Runtime, precision, packed."""


def measure(
    rows: Sequence[tuple[int, ...]], cache: Path, wanted: set[str], dtypes: set[str]
) -> tuple[list[dict[str, Any]], float]:
    """Documents per second of every variant at every size, and float32 operations per second of plain products."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    peak = matrix_peak(clock)
    found: list[dict[str, Any]] = []
    reference: torch.Tensor | None = None
    for name, dtype, packed in VARIANTS:
        if name not in wanted or dtype not in dtypes:
            continue
        runtime = placed(name, dtype, packed, cache)
        scores = scored(runtime, rows, SIZES[0])
        reference = scores if reference is None else reference
        for size in SIZES:
            rate = len(rows) / min(timed(runtime, rows, size, clock) for _ in range(PASSES))
            found.append(
                {
                    "runtime": name,
                    "dtype": dtype,
                    "packed": packed,
                    "batch_token_count": size,
                    "documents_per_second": rate,
                    "share_of_peak": rate * operations(rows) / len(rows) / peak,
                    "largest_difference": float((scores - reference).abs().max()),
                }
            )
    return found, peak


def placed(name: str, dtype: str, packed: bool, cache: Path) -> Runtime:
    """MiniLM with a head of one label, the same one each time."""
    path = located(BUNDLED)
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=1).eval()
    network = Network(model, Form(per_token=False, padding=0, reads_segments=True))
    cpu = torch.device("cpu")
    if name == "torch":
        network.to(getattr(torch, dtype))
        return (PackedTorch if packed else PaddedTorch)(network, cpu)
    wish = Wish(path, name, dtype, SIZES[0], cache)  # type: ignore[arg-type]
    return choose(network, wish, device=cpu, most_tokens=LONGEST).runtime


def batches(rows: Sequence[tuple[int, ...]], size: int) -> list[Rows]:
    """Longest first, each within `size` tokens when padded."""
    left, found = sorted(rows, key=len, reverse=True), []
    while left:
        count = max(1, size // len(left[0]))
        some, left = left[:count], left[count:]
        found.append(Rows(some, [(0,) * len(row) for row in some]))
    return found


def scored(runtime: Runtime, rows: Sequence[tuple[int, ...]], size: int) -> torch.Tensor:
    return torch.cat([runtime.run(batch) for batch in batches(rows, size)])


def timed(runtime: Runtime, rows: Sequence[tuple[int, ...]], size: int, clock: Callable[[], float]) -> float:
    whole = batches(rows, size)
    runtime.run(whole[0])
    begun = clock()
    for batch in whole:
        runtime.run(batch)
    return clock() - begun


def operations(rows: Sequence[tuple[int, ...]]) -> float:
    """Of the body's products of matrices, without padding: linear layers, and attention's two by length squared."""
    layers, width, inner = 6, 384, 1_536
    linear = 2 * layers * (4 * width * width + 2 * width * inner)
    return float(sum(len(row) * linear + 4 * layers * width * len(row) ** 2 for row in rows))


def matrix_peak(clock: Callable[[], float]) -> float:
    """The most float32 operations per second of products like the model's."""
    best = 0.0
    for rows, inner, columns in ((1_024, 384, 1_536), (2_048, 1_536, 384), (1_024, 1_024, 1_024)):
        left, right = torch.randn(rows, inner), torch.randn(columns, inner)
        for _ in range(10):
            begun = clock()
            torch.nn.functional.linear(left, right)
            best = max(best, 2 * rows * inner * columns / (clock() - begun))
    return best


def tokenized(folder: Path, count: int) -> list[tuple[int, ...]]:
    documents, (query, *_) = judged.read(folder)
    chance = np.random.default_rng(0)
    some = [documents[at] for at in chance.permutation(len(documents))[:count]]
    tokenizer = AutoTokenizer.from_pretrained(located(BUNDLED))
    texts = [f"{each.title}\n{each.text}" for each in some]
    read = tokenizer([query.text] * len(texts), texts, truncation="only_second", max_length=LONGEST)
    return [tuple(ids) for ids in read["input_ids"]]


def main(
    folder: Path,
    documents: Annotated[int, typer.Option(help="How many documents.")] = 48,
    threads: Annotated[int, typer.Option(help="Of each runtime.")] = 1,
    runtimes: Annotated[str, typer.Option(help="Some of torch, openvino, onnxruntime.")] = "torch,openvino,onnxruntime",
    dtypes: Annotated[str, typer.Option(help="Some of float32, bfloat16, int8.")] = "float32,int8",
    cache: Annotated[Path | None, typer.Option(help="Keeps exported models.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Where the figures go.")] = None,
) -> None:
    torch.set_num_threads(threads)
    rows = tokenized(folder, documents)
    with TemporaryDirectory() as other, torch.inference_mode():
        found, peak = measure(rows, cache or Path(other), set(runtimes.split(",")), set(dtypes.split(",")))
    mean = float(np.mean([len(row) for row in rows]))
    figures = {"peak": peak, "threads": threads, "cores": os.cpu_count(), "mean_tokens": mean, "rows": found}
    if as_json:
        as_json.write_text(json.dumps(figures, indent=1))
    table = Table(
        "runtime",
        "precision",
        "batch",
        "documents/s",
        "of peak",
        "Δ",
        title=f"{peak / 1e9:.0f} GFLOP/s, {mean:.0f} tokens",
    )
    for row in found:
        name = f"{row['runtime']}{', packed' if row['packed'] else ''}"
        rate, share, apart = row["documents_per_second"], row["share_of_peak"], row["largest_difference"]
        table.add_row(name, row["dtype"], str(row["batch_token_count"]), f"{rate:.1f}", f"{share:.0%}", f"{apart:.0e}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
