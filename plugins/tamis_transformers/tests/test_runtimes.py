"""Every runtime computes what torch does in float32; packed rows do not see each other; what is refused, and why."""

from __future__ import annotations

import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import cross_encoders
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModel, AutoModelForSequenceClassification

from tamis.errors import ConfigurationError
from tamis_transformers.checkpoint import model_of
from tamis_transformers.runtimes import eager, exports, keys
from tamis_transformers.runtimes.choice import choose, weights_dtype
from tamis_transformers.runtimes.eager import PackedTorch, PaddedTorch, packs
from tamis_transformers.runtimes.network import Form, Network, Rows, Runtime, padded
from tamis_transformers.runtimes.stored import Wish

CPU = torch.device("cpu")
MOST = 100
PACKED = ("bert", "roberta", "xlm_roberta")
OTHERS = ("deberta", "modernbert")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny random checkpoints of the real classes, each in a folder by its name."""
    path = tmp_path_factory.mktemp("checkpoints")
    for name in (*PACKED, *OTHERS):
        getattr(cross_encoders, f"save_{name}")(path / name)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def network(path: Path, *, per_token: bool = False) -> Network:
    loader = AutoModel if per_token else AutoModelForSequenceClassification
    unused = "pooler." if per_token else ""
    model = model_of(path, loader, device="cpu", dtype=torch.float32, unused=unused)
    padding = int(model.config.pad_token_id or 0)
    segments = not per_token and (getattr(model.config, "type_vocab_size", 0) or 0) > 1
    return Network(model, Form(per_token=per_token, padding=padding, reads_segments=segments))


def rows(*lengths: int, seed: int = 0) -> Rows:
    """Made-up tokens behind the special ones, the second half of each row in the second segment."""
    chance = random.Random(seed)
    tokens = [tuple(chance.randrange(5, 60) for _ in range(length)) for length in lengths]
    return Rows(tokens, [tuple(int(at > len(row) / 2) for at in range(len(row))) for row in tokens])


def reference(path: Path, given: Rows, *, per_token: bool = False) -> torch.Tensor:
    """Each row by itself, by transformers."""
    it = network(path, per_token=per_token)
    alone = [
        PaddedTorch(it, CPU).run(Rows([row], [segments]))
        for row, segments in zip(given.tokens, given.segments or [], strict=True)
    ]
    return torch.cat(alone)


def placed(path: Path, name: str, cache: Path | None, dtype: str = "float32", **form: Any) -> Runtime:
    wish: Any = {"runtime": name, "dtype": dtype, "batch_token_count": 512, "cache": cache}
    return choose(network(path, **form), Wish(path, **wish), device=CPU, most_tokens=MOST).runtime


@pytest.mark.parametrize("family", [*PACKED, *OTHERS])
def test_torch_scores_rows_together_as_it_does_alone(folder: Path, family: str) -> None:
    given = rows(9, 3, 17, 1, 17)
    runtime = placed(folder / family, "torch", None)
    assert ("packed" in runtime.name) == (family in PACKED)
    assert torch.allclose(runtime.run(given), reference(folder / family, given), atol=1e-5)


@settings(max_examples=25)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=9), seed=st.integers(0, 99))
def test_packed_rows_do_not_see_each_other(bert: Network, lengths: list[int], seed: int) -> None:
    given = rows(*lengths, seed=seed)
    packed = PackedTorch(bert, CPU)
    together = packed.run(given).split(lengths)
    for at, row in enumerate(given.tokens):
        assert torch.allclose(together[at], packed.run(Rows([row])), atol=1e-5)


@pytest.fixture(scope="module")
def bert(folder: Path) -> Network:
    return network(folder / "bert", per_token=True)


@pytest.mark.parametrize("family", PACKED)
def test_packed_token_vectors_are_those_of_each_row_alone(folder: Path, family: str) -> None:
    given = rows(9, 3, 17)
    found = placed(folder / family, "torch", None, per_token=True).run(given)
    assert torch.allclose(found, reference(folder / family, given, per_token=True), atol=1e-5)


def test_packing_works_in_bfloat16(folder: Path) -> None:
    given = rows(9, 3, 17)
    runtime = placed(folder / "bert", "torch", None, dtype="bfloat16")
    assert runtime.name == "torch bfloat16, packed"
    assert torch.allclose(runtime.run(given), reference(folder / "bert", given), atol=0.1, rtol=0.05)


def test_the_kernel_for_packed_rows_on_cuda_is_given_what_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own runs on CUDA only; this one does by its documentation, slowly, on the CPU."""

    def kernel(
        query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, cu: torch.Tensor, *more: Any, scale: float
    ) -> torch.Tensor:
        assert (cu.dtype, more[1:]) == (torch.int32, (5, 5))
        spans = [slice(start, end) for start, end in pairwise(cu.tolist())]
        parts = [[each[span].transpose(0, 1) for each in (query, key, value)] for span in spans]
        attended = [torch.nn.functional.scaled_dot_product_attention(*part, scale=scale) for part in parts]
        return torch.cat([each.transpose(0, 1) for each in attended])

    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", kernel)
    parts = torch.randn(3, 1, 2, 9, 4, generator=torch.Generator().manual_seed(0))
    more: dict[str, Any] = {"bounds": (0, 4, 9), "most": 5, "offsets": torch.tensor([0, 4, 9], dtype=torch.int32)}
    by_kernel = eager._on_cuda(*parts, {**more, "scaling": 0.5})
    by_row, _ = eager._attention(None, *parts, None, **more, scaling=0.5)
    assert torch.allclose(by_kernel, by_row, atol=1e-6)


