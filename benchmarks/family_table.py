"""The families of rerankers, each with the configuration under which it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tamis.config import parse

__all__ = ["FAMILIES", "Family"]

Weights = Literal["trained", "random", "scripted"]


@dataclass(frozen=True, slots=True)
class Family:
    """One way to rerank.

    `config` are its stages and models in TOML, `expression` is what is asked for. In it stand `$CHECKPOINT`, the folder
    that `checkpoint` saves (`module.function` below tests/checkpoints; without a function its first one), `$GEMMA`, the
    folder of the language model, and `$ENDPOINT`, the address of the scripted provider `endpoint`. Only trained
    `weights` say anything of quality; others prove code. A family that is `stored` ranks by what it keeps of the
    collection, in a search. `queries` and `depth` bound what it is asked.
    """

    name: str
    config: str
    expression: str
    weights: Weights = "trained"
    checkpoint: str = ""
    endpoint: str = ""
    stored: bool = False
    queries: int | None = None
    depth: int = 100

    @property
    def plugins(self) -> set[str]:
        """All that must be installed."""
        config = parse(self.config)
        return {each.plugin for each in (*config.models.values(), *config.stages.values())}

    @property
    def compares(self) -> bool:
        """Whether it is shown the minimal pairs. They are in no collection."""
        return self.weights == "trained" and not self.stored


_MINILM = '[models.minilm]\nplugin = "sentence-transformers"\n'
_LATE = f'{_MINILM}[stages.late]\nplugin = "late-interaction"\nembedder = "minilm"\n'
_MMR = '[stages.mmr]\nplugin = "mmr"\nembedder = "minilm"\n'
_GEMMA = '[models.gemma]\nplugin = "causal-lm"\nmodel = "$GEMMA"\nchat_template = false\n'
_CUT = 'llm = "gemma"\npassage_tokens = 64\n'
_LIKELIHOOD = f'[stages.likelihood]\nplugin = "query-likelihood"\nprompt = "plain"\n{_CUT}'
_ENSEMBLE = '[stages.both]\nplugin = "ensemble"\n'


def _checkpoint(name: str, plugin: str, checkpoint: str) -> Family:
    stage = f'[stages.ranked]\nplugin = "{plugin}"\nmodel = "$CHECKPOINT"\n'
    return Family(name, stage, "ranked", "random", checkpoint, queries=10, depth=20)


def _asking(plugin: str, more: str = "") -> Family:
    stage = f'{_GEMMA}[stages.{plugin}]\nplugin = "{plugin}"\nprompt = "few-shot"\n{_CUT}{more}'
    return Family(plugin, stage, plugin, queries=10, depth=20)


def _hosted(plugin: str) -> Family:
    model = "" if plugin == "tei" else 'model = "scripted"\n'
    stage = f'[stages.ranked]\nplugin = "{plugin}"\nbase_url = "$ENDPOINT"\napi_key = "scripted"\n{model}'
    return Family(f"hosted, {plugin}", stage, "ranked", "scripted", endpoint=plugin, queries=10, depth=20)


FAMILIES = (
    Family("late-interaction", _LATE, "late"),
    Family("late-interaction, blended", _LATE, "prior | late"),
    Family("late-interaction, stored", _LATE.removeprefix(_MINILM) + 'store = "int8"\n', "late", stored=True),
    Family(
        "late-interaction, ColBERT",
        '[models.colbert]\nplugin = "colbert"\nmodel = "$CHECKPOINT"\n'
        '[stages.ranked]\nplugin = "late-interaction"\nembedder = "colbert"\n',
        "ranked",
        "random",
        "colbert.save_stanford",
        queries=10,
        depth=20,
    ),
    _checkpoint("cross-encoder, classifier", "cross-encoder", "cross_encoders.save_bert"),
    _checkpoint("cross-encoder, decoder", "cross-encoder", "cross_encoders.save_qwen3"),
    _checkpoint("cross-encoder, encoder-decoder", "cross-encoder", "cross_encoders.save_monot5"),
    _checkpoint("layerwise", "layerwise", "layerwise"),
    _checkpoint("jina-v3", "jina-v3", "jina_v3"),
    Family("query-likelihood", _GEMMA + _LIKELIHOOD, "likelihood", queries=10, depth=20),
    _asking("listwise"),
    _asking("pairwise", 'method = "sliding"\npasses = 1\n'),
    _asking("setwise"),
    *map(_hosted, ("cohere", "infinity", "jina", "mixedbread", "tei", "vllm", "voyage")),
    Family("mmr", _MINILM + _MMR, "mmr"),
    Family("ensemble, late and mmr", f'{_LATE}{_MMR}{_ENSEMBLE}rerankers = ["late", "mmr"]\n', "both"),
    Family(
        "ensemble, late and likelihood",
        f'{_LATE}{_GEMMA}{_LIKELIHOOD}{_ENSEMBLE}rerankers = ["late", "likelihood"]\n',
        "both",
        queries=10,
        depth=20,
    ),
)
