"""Divides the caller's deadline among the stages of a pipeline, by what they cost and what they bring."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, product

from tamis.costs import Costs
from tamis.deadline import Deadline
from tamis.events import BudgetBasis, StageReport, StageRole
from tamis.expression import Chain, Cut, Expression, Join, Leaf, Prior, leaves
from tamis.gains import GainCurve
from tamis.model import Hit, Query

__all__ = ["DEFAULT_DEPTH", "LEAST_SECONDS", "Planner", "work_of"]

DEFAULT_DEPTH = 100
"""How many hits a retriever fetches when no `%` says so."""
LEAST_SECONDS = 0.002
"""A stage that would get less is not started."""

_SHARES = {
    StageRole.RETRIEVER: 3.0,
    StageRole.RERANKER: 4.0,
    StageRole.CONTEXT_BUILDER: 0.5,
    StageRole.GENERATOR: 4.0,
}
_CHARACTERS = 4  # of a token, about
_DEVIATIONS = 1.0  # a reranker that is cut keeps what it has, so its promise need not hold as often
_DEPTHS = (2, 5, 10, 20, 35, 50, 75, 100, 150, 200, 350, 500, 1_000)
_MOST_PLANS = 512
_MOST_CHOICES = 8
_ASSUMED = GainCurve()


def work_of(query: Query, hits: Iterable[Hit]) -> list[float]:
    """The work that each hit is for a reranker, in tokens of query and passage, by their characters."""
    asked = len(query.text)
    return [(asked + len(each.passage.title) + len(each.passage.text)) / _CHARACTERS for each in hits]


@dataclass(frozen=True, slots=True)
class _Part:
    """One operand of a chain: what it may cost and bring, cheapest first; None where that is not known."""

    share: float
    options: tuple[tuple[float, float], ...] | None

    @property
    def whole(self) -> float:
        """What all of it costs; infinite where that is not known."""
        return math.inf if self.options is None else self.options[-1][0]

    def reserved(self, seconds: float, total: float) -> float:
        """What it gets of `seconds` while others are not known: its share, or less where all of it needs less."""
        return min(seconds * self.share / total if total else 0.0, self.whole)


class Planner:
    """Gives each stage its time and each reranker its depth, as it comes to them; what one does not use flows on.

    What has been measured gets what it promises to need: retrieval and the generator's first token first, then the
    rerankers, as many candidates of each as together bring most. For stages that have not been measured there are fixed
    shares of what is left. Stages side by side share one budget. Never relaxes a pipeline's limits, and cuts depths
    only where the time does not allow them.
    """

    def __init__(
        self, gains: Mapping[str, GainCurve] | None = None, costs: Costs | None = None, *, learns: bool = True
    ) -> None:
        """Without `learns`, shares stay fixed."""
        self._gains = gains or {}
        self._costs = costs or Costs()
        self._learns = learns

    def observe(self, report: StageReport) -> None:
        """Learns from a stage that has ended."""
        if self._learns:
            self._costs.learn(report)

    def basis(self, expression: Expression, roles: Mapping[str, StageRole]) -> BudgetBasis:
        """What plans for an expression rest on now."""
        names = [each.name for each in leaves(expression) if isinstance(each, Leaf)]
        known = sum(self._costs.of(name) is not None for name in names)
        if not known:
            return BudgetBasis.FIXED_SHARES
        if known < len(names):
            return BudgetBasis.PARTLY_MEASURED
        assumed = [name for name in names if roles[name] is StageRole.RERANKER and name not in self._gains]
        return BudgetBasis.MEASURED_COSTS if assumed else BudgetBasis.MEASURED

    def until(
        self, ahead: Sequence[Expression], roles: Mapping[str, StageRole], given: int, deadline: Deadline
    ) -> Deadline:
        """By when the first of several operands, which gets `given` hits, must be done so that the others can be."""
        if math.isinf(deadline.at) or len(ahead) == 1:
            return deadline
        seconds, counts = deadline.remaining, [given]
        for each in ahead[:-1]:
            counts.append(_count(each, roles, counts[-1]))
        parts = [self._part(each, roles, (count,)) for each, count in zip(ahead, counts, strict=True)]
        if not all(part.options for part in parts):
            total = sum(part.share for part in parts)
            return deadline.earlier(sum(part.reserved(seconds, total) for part in parts[1:]))
        costs = [part.whole for part in parts]
        if sum(costs) > seconds:  # only then is there anything to weigh
            parts = [self._part(each, roles, _depths(count)) for each, count in zip(ahead, counts, strict=True)]
            costs = self._best(parts, seconds)
        return deadline.earlier(sum(costs[1:]))

    def until_answering(
        self,
        ranking: Expression,
        answering: Sequence[str],
        roles: Mapping[str, StageRole],
        deadline: Deadline,
    ) -> Deadline:
        """By when ranking must be done for context and first token to be in time.

        When they cannot be, even if only retrieval comes before them, ranking gets all there is.
        """
        if math.isinf(deadline.at):
            return deadline
        seconds, share = deadline.remaining, self._share(ranking, roles)
        total = share + _SHARES[StageRole.GENERATOR]
        kept = sum(self._reserve(name, roles, seconds / total) for name in answering)
        part = self._part(ranking, roles, (0,))
        least = part.options[0][0] if part.options else 0.0
        known = all(self._costs.of(name) for name in answering)
        return deadline if known and kept + least > seconds else deadline.earlier(min(kept, seconds))

    def until_context(
        self, builder: str, generator: str, roles: Mapping[str, StageRole], deadline: Deadline
    ) -> Deadline:
        """By when a context builder must be done for the first token to be in time."""
        if math.isinf(deadline.at):
            return deadline
        share = deadline.remaining / sum(_SHARES[roles[name]] for name in (builder, generator))
        return deadline.earlier(min(self._reserve(generator, roles, share), deadline.remaining))

    def fits(self, stage: str, deadline: Deadline) -> bool:
        """Whether a stage whose work does not vary is worth beginning."""
        model = self._costs.of(stage)
        return deadline.remaining >= max(LEAST_SECONDS, model.expected(0.0) if model else 0.0)

    def worthwhile(self, retrievers: Mapping[str, int], deadline: Deadline) -> set[str]:
        """Which of several retrievers side by side, given with their limits, are worth beginning.

        One that takes longer than there is would only take processors from the others. Where each of them does, the
        quickest is begun all the same, alone.
        """
        models = {name: self._costs.of(name) for name in retrievers}
        expected = {name: model.expected(float(retrievers[name])) if model else 0.0 for name, model in models.items()}
        fitting = {name for name, seconds in expected.items() if seconds <= deadline.remaining}
        return fitting or set(sorted(expected, key=expected.__getitem__)[:1])

    def depth(self, stage: str, work: Sequence[float], deadline: Deadline) -> int:
        """How many of the candidates, best first, a reranker gets.

        All of them while its cost is not known; 0 when it is not worth beginning.
        """
        if deadline.remaining < LEAST_SECONDS:
            return 0
        model = self._costs.of(stage)
        if model is None or math.isinf(deadline.at):
            return len(work)
        most = model.most_work(deadline.remaining, _DEVIATIONS)
        fitting = sum(each <= most for each in accumulate(work))
        return fitting if fitting >= min(2, len(work)) else 0

    def promised(self, stage: str, work: float) -> float | None:
        """How many seconds a stage is expected to take at most; None while its cost is not known."""
        model = self._costs.of(stage)
        return None if model is None else model.promised(work, _DEVIATIONS)

    def _best(self, parts: Sequence[_Part], seconds: float) -> list[float]:
        """The seconds of each part in the plan that brings most, of those that fit; the least of each if none does."""
        choices = [part.options or ((0.0, 0.0),) for part in parts]
        while math.prod(map(len, choices)) > _MOST_PLANS:
            choices = [(*each[:-1:2], each[-1]) if len(each) > 2 else each for each in choices]
            if all(len(each) <= 2 for each in choices):
                choices = [each if place < _MOST_CHOICES else each[:1] for place, each in enumerate(choices)]
        best, most = [each[0][0] for each in choices], -1.0
        for plan in product(*choices):
            gain = sum(bring for _, bring in plan)
            if gain > most and sum(cost for cost, _ in plan) <= seconds:
                best, most = [cost for cost, _ in plan], gain
        return best

    def _part(self, expression: Expression, roles: Mapping[str, StageRole], depths: Sequence[int]) -> _Part:
        names = [each.name for each in leaves(expression) if isinstance(each, Leaf)]
        share = self._share(expression, roles)
        models = [self._costs.of(name) for name in names]
        if not all(models):
            return _Part(share, None)
        if any(roles[name] is StageRole.RETRIEVER for name in names):
            depths = (0,)  # rerankers inside are passed over before the retrievers are
        return _Part(share, tuple(self._option(expression, roles, depth) for depth in depths))

    def _option(self, expression: Expression, roles: Mapping[str, StageRole], depth: int) -> tuple[float, float]:
        """What an expression costs and brings when its rerankers get `depth` candidates."""
        match expression:
            case Leaf(name):
                return self._stage(name, roles[name], depth)
            case Prior():
                return 0.0, 0.0
            case Cut(operand, limit):
                if isinstance(operand, Leaf) and roles[operand.name] is StageRole.RETRIEVER:
                    return self._stage(operand.name, StageRole.RETRIEVER, limit)
                return self._option(operand, roles, depth)
            case Join(operands):
                found = [self._option(each, roles, depth) for each in operands]
                return max(cost for cost, _ in found), sum(gain for _, gain in found)
            case Chain(operands):
                found = [self._option(each, roles, depth) for each in operands]
                return sum(cost for cost, _ in found), sum(gain for _, gain in found)

    def _stage(self, name: str, role: StageRole, depth: int) -> tuple[float, float]:
        model = self._costs.of(name)
        if model is None:
            return 0.0, 0.0
        if role is StageRole.RETRIEVER:
            return model.promised(float(depth or DEFAULT_DEPTH)), 0.0
        if not depth:
            return 0.0, 0.0
        return model.promised(model.unit * depth, _DEVIATIONS), self._gains.get(name, _ASSUMED).at(depth)

    def _reserve(self, name: str, roles: Mapping[str, StageRole], share_seconds: float) -> float:
        model = self._costs.of(name)
        return share_seconds * _SHARES[roles[name]] if model is None else model.promised(0.0)

    def _share(self, expression: Expression, roles: Mapping[str, StageRole]) -> float:
        """The weight of an expression against the others in its chain."""
        match expression:
            case Leaf(name):
                return _SHARES.get(roles[name], 1.0)
            case Prior():
                return 0.0
            case Cut(operand, _):
                return self._share(operand, roles)
            case Join(operands):
                return max(self._share(each, roles) for each in operands)
            case Chain(operands):
                return sum(self._share(each, roles) for each in operands)


def _depths(given: int) -> tuple[int, ...]:
    """Of so many candidates, how many a reranker may get; all of them come last."""
    return (0, *(each for each in _DEPTHS if each < given), given) if given else (0,)


def _count(expression: Expression, roles: Mapping[str, StageRole], given: int) -> int:
    """The most hits that come out of an expression which gets `given`."""
    match expression:
        case Leaf(name):
            return DEFAULT_DEPTH if roles[name] is StageRole.RETRIEVER else given
        case Prior():
            return given
        case Cut(Leaf(name), limit) if roles[name] is StageRole.RETRIEVER:
            return limit
        case Cut(operand, limit):
            return min(limit, _count(operand, roles, given))
        case Join(operands):
            found = [_count(each, roles, given) for each in operands]
            return max(found) if given else sum(found)
        case Chain(operands):
            for each in operands:
                given = _count(each, roles, given)
            return given
