"""What an index cannot take goes to the dead letters, and nothing else does."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tamis.errors import Unavailable, Unusable
from tamis.ingest.passages import SentencesChunker
from tamis.journal import DeadLetter, Delete, Follower, Journal, PostgresAddress, Upsert, applier, follower
from tamis.journal.leases import Tenure
from tamis.model import Change, Document, Passage

CHUNKER = SentencesChunker(SentencesChunker.Settings())
POISON = "arsenic"


class PickyIndex:
    """Holds passages by document. Cannot take a text with arsenic in it, and fails when `fails` says so."""

    def __init__(self, *, names_it: bool = False, fails: Iterator[Exception | None] | None = None) -> None:
        self.held: dict[str, tuple[Passage, ...]] = {}
        self.upto = 0
        self.names_it, self.fails = names_it, fails or iter(())
        self.calls: list[tuple[str, ...]] = []

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        await asyncio.sleep(0)
        self.calls.append(tuple(each.document_id for each in changes))
        if (failure := next(self.fails, None)) is not None:
            raise failure
        for change in changes:
            if any(POISON in each.text for each in change.passages):
                if self.names_it:
                    raise Unusable(change.document_id, "tastes of almonds")
                raise ValueError(f"cannot swallow {change.passages[0].text}")
        assert upto >= self.upto, "a checkpoint that goes back"
        for change in changes:
            self.held.pop(change.document_id, None)
            if change.passages:
                self.held[change.document_id] = change.passages
        self.upto = upto

    async def checkpoint(self) -> int:
        return self.upto

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        for passages in self.held.values():
            for each in passages:
                yield each.id, each.document_version

    async def close(self) -> None:
        """Nothing to release."""

    async def drop(self) -> None:
        self.held.clear()


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(applier, "_PAUSES", (0, 0, 0))
    monkeypatch.setattr(follower, "_LONGEST_PAUSE", 0.0)
    with capture_logs():  # tracebacks take long to draw
        yield


@pytest.fixture
async def journal(where: Path | PostgresAddress) -> AsyncIterator[Journal]:
    opened = await Journal.open(where)
    await opened.create_collection("docs")
    yield opened
    await opened.close()


def _upsert(id: str, text: str) -> Upsert:
    document = Document(id, text)
    return Upsert(document, tuple(CHUNKER.chunk(document)))


async def _followed(journal: Journal, index: PickyIndex) -> list[DeadLetter]:
    """The dead letters once the index has got to the end."""
    following = Follower(journal, "docs", 1, "picky", index)
    last = (await journal.collection("docs")).last_sequence
    await asyncio.wait_for(following.wait(last), 30)
    letters = await journal.dead_letters("docs", limit=1_000)
    assert following.status.dead_letter_count == len(letters)
    await following.close()
    return letters


@pytest.mark.parametrize("names_it", [True, False])
async def test_one_document_that_cannot_be_taken_holds_nobody_up(journal: Journal, names_it: bool) -> None:
    texts = {f"d{each:02}": "pepper" for each in range(20)} | {"d07": POISON}
    await journal.write("docs", [_upsert(*each) for each in texts.items()])
    index = PickyIndex(names_it=names_it)
    (letter,) = await _followed(journal, index)
    assert (letter.stage, letter.generation, letter.document_id, letter.document_version) == ("picky", 1, "d07", 8)
    assert letter.reason == ("tastes of almonds" if names_it else "the index failed with ValueError")
    assert set(index.held) == set(texts) - {"d07"}
    assert {each[0].text for each in index.held.values()} == {"pepper"}


async def test_the_old_version_of_a_dead_letter_is_not_found_any_more(journal: Journal) -> None:
    await journal.write("docs", [_upsert("a", "salt"), _upsert("b", "salt")])
    index = PickyIndex()
    await _followed(journal, index)
    await journal.write("docs", [_upsert("a", POISON)])
    assert [each.document_id for each in await _followed(journal, index)] == ["a"]
    assert set(index.held) == {"b"}


async def test_a_dead_letter_vanishes_with_a_better_version_or_the_document(journal: Journal) -> None:
    index = PickyIndex(names_it=True)
    await journal.write("docs", [_upsert(each, POISON) for each in "abc"])
    assert [each.document_version for each in await _followed(journal, index)] == [1, 2, 3]
    await journal.write("docs", [_upsert("a", "salt"), Delete("b"), _upsert("c", f"more {POISON}")])
    (letter,) = await _followed(journal, index)
    assert (letter.document_id, letter.document_version) == ("c", 6)
    assert set(index.held) == {"a"}


async def test_a_whole_batch_of_documents_that_cannot_be_taken_goes_on(journal: Journal) -> None:
    await journal.write("docs", [_upsert(str(each), POISON) for each in range(9)])
    index = PickyIndex()
    assert len(await _followed(journal, index)) == 9
    assert not index.held


@pytest.mark.parametrize("failure", [OSError("disk full"), Unavailable("away"), MemoryError()])
async def test_a_disk_or_a_server_is_never_a_documents_fault(journal: Journal, failure: Exception) -> None:
    await journal.write("docs", [_upsert("a", "salt"), _upsert("b", "salt")])
    index = PickyIndex(fails=iter([failure] * 12))
    assert await _followed(journal, index) == []
    assert set(index.held) == {"a", "b"}
    assert set(index.calls[:12]) == {("a", "b")}, "a failure of the surroundings is not searched for in the batch"


async def test_an_index_that_fails_whatever_it_is_given_blames_nobody(journal: Journal) -> None:
    await journal.write("docs", [_upsert(str(each), "salt") for each in range(5)])
    index = PickyIndex(fails=iter([ValueError("os error 28")] * 31))
    assert await _followed(journal, index) == []
    assert len(index.held) == 5


async def test_an_index_that_calls_everything_unusable_is_not_believed(journal: Journal) -> None:
    """As with a model that answers nothing but NaN."""
    await journal.write("docs", [_upsert(each, "salt") for each in "abc"])
    index = PickyIndex(fails=iter([Unusable("b", "not finite")] * 34))
    assert await _followed(journal, index) == []
    assert set(index.held) == {"a", "b", "c"}


async def test_a_document_that_nobody_wrote_cannot_be_blamed(journal: Journal) -> None:
    await journal.write("docs", [_upsert(each, "salt") for each in "ab"])
    assert await _followed(journal, PickyIndex(fails=iter([Unusable("z", "what is z?")] * 2))) == []


async def test_a_removal_that_fails_is_tried_again(journal: Journal) -> None:
    await journal.write("docs", [_upsert("a", "salt"), Delete("a")])
    assert await _followed(journal, PickyIndex(fails=iter([ValueError()] * 7))) == []


async def test_a_dead_letter_that_cannot_be_written_down_keeps_the_index_where_it_is(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the two leaves the document to be tried again."""
    await journal.write("docs", [_upsert("a", POISON), _upsert("b", "salt")])
    index, put = PickyIndex(), journal.put_dead_letter
    checkpoints: list[int] = []

    async def put_at_the_third_time(collection: str, letter: DeadLetter, tenure: Tenure) -> None:
        checkpoints.append(index.upto)
        if len(checkpoints) < 3:
            raise Unavailable("the journal cannot be written")
        await put(collection, letter, tenure)

    monkeypatch.setattr(journal, "put_dead_letter", put_at_the_third_time)
    assert [each.document_id for each in await _followed(journal, index)] == ["a"]
    assert checkpoints == [0, 0, 0]
    assert set(index.held) == {"b"}


