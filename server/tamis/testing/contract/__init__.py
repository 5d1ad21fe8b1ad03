"""The contract tests: subclass one for your plugin, name the subclass `Test…`, and run pytest."""

import pytest

_MODULES = (
    "chunker",
    "collections",
    "component",
    "embedder",
    "generator",
    "llm",
    "observing",
    "reader",
    "reranker",
    "retriever",
)
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in _MODULES))

from tamis.testing.contract.chunker import ChunkerContract  # noqa: E402
from tamis.testing.contract.component import ComponentContract, ServingContract, on_its_loop, opened  # noqa: E402
from tamis.testing.contract.embedder import EmbedderContract  # noqa: E402
from tamis.testing.contract.generator import ContextBuilderContract, GeneratorContract  # noqa: E402
from tamis.testing.contract.llm import LlmContract  # noqa: E402
from tamis.testing.contract.reader import ReaderContract  # noqa: E402
from tamis.testing.contract.reranker import RerankerContract  # noqa: E402
from tamis.testing.contract.retriever import RetrieverContract  # noqa: E402

__all__ = [
    "ChunkerContract",
    "ComponentContract",
    "ContextBuilderContract",
    "EmbedderContract",
    "GeneratorContract",
    "LlmContract",
    "ReaderContract",
    "RerankerContract",
    "RetrieverContract",
    "ServingContract",
    "on_its_loop",
    "opened",
]
