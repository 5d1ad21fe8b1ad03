"""What stages cost, learnt from how long they took: a + b·work, waiting included."""

from __future__ import annotations

from dataclasses import dataclass, field

from tamis.events import StageOutcome, StageReason, StageReport, StageRole

__all__ = ["CostModel", "Costs"]

_FORGETTING = 0.95  # about the last twenty runs count
_FEWEST = 4  # runs before a model is believed
_RIDGE = 0.05  # how little the work must vary, over its mean squared, for what is assumed to weigh as much
_CLIP = 3.0  # a run counts as no longer than so many times what was promised
_DOUBT = 0.98  # what passing a stage over takes from its estimate, so that it is tried again some day
_SIGMAS = 2.5  # the deviation of a normal distribution over its mean excess


@dataclass(slots=True)
class CostModel:
    """Seconds as a + b·work, least squares with exponential forgetting. Its memory is a dozen numbers.

    While all work seen was alike, what `grows` is taken to cost as much to begin as one candidate, and all else not to
    depend on the work. The first run warms up and is not counted. One that took much longer than was promised counts
    in part; if the next do so, too, they are believed step by step.
    """

    grows: bool = False
    unit: float = 1.0
    """The mean work of one candidate."""
    _runs: int = -1
    _n: float = 0.0
    _x: float = 0.0
    _y: float = 0.0
    _xx: float = 0.0
    _xy: float = 0.0
    _excess: float = 0.1
    _doubt: float = 1.0

    @property
    def is_known(self) -> bool:
        """Whether enough runs have been seen."""
        return self._runs >= _FEWEST

    @property
    def coefficients(self) -> tuple[float, float]:
        """a in seconds and b in seconds for a unit of work; neither is negative."""
        x, y = self._x / self._n, self._y / self._n
        if not x:
            return y, 0.0
        ridge = _RIDGE * x * x
        assumed = y / (x + self.unit) if self.grows else 0.0
        b = (self._xy / self._n - x * y + ridge * assumed) / (self._xx / self._n - x * x + ridge)
        b = min(max(0.0, b), y / x)
        return max(0.0, y - b * x), b

    def expected(self, work: float) -> float:
        """The mean seconds."""
        a, b = self.coefficients
        return (a + b * work) * self._doubt

    def promised(self, work: float, deviations: float = 2.0) -> float:
        """The seconds within which most runs end: so many deviations above the mean."""
        return self.expected(work) * (1 + deviations * _SIGMAS * self._excess)

    def most_work(self, seconds: float, deviations: float = 2.0) -> float:
        """The most work whose promise keeps within `seconds`; negative when not even none of it does."""
        a, b = self.coefficients
        available = seconds / (self._doubt * (1 + deviations * _SIGMAS * self._excess)) - a
        if available < 0:
            return -1.0
        return available / b if b else float("inf")

    def learn(self, work: float, seconds: float, unit: float = 1.0, first: tuple[float, float] | None = None) -> None:
        """Counts a run. `first` is the work of its first results and the seconds until then."""
        self._runs += 1
        doubt, self._doubt = self._doubt, 1.0
        if self._runs == 0:
            return
        self.unit = unit if self._runs == 1 else self.unit + (1 - _FORGETTING) * (unit - self.unit)
        counted = 1.0
        if self.is_known:
            counted = min(1.0, _CLIP * max(self.promised(work), 1e-4) / max(seconds, 1e-6))
            seconds *= counted
            excess = min(seconds / max(self.expected(work), 1e-6) - 1, _CLIP)
            self._excess += (1 - _FORGETTING) * (max(0.0, excess) - self._excess)
        self._n, self._x, self._y = _FORGETTING * self._n, _FORGETTING * self._x, _FORGETTING * self._y
        self._xx, self._xy = _FORGETTING * self._xx, _FORGETTING * self._xy
        if first is None:
            self._add(work, seconds, 1.0)
        else:
            self._add(first[0], first[1] * counted, 0.5)
            self._add(work, seconds, 0.5)
        if doubt < 1.0:  # borne out as far as that; else one old outlier would have it passed over again and again
            self._doubt = min(1.0, max(doubt, seconds / max(self.expected(work), 1e-6)))

    def _add(self, work: float, seconds: float, weight: float) -> None:
        self._n += weight
        self._x += weight * work
        self._y += weight * seconds
        self._xx += weight * work * work
        self._xy += weight * work * seconds

    def learn_cut(self, work: float, seconds: float) -> None:
        """Counts a run that was ended before it was done: all that is known is that it would have taken longer."""
        self._doubt = 1.0
        if not self.is_known or self.expected(work) < seconds:
            self.learn(work, seconds, self.unit)

    def pass_over(self) -> None:
        """Notes that the stage was not even tried because of this estimate."""
        self._doubt *= _DOUBT


@dataclass(slots=True)
class Costs:
    """The models of all stages, by their configured names."""

    _models: dict[str, CostModel] = field(default_factory=dict)

    def of(self, stage: str) -> CostModel | None:
        """What a stage costs; None while that is not known."""
        model = self._models.get(stage)
        return model if model is not None and model.is_known else None

    def learn(self, report: StageReport) -> None:
        """Counts a stage that has ended. What failed tells nothing; what was cut tells how long it took at least.

        A generator costs its time to the first token, a reranker nothing for scores that it had kept.
        """
        if report.role is StageRole.FUSION or not report.total_count:
            return
        if report.outcome is StageOutcome.SKIPPED:
            if model := self.of(report.stage):
                model.pass_over()
            return
        model = self._models.setdefault(report.stage, CostModel(grows=report.role is StageRole.RERANKER))
        given = report.planned_count or report.total_count
        done = min(1.0, report.done_count / given)
        computed = _computed(report)
        if not computed:
            return
        if report.role is StageRole.GENERATOR and report.milestones:
            model.learn(report.work, report.milestones[0].elapsed)
        elif report.outcome is StageOutcome.RAN or (report.role is StageRole.RERANKER and done == 1.0):
            model.learn(report.work * computed, report.elapsed, report.work / given, _first(report, given))
        elif report.reason is StageReason.INCOMPLETE and done:
            model.learn(report.work * computed, report.elapsed, report.work / report.done_count)
        elif report.reason is StageReason.DEADLINE and report.role is StageRole.RERANKER and done:
            last = report.milestones[-1].elapsed if report.milestones else report.elapsed
            model.learn(report.work * done * computed, last, report.work / given, _first(report, given))
        elif report.reason is StageReason.DEADLINE:
            model.learn_cut(report.work, report.elapsed)


def _first(report: StageReport, given: int) -> tuple[float, float] | None:
    """The work of a reranker's first scores and the seconds until then; None where they tell nothing more, or would
    make it look free because it had kept them.
    """
    if report.role is not StageRole.RERANKER or report.usage.cache_hit_count or not report.milestones:
        return None
    first = report.milestones[0]
    if first.done_count >= report.done_count:
        return None
    return report.work * min(1.0, first.done_count / given), first.elapsed


def _computed(report: StageReport) -> float:
    """The share of what a reranker has done that it computed; what it had kept would make it look free."""
    kept = report.usage.cache_hit_count
    if report.role is not StageRole.RERANKER or not kept or not report.done_count:
        return 1.0
    return min(1.0, max(report.usage.pair_count, report.done_count - kept) / report.done_count)
