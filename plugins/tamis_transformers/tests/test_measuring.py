"""The measurement that chooses runtime and batch size: by a made-up clock, kept, and made only where it may be kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import cross_encoders
from structlog.testing import capture_logs

from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.model import Passage, Query
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


@pytest.mark.parametrize(
    "damaged",
    [
        b"{torn",
        b"",
        b"{}",
        b"\xff",
        b'{"runtime": "other", "batch_token_count": 512, "tokens_per_second": {}}',
        b'{"runtime": "torch", "batch_token_count": -1, "tokens_per_second": {}}',
        b'{"runtime": "torch", "batch_token_count": NaN, "tokens_per_second": {}}',
    ],
)
def test_a_damaged_measurement_is_logged_and_made_again(checkpoint: Path, tmp_path: Path, damaged: bytes) -> None:
    wish = Wish(checkpoint, cache=tmp_path)
    assert wish.file is not None
    wish.file.write_bytes(damaged)
    with capture_logs() as logs:
        assert recall(wish) is None
    assert [each["log_level"] for each in logs] == ["warning"]


def test_a_measurement_that_cannot_be_kept_is_logged_and_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    wish = Wish(checkpoint, cache=tmp_path)
    assert wish.file is not None
    wish.file.mkdir()
    with capture_logs() as logs:
        remember(wish, Calibration("torch", 512, {}))
    assert [each["log_level"] for each in logs] == ["warning"]
    assert [*tmp_path.iterdir()] == [wish.file]


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


@pytest.mark.long
async def test_a_model_that_openvino_cannot_convert_computes_in_torch(tmp_path: Path) -> None:
    path = cross_encoders.save_qwen3_classifier(tmp_path / "qwen3")
    it = await _opened(path, tmp_path / "cache", template="qwen3")
    assert it.facts()[0].startswith("runs in torch")
    await it.close()


@pytest.fixture
def unconvertible(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("conversion")

    monkeypatch.setattr("tamis_transformers.runtimes.openvino_graph.OpenVinoGraph._make", fails)
    monkeypatch.setattr(choice, "measured", lambda *_: {512: 1.0})


@pytest.mark.usefixtures("unconvertible")
async def test_a_model_that_cannot_be_converted_computes_in_torch_and_is_not_tried_again(
    checkpoint: Path, tmp_path: Path
) -> None:
    for logged in (["a runtime could not be measured"], []):
        with capture_logs() as logs:
            it = await _opened(checkpoint, tmp_path)
        assert [each["event"] for each in logs if each["log_level"] == "warning"] == logged
        assert it.facts() == ["runs in torch, in batches of 512 tokens, as measured here"]
        await it.close()


@pytest.mark.usefixtures("unconvertible")
async def test_a_runtime_that_was_asked_for_and_cannot_compute_the_model_is_refused(
    checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match='"openvino" cannot compute the model bert'):
        await _opened(checkpoint, tmp_path, runtime="openvino")


@pytest.mark.usefixtures("unconvertible")
async def test_an_export_that_is_gone_and_cannot_be_made_again_costs_speed_and_no_start(
    checkpoint: Path, tmp_path: Path
) -> None:
    remember(Wish(checkpoint, dtype="float32", cache=tmp_path), Calibration("openvino", 512, {"openvino 512": 1.0}))
    it = await _opened(checkpoint, tmp_path)
    query, passage = Query("tides", "c"), Passage("p", "d", 1, "the moon")
    assert [index async for index, _ in it.score(query, [passage], call=Call())] == [0]
    await it.close()


@pytest.mark.parametrize("is_measurable", [True, False])
async def test_what_cannot_be_measured_computes_in_torch(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_measurable: bool
) -> None:
    def by_name(runtime: Any, _: Sample) -> dict[int, float]:
        if "openvino" in runtime.name or not is_measurable:
            raise ValueError("no token that ends the row")
        return {1_024: 1.0}

    monkeypatch.setattr(choice, "measured", by_name)
    it = await _opened(checkpoint, tmp_path)
    assert ("1024 tokens, as measured" if is_measurable else "first start") in it.facts()[0]
    await it.close()


async def test_a_cache_that_cannot_be_written_to_costs_speed_and_no_start(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "measured", lambda *_: {512: 1.0})
    (tmp_path / "file").touch()
    it = await _opened(checkpoint, tmp_path / "file" / "cache")
    assert "first start" in it.facts()[0]
    await it.close()


def test_sample_rows_end_with_the_token_by_which_a_head_finds_the_end() -> None:
    rows = Sample(vocabulary=60, most_tokens=100, reads_segments=False, end=7).batch(1_024).tokens
    assert {(row[-1], row.count(7)) for row in rows} == {(7, 1)}


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


async def _opened(path: Path, cache: Path | None, **settings: Any) -> CrossEncoderReranker:
    settings = {"model": str(path), "device": "cpu", "dtype": "float32", **settings}
    it = CrossEncoderReranker(CrossEncoderReranker.Settings(**settings))
    it.cache_directory = cache
    await it.open()
    return it
