"""SPLADE of one's own, tiny and random, against transformers itself; and what is refused."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModelForMaskedLM, BertConfig, BertForMaskedLM, BertModel, PreTrainedTokenizerFast

from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.models import EmbedsSparse, TextKind
from tamis.testing.contract import EmbedderContract, opened
from tamis.testing.contract.collections import TEXTS
from tamis_transformers.splade import SpladeEmbedder

WORDS = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "sun", "sauce", "smooth"]
WORDS += sorted({word for text in TEXTS for word in re.findall(r"\w+|[^\w\s]+", text)})
SPECIAL = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
_FOLDER = TemporaryDirectory()


@cache
def _checkpoint(*, trained: bool = True) -> Path:
    """Made once, removed when the process ends."""
    path = Path(_FOLDER.name) / str(trained)
    torch.manual_seed(7)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, initializer_range=0.5, **sizes)
    (BertForMaskedLM if trained else BertModel)(config).save_pretrained(path)
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ["input_ids", "attention_mask"]
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=names, **SPECIAL).save_pretrained(path)
    return path


def _embedder(*, most_terms: int = 512) -> SpladeEmbedder:
    settings = {"model": str(_checkpoint()), "device": "cpu", "dtype": "float32", "most_terms": most_terms}
    return SpladeEmbedder(SpladeEmbedder.Settings(**settings))


class TestSplade(EmbedderContract):
    def component(self) -> SpladeEmbedder:
        return _embedder()

    def test_it_weighs_terms(self) -> None:
        assert isinstance(self.plugin, EmbedsSparse)


async def test_weights_are_the_largest_of_each_term_over_the_tokens_also_beside_longer_texts() -> None:
    texts = ["moon tides", "sun", "light light light oceans moon sun smooth sauce", ""]
    model = AutoModelForMaskedLM.from_pretrained(_checkpoint()).eval()
    async with opened(_embedder()) as it:
        found = await it.embed_sparse(texts, kind=TextKind.PASSAGE, call=Call())
        for text, vector in zip(texts, found, strict=True):
            ids = [2, *(WORDS.index(word) for word in text.split()), 3]
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([ids])).logits[0]
            expected = torch.log1p(torch.relu(logits)).amax(0).numpy()
            assert vector.indices.tolist() == np.flatnonzero(expected > 0).tolist()
            assert np.allclose(vector.values, expected[vector.indices], atol=1e-5)


async def test_the_heaviest_terms_are_kept() -> None:
    async with opened(_embedder()) as whole, opened(_embedder(most_terms=2)) as few:
        (all_terms,) = await whole.embed_sparse(["moon tides"], kind=TextKind.QUERY, call=Call())
        (kept,) = await few.embed_sparse(["moon tides"], kind=TextKind.QUERY, call=Call())
        assert whole.fingerprint != few.fingerprint
    assert sorted(kept.values) == sorted(all_terms.values)[-2:]


async def test_a_checkpoint_without_a_trained_head_is_refused() -> None:
    settings = SpladeEmbedder.Settings(model=str(_checkpoint(trained=False)), device="cpu")
    with pytest.raises(ConfigurationError, match="lacks trained weights"):
        async with opened(SpladeEmbedder(settings)):
            pass
