"""Checkpoints with code of their own: refused, unless a setting trusts them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers.dynamic_module_utils
from checkpoints import cross_encoders
from checkpoints.own_code import OwnForSequenceClassification
from transformers import AutoTokenizer

from tamis.context import Call
from tamis.errors import ConfigurationError
from tamis.model import Passage, Query
from tamis.testing.contract import opened
from tamis_transformers import CrossEncoderReranker


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One whose code transformers would copy into the user's cache."""
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    return cross_encoders.save_own_code(tmp_path / "own-reranker")


def _reranker(path: Path, **settings: bool) -> CrossEncoderReranker:
    kind = CrossEncoderReranker
    return kind(kind.Settings(model=str(path), device="cpu", dtype="float32", **settings))


async def test_code_that_nobody_trusts_does_not_run(checkpoint: Path) -> None:
    with (checkpoint / "own_code.py").open("a") as code:
        code.write("\nraise SystemExit('it ran')\n")
    with pytest.raises(ConfigurationError, match="remote_code = true"):
        await _reranker(checkpoint).open()


async def test_code_that_is_trusted_gives_the_models_own_scores(checkpoint: Path) -> None:
    texts = ["moon tide", "sun"]
    passages = [Passage(text, text, 1, text) for text in texts]
    async with opened(_reranker(checkpoint, remote_code=True)) as it:
        found = {place: score async for place, score in it.score(Query("sea"), passages, call=Call())}
    model, tokenizer = (
        OwnForSequenceClassification.from_pretrained(checkpoint),
        AutoTokenizer.from_pretrained(checkpoint),
    )
    for place, text in enumerate(texts):
        with torch.inference_mode():
            expected = model(**tokenizer("sea", text, return_tensors="pt")).logits[0, 0]
        assert found[place] == pytest.approx(float(expected), abs=1e-4)
