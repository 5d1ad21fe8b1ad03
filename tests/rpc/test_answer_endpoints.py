"""A model behind an endpoint that refuses, fails, is slow or is no endpoint at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from real_server import Servers

from tamis.v1 import passage_pb2 as pb
from tamis.v1 import search_service_pb2

TEXTS = {"kettle": "The kettle sings when the water boils.", "pan": "An iron pan wants oil."}
QUOTED = "The kettle sings when the water boils."


class _Endpoint(BaseHTTPRequestHandler):
    """Does what the name of the model says: answers well, with a status, with HTML, not at all, or half."""

    def do_POST(self) -> None:
        model = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["model"]
        if model.isdigit():
            self._whole(int(model), "application/json", '{"error": {"message": "hunter2"}}')
        elif model == "html":
            self._whole(200, "text/html", "<html>hunter2</html>")
        elif model == "silent":
            self.server.released.wait(30)  # type: ignore[attr-defined]
        else:
            self._whole(200, "text/event-stream", "".join(_events(is_whole=model == "good")))

    def _whole(self, status: int, kind: str, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test's output clean."""


def _events(*, is_whole: bool) -> Iterator[str]:
    for piece in ("The ket", "tle sings ", "[1", "]."):
        yield _event(choices=[{"index": 0, "delta": {"content": piece}}])
    if is_whole:
        yield _event(choices=[], usage={"prompt_tokens": 120, "completion_tokens": 7, "total_tokens": 127})
        yield "data: [DONE]\n\n"
    else:
        yield 'data: {"choices": [{"ind\n\n'


def _event(**fields: Any) -> str:
    whole = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", **fields}
    return f"data: {json.dumps(whole)}\n\n"


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint)
    server.released = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.released.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


async def _asked(
    servers: Servers, url: str, model: str, answer: str = "", timeout: float = 20
) -> tuple[search_service_pb2.SearchResponse, pb.StageReport]:
    stages = f"""
[models.remote]
plugin = "openai"
base_url = "{url}"
model = "{model}"
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


async def test_an_endpoint_answers_and_what_it_counts_is_reported(servers: Servers, endpoint: str) -> None:
    found, report = await _asked(servers, endpoint, "good")
    assert (found.answer.text, found.answer.finish_reason) == ("The kettle sings.", pb.FINISH_REASON_ANSWERED)
    assert [each.document_id for each in found.answer.citations] == ["kettle"]
    usage = report.usage
    assert (usage.model_call_count, usage.input_token_count, usage.output_token_count) == (1, 120, 7)
    assert found.usage == usage


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("401", pb.STAGE_REASON_FAILED),
        ("429", pb.STAGE_REASON_OVERLOADED),
        ("500", pb.STAGE_REASON_FAILED),
    ],
)
async def test_an_endpoint_that_refuses_costs_the_answer_alone(
    servers: Servers, endpoint: str, model: str, reason: int
) -> None:
    found, report = await _asked(servers, endpoint, model)
    assert (found.answer.finish_reason, found.answer.text) == (pb.FINISH_REASON_FAILED, "")
    assert (report.outcome, report.reason) == (pb.STAGE_OUTCOME_FELL_BACK, reason)
    assert (report.usage.model_call_count, report.usage.output_token_count) == (1, 0)


async def test_html_in_place_of_an_answer_is_no_answer(servers: Servers, endpoint: str) -> None:
    found, _ = await _asked(servers, endpoint, "html")
    assert found.answer.text == ""
    assert found.answer.finish_reason in (pb.FINISH_REASON_FAILED, pb.FINISH_REASON_INSUFFICIENT_EVIDENCE)


async def test_an_endpoint_that_breaks_off_leaves_its_words(servers: Servers, endpoint: str) -> None:
    found, report = await _asked(servers, endpoint, "half", 'fallback = "quote"')
    assert (found.answer.text, found.answer.finish_reason) == ("The kettle sings.", pb.FINISH_REASON_TRUNCATED)
    assert (report.outcome, report.reason) == (pb.STAGE_OUTCOME_PARTIAL, pb.STAGE_REASON_FAILED)
    assert len(found.answer.citations) == 1


async def test_a_silent_endpoint_costs_no_more_than_the_deadline(servers: Servers, endpoint: str) -> None:
    found, report = await _asked(servers, endpoint, "silent", timeout=1.2)
    assert found.answer.text == ""
    assert found.answer.finish_reason in (pb.FINISH_REASON_FAILED, pb.FINISH_REASON_TRUNCATED)
    assert report.outcome == pb.STAGE_OUTCOME_FELL_BACK


@pytest.mark.parametrize("model", ["401", "429", "500", "html", "silent"])
async def test_the_fallback_answers_for_an_endpoint_that_does_not(servers: Servers, endpoint: str, model: str) -> None:
    settings = 'fallback = "quote"\nfallback_seconds = 0.6'
    found, report = await _asked(servers, endpoint, model, settings, timeout=1.5)
    assert (found.answer.text, found.answer.finish_reason) == (QUOTED, pb.FINISH_REASON_ANSWERED)
    assert [each.document_id for each in found.answer.citations] == ["kettle"]
    assert report.outcome == pb.STAGE_OUTCOME_RAN
    assert [each.endswith("the fallback answered") for each in report.notes] == [True]
