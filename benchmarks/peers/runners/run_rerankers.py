"""rerankers: `Reranker(...).rank`, as it comes."""

from __future__ import annotations

from collections.abc import Sequence

from protocol import Given, Peer, one_at_a_time, run, versions
from rerankers import Reranker


def opened(given: Given) -> Peer:
    """On the CPU; the library takes float32 there."""
    ranker = Reranker(given["model"], model_type="cross-encoder", device="cpu", verbose=0)

    def score(query: str, texts: Sequence[str]) -> list[float]:
        ranked = ranker.rank(query, list(texts), doc_ids=list(range(len(texts))))
        found = {each.document.doc_id: each.score for each in ranked.results}
        return [found[number] for number in range(len(texts))]

    dtype = str(ranker.dtype).removeprefix("torch.")
    return Peer(one_at_a_time(score), dtype=dtype, versions=versions("rerankers", "transformers"))


if __name__ == "__main__":
    run(opened)
