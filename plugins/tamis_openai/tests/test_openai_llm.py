"""The language model against a server that speaks the protocol across a socket, well or badly."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tamis.context import Call, CallEnded
from tamis.deadline import Deadline
from tamis.errors import ConfigurationError, Overloaded, TamisError, Unavailable
from tamis.models import Message, Prompt
from tamis.testing.contract import opened
from tamis_openai import OpenAiLlm

PROMPT = Prompt((Message("system", "Be brief."), Message("user", "Hello?")))


class _Endpoint(BaseHTTPRequestHandler):
    """Does what the name of the model says."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))  # type: ignore[attr-defined]
        model = body["model"]
        if model.isdigit():
            self._answer(int(model), "application/json", json.dumps({"error": {"message": "secret detail"}}))
        elif model == "html":
            self._answer(200, "text/html", "<html>Welcome to the proxy</html>")
        elif model == "silent":
            self.server.released.wait(30)  # type: ignore[attr-defined]
        else:
            self._stream(["Hel", "lo", " there"], is_whole=model != "half")

    def _answer(self, code: int, kind: str, text: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def _stream(self, pieces: list[str], *, is_whole: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for piece in pieces:
            self._event({"choices": [{"index": 0, "delta": {"content": piece}}]})
        if is_whole:
            usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
            self._event({"choices": [], "usage": usage})
            self.wfile.write(b"data: [DONE]\n\n")
        else:
            self.wfile.write(b'data: {"choices": [{"ind')

    def _event(self, fields: dict[str, Any]) -> None:
        event = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", **fields}
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test's output clean."""


@pytest.fixture
def endpoint() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint)
    server.requests = []  # type: ignore[attr-defined]
    server.released = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.released.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


def _llm(endpoint: ThreadingHTTPServer, model: str, **settings: Any) -> OpenAiLlm:
    url = f"http://127.0.0.1:{endpoint.server_address[1]}/v1"
    return OpenAiLlm(OpenAiLlm.Settings(model=model, base_url=url, **{"max_retries": 0, **settings}))


async def _said(endpoint: ThreadingHTTPServer, model: str, call: Call | None = None, **settings: Any) -> list[str]:
    async with opened(_llm(endpoint, model, **settings)) as llm:
        return [each async for each in llm.generate(PROMPT, limit=50, call=call or Call())]


async def test_pieces_come_as_they_are_sent_and_usage_is_counted(endpoint: Any) -> None:
    call = Call()
    assert await _said(endpoint, "good", call, api_key="sk-1") == ["Hel", "lo", " there"]
    assert (call.usage.input_token_count, call.usage.output_token_count, call.usage.model_call_count) == (11, 3, 1)
    ((path, headers, body),) = endpoint.requests
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer sk-1"
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}]
    assert (body["max_tokens"], body["temperature"], body["stream"]) == (50, 0.0, True)


async def test_newer_endpoints_take_the_limit_by_its_newer_name_and_no_temperature(endpoint: Any) -> None:
    await _said(endpoint, "good", limit_parameter="max_completion_tokens", temperature=None)
    body = endpoint.requests[0][2]
    assert body["max_completion_tokens"] == 50
    assert not {"max_tokens", "temperature"} & body.keys()


@pytest.mark.parametrize(
    ("model", "error"),
    [("401", Unavailable), ("404", Unavailable), ("429", Overloaded), ("500", Unavailable), ("503", Unavailable)],
)
async def test_a_refusal_is_a_typed_error_without_the_endpoints_words(
    endpoint: Any, model: str, error: type[TamisError]
) -> None:
    with pytest.raises(error) as caught:
        await _said(endpoint, model)
    assert "secret" not in caught.value.message


async def test_failures_that_may_pass_are_tried_again(endpoint: Any) -> None:
    with pytest.raises(Unavailable):
        await _said(endpoint, "503", max_retries=1)
    assert len(endpoint.requests) == 2


async def test_html_in_place_of_an_answer_says_nothing(endpoint: Any) -> None:
    assert await _said(endpoint, "html") == []


async def test_a_stream_that_breaks_off_is_an_error_after_its_pieces(endpoint: Any) -> None:
    said = []
    async with opened(_llm(endpoint, "half")) as llm:
        with pytest.raises(Unavailable):
            async for each in llm.generate(PROMPT, limit=50, call=Call()):
                said.append(each)
    assert said == ["Hel", "lo", " there"]


async def test_an_endpoint_that_is_not_there_is_unavailable() -> None:
    llm = OpenAiLlm(OpenAiLlm.Settings(model="m", base_url="http://127.0.0.1:9/v1", max_retries=0))
    async with opened(llm) as it:
        with pytest.raises(Unavailable):
            [each async for each in it.generate(PROMPT, limit=5, call=Call())]


async def test_a_silent_endpoint_costs_no_more_than_the_deadline(endpoint: Any) -> None:
    with pytest.raises(Unavailable):
        await _said(endpoint, "silent", Call(Deadline.after(0.3)))


async def test_nothing_is_sent_for_a_call_that_is_over(endpoint: Any) -> None:
    with pytest.raises(CallEnded):
        await _said(endpoint, "good", Call(Deadline.after(-1)))
    assert endpoint.requests == []


def test_a_key_can_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-2\n")
    llm = OpenAiLlm(OpenAiLlm.Settings(model="m", api_key_file=tmp_path / "key"))
    assert "sk-2" not in repr(llm.settings)
    with pytest.raises(ConfigurationError, match="api_key_file"):
        OpenAiLlm(OpenAiLlm.Settings(model="m", api_key_file=tmp_path / "none"))
