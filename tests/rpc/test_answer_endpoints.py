"""A model behind an endpoint that refuses, fails, is slow or is no endpoint at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from real_server import Servers
from scripted_endpoint import Endpoint, Reply, endpoint_running, openai_reply

from tamis.v1 import passage_pb2 as pb
from tamis.v1 import search_service_pb2

TEXTS = {"kettle": "The kettle sings when the water boils.", "pan": "An iron pan wants oil."}
QUOTED = "The kettle sings when the water boils."
SAID = ["The ket", "tle sings ", "[1", "]."]
JSON, HTML = {"Content-Type": "application/json"}, {"Content-Type": "text/html"}
REPLIES = {
    "good": openai_reply(SAID),
    "long": openai_reply(SAID, finish="length"),
    "half": openai_reply(SAID, finish=None, usage=False, ending="broken"),
    "slow": Reply(ending="hanging"),
    "html": Reply([b"<html>hunter2</html>"], headers=HTML),
    **{str(code): Reply([b'{"error": {"message": "hunter2"}}'], code, JSON) for code in (401, 429, 500)},
}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with endpoint_running() as running:
        yield running


async def _asked(
    servers: Servers, endpoint: Endpoint, reply: str, answer: str = "", timeout: float = 20
) -> tuple[search_service_pb2.SearchResponse, pb.StageReport]:
    endpoint.replies = [REPLIES[reply]]
    stages = f"""
[models.remote]
plugin = "openai"
base_url = "{endpoint.url}/v1"
model = "m"
max_retries = 0
[stages.words]
plugin = "fake-memory"
[stages.quote]
plugin = "extractive"
[stages.answer]
plugin = "llm"
llm = "remote"
{answer}
[pipelines.default]
expression = "words >> answer"
"""
    async with servers.start(stages) as client:
        await client.fill(TEXTS)
        found = await client.search("When does the kettle sing?", timeout=timeout)
    assert b"hunter2" not in found.SerializeToString()
    assert [hit.passage.document_id for hit in found.hits] == ["kettle"]
    (report,) = [each for each in found.stage_reports if each.stage == "answer"]
    return found, report


async def test_an_endpoint_answers_and_what_it_counts_is_reported(servers: Servers, endpoint: Endpoint) -> None:
    found, report = await _asked(servers, endpoint, "good")
    assert (found.answer.text, found.answer.finish_reason) == ("The kettle sings.", pb.FINISH_REASON_ANSWERED)
    assert [each.document_id for each in found.answer.citations] == ["kettle"]
    usage = report.usage
    assert (usage.model_call_count, usage.input_token_count, usage.output_token_count) == (1, 10, 4)
    assert found.usage == usage


async def test_an_answer_that_the_endpoint_cuts_off_says_so(servers: Servers, endpoint: Endpoint) -> None:
    found, report = await _asked(servers, endpoint, "long", 'fallback = "quote"')
    assert (found.answer.text, found.answer.finish_reason) == ("The kettle sings.", pb.FINISH_REASON_TRUNCATED)
    assert report.outcome == pb.STAGE_OUTCOME_RAN


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("401", pb.STAGE_REASON_FAILED),
        ("429", pb.STAGE_REASON_OVERLOADED),
        ("500", pb.STAGE_REASON_FAILED),
    ],
)
async def test_an_endpoint_that_refuses_costs_the_answer_alone(
    servers: Servers, endpoint: Endpoint, model: str, reason: int
) -> None:
    found, report = await _asked(servers, endpoint, model)
    assert (found.answer.finish_reason, found.answer.text) == (pb.FINISH_REASON_FAILED, "")
    assert (report.outcome, report.reason) == (pb.STAGE_OUTCOME_FELL_BACK, reason)
    assert (report.usage.model_call_count, report.usage.output_token_count) == (1, 0)


async def test_html_in_place_of_an_answer_is_no_answer(servers: Servers, endpoint: Endpoint) -> None:
    found, _ = await _asked(servers, endpoint, "html")
    assert found.answer.text == ""
    assert found.answer.finish_reason in (pb.FINISH_REASON_FAILED, pb.FINISH_REASON_INSUFFICIENT_EVIDENCE)


async def test_an_endpoint_that_breaks_off_leaves_its_words(servers: Servers, endpoint: Endpoint) -> None:
    found, report = await _asked(servers, endpoint, "half", 'fallback = "quote"')
    assert (found.answer.text, found.answer.finish_reason) == ("The kettle sings.", pb.FINISH_REASON_TRUNCATED)
    assert (report.outcome, report.reason) == (pb.STAGE_OUTCOME_PARTIAL, pb.STAGE_REASON_FAILED)
    assert len(found.answer.citations) == 1


async def test_a_slow_endpoint_costs_no_more_than_the_deadline(servers: Servers, endpoint: Endpoint) -> None:
    found, report = await _asked(servers, endpoint, "slow", timeout=1.2)
    assert found.answer.text == ""
    assert found.answer.finish_reason in (pb.FINISH_REASON_FAILED, pb.FINISH_REASON_TRUNCATED)
    assert report.outcome == pb.STAGE_OUTCOME_FELL_BACK


@pytest.mark.parametrize("model", ["401", "429", "500", "html", "slow"])
async def test_the_fallback_answers_for_an_endpoint_that_does_not(
    servers: Servers, endpoint: Endpoint, model: str
) -> None:
    settings = 'fallback = "quote"\nfallback_seconds = 0.6'
    found, report = await _asked(servers, endpoint, model, settings, timeout=1.5)
    assert (found.answer.text, found.answer.finish_reason) == (QUOTED, pb.FINISH_REASON_ANSWERED)
    assert [each.document_id for each in found.answer.citations] == ["kettle"]
    assert report.outcome == pb.STAGE_OUTCOME_RAN
    assert report.notes[-1].endswith("the fallback answered")
