"""Haystack: the similarity ranker on sentence-transformers, as it comes."""

from __future__ import annotations

from collections.abc import Sequence

from haystack import Document
from haystack.utils import ComponentDevice
from protocol import Given, Peer, one_at_a_time, run, versions

try:  # Haystack 3 has it in a package of its own
    from haystack_integrations.components.rankers.sentence_transformers import SentenceTransformersSimilarityRanker
except ImportError:
    from haystack.components.rankers import SentenceTransformersSimilarityRanker


def opened(given: Given) -> Peer:
    """All documents come back, with logits."""
    device = ComponentDevice.from_str("cpu")
    ranker = SentenceTransformersSimilarityRanker(model=given["model"], device=device, top_k=1_000, scale_score=False)
    ranker.warm_up()

    def score(query: str, texts: Sequence[str]) -> list[float]:
        documents = [Document(id=str(number), content=text) for number, text in enumerate(texts)]
        found = {each.id: each.score for each in ranker.run(query=query, documents=documents)["documents"]}
        return [found[each.id] for each in documents]

    named = versions("haystack-ai", "sentence-transformers-haystack", "sentence-transformers", "transformers")
    return Peer(one_at_a_time(score), versions=named)


if __name__ == "__main__":
    run(opened)
