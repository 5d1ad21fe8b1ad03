"""The blocking client across the socket: results, events, pages, errors, threads."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from forked_server import ForkedServer
from real_server import TEXTS, fakes

from tamis.client import (
    AlreadyExists,
    AnswerDelta,
    Boost,
    CallError,
    Cancelled,
    Client,
    Completed,
    DeadlineExceeded,
    Document,
    FinishReason,
    Heading,
    HitsRevised,
    InvalidRequest,
    MetadataPatch,
    NotFound,
    Page,
    Passage,
    ScoreKind,
    StageCompleted,
    StageOutcome,
    StageReason,
    StageRole,
    Value,
    field,
    search_request,
)

STAGES = (
    fakes()
    + """
[stages.slow]
plugin = "fake-words"
behaviour = "never_returns"
[stages.broken]
plugin = "fake-memory"
behaviour = "raises"
[stages.stuck]
plugin = "fake-quotes"
behaviour = "never_returns"
[pipelines.answering]
expression = "words >> pick >> answer"
"""
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedServer]:
    with ForkedServer(tmp_path_factory.mktemp("server"), STAGES).running() as found:
        with Client(found.address, timeout=30) as client:
            client.create_collection("docs")
            years = enumerate(TEXTS.items(), 2020)
            documents = [Document(id, text, metadata={"year": year, "name": id}) for year, (id, text) in years]
            client.wait_indexed("docs", client.write("docs", documents).sequence)
        yield found


@pytest.fixture
def client(server: ForkedServer) -> Iterator[Client]:
    with Client(server.address, timeout=30) as found:
        yield found


def test_a_search_returns_hits_with_their_path_an_answer_with_citations_and_how_stages_fared(client: Client) -> None:
    result = client.search("docs", "a smooth sauce", pipeline="answering")
    hit = result.hits[0]
    assert (hit.document_id, hit.text, hit.passage.metadata["year"]) == ("sieve", TEXTS["sieve"], 2020)
    assert [(each.stage, each.rank) for each in hit.stage_scores] == [("words", 1)]
    assert (hit.score, hit.score_kind) == (hit.stage_scores[0].score, ScoreKind.BM25)
    assert hit.stage("words") == hit.stage_scores[0]
    assert hit.stage("rank") is None
    assert result.answer.finish_reason is FinishReason.ANSWERED
    known = {each.id: each for each in result}
    for each in result.answer.citations:
        passage = known[each.passage_id].passage
        assert passage.document_span is not None
        assert each.answer_span.of(result.answer.text) == each.document_span.of(TEXTS[each.document_id])
    assert {each.stage: each.role for each in result.stage_reports}["words"] is StageRole.RETRIEVER
    assert {each.outcome for each in result.stage_reports} == {StageOutcome.RAN}
    assert all(each.elapsed_seconds < each.budget_seconds for each in result.stage_reports)
    assert [(each.stage, each.lag_count) for each in result.index_progress] == [("words", 0)]
    assert result.pipeline == "words >> pick >> answer"


def test_events_are_a_union_to_match_and_every_revision_has_whole_passages(client: Client) -> None:
    revisions, stages, text, ends = list[HitsRevised](), list[str](), "", list[Completed]()
    for event in client.stream_search("docs", "a smooth sauce"):
        match event:
            case HitsRevised():
                revisions.append(event)
            case StageCompleted(report):
                stages.append(report.stage)
            case AnswerDelta(piece, _):
                text += piece
            case Completed():
                ends.append(event)
    assert [each.revision for each in revisions] == [1, 2]
    assert all(hit.text == TEXTS[hit.document_id] for each in revisions for hit in each.hits)
    assert sorted(stages) == ["answer", "rank", "words"]
    assert TEXTS["sieve"] in text
    assert [each.finish_reason for each in ends] == [FinishReason.ANSWERED]
    assert [each.stage for each in ends[0].stage_reports] == stages


def test_a_stage_that_fails_is_told_in_its_report(client: Client) -> None:
    report = client.search("docs", "sauce", pipeline="words | broken").stage("broken")
    assert report is not None
    assert (report.outcome, report.reason) == (StageOutcome.UNREACHABLE, StageReason.FAILED)


def test_options_of_a_search_reach_the_server(client: Client) -> None:
    result = client.search(
        "docs",
        "a smooth sauce",
        pipeline="words",
        filter=field("year") >= 2020,
        page_size=2,
        document_hit_limit=1,
        score_thresholds={ScoreKind.BM25: 1.0},
        boosts=[Boost.where(field("name") == "pan", 5.0), field("updated").recent(timedelta(days=30))],
        sort_keys=[field("year").descending()],
        facet_specs={"name": 2},
        like_document_ids=["knife"],
    )
    assert [each.document_id for each in result] == ["spoon", "pan"]
    assert [each.passage.metadata["year"] for each in result] == [2024, 2022]
    assert [(each.field, len(each.counts), each.value_count) for each in result.facets] == [("name", 2, 3)]
    overridden = client.search("docs", "sauce", pipeline="answering", stage_overrides={"pick": {"count": 1}})
    assert len(overridden.answer.citations) == 1


def test_pages_go_to_the_end_of_what_is_found_and_no_hit_comes_twice(client: Client) -> None:
    pages = list(client.pages("docs", "a sauce", pipeline="words", page_size=2))
    assert [len(page) for page in pages] == [2, 2]
    assert len({hit.id for page in pages for hit in page}) == 4


def test_lists_are_followed_over_all_their_pages(client: Client) -> None:
    assert [each.id for each in client.documents("docs", page_size=2)] == sorted(TEXTS)
    assert [each.id for each in client.collections()] == ["docs"]
    assert {each.name for each in client.pipelines()} == {"default", "answering"}
    assert client.server_info().default_deadline_seconds == 10
    assert list(client.dead_letters("docs")) == []


def test_documents_come_back_as_they_were_written(client: Client) -> None:
    client.create_collection("kept")
    metadata: dict[str, Value] = {
        "big": 2**53 + 1,
        "half": 0.5,
        "yes": True,
        "none": None,
        "at": datetime(2026, 3, 1, 9, 12, 44, 5, UTC),
        "list": ["a", 1, {"deep": [None]}],
    }
    document = Document("é", "Eins\n\nZwei", "Zahlen", metadata, (Page(0, 1), Heading(6, "Zwei", 2)))
    written = client.write("kept", [document])
    assert (written.batch, written.written_count) == (1, 1)
    found = client.document("kept", "é")
    assert found == Document("é", "Eins\n\nZwei", "Zahlen", metadata, document.landmarks, version=written.sequence)
    patch = MetadataPatch("é", {"half": 0.25}, removed_keys=["list", "nothing"])
    assert client.patch_metadata("kept", [patch]).written_count == 1
    metadata |= {"half": 0.25}
    del metadata["list"]
    assert client.document("kept", "é").metadata == metadata
    assert client.delete_documents("kept", filter=field("big") == 2**53).deleted_count == 0
    assert client.delete_documents("kept", ["é"]).deleted_count == 1
    assert client.collection("kept").document_count == 0
    client.delete_collection("kept")
    with pytest.raises(NotFound):
        client.collection("kept")


def test_a_request_under_the_name_of_another_is_refused_and_the_same_one_changes_nothing(client: Client) -> None:
    client.create_collection("named")
    client.write("named", [Document("a", "one"), Document("b", "two")])
    first = client.delete_documents("named", ["a"], request_id="r1")
    assert client.delete_documents("named", ["a"], request_id="r1") == first
    with pytest.raises(AlreadyExists):
        client.delete_documents("named", ["b"], request_id="r1")
    client.delete_collection("named")


def test_what_the_callers_documents_raise_reaches_the_caller_after_what_was_acknowledged(client: Client) -> None:
    client.create_collection("torn")

    def documents() -> Iterator[Document]:
        yield Document("a", "one")
        yield Document("b", "two")
        raise LookupError("the source is gone")

    acknowledged = list[int]()
    with pytest.raises(LookupError, match="the source is gone"):
        for each in client.stream_write("torn", documents(), batch_size=1):
            acknowledged.append(each.batch)
    assert acknowledged == [1]  # the second was not full when the source ended
    with pytest.raises(TypeError, match="a set is no value"):
        client.write("torn", [Document("c", "x", metadata={"bad": {1}})])  # type: ignore[dict-item]
    with pytest.raises(InvalidRequest) as refused:
        client.write("torn", [Document("", "x")])
    assert refused.value.violations[0].field == "documents[0].id"
    assert [each.id for each in client.documents("torn")] == ["a"]
    client.delete_collection("torn")


def test_passages_of_ones_own_are_ordered_and_answered_from_and_come_back_whole(client: Client) -> None:
    passages = [Passage("1", "Tea."), Passage("2", "Vinegar dissolves lime.", metadata={"n": 1})]
    result = client.rerank("dissolves lime", passages, pipeline="rank")
    assert [each.passage for each in result] == [passages[1], passages[0]]
    events = list(client.stream_rerank("dissolves lime", passages, pipeline="rank"))
    orders = [event.hits for event in events if isinstance(event, HitsRevised)]
    assert [each.passage for each in orders[-1]] == [passages[1], passages[0]]
    assert isinstance(events[-1], Completed)
    deltas = [
        each for each in client.generate("lime", passages[1:], pipeline="answer") if isinstance(each, AnswerDelta)
    ]
    assert "".join(each.text for each in deltas).strip() == passages[1].text


def test_a_batch_of_searches_tells_of_each_what_became_of_it(client: Client) -> None:
    requests = [search_request("docs", "sauce", filter=field("name") == "pan"), search_request("none", "sauce")]
    found = dict(client.batch_search(requests))
    failed, result = found[1], found[0]
    assert isinstance(failed, NotFound)
    assert not isinstance(result, CallError)
    assert [each.document_id for each in result] == ["pan"]


def test_errors_are_of_the_family_of_their_reason_and_carry_what_came_with_them(client: Client) -> None:
    with pytest.raises(NotFound) as missing:
        client.search("none", "sauce")
    assert missing.value.reason == "NOT_FOUND"
    assert missing.value.metadata == {"kind": "collection", "name": "none"}
    with pytest.raises(InvalidRequest) as wrong:
        client.search("docs", "sauce", page_size=-1)
    assert (wrong.value.code, wrong.value.violations[0].field) == (grpc.StatusCode.INVALID_ARGUMENT, "page_size")
    with pytest.raises(InvalidRequest) as expression:
        client.search("docs", "sauce", pipeline="words >>")
    assert expression.value.reason == "INVALID_EXPRESSION"
    assert "column" in expression.value.metadata
    with pytest.raises(AlreadyExists):
        client.create_collection("docs")
    for copied in (copy.copy(wrong.value), pickle.loads(pickle.dumps(wrong.value))):
        assert isinstance(copied, InvalidRequest)
        assert (copied.reason, copied.violations) == (wrong.value.reason, wrong.value.violations)
        assert str(copied) == str(wrong.value)


def test_every_call_has_a_deadline_and_that_is_the_budget_of_a_search(server: ForkedServer) -> None:
    with Client(server.address, timeout=1.0) as client:
        report = client.search("docs", "sauce", pipeline="words >> slow").stage("slow")
        assert report is not None
        assert (report.outcome, report.reason) == (StageOutcome.FELL_BACK, StageReason.DEADLINE)
        with pytest.raises(DeadlineExceeded):
            client.search("docs", "sauce", timeout=0.0)


def test_many_threads_share_a_client(client: Client) -> None:
    def found(id: str) -> list[str]:
        return [
            each.document_id for each in client.search("docs", "a sauce", pipeline="words", filter=field("name") == id)
        ]

    wanted = ["sieve", "pan", "spoon", "knife"] * 8
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(found, wanted)) == [[each] for each in wanted]


def test_leaving_a_stream_cancels_it_and_the_client_goes_on(client: Client) -> None:
    stream = client.stream_search("docs", "sauce", pipeline="words >> slow")
    assert isinstance(next(stream), HitsRevised | StageCompleted)
    stream.close()
    assert list(stream) == []
    assert client.search("docs", "sauce", pipeline="words")


def test_closing_ends_the_calls_under_way_and_what_comes_later_is_refused(server: ForkedServer) -> None:
    client = Client(server.address)
    begun, ended = threading.Event(), list[BaseException]()

    def search() -> None:
        try:
            for _ in client.stream_search("docs", "sauce", pipeline="words >> slow", timeout=60):
                begun.set()
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=search)
    thread.start()
    assert begun.wait(30)
    client.close()
    client.close()
    thread.join(30)
    assert [type(each) for each in ended] == [Cancelled]
    with pytest.raises(RuntimeError, match="closed"):
        client.search("docs", "sauce")
