"""What the server counts and measures, as Prometheus reads it. No query, no text, no tenant stands in a label."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tamis.events import StageReport, StageRole

__all__ = ["IndexReading", "Metrics", "Reading"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_OF_TENANTS = "(tenants)"


@dataclass(frozen=True, slots=True)
class IndexReading:
    """How far an index of a collection is. `collection` is as it is kept: `TENANT/NAME` for a tenant's own."""

    collection: str
    stage: str
    applied_sequence: int
    lag_count: int
    dead_letter_count: int = 0

    @property
    def label(self) -> str:
        """The collection's name. Tenants' own stand under one: there may be any number of them, and who they are is
        not for a dashboard."""
        return _OF_TENANTS if "/" in self.collection else self.collection


@dataclass(frozen=True, slots=True)
class Reading:
    """What is looked up when somebody asks: each index, and how many writes wait for the journal."""

    indexes: tuple[IndexReading, ...]
    waiting_write_count: int


class Metrics:
    """All that one server measures. Safe to use from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        """What a scrape reads."""
        self._children: dict[tuple[Any, ...], Any] = {}
        self._calls = Counter(
            "tamis_calls", "Calls by method and status code.", ["method", "code"], registry=self.registry
        )
        self._call_seconds = self._histogram("tamis_call_seconds", "How long calls took.", "method")
        self._stages = Counter(
            "tamis_stage_runs", "Stages by how they ended.", ["stage", "outcome"], registry=self.registry
        )
        self._stage_seconds = self._histogram("tamis_stage_seconds", "How long stages took.", "stage")
        self._pairs = Counter(
            "tamis_stage_pairs", "Query-passage pairs that stages scored.", ["stage"], registry=self.registry
        )
        self._cache_hits = Counter(
            "tamis_stage_cache_hits", "Answers that caches gave to stages.", ["stage"], registry=self.registry
        )
        self._planned_seconds = Counter(
            "tamis_stage_planned_seconds",
            "What stages whose cost is known were expected to take.",
            ["stage"],
            registry=self.registry,
        )
        self._left_out = Counter(
            "tamis_stage_left_out",
            "Candidates that rerankers did not get for want of time.",
            ["stage"],
            registry=self.registry,
        )
        self._commit_seconds = self._histogram("tamis_journal_commit_seconds", "How long commits of the journal took.")
        self._written = Counter("tamis_journal_writes", "Writes committed to the journal.", registry=self.registry)

    def call(self, method: str, code: str, seconds: float) -> None:
        """A call that has ended, `method` as `SERVICE/METHOD`."""
        self._labelled(self._calls, method, code).inc()
        self._labelled(self._call_seconds, method).observe(seconds)

    def stage(self, report: StageReport) -> None:
        """A stage of a search that has ended."""
        self._labelled(self._stages, report.stage, report.outcome.value).inc()
        self._labelled(self._stage_seconds, report.stage).observe(report.elapsed)
        self._labelled(self._pairs, report.stage).inc(max(0, report.usage.pair_count))
        self._labelled(self._cache_hits, report.stage).inc(max(0, report.usage.cache_hit_count))
        if report.planned is not None:
            self._labelled(self._planned_seconds, report.stage).inc(report.planned)
        if report.role is StageRole.RERANKER:
            self._labelled(self._left_out, report.stage).inc(report.total_count - report.planned_count)

    def commit(self, write_count: int, seconds: float) -> None:
        """A commit of the journal, which some writes shared."""
        self._commit_seconds.observe(seconds)
        self._written.inc(write_count)

    def look_up(self, read: Callable[[], Reading]) -> None:
        """Has `read` called at each scrape, on the scraper's thread."""
        self.registry.register(_LookedUp(read))

    def _labelled(self, metric: Any, *labels: str) -> Any:
        """Kept, as the library looks one up under a lock, with each label made a string again."""
        if (found := self._children.get((metric, *labels))) is None:
            found = self._children[metric, *labels] = metric.labels(*labels)
        return found

    def _histogram(self, name: str, help: str, *labels: str) -> Histogram:
        return Histogram(name, help, labels, buckets=_SECONDS, registry=self.registry)


class _LookedUp(Collector):
    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead of time: the collections are not known yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Of several indexes under one label the one that is furthest behind counts."""
        reading = self._read()
        lag = GaugeMetricFamily("tamis_index_lag_changes", "Changes not yet applied.", labels=["collection", "stage"])
        applied = GaugeMetricFamily(
            "tamis_index_applied_sequence", "The last sequence applied.", labels=["collection", "stage"]
        )
        worst: dict[tuple[str, str], IndexReading] = {}
        for each in reading.indexes:
            key = each.label, each.stage
            if key not in worst or each.lag_count > worst[key].lag_count:
                worst[key] = each
        for key, each in sorted(worst.items()):
            lag.add_metric(key, each.lag_count)
            if each.label != _OF_TENANTS:
                applied.add_metric(key, each.applied_sequence)
        yield lag
        yield applied
        yield _dead_letters(reading)
        yield GaugeMetricFamily("tamis_journal_waiting", "Writes that wait for a commit.", reading.waiting_write_count)


def _dead_letters(reading: Reading) -> Metric:
    """Those of several indexes under one label are added up."""
    found = GaugeMetricFamily(
        "tamis_dead_letters", "Documents that an index could not take.", labels=["collection", "stage"]
    )
    counts: Counts[tuple[str, str]] = Counts()
    for each in reading.indexes:
        counts[each.label, each.stage] += each.dead_letter_count
    for key, count in sorted(counts.items()):
        found.add_metric(key, count)
    return found
