"""The cross-encoder that all of them run: the body of all-MiniLM-L6-v2, with a head fitted to its own cosines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from peers.pairs import Asked, from_documentation
from tamis_transformers.checkpoint import BUNDLED, located

__all__ = ["MAX_TOKENS", "body", "flops", "make", "token_counts"]

MAX_TOKENS = 256
"""Of query and passage together; the tokenizer says so to whoever reads the checkpoint."""
_QUERIES, _TEXTS = 20, 12
_RIDGE = 0.01
_BATCH = 24


def body() -> Path:
    """The bi-encoder, for late interaction."""
    return located(BUNDLED)


def make(folder: Path) -> Path:
    """Made once, of Python's documentation. As fast as ms-marco-MiniLM-L6; orders much as the bi-encoder does.

    Nobody trains a cross-encoder in a minute, and a random head would order by noise: the head is the ridge regression
    of the bi-encoder's cosines on what the pooler gives for query and text read together.
    """
    if (folder / "config.json").exists():
        return folder
    import torch
    from transformers import AutoTokenizer, BertForSequenceClassification

    torch.manual_seed(0)
    asked = from_documentation(_QUERIES)
    tokenizer = AutoTokenizer.from_pretrained(body(), model_max_length=MAX_TOKENS)
    model: Any = BertForSequenceClassification.from_pretrained(body(), num_labels=1).eval()
    sample = [(each.query, text) for each in asked for text in each.texts[:: len(each.texts) // _TEXTS]]
    with torch.inference_mode():
        features = _features(model, tokenizer, sample)
        weights, bias = _fitted(features, _cosines(model, tokenizer, sample))
        model.classifier.weight.copy_(torch.from_numpy(weights)[None])
        model.classifier.bias.fill_(bias)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def token_counts(folder: Path, asked: Sequence[Asked]) -> list[list[int]]:
    """How many tokens of each pair are read, special ones included."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    return [
        [len(ids) for ids in tokenizer([each.query] * len(each.texts), each.texts, truncation=True)["input_ids"]]
        for each in asked
    ]


def flops(folder: Path, tokens: int) -> float:
    """Of the matrix products for a text of so many tokens, padding left out; a multiply-add is two."""
    from tamis_transformers.checkpoint import json_of

    config = json_of(folder / "config.json")
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    dense = 2 * (4 * width * width + 2 * width * inner)
    attention = 4 * tokens * width
    return float(layers * tokens * (dense + attention))


def _features(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> np.ndarray[Any, Any]:
    """What the head sees: [pairs, width]."""
    found = []
    for start in range(0, len(pairs), _BATCH):
        queries, texts = zip(*pairs[start : start + _BATCH], strict=True)
        inputs = tokenizer(list(queries), list(texts), truncation=True, padding=True, return_tensors="pt")
        found.append(model.bert(**inputs).pooler_output.numpy())
    return np.concatenate(found).astype(np.float64)


def _cosines(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> np.ndarray[Any, Any]:
    queries = {text: _pooled(model, tokenizer, [text])[0] for text in dict.fromkeys(query for query, _ in pairs)}
    texts = [text for _, text in pairs]
    vectors = np.concatenate(
        [_pooled(model, tokenizer, texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)]
    )
    return np.array([queries[query] @ vector for (query, _), vector in zip(pairs, vectors, strict=True)])


def _pooled(model: Any, tokenizer: Any, texts: Sequence[str]) -> np.ndarray[Any, Any]:
    inputs = tokenizer(list(texts), truncation=True, padding=True, return_tensors="pt")
    hidden, mask = model.bert(**inputs).last_hidden_state, inputs["attention_mask"][..., None]
    mean = ((hidden * mask).sum(1) / mask.sum(1)).numpy()
    return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True))


def _fitted(features: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], float]:
    """Weights and bias; the targets are standardised, so that scores are spread like logits."""
    wanted = (target - target.mean()) / target.std()
    middle = features.mean(axis=0)
    centred = features - middle
    gram = centred.T @ centred + _RIDGE * len(centred) * np.eye(centred.shape[1]) * centred.var(axis=0).mean()
    weights = np.linalg.solve(gram, centred.T @ wanted)
    return weights.astype(np.float32), float(-middle @ weights)
