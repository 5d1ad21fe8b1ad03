"""Finds known pitfalls in a configuration that is valid: what, why, where, and how to mend it. Opens nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tamis.component import Component
from tamis.config import Config, PluginConfig
from tamis.events import StageRole
from tamis.expression import Chain, Cut, Expression, Join, Leaf, Prior, leaves
from tamis.model import ScoreKind
from tamis.pipeline import Pipeline

__all__ = ["Finding", "Severity", "diagnose", "facts"]

FEWEST_CANDIDATES = 50
"""Below it a reranker has little to choose from: what retrieval put lower can no longer be found."""
MOST_PASSAGES = 10
"""Above it language models lose what stands in the middle (Liu et al., "Lost in the Middle", 2023)."""
PAGE_SIZE = 10
"""What a request gets that asks for no size."""
DEPTH = 100
"""What a retriever fetches without `%`."""

_READS = {"all-MiniLM-L6-v2": 256}  # tokens; the bundled model, whose folder need not be opened to know


class Severity(Enum):
    """A problem keeps something from working, a warning costs quality or time, a note is neither."""

    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know. `rule` is made for programs; `place` is file and line, empty for none."""

    rule: str
    severity: Severity
    message: str
    why: str = ""
    remedy: str = ""
    place: str = ""


def diagnose(config: Config, pipelines: list[Pipeline]) -> list[Finding]:
    """Everything found in a configuration, in the order of its tables. Reads no model, opens no plugin."""
    found = [*_of_passages(config), *_of_stages(config, pipelines)]
    for pipeline in pipelines:
        checked = _Checked(config, pipeline)
        found += [finding for rule in _RULES for finding in rule(checked)]
    return found


def facts(config: Config, components: Mapping[str, Component]) -> list[Finding]:
    """What the components say of how they run here. Opens none."""
    found: list[Finding] = []
    for name, component in components.items():
        section = "models" if name in config.models else "stages"
        place = _place(config, section, name)
        found += [
            Finding("runs", Severity.NOTE, f"[{section}.{name}] {each}", place=place) for each in component.facts()
        ]
    return found


@dataclass(frozen=True, slots=True)
class _Checked:
    """One pipeline of a configuration."""

    config: Config
    pipeline: Pipeline

    @property
    def operands(self) -> list[Expression]:
        """What ranks, one after another: everything but context builder and generator."""
        expression = self.pipeline.expression
        operands = expression.operands if isinstance(expression, Chain) else (expression,)
        return [each for each in operands if not self.pipeline.is_answering(each)]

    @property
    def answers(self) -> bool:
        return self.pipeline.generator is not None

    def table(self, stage: str | None) -> Mapping[str, object]:
        return self.config.stages[stage].settings if stage in self.config.stages else {}

    def role(self, leaf: Leaf) -> StageRole:
        return self.pipeline.roles[leaf.name]

    def most(self, expression: Expression, incoming: int = DEPTH) -> int:
        """The most hits that come out of an expression that gets `incoming`."""
        match expression:
            case Leaf():
                return DEPTH if self.role(expression) is StageRole.RETRIEVER else incoming
            case Prior():
                return incoming
            case Cut(Leaf() as leaf, limit) if self.role(leaf) is StageRole.RETRIEVER:
                return limit
            case Cut(operand, limit):
                return min(limit, self.most(operand, incoming))
            case Join(operands):
                counts = [self.most(each, incoming) for each in operands]
                return sum(counts) if self.retrieves(expression) else max(counts)
            case Chain(operands):
                for each in operands:
                    incoming = self.most(each, incoming)
                return incoming

    def retrieves(self, expression: Expression) -> bool:
        return any(isinstance(each, Leaf) and self.role(each) is StageRole.RETRIEVER for each in leaves(expression))

    def kind(self, expression: Expression) -> ScoreKind:
        """The kind of score that an expression's hits have."""
        match expression:
            case Leaf(name):
                return self.pipeline.components[name].capabilities.score_kind
            case Cut(operand, _):
                return self.kind(operand)
            case Join():
                return self.pipeline.fusion.kind
            case Chain(operands):
                return self.kind(operands[-1])
            case Prior():
                return ScoreKind.NONE

    def finding(self, rule: str, message: str, *, why: str, remedy: str, key: str = "expression") -> Finding:
        name = self.pipeline.name
        place = _place(self.config, "pipelines", name, key)
        return Finding(rule, Severity.WARNING, f"[pipelines.{name}] {message}", why, remedy, place)