async def test_an_index_that_is_lost_gets_its_dead_letters_anew(journal: Journal) -> None:
    await journal.write("docs", [_upsert("a", POISON), _upsert("b", POISON)])
    await _followed(journal, PickyIndex())
    index = PickyIndex(fails=iter([ValueError()]))
    assert [each.document_id for each in await _followed(journal, index)] == ["a", "b"]
    mended = PickyIndex()
    mended.upto = 2
    assert len(await _followed(journal, mended)) == 2


async def test_dead_letters_of_a_stage_that_is_gone_go_with_the_document_once_the_journal_is_compacted(
    journal: Journal,
) -> None:
    await journal.write("docs", [_upsert("a", POISON), _upsert("b", POISON)])
    await _followed(journal, PickyIndex())
    await journal.write("docs", [Delete("a")])  # which no index follows any more
    await journal._write(lambda store: store.database.execute("UPDATE changes SET time = '2020-01-01T00:00:00+00:00'"))
    await journal.compact("docs", 3)
    assert [each.document_id for each in await journal.dead_letters("docs", limit=9)] == ["b"]


def _weather(outages: list[tuple[int, int, int]]) -> Iterator[Exception | None]:
    """For each outage: good calls, then calls that fail whatever they carry, and with what."""
    for good, bad, kind in outages:
        yield from [None] * good
        yield from [(OSError, RuntimeError, ValueError)[kind]("outage") for _ in range(bad)]


OUTAGES = st.lists(st.tuples(st.integers(2, 12), st.integers(1, 9), st.integers(0, 2)), max_size=6)
TEXTS = st.sampled_from(["salt", "pepper", POISON])
BATCHES = st.lists(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.one_of(TEXTS, st.none())), min_size=1, max_size=8),
    min_size=1,
    max_size=6,
)


@given(batches=BATCHES, outages=OUTAGES, names_it=st.booleans(), seed=st.integers(0, 3))
@settings(max_examples=60)
async def test_every_healthy_document_ends_in_the_index_and_every_other_one_in_the_dead_letters(
    batches: list[list[tuple[str, str | None]]],
    outages: list[tuple[int, int, int]],
    names_it: bool,
    seed: int,
) -> None:
    folder = tempfile.TemporaryDirectory()
    journal = await Journal.open(Path(folder.name) / "journal.sqlite")
    try:
        await journal.create_collection("docs")
        index = PickyIndex(names_it=names_it, fails=_weather(outages))
        following, chance = Follower(journal, "docs", 1, "picky", index), random.Random(seed)
        last: dict[str, str | None] = {}
        for batch in batches:
            mutations = [Delete(id) if text is None else _upsert(id, text) for id, text in batch]
            written = await journal.write("docs", mutations)
            last |= dict(batch)
            if chance.random() < 0.5:
                await asyncio.wait_for(following.wait(written.sequence), 30)
            if chance.random() < 0.3:
                await following.close()  # and begins again where the index is
                following = Follower(journal, "docs", 1, "picky", index)
        await asyncio.wait_for(following.wait((await journal.collection("docs")).last_sequence), 30)
        letters = await journal.dead_letters("docs", limit=100)
        assert following.status.dead_letter_count == len(letters)
        await following.close()
        documents = {each.id: each.version for each in await journal.documents("docs", limit=100)}
        poisonous = {key for key, text in last.items() if text == POISON}
        assert {each.document_id: each.document_version for each in letters} == {
            key: documents[key] for key in poisonous
        }
        assert {key: [(each.text, each.document_version) for each in held] for key, held in index.held.items()} == {
            key: [(last[key], version)] for key, version in documents.items() if key not in poisonous
        }
        assert index.upto == (await journal.collection("docs")).last_sequence
    finally:
        await journal.close()
        folder.cleanup()
