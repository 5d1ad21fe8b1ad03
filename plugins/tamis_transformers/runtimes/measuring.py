"""How fast a runtime is at each batch size: a short measurement with made-up tokens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tamis_transformers.runtimes.network import Network, Rows, Runtime

__all__ = ["BATCH_SIZES", "Sample", "measured", "preferred"]

BATCH_SIZES = (512, 1_024, 2_048, 4_096, 8_192)
"""Padded tokens of the batches that are tried, smallest first."""

_SECONDS = 2.0
_REPEATS = 3
_LONGEST = 256
_WORTH = 1.05


@dataclass(frozen=True, slots=True)
class Sample:
    """Made-up batches for a network of so many tokens in its vocabulary, which reads rows up to `most_tokens`. Each row
    ends with the token `end`, by which some heads find the end, and has it nowhere else."""

    vocabulary: int
    most_tokens: int
    reads_segments: bool
    end: int = 0

    @classmethod
    def of(cls, network: Network, most_tokens: int) -> Sample:
        """For a network."""
        config = network.model.config
        end, vocabulary = getattr(config, "eos_token_id", None), int(config.vocab_size)
        known = end if isinstance(end, int) and 0 <= end < vocabulary else 0
        return cls(vocabulary, most_tokens, network.form.reads_segments, known)

    def batch(self, size: int) -> Rows:
        """Rows as a queue puts them together, longest first and a little apart in length, of at most `size` tokens
        when padded; the same each time."""
        chance = np.random.default_rng(size)
        longest = max(4, min(_LONGEST, self.most_tokens, size))
        count = max(1, size // longest)
        lengths = np.linspace(longest, max(2, longest * 0.85), count).astype(int)
        others = np.delete(np.arange(self.vocabulary), self.end)
        tokens = [(*chance.choice(others, length - 1).tolist(), self.end) for length in lengths]
        return Rows(tokens, [(0,) * len(each) for each in tokens] if self.reads_segments else None)


def measured(
    runtime: Runtime, sample: Sample, *, clock: Callable[[], float] = time.perf_counter, seconds: float = _SECONDS
) -> dict[int, float]:
    """Tokens per second, padding not counted, by batch size. Ends after about `seconds`, with at least the smallest."""
    runtime.run(sample.batch(BATCH_SIZES[0]))  # the first run allocates
    begun, found = clock(), dict[int, float]()
    for size in BATCH_SIZES:
        batch = sample.batch(size)
        count = sum(map(len, batch.tokens))
        best = 0.0
        for _ in range(_REPEATS):
            start, speed = clock(), best or max(found.values(), default=0.0)
            if speed and start - begun + count / speed > seconds:
                break
            runtime.run(batch)
            best = max(best, count / max(clock() - start, 1e-9))
        if not best:
            break
        found[size] = best
    return found


def preferred(speeds: Mapping[int, float]) -> int:
    """The smallest batch within 5 % of the fastest: calls are told and withdrawn between batches."""
    best = max(speeds.values())
    return min(size for size, speed in speeds.items() if speed * _WORTH >= best)