def _few_candidates(checked: _Checked) -> Iterator[Finding]:
    count = DEPTH
    for place, operand in enumerate(checked.operands):
        rerankers = [
            each.name for each in leaves(operand) if isinstance(each, Leaf) and checked.role(each) is StageRole.RERANKER
        ]
        if rerankers and checked.pipeline.retrieves and place and count < FEWEST_CANDIDATES:
            yield checked.finding(
                "few-candidates",
                f"{rerankers[0]!r} reranks at most {count} candidates",
                why="a reranker can only bring up what it is given, and it is there for what retrieval ranked low",
                remedy=f"give it {FEWEST_CANDIDATES} to 200: raise the limits before it",
            )
        count = checked.most(operand, count)


def _keeps_one(checked: _Checked) -> Iterator[Finding]:
    if checked.pipeline.retrieves and checked.most(Chain(tuple(checked.operands))) == 1:
        yield checked.finding(
            "keeps-one",
            "keeps one hit",
            why="the first is often not the right one, and one passage cannot be checked by another",
            remedy="keep 5 to 10; `page_size` cuts what a caller sees",
        )


def _short_pages(checked: _Checked) -> Iterator[Finding]:
    most = checked.most(Chain(tuple(checked.operands)))
    if checked.pipeline.retrieves and 1 < most < PAGE_SIZE:
        yield checked.finding(
            "short-pages",
            f"gives at most {most} hits, fewer than a page of {PAGE_SIZE}",
            why="no request can get a full page, or a second one",
            remedy=f"raise the strictest `%` to {PAGE_SIZE} or more",
        )


def _wide_context(checked: _Checked) -> Iterator[Finding]:
    builder = checked.pipeline.context_builder
    for key, value in checked.table(builder).items():
        if builder and key.startswith("passages") and isinstance(value, int) and value > MOST_PASSAGES:
            yield Finding(
                "wide-context",
                Severity.WARNING,
                f"[stages.{builder}] {key}: {value} passages for one answer",
                "beyond ten, models overlook what stands in the middle, and the answer costs more and comes later",
                "3 to 5 for facts, 7 to 10 for research",
                _place(checked.config, "stages", builder, key),
            )


def _replaces_order(checked: _Checked) -> Iterator[Finding]:
    for operand in checked.operands[1:]:
        inner = operand
        while isinstance(inner, Cut):
            inner = inner.operand
        if isinstance(inner, Leaf) and checked.kind(inner) is ScoreKind.MAX_SIM:
            yield checked.finding(
                "replaces-order",
                f"{inner.name!r} replaces the order before it",
                why="late interaction over an encoder not trained for it can be worse than what came in",
                remedy=f"blend: `>> (prior | {inner.name})`",
            )


def _ranks_under_scores(checked: _Checked) -> Iterator[Finding]:
    if checked.pipeline.fusion.kind is ScoreKind.RANK_FUSION:
        return
    for join in _joins(checked.pipeline.expression):
        for side in join.operands:
            if not isinstance(side, Prior) and checked.kind(side) is ScoreKind.NONE:
                name = ", ".join(each.name for each in leaves(side) if isinstance(each, Leaf))
                yield checked.finding(
                    "ranks-under-scores",
                    f"{checked.pipeline.fusion.describe()} fuses {name!r}, which gives ranks and no scores",
                    why="its ranks stand in for scores, evenly spaced, beside scores that are not",
                    remedy='fuse by rank: fusion = { kind = "rrf" }',
                    key="fusion",
                )


