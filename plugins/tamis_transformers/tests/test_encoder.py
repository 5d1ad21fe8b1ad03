"""A checkpoint of one's own through the embedder, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.models import TextKind
from tamis.testing.contract import opened
from tamis_transformers import SentenceTransformersEmbedder

SPECIAL = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
WORDS = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "moon", "sun", "sea", "tide"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with random weights, as transformers saves it."""
    path = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=16, **sizes)).save_pretrained(path)
    tokenizer = Tokenizer(models.WordLevel(dict(zip(WORDS, range(len(WORDS)), strict=True)), unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL).save_pretrained(path)
    return path


def embedder(path: Path | str, **settings: Any) -> SentenceTransformersEmbedder:
    kind = SentenceTransformersEmbedder
    return kind(kind.Settings(model=str(path), device="cpu", **settings))


async def vectors(path: Path, *texts: str, kind: TextKind = TextKind.PASSAGE, **settings: Any) -> np.ndarray:
    async with opened(embedder(path, **settings)) as it:
        return await it.embed(texts, kind=kind, call=Call())


async def test_a_vector_is_the_unit_mean_of_the_last_layer(checkpoint: Path) -> None:
    (found,) = await vectors(checkpoint, "moon tide", dtype="float32")
    model = BertModel.from_pretrained(checkpoint).eval()
    ids = torch.tensor([[2, 4, 7, 3]])
    with torch.inference_mode():
        mean = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0].mean(0).numpy()
    assert np.allclose(found, mean / np.linalg.norm(mean), atol=1e-5)


async def test_padding_changes_nothing(checkpoint: Path) -> None:
    (alone,) = await vectors(checkpoint, "moon", dtype="float32")
    together = await vectors(checkpoint, "moon", "sea sun tide moon sea sun", dtype="float32")
    assert np.allclose(alone, together[0], atol=1e-5)


async def test_the_automatic_precision_is_near_the_full_one(checkpoint: Path) -> None:
    texts = ("moon", "sun sea", "tide moon sun")
    full, automatic = await vectors(checkpoint, *texts, dtype="float32"), await vectors(checkpoint, *texts)
    assert ((full * automatic).sum(axis=1) > 0.999).all()


async def test_what_is_longer_than_the_checkpoint_reads_is_cut(checkpoint: Path) -> None:
    async with opened(embedder(checkpoint)) as it:
        assert (it.dimensions, it.max_tokens) == (32, 16)
        one, other = await it.embed(["moon " * 14 + "sun", "moon " * 500], kind=TextKind.PASSAGE, call=Call())
    assert np.allclose(one, other, atol=1e-2)
    async with opened(embedder(checkpoint, max_tokens=8)) as it:
        assert it.max_tokens == 8


async def test_token_vectors_leave_special_tokens_out(checkpoint: Path) -> None:
    async with opened(embedder(checkpoint)) as it:
        found = await it.embed_tokens(["moon sun", "sea", ""], kind=TextKind.QUERY, call=Call())
    assert [each.shape for each in found] == [(2, 32), (1, 32), (0, 32)]


async def test_usage_counts_the_tokens_that_were_read(checkpoint: Path) -> None:
    call = Call()
    async with opened(embedder(checkpoint)) as it:
        await it.embed(["moon sun", "sea"], kind=TextKind.QUERY, call=call)
    assert call.usage.input_token_count == 4 + 3


async def test_prefixes_go_before_texts_of_their_kind(checkpoint: Path) -> None:
    plain = await vectors(checkpoint, "moon sea", "sea")
    prefixed = await vectors(checkpoint, "sea", kind=TextKind.QUERY, query_prefix="moon ")
    unprefixed = await vectors(checkpoint, "sea", kind=TextKind.PASSAGE, query_prefix="moon ")
    assert np.allclose(prefixed[0], plain[0], atol=1e-2)
    assert np.allclose(unprefixed[0], plain[1], atol=1e-2)


async def test_fingerprints_tell_weights_lengths_and_prefixes_apart(checkpoint: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(checkpoint, tmp_path / "copy")
    same = [await _fingerprint(checkpoint), await _fingerprint(copy)]
    others = [await _fingerprint(checkpoint, max_tokens=8), await _fingerprint(checkpoint, query_prefix="q: ")]
    assert same[0] == same[1]
    assert len({*same, *others}) == 3


async def _fingerprint(path: Path, **settings: Any) -> str:
    async with opened(embedder(path, **settings)) as it:
        return it.fingerprint


async def test_loading_shows_no_progress_bar_and_leaves_others_theirs(
    checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert transformers_logging.is_progress_bar_enabled()
    await vectors(checkpoint, "moon")
    assert "Loading weights" not in capfd.readouterr().err
    assert transformers_logging.is_progress_bar_enabled()


async def test_a_checkpoint_that_pools_otherwise_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(checkpoint, tmp_path / "copy")
    (copy / "1_Pooling").mkdir()
    (copy / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    with pytest.raises(ConfigurationError, match="mean"):
        await vectors(copy, "moon")


async def test_a_folder_that_lacks_its_weights_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(checkpoint, tmp_path / "copy", ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        await vectors(copy, "moon")


def test_a_name_that_is_no_folder_is_refused_and_nothing_is_downloaded() -> None:
    with pytest.raises(ConfigurationError, match="neither a folder"):
        embedder("bert-base-uncased")
