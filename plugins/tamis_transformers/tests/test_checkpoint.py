"""Devices and the precision that is chosen for one, and what loading a checkpoint says."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from checkpoints.colbert import save_stanford
from checkpoints.layerwise import save_layerwise
from structlog.testing import capture_logs
from transformers import AutoModel

from tamis.errors import ConfigurationError
from tamis_transformers import checkpoint
from tamis_transformers.fingerprint import fingerprint
from tamis_transformers.quiet import quiet
from tamis_transformers.runtimes import keys


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


@pytest.mark.parametrize("device", ["gpu", "hpu:0"])
def test_a_device_that_is_not_here_is_refused(device: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no device '{device}'"):
        checkpoint.device(device)


@pytest.fixture
def printed(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.LogCaptureFixture]:
    """What transformers prints, once each: where `CI` is set its records go on to the root's handlers too."""
    root = logging.getLogger("transformers")
    monkeypatch.setattr(root, "propagate", False)
    root.addHandler(caplog.handler)
    yield caplog
    root.removeHandler(caplog.handler)


def test_weights_that_are_loaded_apart_are_no_news_and_others_too_many_are_logged(
    tmp_path: Path, printed: pytest.LogCaptureFixture
) -> None:
    path, to = save_stanford(tmp_path), {"device": "cpu", "dtype": torch.float32}
    with capture_logs() as logs:
        checkpoint.model_of(path, AutoModel, unused="pooler.", apart="linear.", **to)
    assert logs == []
    with capture_logs() as logs:
        checkpoint.model_of(path, AutoModel, unused="pooler.", **to)
    assert [(each["count"], each["some"]) for each in logs] == [(1, ["linear.weight"])]
    assert not printed.records


def test_a_tokenizer_does_not_say_that_its_model_is_of_another_type(
    tmp_path: Path, printed: pytest.LogCaptureFixture
) -> None:
    checkpoint.tokenizer_of(save_layerwise(tmp_path / "it"))
    assert not printed.records


def test_all_other_warnings_are_printed(printed: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("transformers.modeling_utils")
    with quiet():
        logger.warning("It LOAD REPORT from: it\na | MISMATCH | sizes")
        logger.warning("It LOAD REPORT from: it\na | UNEXPECTED |")
        logger.warning("something else")
    assert [record.message.split()[0] for record in printed.records] == ["It", "something"]


def test_weights_in_several_files_are_all_told_apart(tmp_path: Path) -> None:
    """Those that transformers divides, as it does from some gigabytes on."""
    names = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "tokenizer.json")
    found = []
    for number, changed in enumerate(("", *names)):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in names:
            (folder / name).write_text(f"{name} {'other' if name == changed else ''}")
        found.append(fingerprint("mean 256", folder))
    assert len({*found, fingerprint("mean 128", tmp_path / "0")}) == 5


def test_exports_and_measurements_hold_for_the_code_of_a_checkpoint_too(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "own_code.py").write_text("one = 1")
    before = keys.weights(tmp_path)
    (tmp_path / "own_code.py").write_text("one = 11")
    assert keys.weights(tmp_path) != before
