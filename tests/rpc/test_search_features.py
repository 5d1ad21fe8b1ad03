"""What users expect of a search: pages, groups, facets, sorting, boosts, thresholds, overrides, likeness, spelling."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from real_server import CallFailed, Client, Servers, fakes

from tamis.v1 import filter_pb2, value_pb2
from tamis.v1 import passage_pb2 as passages
from tamis.v1 import search_service_pb2 as pb

RANK_FUSION = passages.SCORE_KIND_RANK_FUSION
BM25 = passages.SCORE_KIND_BM25
WORDS = "sauce smooth pan knife"


def _value(value: Any) -> value_pb2.Value:
    if isinstance(value, datetime):
        instant = Timestamp()
        instant.FromDatetime(value)
        return value_pb2.Value(timestamp_value=instant)
    if isinstance(value, int):
        return value_pb2.Value(int_value=value)
    return value_pb2.Value(string_value=value)


def _document(number: int, **metadata: Any) -> passages.Document:
    """Number 0 shares most words with `WORDS`."""
    text = " ".join(WORDS.split()[: 4 - number % 4]) + f" number{number}"
    return passages.Document(
        id=f"d{number:02}", text=text, metadata={key: _value(each) for key, each in metadata.items()}
    )


async def _fill(client: Client, documents: list[passages.Document]) -> None:
    await client.create()
    await client.write(documents)
    await client.wait()


def _ids(response: Any) -> list[str]:
    return [hit.passage.document_id for hit in response.hits]


def _condition(field: str, value: Any) -> filter_pb2.Filter:
    comparison = filter_pb2.Comparison(field=field, operator="COMPARISON_OPERATOR_EQUAL", value=_value(value))
    return filter_pb2.Filter(comparison=comparison)


@pytest.mark.parametrize("pipeline", ["words % 100", "words | more", "words % 100 >> rank", "words >> (prior | rank)"])
async def test_pages_one_after_another_give_every_hit_once(servers: Servers, pipeline: str) -> None:
    async with servers.start(fakes()) as client:
        await _fill(client, [_document(number) for number in range(13)])
        whole = _ids(await client.search(WORDS, pipeline, page_size=100))
        seen, token = [], ""
        while True:
            page = await client.search(WORDS, pipeline, page_size=4, page_token=token)
            seen += _ids(page)
            token = page.next_page_token
            if not token:
                break
    assert len(whole) == 13
    assert seen == whole


async def test_a_stream_and_a_retrieval_have_the_same_pages(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await _fill(client, [_document(number) for number in range(5)])
        *_, last = await client.events(WORDS, "words", page_size=3)
        streamed = await client.search(WORDS, "words", page_size=3, page_token=last.completed.next_page_token)
        request = pb.RetrieveRequest(collection="docs", query=WORDS, pipeline="words", page_size=3)
        first = await client.call(client.searches.Retrieve(request, timeout=20))
        second = await client.search(WORDS, "words", page_size=3, page_token=first.next_page_token)
    assert _ids(second) == _ids(streamed)
    assert len(_ids(first) + _ids(second)) == 5
    assert second.next_page_token == ""


async def test_a_page_token_of_another_request_is_refused(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await _fill(client, [_document(number) for number in range(5)])
        token = (await client.search(WORDS, "words", page_size=1)).next_page_token
        assert _ids(await client.search(WORDS, "words", page_size=9, page_token=token))
        for changed in ({"query": "knife"}, {"pipeline": "more"}, {"group_by_document": True}):
            arguments: dict[str, Any] = {"query": WORDS, "pipeline": "words", "page_token": token, **changed}
            with pytest.raises(CallFailed) as caught:
                await client.search(**arguments)
            assert "another request" in caught.value.violations["page_token"]


async def test_grouped_hits_of_a_document_stand_together_and_the_page_counts_documents(servers: Servers) -> None:
    long = "\n\n".join(f"sauce {'smooth ' * (number % 2)}" + "filler " * 200 for number in range(5))
    documents = [passages.Document(id="long", text=long), passages.Document(id="short", text="smooth sauce pan")]
    async with servers.start(fakes()) as client:
        await _fill(client, [*documents, _document(3)])
        plain = _ids(await client.search(WORDS, "words", page_size=100))
        grouped = _ids(await client.search(WORDS, "words", page_size=2, group_by_document=True))
    assert len(set(grouped)) == 2
    assert grouped == [each for name in dict.fromkeys(plain) for each in plain if each == name][: len(grouped)]
    assert grouped.count("long") == plain.count("long") > 1


async def test_facets_count_documents_over_everything_the_retrievers_found(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await _fill(client, [_document(number, kind="ab"[number % 2], year=2000 + number % 3) for number in range(12)])
        specs = [pb.FacetSpec(field="kind"), pb.FacetSpec(field="year", value_limit=1), pb.FacetSpec(field="none")]
        found = await client.search(WORDS, "words >> rank % 2", page_size=1, facet_specs=specs)
        narrow = await client.search(WORDS, "words % 3", facet_specs=specs[:1])
        filtered = await client.search(WORDS, "words", filter=_condition("kind", "a"), facet_specs=specs[:1])
        *_, last = await client.events(WORDS, "words", facet_specs=specs)
    kind, year, nothing = found.facets
    assert {each.value.string_value: each.document_count for each in kind.counts} == {"a": 6, "b": 6}
    assert [(each.value.int_value, each.document_count) for each in year.counts] == [(2000, 4)]
    assert (kind.document_count, year.value_count, len(nothing.counts)) == (12, 3, 0)
    assert narrow.facets[0].document_count == 3
    assert [each.value.string_value for each in filtered.facets[0].counts] == ["a"]
    assert list(last.completed.facets) == list(found.facets)


async def test_hits_can_be_sorted_by_a_field(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        documents = [_document(number, year=2000 + number * 7 % 5) for number in range(5)]
        await _fill(client, [*documents, _document(5)])
        rising = await client.search(WORDS, "words", sort_keys=[pb.SortKey(field="year")])
        falling = await client.search(WORDS, "words >> rank", sort_keys=[pb.SortKey(field="year", descending=True)])
    years = [hit.passage.metadata["year"].int_value for hit in rising.hits[:-1]]
    assert years == sorted(years)
    assert _ids(falling) == [*reversed(_ids(rising)[:-1]), "d05"]


async def test_boosts_by_condition_and_recency_are_shown_with_what_they_added(servers: Servers) -> None:
    now = datetime.now(UTC)
    async with servers.start(fakes()) as client:
        ages = {0: 400, 1: 200, 2: 100, 3: 1}
        await _fill(client, [_document(number, day=now - timedelta(days=age)) for number, age in ages.items()])
        recency = pb.Recency(field="day", half_life_duration=Duration(seconds=86_400 * 100))
        recent = await client.search(WORDS, "words", boosts=[pb.Boost(weight=5, recency=recency)])
        condition = pb.Boost(weight=5, condition=filter_pb2.Filter(existence=filter_pb2.Existence(field="nope")))
        without = await client.search(WORDS, "words", boosts=[condition])
    assert _ids(recent) == ["d03", "d02", "d01", "d00"]
    assert _ids(without) == ["d00", "d01", "d02", "d03"]
    entry = recent.hits[0].stage_scores[-1]
    assert (entry.stage, entry.rank) == ("boosts", 1)
    assert [each.stage for each in entry.contributions] == ["prior", "boosts[0]"]
    assert recent.hits[0].score == pytest.approx(sum(each.value for each in entry.contributions))
    assert recent.hits[0].score_kind == passages.SCORE_KIND_NORMALIZED


async def test_a_threshold_holds_for_its_kind_of_score_alone(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await _fill(client, [_document(number) for number in range(4)])
        threshold = pb.ScoreThreshold(score_kind=BM25, min_score=3)
        plain = await client.search(WORDS, "words", score_thresholds=[threshold])
        fused = await client.search(WORDS, "words | more", score_thresholds=[threshold])
        with pytest.raises(CallFailed) as caught:
            await client.search(WORDS, "words", score_thresholds=[pb.ScoreThreshold(score_kind=RANK_FUSION)])
    assert _ids(plain) == _ids(fused) == ["d00", "d01"]
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "BM25" in caught.value.violations["score_thresholds"]


async def test_a_setting_that_its_plugin_declares_overridable_can_be_set_for_one_request(servers: Servers) -> None:
    async with servers.start(fakes("words >> pick >> answer")) as client:
        await _fill(client, [_document(number) for number in range(4)])
        override = pb.StageOverride(stage="pick", setting="count", value=_value(3))
        more = await client.search(WORDS, stage_overrides=[override])
        usual = await client.search(WORDS)
    assert (len(more.answer.citations), len(usual.answer.citations)) == (3, 2)


SPELLING = fakes().replace('[stages.words]\nplugin = "fake-memory"', '[stages.words]\nplugin = "fake-spelling"')


OVERRIDES = [
    (pb.StageOverride(stage="nobody", setting="count", value=_value(3)), "stage_overrides[0].stage"),
    (pb.StageOverride(stage="rank", setting="seconds", value=_value(3)), "stage_overrides[0].stage"),
    (pb.StageOverride(stage="pick", setting="behaviour", value=_value("raises")), "stage_overrides[0].setting"),
    (pb.StageOverride(stage="pick", setting="nothing", value=_value(3)), "stage_overrides[0].setting"),
    (pb.StageOverride(stage="pick", setting="count", value=_value(11)), "stage_overrides[0].value"),
    (pb.StageOverride(stage="pick", setting="count", value=_value("many")), "stage_overrides[0].value"),
    (pb.StageOverride(stage="pick", setting="count"), "stage_overrides[0].value"),
    *(
        (pb.StageOverride(stage="pick", setting="count", value=each), "stage_overrides[0].value")
        for each in (
            value_pb2.Value(string_value="3"),
            value_pb2.Value(bool_value=True),
            value_pb2.Value(double_value=3.0),
            value_pb2.Value(null_value=0),  # type: ignore[arg-type]
            value_pb2.Value(list_value=value_pb2.ListValue(values=[value_pb2.Value(int_value=3)])),
            value_pb2.Value(map_value=value_pb2.MapValue()),
            value_pb2.Value(timestamp_value=Timestamp(seconds=3)),
        )
    ),
]


@pytest.mark.parametrize(("override", "field"), OVERRIDES)
async def test_an_override_that_is_not_allowed_is_refused(
    servers: Servers, override: pb.StageOverride, field: str
) -> None:
    async with servers.start(fakes("words >> pick >> answer")) as client:
        await _fill(client, [_document(0)])
        with pytest.raises(CallFailed) as caught:
            await client.search(WORDS, stage_overrides=[override])
    assert list(caught.value.violations) == [field]


async def test_documents_like_others_are_found_without_them(servers: Servers) -> None:
    async with servers.start(fakes("words >> rank >> answer")) as client:
        await _fill(client, [_document(number) for number in range(6)])
        alike = await client.search("", like_document_ids=["d00"])
        narrowed = await client.search("number3", like_document_ids=["d00", "d01"])
        with pytest.raises(CallFailed) as caught:
            await client.search("", like_document_ids=["d00", "nobody"])
    assert _ids(alike)[0] == "d04"
    assert set(_ids(alike)) == {"d01", "d02", "d03", "d04", "d05"}
    assert alike.answer.finish_reason == passages.FINISH_REASON_NOT_REQUESTED
    assert not {"d00", "d01"} & set(_ids(narrowed))
    assert narrowed.answer.finish_reason == passages.FINISH_REASON_ANSWERED
    assert caught.value.code is grpc.StatusCode.NOT_FOUND
    assert list(caught.value.violations) == ["like_document_ids"]


async def test_beside_documents_to_be_alike_the_query_stays_what_is_answered_and_spelt(servers: Servers) -> None:
    stages = SPELLING.replace('"fake-quotes"\n', '"fake-quotes"\nbehaviour = "repeats_the_question"\n')
    async with servers.start(stages) as client:
        await client.fill()
        found = await client.search("smoth sauce", "words >> answer", like_document_ids=["pan"])
    assert found.answer.text == "smoth sauce"
    assert found.suggested_query == "smooth sauce"


async def test_a_batch_answers_each_search_by_itself(servers: Servers) -> None:
    async with servers.start(fakes()) as client:
        await _fill(client, [_document(number) for number in range(4)])
        requests = [
            pb.SearchRequest(collection="docs", query=WORDS),
            pb.SearchRequest(collection="nowhere", query=WORDS),
            pb.SearchRequest(collection="docs", query="number3", pipeline="words"),
            pb.SearchRequest(collection="docs"),
        ]
        call = client.searches.BatchSearch(pb.BatchSearchRequest(requests=requests), timeout=20)
        found = {each.request_index: each async for each in client.stream(call)}
        alone = await client.search(WORDS)
    assert set(found) == {0, 1, 2, 3}
    assert _ids(found[0].response) == _ids(alone)
    assert found[0].response.answer.text == alone.answer.text
    assert _ids(found[2].response) == ["d03"]
    assert (found[1].failure.code, found[1].failure.reason) == (grpc.StatusCode.NOT_FOUND.value[0], "NOT_FOUND")
    assert found[3].failure.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert found[3].failure.violations[0].startswith("query: ")


@pytest.mark.parametrize("count", [0, 101])
async def test_a_batch_of_none_or_too_many_is_refused(servers: Servers, count: int) -> None:
    requests = [pb.SearchRequest(collection="docs", query=WORDS)] * count
    async with servers.start(fakes()) as client:
        with pytest.raises(CallFailed) as caught:
            [
                each
                async for each in client.stream(client.searches.BatchSearch(pb.BatchSearchRequest(requests=requests)))
            ]
    assert list(caught.value.violations) == ["requests"]


async def test_a_batch_cut_by_its_deadline_still_answers_every_search(servers: Servers) -> None:
    slow = fakes("words >> rank", rank="seconds = 0.2")
    async with servers.start(slow) as client:
        await _fill(client, [_document(number) for number in range(12)])
        requests = [pb.SearchRequest(collection="docs", query=WORDS)] * 20
        call = client.searches.BatchSearch(pb.BatchSearchRequest(requests=requests), timeout=1.5)
        found = [each async for each in client.stream(call)]
    cut = {passages.STAGE_OUTCOME_PARTIAL, passages.STAGE_OUTCOME_SKIPPED}
    assert len(found) == 20
    for each in found:
        assert each.response.hits
        assert cut & {report.outcome for report in each.response.stage_reports}


async def test_a_better_spelling_is_suggested(servers: Servers) -> None:
    async with servers.start(SPELLING) as client:
        await client.fill()
        wrong = await client.search("smoth sauce", "words")
        right = await client.search("smooth sauce", "words")
        *_, last = await client.events("smoth sauce", "words")
        nobody = await client.search("smoth sauce", "more")
    assert wrong.suggested_query == last.completed.suggested_query == "smooth sauce"
    assert right.suggested_query == nobody.suggested_query == ""


@pytest.mark.parametrize("spelling", ["raises", "never_returns", "no_text", "lone_surrogate"])
async def test_a_retriever_that_cannot_spell_costs_nothing_else(servers: Servers, spelling: str) -> None:
    stages = fakes(words=f'spelling = "{spelling}"').replace('"fake-memory"\nspelling', '"fake-spelling"\nspelling')
    async with servers.start(stages) as client:
        await client.fill()
        found = await client.search("smoth sauce")
    assert found.hits
    assert found.suggested_query == ""
    assert all(report.outcome == passages.STAGE_OUTCOME_RAN for report in found.stage_reports)
