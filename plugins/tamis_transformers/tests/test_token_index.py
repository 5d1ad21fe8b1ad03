"""Token vectors kept with the index: written once, found again, never trusted for another text or model."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tamis.context import Call
from tamis.errors import ConfigurationError, Overloaded, Unusable
from tamis.model import Passage, Query
from tamis.models import Float32Array, TextKind
from tamis.stage import HasIndex
from tamis.testing.contract import opened
from tamis.testing.contract.collections import TEXTS, Collection, passage
from tamis.testing.embedders import HashEmbedder
from tamis_transformers import LateInteractionReranker
from tamis_transformers.late_interaction.compression import Int8
from tamis_transformers.late_interaction.store import Stored, TokenStore


class CountingEmbedder(HashEmbedder):
    """Says which passages it encoded; fails when told to."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.encoded: list[str] = []
        self.failure: Exception | None = None

    async def embed_tokens(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> list[Float32Array]:
        if kind is TextKind.PASSAGE:
            if self.failure is not None:
                raise self.failure
            self.encoded += texts
        return await super().embed_tokens(texts, kind=kind, call=call)


def reranker(store: str = "int8", **size: int) -> LateInteractionReranker:
    kind = LateInteractionReranker
    return kind(kind.Settings(embedder=CountingEmbedder(HashEmbedder.Settings(**size)), store=store, cache_bytes=0))


@asynccontextmanager
async def collection(directory: Path, stage: Any) -> AsyncIterator[Collection]:
    index = await stage.open_index("docs", 1, directory=directory)
    try:
        yield Collection(stage, "docs", index, await index.checkpoint())
    finally:
        await index.close()


@asynccontextmanager
async def filled(directory: Path, *texts: str) -> AsyncIterator[tuple[Any, CountingEmbedder, Collection]]:
    """A stage whose store has these texts, and an embedder that has forgotten them."""
    async with opened(reranker()) as stage, collection(directory, stage) as docs:
        await docs.write(*texts)
        stage.settings.embedder.encoded.clear()
        yield stage, stage.settings.embedder, docs


async def ranked(
    stage: Any, passages: Sequence[Passage], call: Call | None = None, name: str = "docs", generation: int = 1
) -> Sequence[float | None]:
    stream = stage.rerank(Query(TEXTS[0], name, generation=generation), passages, top_n=10, call=call or Call())
    async with aclosing(stream) as rerankings:
        scores: Sequence[float | None] = ()
        async for each in rerankings:
            scores = each.scores
        return scores


async def encoded(stage: Any, generation: int) -> int:
    """How many passages a generation's store does not have."""
    stage.settings.embedder.encoded.clear()
    await ranked(stage, passages(*TEXTS), generation=generation)
    return len(stage.settings.embedder.encoded)


def passages(*texts: str) -> list[Passage]:
    """As `Collection.write` numbers them."""
    return [passage(str(number), text) for number, text in enumerate(texts)]


async def test_a_stage_that_keeps_nothing_has_no_index(tmp_path: Path) -> None:
    async with opened(reranker("none")) as stage:
        assert isinstance(stage, HasIndex)
        assert await stage.open_index("docs", 1, directory=tmp_path / "docs") is None
    assert not (tmp_path / "docs").exists()


async def test_what_is_stored_is_not_encoded_again_and_ranks_the_same(tmp_path: Path) -> None:
    async with opened(reranker("none")) as plain:
        expected = await ranked(plain, passages(*TEXTS))
    async with filled(tmp_path, *TEXTS) as (stage, embedder, _):
        call = Call()
        assert await ranked(stage, passages(*TEXTS), call) == pytest.approx(expected, abs=0.05)
        assert embedder.encoded == []
    assert call.usage.cache_hit_count == call.usage.pair_count == len(TEXTS)


async def test_a_passage_scores_the_same_stored_or_not(tmp_path: Path) -> None:
    async with filled(tmp_path, *TEXTS) as (stage, embedder, _):
        stored = await ranked(stage, passages(*TEXTS))
        fresh = await ranked(stage, passages(*TEXTS), name="")
        assert embedder.encoded == [each.full_text for each in passages(*TEXTS)]
    assert stored == pytest.approx(fresh, abs=1e-5)


async def test_callers_passages_under_the_same_ids_are_encoded(tmp_path: Path) -> None:
    async with filled(tmp_path, *TEXTS) as (stage, embedder, _):
        call = Call()
        theirs = [*passages(TEXTS[1], TEXTS[1]), passage("unheard of", TEXTS[0]), passage("0", TEXTS[0])]
        scores = await ranked(stage, theirs, call)
        assert len(embedder.encoded) == 2  # one has the text of another's id, one an id that is not there
    assert call.usage.cache_hit_count == 2
    assert scores[0] == pytest.approx(scores[1])
    assert scores[2] == pytest.approx(scores[3])


async def test_what_was_stored_outlives_the_stage(tmp_path: Path) -> None:
    async with filled(tmp_path, *TEXTS) as (_, _, docs):
        before = await docs.held()
    async with opened(reranker()) as stage, collection(tmp_path, stage) as docs:
        assert (await docs.held(), docs.sequence) == (before, len(TEXTS))
        await ranked(stage, passages(*TEXTS))
        assert stage.settings.embedder.encoded == []


async def test_a_rewritten_document_encodes_only_what_changed(tmp_path: Path) -> None:
    one, other = passage("a", TEXTS[0]), replace(passage("a", TEXTS[1]), id="a/1")
    async with opened(reranker()) as stage, collection(tmp_path, stage) as docs:
        await docs.put(("a", [one, other]))
        await docs.put(("a", [one, replace(other, text=TEXTS[2])]))
        assert [TEXTS[0] in each for each in stage.settings.embedder.encoded].count(True) == 1
        assert await docs.held() == {"a/0": 2, "a/1": 2}


async def test_superseded_versions_are_never_encoded(tmp_path: Path) -> None:
    async with opened(reranker()) as stage, collection(tmp_path, stage) as docs:
        await docs.put(("a", [passage("a", "old")]), ("b", [passage("b", "gone")]), ("b", ()))
        await docs.put(("a", [passage("a", "older")]), ("a", [passage("a", "new")]))
        assert [each.split("\n")[-1] for each in stage.settings.embedder.encoded] == ["old", "new"]
        assert await docs.held() == {"a/0": 5}


async def test_changes_applied_again_are_not_encoded_again(tmp_path: Path) -> None:
    async with opened(reranker()) as stage, collection(tmp_path, stage) as docs:
        changes = await docs.put(("a", [passage("a", TEXTS[0])]), ("a", [passage("a", TEXTS[1])]))
        stage.settings.embedder.encoded.clear()
        await docs.index.apply(changes, upto=2)
        assert (await docs.held(), await docs.index.checkpoint()) == ({"a/0": 2}, 2)
        assert stage.settings.embedder.encoded == []


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=5), max_size=4))
async def test_the_last_change_of_each_document_counts(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[str, int]]]
) -> None:
    expected: dict[str, dict[str, int]] = {}
    async with opened(reranker()) as stage, collection(tmp_path_factory.mktemp("any"), stage) as docs:
        for batch in batches:
            for change in await docs.put(*((name, _of(name, count)) for name, count in batch)):
                expected[change.document_id] = {each.id: change.sequence for each in change.passages}
        assert await docs.held() == {key: version for kept in expected.values() for key, version in kept.items()}


