"""Which contract a plugin is tested by."""

from __future__ import annotations

from typing import Any

from tamis.chunking import Chunker
from tamis.generator import ContextBuilder, Generator
from tamis.models import Embedder, Llm
from tamis.reading import Reader
from tamis.stage import Reranker, Retriever
from tamis.testing.contract import (
    ChunkerContract,
    ComponentContract,
    ContextBuilderContract,
    EmbedderContract,
    GeneratorContract,
    LlmContract,
    ReaderContract,
    RerankerContract,
    RetrieverContract,
)

__all__ = ["CONTRACTS", "contract_of"]

CONTRACTS: dict[type[Any], type[ComponentContract]] = {
    Retriever: RetrieverContract,
    Reranker: RerankerContract,
    ContextBuilder: ContextBuilderContract,
    Generator: GeneratorContract,
    Embedder: EmbedderContract,
    Llm: LlmContract,
    Chunker: ChunkerContract,
    Reader: ReaderContract,
}
"""The contract of each class that plugins derive from."""


def contract_of(kind: object) -> type[ComponentContract] | None:
    """The contract of a plugin's class; None for what is no plugin."""
    if not isinstance(kind, type):
        return None
    return next((contract for role, contract in CONTRACTS.items() if issubclass(kind, role)), None)
