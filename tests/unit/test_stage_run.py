"""Which of a running reranker's orders the caller gets to see, and what is noted of its progress."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import pytest

from tamis.component import Settings
from tamis.context import Call
from tamis.deadline import Deadline
from tamis.events import StageRole
from tamis.model import Passage, Query
from tamis.presentation import Presentation
from tamis.ranking import Ranking, from_passages
from tamis.stage import Reranker, Reranking
from tamis.stage_loop import StageLoop
from tamis.stage_run import Request, StageRun

PRIOR = from_passages([Passage(name, name, 1, name) for name in "abcd"])
LAST = Reranking((1.0, 2.0, 3.0, 4.0), 4)


class _Scripted(Reranker):
    """Yields what it is told."""

    def __init__(self, script: Sequence[Reranking]) -> None:
        super().__init__(Settings())
        self._script = script

    async def rerank(
        self, query: Query, passages: Sequence[Passage], *, top_n: int, call: Call
    ) -> AsyncGenerator[Reranking, None]:
        for each in self._script:
            yield each


def _run(loop: StageLoop, *script: Reranking) -> StageRun:
    request = Request(Query("q"), Deadline(), Presentation(2))
    return StageRun("rank", StageRole.RERANKER, _Scripted(script), request, loop, Deadline())


async def _shown(loop: StageLoop, monkeypatch: pytest.MonkeyPatch, *script: Reranking) -> list[str]:
    """The orders that a caller sees on the way whose page has two hits."""
    monkeypatch.setattr("tamis.stage_run._REVISION_SECONDS", 0.0)
    run = _run(loop, *script)
    shown: list[Ranking] = []
    await run.rerank(PRIOR, 2, shown.append)
    return ["".join(hit.passage.id for hit in each) for each in shown]


@pytest.mark.parametrize(
    ("reranking", "shown"),
    [
        (Reranking((None, 2.0, 3.0, None), 2), []),
        (Reranking((1.0, 2.0, None, None), 2), ["bacd"]),
        (Reranking((None, None, 2.0, 1.0), 4, (2, 3, 1, 0)), ["cdba"]),
        (Reranking((None, 2.0, 1.0, None), 2, (1, 0, 2, 3), frozenset({1, 2})), []),
        (Reranking((None,) * 4, 2, (3, 2, 0, 1)), ["dcab"]),
    ],
    ids=["others scored", "page scored", "page left early", "looked at from the back", "listwise"],
)
async def test_an_order_is_shown_once_all_that_the_caller_sees_was_looked_at(
    loop: StageLoop, monkeypatch: pytest.MonkeyPatch, reranking: Reranking, shown: list[str]
) -> None:
    assert await _shown(loop, monkeypatch, reranking, LAST) == [*shown, "dcba"]


async def test_a_report_tells_when_the_first_and_the_last_passages_were_ranked(loop: StageLoop) -> None:
    halves = [Reranking((1.0, 2.0, 3.0, 4.0), count) for count in (0, 1, 2, 4, 4)]
    run = _run(loop, *halves)
    await run.rerank(PRIOR, 2, lambda _: None)
    report = run.report()
    first, last = report.milestones
    assert (first.done_count, last.done_count) == (1, 4)
    assert 0 <= first.elapsed <= last.elapsed <= report.elapsed