def _of(name: str, count: int) -> list[Passage]:
    return [replace(passage(name, text), id=f"{name}/{number}") for number, text in enumerate(TEXTS[:count])]


async def test_a_batch_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    async with filled(tmp_path, TEXTS[0]) as (_, embedder, docs):
        embedder.failure = Overloaded("full")
        with pytest.raises(Overloaded):
            await docs.put(("0", ()), ("1", [passage("1", TEXTS[1])]))
        assert (await docs.held(), await docs.index.checkpoint()) == ({"0/0": 1}, 1)


def test_a_write_that_breaks_off_leaves_documents_and_checkpoint_as_they_were(tmp_path: Path) -> None:
    store = TokenStore(tmp_path, Int8(), {})
    store.write({"a": [Stored("a/0", 1, b"hash", np.ones((2, 4), np.int8))]}, 1)
    broken: Any = None
    with pytest.raises(TypeError):
        store.write({"a": [Stored("a/0", 2, b"other", np.ones((3, 4), np.int8)), Stored("a/1", 2, b"", broken)]}, 2)
    assert (store.checkpoint(), store.ids("", 9), len(store.read({"a/0": b"hash"})["a/0"])) == (1, [("a/0", 1)], 2)
    store.close()


async def test_vectors_that_are_not_finite_are_neither_stored_nor_scored(tmp_path: Path) -> None:
    class Broken(CountingEmbedder):
        async def embed_tokens(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> list[Float32Array]:
            found = await super().embed_tokens(texts, kind=kind, call=call)
            return found if kind is TextKind.QUERY else [each * np.nan for each in found]

    kind = LateInteractionReranker
    broken = kind(kind.Settings(embedder=Broken(HashEmbedder.Settings()), store="int8"))
    async with opened(broken) as stage, collection(tmp_path, stage) as docs:
        with pytest.raises(Unusable, match="finite"):
            await docs.write(TEXTS[0])
        call = Call()
        stream = stage.rerank(Query(TEXTS[0], "docs"), passages(TEXTS[0]), top_n=1, call=call)
        assert [each async for each in stream] == []
        assert "score that is not finite dropped" in call.notes


async def test_another_model_is_refused_and_told_what_to_do(tmp_path: Path) -> None:
    async with filled(tmp_path, TEXTS[0]):
        pass
    async with opened(reranker(size=32)) as other:
        with pytest.raises(ConfigurationError, match="remove this folder"):
            await other.open_index("docs", 1, directory=tmp_path)


@pytest.mark.parametrize("end", ["close", "drop"])
async def test_each_generation_has_a_store_of_its_own_and_does_not_take_the_other_along(
    tmp_path: Path, end: str
) -> None:
    async with opened(reranker()) as stage:
        older = await stage.open_index("docs", 1, directory=tmp_path / "1")
        newer = await stage.open_index("docs", 2, directory=tmp_path / "2")
        await Collection(stage, "docs", older).write(TEXTS[0])
        await Collection(stage, "docs", newer).write(*TEXTS)
        assert await encoded(stage, 1) == len(TEXTS) - 1
        assert await encoded(stage, 2) == 0
        await getattr(older, end)()
        assert (tmp_path / "1").exists() == (end == "close")
        assert await encoded(stage, 1) == len(TEXTS)
        assert await encoded(stage, 2) == 0
        await getattr(newer, end)()
        assert await encoded(stage, 2) == len(TEXTS)


async def test_the_store_takes_a_byte_a_dimension(tmp_path: Path) -> None:
    async with filled(tmp_path, "one two three"):
        pass
    with sqlite3.connect(tmp_path / "tokens.sqlite") as database:
        ((count, size),) = database.execute("SELECT token_count, length(vectors) FROM passages")
    assert size == count * 64


async def test_ten_thousand_candidates_are_ranked_from_the_store(tmp_path: Path) -> None:
    texts = [f"word{number % 100} {number}" for number in range(2_000)]
    async with filled(tmp_path, *texts) as (stage, embedder, _):
        scores = await ranked(stage, passages(*texts) * 5)
        assert embedder.encoded == []
    assert len(scores) == 10_000
    assert None not in scores
