"""The layerwise reranker keeps the contract, straight to a layer and with early exit."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from checkpoints.layerwise import save_layerwise

from tamis.testing.contract import RerankerContract
from tamis_transformers.layerwise import LayerwiseReranker

_FOLDER = TemporaryDirectory()


@cache
def _checkpoint() -> str:
    return str(save_layerwise(Path(_FOLDER.name) / "layerwise"))


def _reranker(**settings: Any) -> LayerwiseReranker:
    asked = {"model": _checkpoint(), "device": "cpu", "dtype": "float32", "max_tokens": 128} | settings
    return LayerwiseReranker(LayerwiseReranker.Settings(**asked))


@pytest.mark.long
class TestLayerwise(RerankerContract):
    def component(self) -> LayerwiseReranker:
        return _reranker()


class TestLayerwiseWithEarlyExit(RerankerContract):
    def component(self) -> LayerwiseReranker:
        return _reranker(exit_layers=(2, 4), exit_margin=0.5)
