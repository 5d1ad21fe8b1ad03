"""Cross-encoders of one's own, tiny and random, against transformers itself; and what is refused."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
)

from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.model import Passage, Query
from tamis.testing.contract import opened
from tamis_transformers import CrossEncoderReranker
from tamis_transformers.checkpoint import located
from tamis_transformers.cross_encoder.scorer import kind_of

WORDS = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "moon", "sun", "sea", "tide", "sauce", "smooth"]
SPECIAL = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_FOLDER = TemporaryDirectory()
TEXTS = ("moon tide", "sun", "sea sea sea tide moon sun", "")


def _saved(path: Path, *, labels: int | None) -> Path:
    """A checkpoint with a head of that many labels, or with none."""
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(WORDS), max_position_embeddings=32, num_labels=labels or 1, initializer_range=0.5, **SIZES
    )
    kind = BertModel if labels is None else BertForSequenceClassification
    kind(config).save_pretrained(path)
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ["input_ids", "token_type_ids", "attention_mask"]
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=names, **SPECIAL).save_pretrained(path)
    return path


@cache
def _checkpoint(labels: int | None) -> Path:
    """Made once, removed when the process ends."""
    return _saved(Path(_FOLDER.name) / str(labels), labels=labels)


def _reranker(path: Path | str, **settings: Any) -> CrossEncoderReranker:
    kind = CrossEncoderReranker
    return kind(kind.Settings(model=str(path), device="cpu", **settings))


async def _scores(path: Path, query: str, *texts: str, **settings: Any) -> list[float]:
    passages = [Passage(str(place), str(place), 1, text) for place, text in enumerate(texts)]
    async with opened(_reranker(path, **settings)) as it:
        found = {place: score async for place, score in it.score(Query(query), passages, call=Call())}
    return [found[place] for place in range(len(texts))]


@pytest.mark.parametrize("labels", [1, 2])
async def test_scores_are_the_logits_of_the_model_itself(labels: int) -> None:
    path = _checkpoint(labels)
    texts = [text for text in TEXTS if text]  # for the tokenizer, an empty second text is none at all
    found = await _scores(path, "smooth sauce", *texts, dtype="float32")
    model, tokenizer = BertForSequenceClassification.from_pretrained(path).eval(), AutoTokenizer.from_pretrained(path)
    for text, score in zip(texts, found, strict=True):
        with torch.inference_mode():
            logits = model(**tokenizer("smooth sauce", text, return_tensors="pt")).logits[0]
        expected = logits[0] if labels == 1 else logits[1] - logits[0]
        assert score == pytest.approx(float(expected), abs=1e-4)


async def test_bfloat16_agrees_with_float32() -> None:
    exact = await _scores(_checkpoint(1), "smooth sauce", *TEXTS, dtype="float32")
    rough = await _scores(_checkpoint(1), "smooth sauce", *TEXTS, dtype="bfloat16")
    assert rough == pytest.approx(exact, abs=0.3)


async def test_a_score_does_not_depend_on_its_neighbours() -> None:
    together = await _scores(_checkpoint(1), "moon", *TEXTS, dtype="float32")
    alone = [(await _scores(_checkpoint(1), "moon", text, dtype="float32"))[0] for text in TEXTS]
    assert together == pytest.approx(alone, abs=1e-4)


async def test_what_is_too_long_is_cut_and_not_refused() -> None:
    found = await _scores(_checkpoint(1), "moon " * 500, "sea " * 500, "sea")
    assert len(found) == 2


async def test_pairs_and_tokens_are_counted() -> None:
    call = Call()
    async with opened(_reranker(_checkpoint(1))) as it:
        async for _ in it.score(Query("moon"), [Passage("a", "a", 1, "sun sea")], call=call):
            pass
    assert (call.usage.pair_count, call.usage.input_token_count) == (1, 6)


@pytest.mark.parametrize(("labels", "message"), [(None, "lacks trained weights.*classifier"), (3, "3 labels")])
async def test_a_checkpoint_that_is_no_reranker_is_refused_at_the_start(labels: int | None, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        await _reranker(_checkpoint(labels)).open()


@pytest.mark.parametrize("model", ["nobody/has-this", "gpt-17"])
def test_a_model_that_is_not_here_is_refused_with_how_to_fetch_it(model: str) -> None:
    with pytest.raises(ConfigurationError, match=f"hf download {model}"):
        located(model)


@pytest.mark.parametrize("model", ["/no/such/folder", "./here", "../there", "~/models/it", "a/b/c", ""])
def test_what_is_no_id_of_a_hub_is_not_said_to_be_there(model: str) -> None:
    with pytest.raises(ConfigurationError, match=r"local Hugging Face cache$"):
        located(model)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"architectures": ["XLMRobertaForSequenceClassification"]}, "classifier"),
        ({"architectures": ["Qwen2ForCausalLM"]}, "decoder"),
        ({"architectures": ["GPT2LMHeadModel"]}, "decoder"),
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "encoder-decoder"),
        ({"architectures": ["BartForSequenceClassification"], "is_encoder_decoder": True}, "classifier"),
        ({}, "classifier"),
    ],
)
def test_a_checkpoint_says_of_which_kind_it_is(tmp_path: Path, config: dict[str, Any], kind: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert kind_of(tmp_path) == kind
