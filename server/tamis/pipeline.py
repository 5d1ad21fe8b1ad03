"""A pipeline: an expression over configured stages, and how it merges what runs side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

from tamis.component import Component, referred
from tamis.config import NAME, Config
from tamis.errors import InvalidExpression, NotFound
from tamis.events import StageRole
from tamis.expression import Chain, Expression, Leaf, has_join, leaves, parse, to_text, validate
from tamis.fusion import Fusion, ReciprocalRankFusion
from tamis.model import ScoreKind
from tamis.plugins import Components
from tamis.stage import Suggests

__all__ = ["Pipeline", "Pipelines"]

DEFAULT = "default"
_MOST_KEPT = 256  # expressions that requests have written
_ANSWERING = (StageRole.CONTEXT_BUILDER, StageRole.GENERATOR)


@dataclass(frozen=True, eq=False)
class Pipeline:
    """A validated expression with everything needed to run it. `name` is empty for one that came with a request.

    What follows from these is worked out once, as one pipeline serves many searches.
    """

    name: str
    expression: Expression
    components: Mapping[str, Component]
    roles: Mapping[str, StageRole]
    fusion: Fusion = field(default_factory=ReciprocalRankFusion)
    required: frozenset[str] = frozenset()
    description: str = ""
    _others: dict[int, tuple[Mapping[str, Component], Pipeline]] = field(default_factory=dict, init=False, repr=False)
    _read: dict[Expression, frozenset[str]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def retrieval(self) -> Expression:
        """Everything before the first `>>`."""
        return self._operands[0]

    @cached_property
    def retrieves(self) -> bool:
        """Whether it begins with retrievers: only then can it search."""
        return bool(self.retrievers)

    @cached_property
    def retrievers(self) -> tuple[str, ...]:
        """The names of its retrievers, from left to right."""
        found = (each.name for each in leaves(self.expression) if isinstance(each, Leaf))
        return tuple(name for name in found if self.roles[name] is StageRole.RETRIEVER)

    @cached_property
    def speller(self) -> tuple[str, Suggests | None]:
        """The first of its retrievers that knows its index's words, and its name."""
        for name in self.retrievers:
            if isinstance(component := self.components[name], Suggests):
                return name, component
        return "", None

    @cached_property
    def text(self) -> str:
        """Its expression in the canonical form."""
        return to_text(self.expression)

    def over(self, components: Mapping[str, Component]) -> Pipeline:
        """The same with other components, and the same one for the same components."""
        if (known := self._others.get(id(components))) is None:
            found = replace(self, components=components) if components != self.components else self
            known = self._others[id(components)] = components, found  # kept, so that no other one gets its id
        return known[1]

    def stages_read(self, part: Expression) -> frozenset[str]:
        """The stages whose indexes a part of it may read.

        Those that it names, and those that these refer to by their settings, as a stage on another one's index does.
        """
        if (found := self._read.get(part)) is None:
            found = self._read[part] = self._reached(part)
        return found

    @cached_property
    def stages(self) -> frozenset[str]:
        """The names of all its stages."""
        return frozenset(each.name for each in leaves(self.expression) if isinstance(each, Leaf))

    def score_kinds(self, expression: Expression) -> frozenset[ScoreKind]:
        """The kinds of score that the stages and fusions of a part of it give."""
        names = [each.name for each in leaves(expression) if isinstance(each, Leaf)]
        kinds = {self.components[name].capabilities.score_kind for name in names}
        return frozenset(kinds | ({self.fusion.kind} if has_join(expression) else set())) - {ScoreKind.NONE}

    @cached_property
    def reranking(self) -> Expression | None:
        """The rerankers: what stands between retrieval and context, or all of it when nothing retrieves."""
        ranking = tuple(each for each in self._operands if not self.is_answering(each))
        if ranking and self._retrieves(ranking[0]):
            ranking = ranking[1:]
        return Chain(ranking) if len(ranking) > 1 else ranking[0] if ranking else None

    @cached_property
    def context_builder(self) -> str | None:
        """The name of the context builder, if there is one."""
        return self._answering(StageRole.CONTEXT_BUILDER)

    @cached_property
    def generator(self) -> str | None:
        """The name of the generator, if there is one."""
        return self._answering(StageRole.GENERATOR)

    def is_answering(self, expression: Expression) -> bool:
        """Whether an operand is a context builder or a generator."""
        return isinstance(expression, Leaf) and self.roles[expression.name] in _ANSWERING

    @cached_property
    def _operands(self) -> tuple[Expression, ...]:
        return self.expression.operands if isinstance(self.expression, Chain) else (self.expression,)

    def _reached(self, part: Expression) -> frozenset[str]:
        pending = [self.components[each.name] for each in leaves(part) if isinstance(each, Leaf)]
        reached: dict[int, Component] = {}
        while pending:
            component = pending.pop()
            if id(component) not in reached:
                reached[id(component)] = component
                pending.extend(referred(component))
        return frozenset(name for name, each in self.components.items() if id(each) in reached)

    def _retrieves(self, expression: Expression) -> bool:
        return any(
            isinstance(each, Leaf) and self.roles[each.name] is StageRole.RETRIEVER for each in leaves(expression)
        )

    def _answering(self, role: StageRole) -> str | None:
        names = (each.name for each in self._operands if isinstance(each, Leaf) and self.roles[each.name] is role)
        return next(names, None)


