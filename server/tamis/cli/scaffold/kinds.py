"""What kinds of plugin there are to begin with."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KINDS", "Kind"]

_WORDS = """[stages.bm25]
plugin = "tantivy"

"""
_STAGE = """[stages.mine]
plugin = "{name}"
"""
_PIPELINE = """

[pipelines.default]
expression = "%s"
"""
_MODEL = """[models.mine]
plugin = "{name}"
"""
_AFTER_WORDS = _PIPELINE % "bm25 % 50 >> mine"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of plugin: its entry-point group, what it is called, and a configuration that uses the one called
    `{name}`. One without settings of its own has those of every plugin."""

    name: str
    group: str
    role: str
    usage: str
    has_settings: bool = True


KINDS = {
    each.name: each
    for each in (
        Kind("rerank", "tamis.rerankers", "reranker", f"{_WORDS}{_STAGE}weight = 1.0{_AFTER_WORDS}"),
        Kind(
            "rerank-listwise",
            "tamis.rerankers",
            "listwise reranker",
            f"{_WORDS}{_STAGE}shortest_first = true{_AFTER_WORDS}",
        ),
        Kind("retrieve", "tamis.retrievers", "retriever", f"{_STAGE}most_words = 50{_PIPELINE % 'mine % 50'}"),
        Kind(
            "context",
            "tamis.context_builders",
            "context builder",
            f'{_WORDS}[stages.answer]\nplugin = "extractive"\n\n{_STAGE}most = 5'
            f"{_PIPELINE % 'bm25 % 50 >> mine >> answer'}",
        ),
        Kind("generate", "tamis.generators", "generator", f"{_WORDS}{_STAGE}most = 3{_AFTER_WORDS}"),
        Kind(
            "embed",
            "tamis.embedders",
            "embedder",
            f'{_MODEL}size = 256\n\n[stages.dense]\nplugin = "qdrant"\nembedder = "mine"{_PIPELINE % "dense % 50"}',
        ),
        Kind(
            "llm",
            "tamis.llms",
            "language model",
            f'{_WORDS}{_MODEL}context_size = 4096\n\n[stages.written]\nplugin = "llm"\nllm = "mine"'
            f"{_PIPELINE % 'bm25 % 50 >> written'}",
        ),
        Kind(
            "chunk",
            "tamis.chunkers",
            "chunker",
            f'{_WORDS}{_MODEL}\n[ingest]\nchunker = "mine"{_PIPELINE % "bm25 % 50"}',
            has_settings=False,
        ),
        Kind("read", "tamis.readers", "reader", "# Nothing to configure: `tamis index` reads the files of its suffix."),
    )
}
"""By the word after `--kind`."""
