"""An endpoint on loopback that reranks by words in common, in the published wire format of each provider."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from scripted_endpoint import Endpoint, Reply, endpoint_running

__all__ = ["PROVIDERS", "Format", "Score", "answered", "base_url", "overlap", "reranking_endpoint"]

Score = Callable[[str, str], float]
"""The score of a text for a query."""

_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Format:
    """Where requests go and what they hold: `prefix` belongs to the base address, `texts` is the list of texts,
    `most` how many there may be; `results` is the list in the answer, empty where the answer is the list."""

    prefix: str
    path: str
    texts: str = "documents"
    most: int = 1_000
    results: str = "results"
    score: str = "relevance_score"


PROVIDERS = {
    "cohere": Format("", "/v2/rerank"),
    "infinity": Format("", "/rerank", most=2_048),
    "jina": Format("/v1", "/rerank", most=2_048),
    "mixedbread": Format("", "/v1/reranking", "input", results="data", score="score"),
    "tei": Format("", "/rerank", "texts", most=32, results="", score="score"),
    "vllm": Format("/v1", "/rerank", most=10_000),
    "voyage": Format("/v1", "/rerank", results="data"),
}
"""The formats by the plugins' names."""


def base_url(provider: str, endpoint: Endpoint) -> str:
    """What the plugin is told."""
    return endpoint.url + PROVIDERS[provider].prefix


def overlap(query: str, text: str) -> float:
    """The share of the query's words that the text has."""
    asked = set(query.lower().split())
    return len(asked & set(text.lower().split())) / max(len(asked), 1)


def answered(provider: str, results: Sequence[Any], *, count: int = 1, tokens: Any = 7) -> Reply:
    """A whole answer with these results, to a request for `count` texts, of which so many tokens were read."""
    form = PROVIDERS[provider]
    told: Any = {form.results: results, "model": "m", "id": "1"} if form.results else results
    if provider == "cohere":
        billed = {"search_units": math.ceil(count / 100)} if tokens is not None else None
        told["meta"] = {"api_version": {"version": "2"}, "billed_units": billed}
    elif provider == "mixedbread":
        told |= {"object": "list", "top_k": count, "return_input": False}
        told["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0}
    elif provider == "voyage":
        told |= {"object": "list", "usage": {"total_tokens": tokens}}
    elif provider != "tei":
        told["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Reply([json.dumps(told).encode()], headers=_JSON)


@contextmanager
def reranking_endpoint(provider: str, score: Score = overlap) -> Iterator[Endpoint]:
    """A running endpoint that answers in one provider's format, best first, and refuses what that one refuses."""
    with endpoint_running() as running:
        running.replies = [partial(_reply, provider, score)]
        yield running


def _reply(provider: str, score: Score, body: dict[str, Any]) -> Reply:
    form = PROVIDERS[provider]
    query, texts = body["query"], body[form.texts]
    if not texts or len(texts) > form.most or not all(each.strip() for each in (query, *texts)):
        return Reply([b'{"detail": "refused", "message": "refused"}'], 422, _JSON)
    scores = [score(query, text) for text in texts]
    order = sorted(range(len(texts)), key=scores.__getitem__, reverse=True)
    results = [{"index": index, form.score: scores[index]} for index in order]
    tokens = sum(len(query.split()) + len(text.split()) for text in texts)
    return answered(provider, results, count=len(texts), tokens=tokens)