class Pipelines:
    """The configured pipelines, and those that requests write themselves."""

    def __init__(self, config: Config, components: Components) -> None:
        """Raises `ConfigurationError` for a pipeline that makes no sense."""
        self._components, self._roles = components, components.roles
        self._named = {name: self._configured(config, name) for name in config.pipelines}
        self._written = lru_cache(_MOST_KEPT)(self._parsed)

    def list(self) -> list[Pipeline]:
        """The configured pipelines by name."""
        return [self._named[name] for name in sorted(self._named)]

    def resolve(self, text: str, *, field: str = "pipeline", has_input: bool = False) -> Pipeline:
        """A configured pipeline by name, or an expression. Empty means `default`.

        `has_input` says that an order comes in with the request. Raises `NotFound` for a name that is neither a
        pipeline nor a stage, `InvalidExpression` otherwise.
        """
        text = text.strip() or DEFAULT
        if text in self._named:
            return self._named[text]
        if re.fullmatch(NAME, text) and text != "prior" and text not in self._roles:
            raise NotFound("pipeline", text, available=[*self._named], field=field)
        return self._written(text, field, has_input)

    def _parsed(self, text: str, field: str, has_input: bool) -> Pipeline:
        expression = parse(text, field=field)
        validate(expression, self._roles, text=text, has_input=has_input, field=field)
        return Pipeline("", expression, self._components, self._roles)

    def _configured(self, config: Config, name: str) -> Pipeline:
        table = config.pipelines[name]
        try:
            expression = parse(table.expression)
            has_input = not any(isinstance(each, Leaf) and self._is_retriever(each.name) for each in leaves(expression))
            validate(expression, self._roles, text=table.expression, has_input=has_input)
        except InvalidExpression as error:
            raise config.error(f"[pipelines.{name}] expression, {error}", "pipelines", name, "expression") from None
        used = {each.name for each in leaves(expression) if isinstance(each, Leaf)}
        if unused := sorted((table.required | table.fusion.weights.keys()) - used - {"prior"}):
            key = "required" if unused[0] in table.required else "fusion"
            message = f"[pipelines.{name}] {key} names {unused[0]!r}, which is not in the expression"
            raise config.error(message, "pipelines", name, key)
        fusion = table.fusion.build()
        return Pipeline(name, expression, self._components, self._roles, fusion, table.required, table.description)

    def _is_retriever(self, name: str) -> bool:
        return self._roles.get(name) is StageRole.RETRIEVER
