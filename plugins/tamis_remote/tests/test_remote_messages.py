"""What is sent is what arrives, in messages that are not too large; settings that make no sense are refused."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_plugins import write_distribution
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tamis.component import Capabilities
from tamis.config import parse
from tamis.context import BillingUnit, Call, Usage
from tamis.errors import InvalidRequest, Superseded, TamisError, Unusable
from tamis.filters import Filter
from tamis.hosting.description import Description, IndexBehindCaller, PluginRole
from tamis.model import Change, Hit, Locator, Passage, Query, ScoreKind, Span, Value
from tamis.rpc.plugin_app import running_plugins
from tamis.rpc.status import to_status
from tamis.stage import Reranking
from tamis.testing.strategies import filters, metadata
from tamis.v1 import plugin_service_pb2 as pb
from tamis.wire.plugin_calls import Reporter, add_report, from_description, to_description
from tamis.wire.plugin_rerankings import RerankingReader, RerankingWriter
from tamis.wire.plugin_values import Changes, from_changes, from_hit, from_passage, to_hit, to_passage
from tamis.wire.refusals import to_error
from tamis.wire.server_filters import from_filter, to_server_filter
from tamis_remote import RemoteReranker, RemoteRetriever
from tamis_remote.settings import RemoteSettings

_TEXT = st.text(max_size=20)
_law = settings(max_examples=30)


@st.composite
def passages(draw: st.DrawFn, ids: st.SearchStrategy[str] = st.text(min_size=1, max_size=5)) -> Passage:  # noqa: B008
    """Any passage that a server may have."""
    start, text = draw(st.integers(0, 1 << 20)), draw(_TEXT)
    return Passage(
        draw(ids),
        draw(_TEXT),
        draw(st.integers(0, 2**63 - 1)),
        text,
        draw(_TEXT),
        draw(_TEXT),
        Span(start, start + len(text.encode())),
        {**draw(metadata()), "$tenant": draw(_TEXT), "exact": draw(st.integers(-(2**63), 2**63 - 1))},
        tuple(draw(st.lists(_TEXT, max_size=3))),
        Locator(*(draw(st.integers(0, 1_000)) for _ in range(4))),
    )


@_law
@given(passage=passages())
def test_a_passage_arrives_as_it_was_sent(passage: Passage) -> None:
    message = type(from_passage(passage)).FromString(from_passage(passage).SerializeToString())
    assert to_passage(message, "passage") == passage


@_law
@given(passage=passages(), score=st.none() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_hit_arrives_without_what_stages_made_of_it(passage: Passage, score: float | None) -> None:
    hit = Hit(passage, score, ScoreKind.COSINE, (), "a snippet", (Span(2, 9),))
    assert to_hit(from_hit(hit), "hit") == hit


@_law
@given(filter=filters())
def test_a_filter_arrives_as_the_server_compiled_it(filter: Filter) -> None:
    assert to_server_filter(from_filter(filter)) == filter


@_law
@given(sizes=st.lists(st.lists(st.integers(0, 300), max_size=4), max_size=5), most=st.integers(1, 600))
def test_changes_arrive_whole_however_they_are_divided(sizes: list[list[int]], most: int) -> None:
    made = [[Passage(f"{number}", "d", 1, "é" * number) for number in each] for each in sizes]
    changes = [Change(place, f"d{place}", tuple(each)) for place, each in enumerate(made, 1)]
    read = Changes()
    for group in from_changes(changes, most):
        assert sum(len(each.passages) for each in group) <= 1 or sum(each.ByteSize() for each in group) <= most + 700
        read.add(group)
    assert read.complete() == changes


def test_a_change_that_is_continued_nowhere_is_refused() -> None:
    begun = pb.Change(sequence=1, document_id="a", continued=True)
    read = Changes()
    read.add([begun])
    with pytest.raises(InvalidRequest):
        read.complete()
    with pytest.raises(InvalidRequest):
        read.add([pb.Change(sequence=2, document_id="b")])


_SCORES = st.none() | st.floats(-5, 5)


@_law
@given(data=st.data(), count=st.integers(1, 6))
def test_rerankings_arrive_as_they_were_made(data: st.DataObject, count: int) -> None:
    writer, reader, call = RerankingWriter(count), RerankingReader(count, Call()), Call()
    for _ in range(data.draw(st.integers(1, 4))):
        scores = tuple(data.draw(st.lists(_SCORES, min_size=count, max_size=count)))
        order = data.draw(st.none() | st.permutations(range(count)))
        ranked = data.draw(st.none() | st.sets(st.integers(0, count - 1), min_size=1))
        ranked_count = data.draw(st.integers(1, count)) if ranked is None else len(ranked)
        made = Reranking(
            scores,
            ranked_count,
            None if order is None else tuple(order),
            None if ranked is None else frozenset(ranked),
            is_settled=data.draw(st.booleans()),
        )
        read = reader.read(writer.response(made, Reporter(call).report()))
        assert (read.scores, read.order, read.ranked, read.ranked_count, read.is_settled) == (
            made.scores,
            made.order,
            made.ranked,
            made.ranked_count,
            made.is_settled,
        )


def test_usage_notes_and_charges_are_reported_once() -> None:
    there, here = Call(), Call()
    reporter = Reporter(there)
    for _ in range(3):
        there.usage.add(Usage(1, 2, 3, 4, 5, 0.25))
        there.usage.charge("vendor/model", BillingUnit.SEARCH, 2)
        there.note("something repaired")
        add_report(here, reporter.report())
    assert here.usage == there.usage
    assert here.notes == there.notes


def test_a_description_arrives_as_it_was_made() -> None:
    capabilities = Capabilities(ScoreKind.BM25, languages=frozenset({"de"}), max_candidates=7, cross_document=True)
    schema: dict[str, Value] = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    made = Description(PluginRole.EMBEDDER, capabilities, 1, "p", "1.0", schema, True, 384, 256, "f", 8)
    assert to_description(from_description(made)) == made


@pytest.mark.parametrize(
    "error",
    [
        Unusable("a document", "has no words"),
        Superseded("another writes"),
        IndexBehindCaller("it was lost"),
        InvalidRequest.of("passages[3].id", "is required"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_raised_here_as_it_was_there(error: TamisError) -> None:
    status = to_status(error)
    read = to_error(status.code, status.message, status.SerializeToString(), where="there")
    assert type(read) is type(error)
    assert (read.message, read.metadata, list(read.violations)) == (
        error.message,
        error.metadata,
        list(error.violations),
    )


def test_what_went_wrong_over_there_is_not_told_to_callers_here() -> None:
    read = to_error(13, "the password is hunter2", None, where="there")
    assert "hunter2" not in read.message


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"addresses": ()}, "at least 1 item"),
        ({"addresses": ("nowhere",)}, "is not HOST:PORT"),
        ({"addresses": ("a:1", "b:1")}, "one name may stand for several"),
        ({"addresses": ("127.0.0.1:1", "[::1]:1")}, "of one version"),
        ({"server_name": "gpu"}, "of no use without ca_file"),
        ({"certificate_file": "a.pem"}, "belong together"),
        ({"addresses": ("10.0.0.1:1", "10.0.0.2:1"), "ca_file": "ca.pem"}, "server_name: is needed"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        RemoteSettings.model_validate({"component": "it", "addresses": ("a:1",), **wrong})


@pytest.mark.parametrize(
    ("addresses", "target"),
    [
        (("gpu.internal:7611",), "dns:///gpu.internal:7611"),
        (("10.0.0.1:7611", "10.0.0.2:7611"), "ipv4:10.0.0.1:7611,10.0.0.2:7611"),
        (("[fd00::1]:7611",), "ipv6:[fd00::1]:7611"),
    ],
)
def test_addresses_are_written_as_grpc_resolves_them(addresses: tuple[str, ...], target: str) -> None:
    assert RemoteSettings(component="it", addresses=addresses).target == target


@asynccontextmanager
async def _hosted(folder: Path, stages: str) -> AsyncIterator[str]:
    write_distribution(folder / "site")
    server = f'[plugin_server]\nlisten = "127.0.0.1:0"\ndata_directory = "{folder}/data"\n'
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder / "site")
        importlib.invalidate_caches()
        async with running_plugins(parse(server + stages)) as address:
            yield address


async def test_what_is_larger_than_a_message_is_sent_in_several(tmp_path: Path) -> None:
    stages = '[stages.rank]\nplugin = "fake-words"\n[stages.words]\nplugin = "fake-memory"\n'
    texts = [f"{'x' * 1_000_000} word{place}" for place in range(6)]
    made = [Passage(str(place), "large", 1, text, span=Span(0, len(text))) for place, text in enumerate(texts)]
    async with _hosted(tmp_path, stages) as address:
        reranker = RemoteReranker(RemoteReranker.Settings(component="rank", addresses=(address,)))
        retriever = RemoteRetriever(RemoteRetriever.Settings(component="words", addresses=(address,)))
        await reranker.open()
        await retriever.open()
        orders = [each.order async for each in reranker.rerank(Query("word5"), made, top_n=1, call=Call())]
        assert orders[-1][0] == 5
        index = await retriever.open_index("docs", 1, directory=tmp_path / "a" / "b")
        assert index is not None
        await index.apply([Change(1, "large", tuple(made)), Change(2, "gone")], upto=2)
        assert {each async for each in index.ids()} == {(str(place), 1) for place in range(6)}
        found = await retriever.retrieve(Query("word3", "docs"), limit=5, call=Call())
        assert [each.passage_id for each in found] == ["3"]
        await retriever.close()
        await reranker.close()


@asynccontextmanager
async def _seen_by_two(folder: Path) -> AsyncIterator[list[Any]]:
    """One index, as two servers have it."""
    async with _hosted(folder, '[stages.words]\nplugin = "fake-memory"\n') as address:
        servers = [RemoteRetriever(RemoteRetriever.Settings(component="words", addresses=(address,))) for _ in range(2)]
        for each in servers:
            await each.open()
        yield [await each.open_index("docs", 1, directory=folder / "a" / "b") for each in servers]
        for each in servers:
            await each.close()


async def test_an_index_that_lost_changes_takes_no_more_before_it_has_them(tmp_path: Path) -> None:
    async with _seen_by_two(tmp_path) as (mine, others):
        change = Change(1, "a", (Passage("a/0", "a", 1, "word"),))
        await mine.apply([change], upto=1)
        await others.drop()
        with pytest.raises(IndexBehindCaller):
            await mine.apply([], upto=2)
        assert await mine.checkpoint() == 0
        await mine.apply([change], upto=2)
        assert [each async for each in mine.ids()] == [("a/0", 1)]


async def test_who_has_not_taken_over_last_changes_nothing(tmp_path: Path) -> None:
    async with _seen_by_two(tmp_path) as (old, new):
        change = Change(1, "a", (Passage("a/0", "a", 1, "word"),))
        assert await old.take_over(1) == 0
        await old.apply([change], upto=1)
        assert await new.take_over(2) == 1
        for late in (old.apply([replace(change, passages=())], upto=2), old.take_over(1)):
            with pytest.raises(Superseded):
                await late
        assert [each async for each in new.ids()] == [("a/0", 1)]
        await new.apply([], upto=3)
        assert await old.checkpoint() == 3