@pytest.mark.parametrize(("family", "per_token"), [("bert", False), ("modernbert", True)])
def test_openvino_computes_what_torch_does_at_any_shape(
    folder: Path, cache: Path, family: str, per_token: bool
) -> None:
    runtime = placed(folder / family, "openvino", cache, per_token=per_token)
    for lengths in ((5,), (9, 3, 17, 1, 17), (60,) * 3):
        given = rows(*lengths)
        expected = reference(folder / family, given, per_token=per_token)
        assert torch.allclose(runtime.run(given), expected, atol=1e-4)


def test_onnx_runtime_computes_what_torch_does_at_any_shape(folder: Path, cache: Path) -> None:
    runtime = placed(folder / "bert", "onnxruntime", cache, per_token=True)
    for lengths in ((5,), (9, 3, 17, 1, 17), (60,) * 3):
        given = rows(*lengths)
        assert torch.allclose(runtime.run(given), reference(folder / "bert", given, per_token=True), atol=1e-4)


def test_int8_is_near_float32_and_another_model(folder: Path, cache: Path) -> None:
    given = rows(9, 3, 17, 5)
    runtime = placed(folder / "bert", "auto", cache, dtype="int8", per_token=True)
    assert runtime.name == "onnxruntime int8"
    found, expected = runtime.run(given), reference(folder / "bert", given, per_token=True)
    assert (found - expected).abs().max() > 0
    assert torch.nn.functional.cosine_similarity(found, expected, dim=1).min() > 0.95


def test_an_export_is_made_once_and_again_when_it_is_damaged(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "model").write_text("whole")

    def load(folder: Path) -> str:
        if (folder / "model").read_text() != "whole":
            raise ValueError
        return "loaded"

    cache = tmp_path / "not" / "there"
    assert [exports.loaded(cache, "it", make, load) for _ in range(2)] == ["loaded", "loaded"]
    assert len(made) == 1
    (cache / "it" / "model").write_text("torn")
    assert exports.loaded(cache, "it", make, load) == "loaded"
    assert len(made) == 2
    assert [each.name for each in cache.iterdir()] == ["it"]


def test_a_cache_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cache directory"):
        exports.loaded(tmp_path / "file" / "cache", "it", lambda _: None, lambda _: None)


def test_a_runtime_that_is_not_installed_is_named_with_its_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "is_installed", lambda *_: False)
    for name in ("openvino", "onnxruntime"):
        with pytest.raises(ConfigurationError, match=rf"pip install 'tamis\[{name}\]'"):
            placed(folder / "bert", name, None)


def test_openvino_reports_its_use_to_nobody() -> None:
    asked = "import openvino.tools.ovc.telemetry_utils as it; print(it.tm.__name__)"
    opened = "from tamis_transformers.runtimes.openvino_graph import _openvino; _openvino(); "
    found = subprocess.run([sys.executable, "-c", opened + asked], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["openvino.tools.ovc.telemetry_stub"]


@pytest.mark.parametrize(("name", "dtype"), [("torch", "int8"), ("openvino", "float16"), ("onnxruntime", "bfloat16")])
def test_a_precision_that_a_runtime_has_not_is_refused(folder: Path, name: str, dtype: str) -> None:
    with pytest.raises(ConfigurationError, match=dtype):
        placed(folder / "bert", name, None, dtype=dtype)


@pytest.mark.parametrize(("name", "dtype"), [("openvino", "auto"), ("auto", "int8")])
def test_what_computes_on_the_cpu_only_is_refused_elsewhere(folder: Path, name: Any, dtype: str) -> None:
    with pytest.raises(ConfigurationError, match='device = "cpu"'):
        choose(network(folder / "bert"), Wish(folder / "bert", name, dtype), device=torch.device("meta"), most_tokens=9)


def test_weights_are_loaded_in_float32_only_where_they_may_be_exported(folder: Path, cache: Path) -> None:
    path, half = folder / "bert", "bfloat16"
    may = [Wish(path, "openvino", half), Wish(path, "auto", half, cache=cache), Wish(path, "auto", "int8")]
    must_not = [Wish(path, "torch", half, cache=cache), Wish(path, "auto", half), Wish(path, "auto", half, 512)]
    assert {weights_dtype(each, CPU) for each in may} == {torch.float32}
    assert {weights_dtype(each, CPU) for each in must_not} == {torch.bfloat16}
    assert weights_dtype(may[1], torch.device("meta")) is torch.bfloat16


def test_networks_whose_positions_are_relative_are_not_packed(folder: Path) -> None:
    assert [packs(network(folder / family)) for family in ("bert", *OTHERS)] == [True, False, False]


def test_rows_are_filled_up_on_the_side_that_the_model_wants() -> None:
    given = Rows([(5, 6, 7), (8,)], [(0, 1, 1), (1,)])
    right = padded(Form(per_token=False, padding=9, reads_segments=True), given)
    left = padded(Form(per_token=False, padding=9, pads_left=True), given)
    assert right.ids.tolist() == [[5, 6, 7], [8, 9, 9]]
    assert right.segments is not None
    assert right.segments.tolist() == [[0, 1, 1], [1, 0, 0]]
    assert (left.ids.tolist(), left.mask.tolist()) == ([[5, 6, 7], [9, 9, 8]], [[1, 1, 1], [0, 0, 1]])
    assert left.segments is None


def test_weights_have_one_key_wherever_they_lie(folder: Path, tmp_path: Path) -> None:
    copy = cross_encoders.save_bert(tmp_path / "copy")
    (copy / "model.safetensors").write_bytes((folder / "bert" / "model.safetensors").read_bytes())
    assert keys.weights(copy) == keys.weights(folder / "bert")
    assert keys.weights(copy) != keys.weights(folder / "roberta")
    assert np.unique([keys.key("a", "bc"), keys.key("ab", "c")]).size == 2
