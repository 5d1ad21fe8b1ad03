"""The reranker of jina-reranker-v3 keeps the contract, in one block and in several."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from checkpoints.jina_v3 import save_jina_v3

from tamis.testing.contract import RerankerContract
from tamis_transformers.jina_v3 import JinaV3Reranker

_FOLDER = TemporaryDirectory()


@cache
def _checkpoint() -> str:
    return str(save_jina_v3(Path(_FOLDER.name) / "jina"))


def _reranker(**settings: Any) -> JinaV3Reranker:
    asked = {"model": _checkpoint(), "device": "cpu", "dtype": "float32", "max_passage_tokens": 64} | settings
    return JinaV3Reranker(JinaV3Reranker.Settings(**asked, max_query_tokens=64))


class TestJinaV3(RerankerContract):
    def component(self) -> JinaV3Reranker:
        return _reranker()


@pytest.mark.long
class TestJinaV3InBlocks(RerankerContract):
    def component(self) -> JinaV3Reranker:
        return _reranker(block_passage_count=3)
