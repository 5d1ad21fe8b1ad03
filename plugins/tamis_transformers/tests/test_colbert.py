"""ColBERT checkpoints in every layout, against the libraries of those who publish them; and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import colbert as made
from safetensors.torch import load_file, save_file

from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.models import TextKind
from tamis.testing.contract import opened
from tamis_transformers import ColBertEmbedder
from tamis_transformers.late_interaction import max_sim

REFERENCES = json.loads((Path(__file__).parents[3] / "tests" / "references" / "colbert.json").read_text())
SAVED: dict[str, Callable[[Path], Path]] = {
    "stanford": made.save_stanford,
    "stanford, attending, with punctuation": made.save_attending_stanford,
    "xlm-roberta": made.save_xlm_roberta_stanford,
    "pylate": made.save_pylate,
    "modernbert": made.save_modern_pylate,
    "unexpanded": made.save_unexpanded_pylate,
    "sentence-transformers": made.save_sentence_transformers,
}


def embedder(path: Path, **settings: Any) -> ColBertEmbedder:
    return ColBertEmbedder(ColBertEmbedder.Settings(model=str(path), device="cpu", **{"dtype": "float32", **settings}))


async def token_vectors(path: Path, *texts: str, kind: TextKind, **settings: Any) -> list[np.ndarray]:
    async with opened(embedder(path, **settings)) as it:
        return await it.embed_tokens(texts, kind=kind, call=Call())


@pytest.fixture(scope="module")
def stanford(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.save_stanford(tmp_path_factory.mktemp("stanford"))


@pytest.mark.parametrize(("library", "name"), [(one, name) for one, names in REFERENCES.items() for name in names])
async def test_scores_are_those_of_the_authors_libraries(library: str, name: str, tmp_path: Path) -> None:
    SAVED[name](tmp_path)
    async with opened(embedder(tmp_path)) as it:
        queries = await it.embed_tokens(made.QUERIES, kind=TextKind.QUERY, call=Call())
        texts = await it.embed_tokens(made.TEXTS, kind=TextKind.PASSAGE, call=Call())
    scores = [[max_sim(query, text) for text in texts] for query in queries]
    assert np.allclose(scores, REFERENCES[library][name], atol=1e-3)


def test_every_layout_has_a_reference() -> None:
    assert {name for names in REFERENCES.values() for name in names} == set(SAVED)


async def test_queries_are_filled_up_and_passages_keep_no_punctuation(stanford: Path) -> None:
    (query,) = await token_vectors(stanford, "word", kind=TextKind.QUERY)
    plain, punctuated, long = await token_vectors(
        stanford, "word water", "word, water!", "word " * 99, kind=TextKind.PASSAGE
    )
    assert query.shape == (16, 16)
    assert len(plain) == len(punctuated) == 2 + 3
    assert not np.allclose(plain, punctuated, atol=1e-2)  # punctuation is read all the same
    assert len(long) == 40


async def test_lengths_can_be_chosen_up_to_the_positions_there_are(stanford: Path) -> None:
    settings = {"max_tokens": 500, "query_tokens": 20}
    (query,) = await token_vectors(stanford, "word", kind=TextKind.QUERY, **settings)
    (text,) = await token_vectors(stanford, "word " * 99, kind=TextKind.PASSAGE, **settings)
    assert (len(query), len(text)) == (20, 64)


async def test_a_prompt_of_the_checkpoint_goes_before_its_texts(tmp_path: Path) -> None:
    prompted = made.save_pylate(tmp_path / "prompted", prompts={"query": "the ", "document": "a "})
    plain = made.save_pylate(tmp_path / "plain")
    for kind, prefix in ((TextKind.QUERY, "the "), (TextKind.PASSAGE, "a ")):
        (one,) = await token_vectors(prompted, "moon", kind=kind)
        (other,) = await token_vectors(plain, prefix + "moon", kind=kind)
        assert np.allclose(one, other, atol=1e-5)


async def test_the_vector_of_a_text_is_the_unit_mean_of_its_tokens(stanford: Path) -> None:
    async with opened(embedder(stanford)) as it:
        (vector,) = await it.embed(["the moon"], kind=TextKind.PASSAGE, call=Call())
        (tokens,) = await it.embed_tokens(["the moon"], kind=TextKind.PASSAGE, call=Call())
    mean = tokens.mean(axis=0)
    assert np.allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)


async def test_usage_counts_the_tokens_that_were_read(stanford: Path) -> None:
    call = Call()
    async with opened(embedder(stanford)) as it:
        await it.embed_tokens(["word, water"], kind=TextKind.PASSAGE, call=call)
        await it.embed_tokens(["word"], kind=TextKind.QUERY, call=call)
        assert it.extra_tokens == 3
    assert call.usage.input_token_count == (3 + 3) + 16


async def test_fingerprints_tell_weights_lengths_and_ways_of_reading_apart(stanford: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(stanford, tmp_path / "copy")
    attending = made.save_attending_stanford(tmp_path / "attending")
    other = shutil.copytree(stanford, tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    save_file({**weights, "linear.weight": weights["linear.weight"] + 1}, other / "model.safetensors", {"format": "pt"})
    same = {await _fingerprint(stanford), await _fingerprint(copy)}
    others = [await _fingerprint(stanford, max_tokens=8), await _fingerprint(attending), await _fingerprint(other)]
    assert len(same) == 1
    assert len({*same, *others}) == 4


async def _fingerprint(path: Path, **settings: Any) -> str:
    async with opened(embedder(path, **settings)) as it:
        return it.fingerprint


async def refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        await token_vectors(path, "moon", kind=TextKind.QUERY)
    return caught.value.message


async def test_a_plain_encoder_is_refused_and_shown_its_plugin(tmp_path: Path) -> None:
    made.save_pylate(tmp_path)
    (tmp_path / "modules.json").unlink()
    assert "sentence-transformers" in await refusal(tmp_path)


async def test_a_dense_layer_that_was_not_trained_for_it_is_refused(tmp_path: Path) -> None:
    made.save_pylate(tmp_path)
    (tmp_path / "config_sentence_transformers.json").write_text("{}")
    assert "late interaction" in await refusal(tmp_path)


async def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    made.save_pylate(tmp_path / "dense")
    (tmp_path / "dense" / "1_Dense" / "model.safetensors").rename(tmp_path / "dense" / "1_Dense" / "pytorch_model.bin")
    assert "pickle" in await refusal(tmp_path / "dense")
    made.save_stanford(tmp_path / "whole")
    (tmp_path / "whole" / "model.safetensors").rename(tmp_path / "whole" / "pytorch_model.bin")
    assert "pickle" in await refusal(tmp_path / "whole")


async def test_a_checkpoint_that_lacks_its_projection_is_refused(tmp_path: Path) -> None:
    made.save_stanford(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["linear.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    assert "linear.weight" in await refusal(tmp_path)


async def test_a_marker_that_the_vocabulary_lacks_is_refused(tmp_path: Path) -> None:
    assert "[Q1]" in await refusal(made.save_pylate(tmp_path, query_prefix="[Q1]"))


async def test_a_model_that_brings_code_of_its_own_is_refused(tmp_path: Path) -> None:
    made.save_stanford(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "modeling.Model"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({"linear.weight": torch.ones(16, 32)}, tmp_path / "model.safetensors", {"format": "pt"})
    assert "auto_map" in await refusal(tmp_path)


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("sentence_bert_config.json", {"query_expansion": {"strategy": "min", "length": 16}}),
        ("2_MultiVectorMask/config.json", {"skiplist_tasks": ["query", "document"]}),
        ("1_Dense/config.json", {"activation_function": "torch.nn.Bilinear"}),
    ],
)
async def test_what_would_be_read_otherwise_is_refused(tmp_path: Path, file: str, settings: dict[str, Any]) -> None:
    made.save_sentence_transformers(tmp_path)
    config = json.loads((tmp_path / file).read_text())
    (tmp_path / file).write_text(json.dumps({**config, **settings}))
    assert await refusal(tmp_path)