def _mixed_kinds(checked: _Checked) -> Iterator[Finding]:
    """A threshold is for one kind; a reranker that fails or is cut short leaves hits with the score they had before."""
    builder = checked.pipeline.context_builder
    thresholds = checked.table(builder).get("min_scores")
    if not builder or not isinstance(thresholds, Mapping) or not thresholds:
        return
    possible = {checked.kind(each).value for each in checked.operands}
    if missing := sorted(possible - set(thresholds)):
        yield Finding(
            "mixed-kinds",
            Severity.WARNING,
            f"[stages.{builder}] min_scores has nothing for {', '.join(missing)}, which hits of "
            f"[pipelines.{checked.pipeline.name}] can have",
            "a stage that fails or runs out of time leaves hits with the score before it, of another kind: one "
            "threshold does not hold for both",
            "set one for each kind that the pipeline can end with, or none",
            _place(checked.config, "stages", builder, "min_scores"),
        )


def _required_refiners(checked: _Checked) -> Iterator[Finding]:
    for name in sorted(checked.pipeline.required):
        if checked.pipeline.roles[name] is not StageRole.RETRIEVER:
            yield checked.finding(
                "required-refiner",
                f"requires {name!r}, a {checked.pipeline.roles[name].value.replace('_', ' ')}",
                why="when it fails or is late, callers get an error although there are hits",
                remedy="require retrievers only; the stage reports say what did not run",
                key="required",
            )


_RULES: tuple[Callable[[_Checked], Iterator[Finding]], ...] = (
    _few_candidates,
    _keeps_one,
    _short_pages,
    _wide_context,
    _replaces_order,
    _ranks_under_scores,
    _mixed_kinds,
    _required_refiners,
)


def _of_passages(config: Config) -> Iterator[Finding]:
    """Whoever cuts passages for an embedder must not cut them longer than it reads."""
    for name, table in {**config.models, **config.stages}.items():
        longest, embedder = table.settings.get("max_tokens"), table.settings.get("embedder")
        reads = _reads(config.models[embedder]) if embedder in config.models else None
        if isinstance(longest, int) and reads is not None and longest > reads:
            section = "models" if name in config.models else "stages"
            yield Finding(
                "long-passages",
                Severity.WARNING,
                f"[{section}.{name}] max_tokens: passages of {longest} tokens, of which {embedder!r} reads {reads}",
                "the rest of each passage is in no vector, and cannot be found by meaning",
                f"max_tokens = {reads}, or an embedder that reads more",
                _place(config, section, name, "max_tokens"),
            )


def _reads(embedder: PluginConfig) -> int | None:
    """How many tokens an embedder reads as far as settings and its folder tell; None when only opening it would."""
    settings = embedder.settings
    model = str(settings.get("model", "all-MiniLM-L6-v2" if embedder.plugin == "sentence-transformers" else ""))
    file = Path(model).expanduser() / "sentence_bert_config.json"
    try:
        said = json.loads(file.read_text()).get("max_seq_length") if model and file.exists() else _READS.get(model)
    except (OSError, ValueError):
        said = None
    known = [each for each in (settings.get("max_tokens"), said) if isinstance(each, int)]
    return min(known) if known else None


def _of_stages(config: Config, pipelines: list[Pipeline]) -> Iterator[Finding]:
    """What no request without a pipeline can use, and what is loaded for nothing."""
    if pipelines and "default" not in config.pipelines:
        yield Finding(
            "no-default",
            Severity.WARNING,
            "there is no pipeline named 'default'",
            "a request that names no pipeline is refused",
            "name one of them default",
        )
    used = {each.name for pipeline in pipelines for each in leaves(pipeline.expression) if isinstance(each, Leaf)}
    used |= {value for table in config.stages.values() for value in table.settings.values() if isinstance(value, str)}
    used |= {name for name in config.replacements.values() if config.stages[name].replaces in used}
    for name in sorted(config.stages.keys() - used):
        yield Finding(
            "unused-stage",
            Severity.NOTE,
            f"[stages.{name}] no configured pipeline uses it",
            "it is opened, and indexes for it are kept; only expressions sent with a request can use it",
            "leave it out, unless they do",
            _place(config, "stages", name),
        )


def _joins(expression: Expression) -> Iterator[Join]:
    match expression:
        case Join(operands):
            yield expression
        case Chain(operands):
            pass
        case Cut(operand, _):
            operands = (operand,)
        case _:
            return
    for each in operands:
        yield from _joins(each)


def _place(config: Config, *keys: str) -> str:
    line = config.line_of(*keys)
    return f"{config.origin}:{line}" if line else config.origin
