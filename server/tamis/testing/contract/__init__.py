"""The contract tests: subclass one for your plugin, name the subclass `Test…`, and run pytest."""

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{name}"
        for name in ("collections", "component", "embedder", "generator", "llm", "reranker", "retriever")
    )
)

from tamis.testing.contract.component import ComponentContract, on_its_loop, opened  # noqa: E402
from tamis.testing.contract.embedder import EmbedderContract  # noqa: E402
from tamis.testing.contract.generator import ContextBuilderContract, GeneratorContract  # noqa: E402
from tamis.testing.contract.llm import LlmContract  # noqa: E402
from tamis.testing.contract.reranker import RerankerContract  # noqa: E402
from tamis.testing.contract.retriever import RetrieverContract  # noqa: E402

__all__ = [
    "ComponentContract",
    "ContextBuilderContract",
    "EmbedderContract",
    "GeneratorContract",
    "LlmContract",
    "RerankerContract",
    "RetrieverContract",
    "on_its_loop",
    "opened",
]
