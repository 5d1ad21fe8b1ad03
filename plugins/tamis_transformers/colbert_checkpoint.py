"""Reads how a ColBERT checkpoint wants texts to be read, in the layouts of those who publish them."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tamis.errors import ConfigurationError
from tamis_transformers.checkpoint import json_of

__all__ = ["Expansion", "Form", "Side", "form_of"]

_QUERY_TOKENS, _STANFORD_TOKENS, _PYLATE_TOKENS = 32, 220, 180


@dataclass(frozen=True, slots=True)
class Side:
    """How texts of one kind are read: `prompt` goes before the text, the token `marker` behind the first one, and
    `length` tokens are read at most, those of the model's own among them; 0 for as many as it has positions."""

    marker: str
    prompt: str
    length: int


@dataclass(frozen=True, slots=True)
class Expansion:
    """A query is filled up with [MASK] to its length; `attends` says whether its own tokens look at those."""

    attends: bool


@dataclass(frozen=True, slots=True)
class Form:
    """What a checkpoint says of itself.

    `layers` are the folders of the layers on top of the encoder, in order; the encoder's own where its file holds the
    one layer. Tokens of passages that stand for one of the words in `skipped` are read and not kept.
    """

    layout: str
    layers: tuple[Path, ...]
    query: Side
    passage: Side
    expansion: Expansion | None
    skipped: tuple[str, ...]


def form_of(path: Path) -> Form:
    """The form of the checkpoint at `path`: of PyLate, of sentence-transformers, or of colbert-ai.

    Raises `ConfigurationError` for one that is no ColBERT.
    """
    dense = tuple(
        path / each["path"] for each in _modules(path) if each["type"].rpartition(".")[2] in ("Dense", "LSTM", "CNN")
    )
    if dense:
        said = json_of(path / "config_sentence_transformers.json")
        return (_multi_vector if said.get("model_type") == "MultiVectorEncoder" else _pylate)(path, dense, said)
    is_stanford = (path / "artifact.metadata").exists() or "HF_ColBERT" in _architectures(path)
    if not is_stanford:
        raise ConfigurationError(
            f"the model at {path} is no ColBERT checkpoint: neither modules.json with a Dense layer nor "
            'artifact.metadata; token vectors of a plain encoder come from the plugin "sentence-transformers"'
        )
    return _stanford(path, json_of(path / "artifact.metadata"))


def _stanford(path: Path, said: Mapping[str, Any]) -> Form:
    query = Side(said.get("query_token_id") or "[unused0]", "", int(said.get("query_maxlen") or _QUERY_TOKENS))
    passage = Side(said.get("doc_token_id") or "[unused1]", "", int(said.get("doc_maxlen") or _STANFORD_TOKENS))
    skipped = tuple(string.punctuation) if said.get("mask_punctuation", True) else ()
    return Form("colbert-ai", (path,), query, passage, Expansion(bool(said.get("attend_to_mask_tokens"))), skipped)


def _pylate(path: Path, layers: tuple[Path, ...], said: Mapping[str, Any]) -> Form:
    if "query_length" not in said:
        raise ConfigurationError(
            f"the model at {path} has a Dense layer but no query_length: it was not trained for late interaction"
        )
    prompts = said.get("prompts") or {}
    passage_prompt = _first(prompts, "document", "passage", "corpus")
    query = Side(_or(said, "query_prefix", "[Q] "), _first(prompts, "query"), int(said["query_length"]))
    length = int(said.get("document_length") or _PYLATE_TOKENS)
    passage = Side(_or(said, "document_prefix", "[D] "), passage_prompt, length)
    expansion = Expansion(bool(said.get("attend_to_expansion_tokens")))
    expands = _or(said, "do_query_expansion", True)
    skipped = tuple(_or(said, "skiplist_words", list(string.punctuation)))
    return Form("pylate", layers, query, passage, expansion if expands else None, skipped)


def _multi_vector(path: Path, layers: tuple[Path, ...], said: Mapping[str, Any]) -> Form:
    """A `MultiVectorEncoder`: markers are part of the prompts, and the mask is a module."""
    modules = {each["type"].rpartition(".")[2]: each["path"] for each in _modules(path)}
    unknown = modules.keys() - {"Transformer", "Dense", "MultiVectorMask", "Normalize"}
    if unknown:
        raise ConfigurationError(f"the model at {path} has modules this plugin does not know: {sorted(unknown)}")
    encoder = json_of(path / "sentence_bert_config.json")
    mask = json_of(path / modules["MultiVectorMask"] / "config.json") if "MultiVectorMask" in modules else {}
    wanted = encoder.get("query_expansion")
    if wanted and (wanted.get("strategy") != "fixed" or wanted.get("token")):
        raise ConfigurationError(f"the model at {path} expands queries otherwise than by [MASK] to a fixed length")
    if mask.get("keep_only_token_ids") or mask.get("skiplist_tasks", ["document"]) != ["document"]:
        raise ConfigurationError(f"the model at {path} leaves out tokens by rules this plugin does not know")
    prompts = said.get("prompts") or {}
    query_length = wanted["length"] if wanted else encoder.get("query_length")
    query = Side("", _first(prompts, "query"), int(query_length or 0))
    passage = Side("", _first(prompts, "document", "passage", "corpus"), int(encoder.get("document_length") or 0))
    expansion = Expansion(bool(wanted.get("attend"))) if wanted else None
    return Form("sentence-transformers", layers, query, passage, expansion, tuple(mask.get("skiplist_words") or ()))


def _modules(path: Path) -> list[dict[str, Any]]:
    found: Any = json_of(path / "modules.json")
    return list(found)


def _architectures(path: Path) -> list[str]:
    return json_of(path / "config.json").get("architectures") or []


def _first(prompts: Mapping[str, str], *names: str) -> str:
    return next((prompts[name] for name in names if prompts.get(name)), "")


def _or(said: Mapping[str, Any], name: str, default: Any) -> Any:
    """Absent and null are the same."""
    found = said.get(name)
    return default if found is None else found
