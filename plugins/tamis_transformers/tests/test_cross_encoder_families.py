"""Cross-encoders of every common family, tiny and random, against transformers itself."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from checkpoints import cross_encoders
from sentence_transformers import CrossEncoder
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaV2Config,
    LlamaConfig,
    ModernBertConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
)

from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.model import Passage, Query
from tamis.testing.contract import opened
from tamis_transformers import CrossEncoderReranker

WORDS = ["<s>", "<pad>", "</s>", "<unk>", "moon", "sun", "sea", "tide", "sauce", "smooth"]
TEXTS = ("moon tide", "sun", "sea sea sea tide moon sun", "sauce smooth sauce")
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
COMMON = {"vocab_size": len(WORDS), "initializer_range": 0.5, "pad_token_id": 1, "num_labels": 1, **SIZES}
FAMILIES: dict[str, Any] = {
    "bert": lambda: BertConfig(max_position_embeddings=40, **COMMON),
    "roberta": lambda: RobertaConfig(max_position_embeddings=42, type_vocab_size=1, **COMMON),
    "xlm-roberta": lambda: XLMRobertaConfig(max_position_embeddings=42, type_vocab_size=1, **COMMON),
    "modernbert": lambda: ModernBertConfig(
        max_position_embeddings=40, cls_token_id=0, sep_token_id=2, bos_token_id=0, eos_token_id=2, **COMMON
    ),
    "deberta": lambda: DebertaV2Config(
        max_position_embeddings=40,
        relative_attention=True,
        position_biased_input=False,
        pos_att_type=["c2p", "p2c"],
        type_vocab_size=0,
        **COMMON,
    ),
    "llama": lambda: LlamaConfig(max_position_embeddings=40, bos_token_id=0, eos_token_id=2, **COMMON),
}
_FOLDER = TemporaryDirectory()


@cache
def _checkpoint(family: str, padding_side: str = "right", *, has_head: bool = True, has_padding: bool = True) -> Path:
    """Made once, removed when the process ends. The tokenizer tells segments, which only some families take."""
    torch.manual_seed(7)
    path = Path(_FOLDER.name) / f"{family}-{padding_side}-{has_head}-{has_padding}"
    config = FAMILIES[family]()
    if not has_padding:
        config.pad_token_id = None
    (AutoModelForSequenceClassification if has_head else AutoModel).from_config(config).save_pretrained(path)
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    special = {"unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
    names = ["input_ids", "token_type_ids", "attention_mask"]
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=names,
        padding_side=padding_side,
        pad_token="<pad>" if has_padding else None,
        **special,
    )
    made.save_pretrained(path)
    return path


def _reranker(path: Path, **settings: Any) -> CrossEncoderReranker:
    return CrossEncoderReranker(
        CrossEncoderReranker.Settings(**{"model": str(path), "device": "cpu", "dtype": "float32"} | settings)
    )


async def _scores(path: Path, query: str, *texts: str, **settings: Any) -> list[float]:
    passages = [Passage(str(place), str(place), 1, text) for place, text in enumerate(texts)]
    async with opened(_reranker(path, **settings)) as it:
        found = {place: score async for place, score in it.score(Query(query), passages, call=Call())}
    return [found[place] for place in range(len(texts))]


@pytest.mark.parametrize("family", FAMILIES)
async def test_scores_are_those_of_the_model_itself_however_they_are_batched(family: str) -> None:
    path = _checkpoint(family)
    found = await _scores(path, "smooth sauce", *TEXTS)
    model = AutoModelForSequenceClassification.from_pretrained(path).eval()
    query = [WORDS.index(word) for word in ["smooth", "sauce"]]
    for text, score in zip(TEXTS, found, strict=True):
        ids = [0, *query, 2, *(WORDS.index(word) for word in text.split()), 2]
        segments = [[0] * (len(query) + 2) + [1] * (len(ids) - len(query) - 2)]
        extra = {"token_type_ids": torch.tensor(segments)} if family == "bert" else {}
        with torch.inference_mode():
            expected = model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)).long(), **extra)
        assert score == pytest.approx(float(expected.logits[0, 0]), abs=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
async def test_what_is_too_long_is_cut_at_the_last_position_the_model_has(family: str) -> None:
    async with opened(_reranker(_checkpoint(family))) as it:
        assert it._opened[0].max_tokens == 40
    assert len(await _scores(_checkpoint(family), "moon " * 100, "sea " * 100, "sea")) == 2


@pytest.mark.parametrize("family", FAMILIES)
async def test_the_side_on_which_a_tokenizer_pads_makes_no_difference(family: str) -> None:
    right, left = [await _scores(_checkpoint(family, side), "moon", *TEXTS) for side in ("right", "left")]
    assert left == pytest.approx(right, abs=1e-3)


async def test_a_decoder_without_a_padding_token_scores_one_after_the_other() -> None:
    path = _checkpoint("llama", has_padding=False)
    together = await _scores(path, "moon", *TEXTS)
    alone = [(await _scores(path, "moon", text))[0] for text in TEXTS]
    assert together == pytest.approx(alone, abs=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_head_that_was_never_trained_is_refused_at_the_start(family: str) -> None:
    with pytest.raises(ConfigurationError, match="lacks trained weights"):
        await _reranker(_checkpoint(family, has_head=False)).open()


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "modernbert", "deberta"])
async def test_sentence_transformers_gives_the_same_probabilities(family: str) -> None:
    path = cross_encoders.ALL[family](Path(_FOLDER.name) / "saved" / family)
    texts = ["moon tide", "The sun is no sea!", "sea " * 10, "smooth sauce"]
    expected = CrossEncoder(str(path), device="cpu").predict([("smooth sauce?", text) for text in texts])
    found = await _scores(path, "smooth sauce?", *texts, scores="probability")
    assert found == pytest.approx(expected.tolist(), abs=1e-3)
