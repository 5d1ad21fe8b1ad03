"""PyLate: late interaction on the body alone, passages encoded anew for each query; other scores than the rest."""

from __future__ import annotations

from collections.abc import Sequence

from protocol import Given, Peer, one_at_a_time, run, versions
from pylate import models, rank


def opened(given: Given) -> Peer:
    """Token vectors of 128 dimensions by a projection that nobody trained: only the time counts."""
    model = models.ColBERT(given["body"], device="cpu", document_length=256)

    def score(query: str, texts: Sequence[str]) -> list[float]:
        asked = model.encode([query], is_query=True, show_progress_bar=False)
        passages = model.encode(list(texts), is_query=False, show_progress_bar=False)
        ids = [list(range(len(texts)))]
        (ranked,) = rank.rerank(documents_ids=ids, queries_embeddings=asked, documents_embeddings=[passages])
        found = {each["id"]: each["score"] for each in ranked}
        return [found[number] for number in range(len(texts))]

    named = versions("pylate", "sentence-transformers", "transformers")
    return Peer(one_at_a_time(score), versions=named, note="no cross-encoder: passages encoded anew")


if __name__ == "__main__":
    run(opened)
