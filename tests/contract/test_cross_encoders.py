"""Cross-encoders of every kind keep the contract: tiny random checkpoints of the real classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from checkpoints import cross_encoders

from tamis.testing.contract import RerankerContract
from tamis_transformers import CrossEncoderReranker

_FOLDER = TemporaryDirectory()


@cache
def _saved(save: Callable[[Path], Path]) -> Path:
    """Made once, removed when the process ends."""
    return save(Path(_FOLDER.name) / save.__name__)


def _reranker(save: Callable[[Path], Path], **settings: Any) -> CrossEncoderReranker:
    kind, chosen = CrossEncoderReranker, {"device": "cpu", "dtype": "float32", "max_tokens": 512} | settings
    return kind(kind.Settings(model=str(_saved(save)), **chosen))


class TestClassifier(RerankerContract):
    def component(self) -> CrossEncoderReranker:
        return _reranker(cross_encoders.save_bert)


@pytest.mark.long
class TestClassifierWithoutSegments(RerankerContract):
    def component(self) -> CrossEncoderReranker:
        return _reranker(cross_encoders.save_modernbert)


class TestClassifierThatCuts(RerankerContract):
    def component(self) -> CrossEncoderReranker:
        return _reranker(cross_encoders.save_xlm_roberta, long_passages="cut")


class TestDecoder(RerankerContract):
    def component(self) -> CrossEncoderReranker:
        return _reranker(cross_encoders.save_qwen3)


@pytest.mark.long
class TestDecoderOfOneToken(RerankerContract):
    def component(self) -> CrossEncoderReranker:
        return _reranker(cross_encoders.save_bge_gemma)


class TestEncoderDecoder(RerankerContract):
    def component(self) -> CrossEncoderReranker:
        return _reranker(cross_encoders.save_monot5)


@pytest.mark.long
class TestProbabilities(RerankerContract):
    def component(self) -> CrossEncoderReranker:
        return _reranker(cross_encoders.save_roberta, scores="probability", temperature=2.0)
