"""The measurement that chooses runtime and batch size: by a made-up clock, kept, and made only where it may be kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import cross_encoders
from structlog.testing import capture_logs

from tamis_transformers import CrossEncoderReranker
from tamis_transformers.runtimes import choice, keys
from tamis_transformers.runtimes.measuring import BATCH_SIZES, Sample, measured, preferred
from tamis_transformers.runtimes.network import Rows
from tamis_transformers.runtimes.stored import Calibration, Wish, facts, recall, remember

SAMPLE = Sample(vocabulary=60, most_tokens=100, reads_segments=True)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cross_encoders.save_bert(tmp_path_factory.mktemp("bert") / "bert")


class Machine:
    """A runtime and its clock: `overhead` seconds for a batch, and then `pace` tokens a second."""

    name = "made up"

    def __init__(self, overhead: float, pace: float) -> None:
        self._overhead, self._pace, self.now, self.sizes = overhead, pace, 0.0, list[int]()

    def run(self, rows: Rows) -> torch.Tensor:
        count = sum(map(len, rows.tokens))
        self.now += self._overhead + count / self._pace
        self.sizes.append(count)
        return torch.zeros(len(rows.tokens), 1)

    def measured(self) -> dict[int, float]:
        return measured(self, SAMPLE, clock=lambda: self.now)


def test_a_machine_that_gains_nothing_by_size_gets_the_smallest_batches() -> None:
    assert preferred(Machine(0.0, 100_000).measured()) == BATCH_SIZES[0]


def test_a_machine_with_a_dear_start_gets_large_batches() -> None:
    assert preferred(Machine(0.01, 1_000_000).measured()) == BATCH_SIZES[-1]


def test_a_slow_machine_is_measured_at_the_smallest_size_only_and_soon_left_alone() -> None:
    machine = Machine(0.0, 200)
    assert list(machine.measured()) == [BATCH_SIZES[0]]
    assert len(machine.sizes) == 2


def test_sample_batches_fill_their_size_when_padded_and_are_the_same_each_time() -> None:
    for size in BATCH_SIZES:
        batch = SAMPLE.batch(size)
        longest = max(map(len, batch.tokens))
        assert size * 0.75 < longest * len(batch.tokens) <= size
        assert batch == SAMPLE.batch(size)
        assert longest <= SAMPLE.most_tokens


def test_what_was_measured_is_found_again_and_only_for_the_same_wish(checkpoint: Path, tmp_path: Path) -> None:
    wish, found = Wish(checkpoint, cache=tmp_path), Calibration("openvino", 1_024, {"openvino 1024": 9.0})
    assert recall(wish) is None
    remember(wish, found)
    assert recall(wish) == found
    assert recall(Wish(checkpoint, dtype="bfloat16", cache=tmp_path)) is None


def test_another_machine_or_version_is_measured_anew(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = Wish(checkpoint, cache=tmp_path)
    remember(wish, Calibration("torch", 512, {}))
    for name in ("hardware", "versions"):
        with monkeypatch.context() as changed:
            changed.setattr(keys, name, lambda *_: "other")
            assert recall(wish) is None


def test_a_damaged_measurement_is_logged_and_made_again(checkpoint: Path, tmp_path: Path) -> None:
    wish = Wish(checkpoint, cache=tmp_path)
    remember(wish, Calibration("torch", 512, {}))
    assert wish.file is not None
    wish.file.write_text("{torn")
    with capture_logs() as logs:
        assert recall(wish) is None
    assert [each["log_level"] for each in logs] == ["warning"]


async def test_a_start_measures_once_and_the_next_one_remembers(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds = {"torch float32, packed": {512: 100.0, 1_024: 120.0}, "openvino float32": {512: 90.0}}
    asked: list[str] = []

    def by_name(runtime: Any, _: Sample) -> dict[int, float]:
        asked.append(runtime.name)
        return speeds[runtime.name]

    monkeypatch.setattr(choice, "measured", by_name)
    for _ in range(2):
        it = await _opened(checkpoint, tmp_path)
        assert it.facts() == ["runs in torch, in batches of 1024 tokens, as measured here"]
        await it.close()
    assert sorted(asked) == sorted(speeds)


async def test_nothing_is_measured_where_nothing_may_be_kept(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "measured", None)
    it = await _opened(checkpoint, None)
    assert it.facts() == ["runs in torch, in batches of 4096 tokens"]
    await it.close()


def test_doctor_is_told_what_is_set_and_what_is_still_to_be_measured(checkpoint: Path, tmp_path: Path) -> None:
    (told,) = facts(Wish(checkpoint, "openvino", "auto", 1_024, tmp_path), "auto")
    assert told == "runs in openvino, in batches of 1024 tokens"
    (told,) = facts(Wish(checkpoint, cache=tmp_path), "auto")
    assert "first start" in told
    (told,) = facts(Wish(checkpoint, cache=tmp_path), "cuda")
    assert told == "runs in torch, in batches of 4096 tokens"


async def _opened(path: Path, cache: Path | None) -> CrossEncoderReranker:
    it = CrossEncoderReranker(CrossEncoderReranker.Settings(model=str(path), device="cpu", dtype="float32"))
    it.cache_directory = cache
    await it.open()
    return it
