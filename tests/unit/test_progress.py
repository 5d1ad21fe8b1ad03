"""Which indexes a part of a pipeline reads."""

from __future__ import annotations

from tamis.component import Ref, Settings
from tamis.events import StageRole
from tamis.expression import parse
from tamis.pipeline import Pipeline
from tamis.stage import Reranker
from tamis.testing.plugins import FakeSettings, MemoryRetriever, WordReranker


class _Both(WordReranker):
    class Settings(Settings):
        members: tuple[Ref[Reranker], ...]


def test_what_a_stage_refers_to_is_read_and_what_nobody_names_is_not() -> None:
    inner = WordReranker(FakeSettings())
    components = {
        "words": MemoryRetriever(FakeSettings()),
        "unused": MemoryRetriever(FakeSettings()),
        "inner": inner,
        "both": _Both(_Both.Settings(members=(inner,))),
    }
    roles = {"words": StageRole.RETRIEVER, "unused": StageRole.RETRIEVER}
    roles |= {"inner": StageRole.RERANKER, "both": StageRole.RERANKER}
    pipeline = Pipeline("", parse("words >> both"), components, roles)
    assert pipeline.stages_read(pipeline.expression) == {"words", "both", "inner"}
    assert pipeline.stages_read(pipeline.retrieval) == {"words"}
