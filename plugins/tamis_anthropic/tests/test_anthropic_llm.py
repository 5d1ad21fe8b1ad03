"""The language model against a server that speaks the Messages API across a socket, well or badly."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from scripted_endpoint import Endpoint, Reply, anthropic_reply, endpoint_running

from tamis.context import BillingUnit, Call, CallEnded
from tamis.deadline import Deadline
from tamis.errors import ConfigurationError, Overloaded, TamisError, Unavailable
from tamis.models import CUT_AT_LIMIT, Message, Prompt
from tamis.testing.contract import opened
from tamis_anthropic import AnthropicLlm

PROMPT = Prompt((Message("system", "Be brief."), Message("user", "Hello?")))
GOOD = anthropic_reply(["Hel", "lo", " there"])
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with endpoint_running() as running:
        running.replies = [GOOD]
        yield running


def _refusal(status: int, **headers: str) -> Reply:
    body = b'{"type": "error", "error": {"type": "some_error", "message": "secret detail"}}'
    return Reply([body], status, JSON | headers)


def _llm(endpoint: Endpoint, **settings: Any) -> AnthropicLlm:
    return AnthropicLlm(AnthropicLlm.Settings(**{"model": "m", "base_url": endpoint.url, "max_retries": 0, **settings}))


async def _said(endpoint: Endpoint, call: Call | None = None, **settings: Any) -> list[str]:
    async with opened(_llm(endpoint, **settings)) as llm:
        return [each async for each in llm.generate(PROMPT, limit=50, call=call or Call())]


async def _left(endpoint: Endpoint) -> bool:
    """Whether the client closes the connection, which the server sees soon after."""
    return await asyncio.to_thread(endpoint.client_left.wait, 60)


async def test_pieces_come_as_they_are_sent_and_usage_is_counted(endpoint: Endpoint) -> None:
    call = Call()
    assert await _said(endpoint, call, api_key="sk-1") == ["Hel", "lo", " there"]
    assert (call.usage.input_token_count, call.usage.output_token_count, call.usage.model_call_count) == (10, 3, 1)
    assert call.notes == []
    ((path, headers, body),) = endpoint.requests
    assert path == "/v1/messages"
    assert "sk-1" in (headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer "))
    assert body["system"] == "Be brief."
    assert body["messages"] == [{"role": "user", "content": "Hello?"}]
    assert (body["max_tokens"], body["stream"], body["model"]) == (50, True, "m")
    assert not {"temperature", "top_p", "stop_sequences"} & body.keys()


async def test_tokens_of_the_cache_are_charged_as_the_part_of_a_token_that_they_cost(endpoint: Endpoint) -> None:
    call = Call()
    await _said(endpoint, call, product="anthropic/m")
    billed = call.usage.charges
    assert billed["anthropic/m", BillingUnit.INPUT_TOKEN] == pytest.approx(4 + 0.1 * 6)
    assert billed["anthropic/m", BillingUnit.OUTPUT_TOKEN] == 3


async def test_an_answer_that_breaks_off_is_charged_as_estimated(endpoint: Endpoint) -> None:
    endpoint.replies = [anthropic_reply(["Hel", "lo"], stop_reason=None, ending="broken")]
    call = Call()
    with pytest.raises(Unavailable):
        await _said(endpoint, call, product="anthropic/m")
    assert call.usage.charges["anthropic/m", BillingUnit.OUTPUT_TOKEN] == call.usage.output_token_count > 0


@pytest.mark.parametrize("told", ["-1", '"seven"', "1e30", "null"])
async def test_counts_that_make_no_sense_are_estimated(endpoint: Endpoint, told: str) -> None:
    chunks = [each.replace(b'"output_tokens": 3', b'"output_tokens": ' + told.encode()) for each in GOOD.chunks]
    chunks = [each.replace(b'"input_tokens": 4', b'"input_tokens": ' + told.encode()) for each in chunks]
    endpoint.replies = [Reply(chunks)]
    call = Call()
    assert await _said(endpoint, call) == ["Hel", "lo", " there"]
    assert (call.usage.input_token_count, call.usage.output_token_count) == (5, 4)
    assert call.notes == ["the endpoint gives no token counts; estimated"]


async def test_a_proxy_of_ones_own_charges_nothing(endpoint: Endpoint) -> None:
    call = Call()
    await _said(endpoint, call)
    assert call.usage.charges == {}
    assert AnthropicLlm(AnthropicLlm.Settings(model="m"))._product == "anthropic/m"


async def test_settings_reach_the_endpoint_and_a_request_may_override_some(endpoint: Endpoint) -> None:
    call = Call(options={"temperature": 0.7})
    await _said(endpoint, call, temperature=0.1, top_p=0.9, stop=("\n\n",), extra_body={"metadata": {"user_id": "u"}})
    body = endpoint.requests[0][2]
    assert (body["temperature"], body["top_p"], body["stop_sequences"]) == (0.7, 0.9, ["\n\n"])
    assert body["metadata"] == {"user_id": "u"}


async def test_nothing_of_the_environment_reaches_the_endpoint(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "sk-of-somebody-else")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-custom: sk-of-somebody-else")
    for name in ("ANTHROPIC_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await _said(endpoint)
    assert "sk-of-somebody-else" not in str(endpoint.requests[0][1])


@pytest.mark.parametrize("stop_reason", ["max_tokens", "model_context_window_exceeded"])
async def test_an_answer_cut_at_the_limit_says_so(endpoint: Endpoint, stop_reason: str) -> None:
    endpoint.replies = [anthropic_reply(["a", "b"], stop_reason=stop_reason)]
    call = Call()
    await _said(endpoint, call)
    assert call.notes == [CUT_AT_LIMIT]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Unavailable),
        (401, Unavailable),
        (403, Unavailable),
        (404, Unavailable),
        (413, Unavailable),
        (429, Overloaded),
        (500, Unavailable),
        (503, Unavailable),
        (529, Overloaded),
    ],
)
async def test_a_refusal_is_a_typed_error_without_the_endpoints_words(
    endpoint: Endpoint, status: int, error: type[TamisError], caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.replies = [_refusal(status)]
    caplog.set_level(logging.INFO)
    with pytest.raises(error) as caught:
        await _said(endpoint, api_key="sk-1")
    shown = caught.value.message + repr(caught.value) + caplog.text
    assert "secret" not in shown
    assert "sk-1" not in shown
    assert "Hello?" not in shown
    assert len(endpoint.requests) == 1


async def test_failures_that_may_pass_are_tried_again(endpoint: Endpoint) -> None:
    endpoint.replies = [_refusal(529, **{"Retry-After": "0"}), _refusal(500, **{"Retry-After": "0"}), GOOD]
    call = Call()
    assert await _said(endpoint, call, max_retries=2) == ["Hel", "lo", " there"]
    assert call.usage.model_call_count == len(endpoint.requests) == 3


async def test_a_pause_that_would_outlast_the_deadline_is_not_begun(endpoint: Endpoint) -> None:
    endpoint.replies = [_refusal(429, **{"Retry-After": "30"})]
    with pytest.raises(Overloaded) as caught:
        await _said(endpoint, Call(Deadline.after(20)), max_retries=5)
    assert caught.value.retry_after == 30
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("kind", "error"), [("overloaded_error", Overloaded), ("rate_limit_error", Overloaded), ("api_error", Unavailable)]
)
async def test_an_error_inside_the_stream_comes_after_its_pieces(
    endpoint: Endpoint, kind: str, error: type[TamisError]
) -> None:
    endpoint.replies = [anthropic_reply(["Hel", "lo"], error=kind)]
    said, call = [], Call()
    async with opened(_llm(endpoint)) as llm:
        with pytest.raises(error) as caught:
            async for each in llm.generate(PROMPT, limit=50, call=call):
                said.append(each)
    assert said == ["Hel", "lo"]
    assert "secret" not in caught.value.message
    assert (call.usage.input_token_count, call.usage.output_token_count) == (10, 2)


@pytest.mark.parametrize(
    "reply",
    [
        Reply([b"<html>secret detail</html>"], headers={"Content-Type": "text/html"}),
        Reply([]),
        Reply([b'event: message_start\ndata: "a string"\n\n']),
        Reply([b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0}\n\n']),
        Reply([b'event: message_delta\ndata: {"type": "message_delta"\n\n']),
        Reply([b'{"type": "message", "content": []}'], headers=JSON),
    ],
    ids=["html", "empty", "string", "no delta", "cut", "json"],
)
async def test_what_is_no_answer_is_an_error(endpoint: Endpoint, reply: Reply) -> None:
    endpoint.replies = [reply]
    with pytest.raises(Unavailable) as caught:
        await _said(endpoint)
    assert "secret" not in caught.value.message


async def test_an_empty_answer_is_none_and_no_error(endpoint: Endpoint) -> None:
    endpoint.replies = [anthropic_reply([])]
    assert await _said(endpoint) == []


@pytest.mark.parametrize("ending", ["broken", "well"])
async def test_a_stream_that_breaks_off_is_an_error_after_its_pieces(endpoint: Endpoint, ending: str) -> None:
    endpoint.replies = [anthropic_reply(["Hel", "lo"], stop_reason=None, ending=ending)]
    said, call = [], Call()
    async with opened(_llm(endpoint)) as llm:
        with pytest.raises(Unavailable):
            async for each in llm.generate(PROMPT, limit=50, call=call):
                said.append(each)
    assert said == ["Hel", "lo"]
    assert call.notes == ["the endpoint gives no token counts; estimated"]


async def test_an_endpoint_that_is_not_there_is_unavailable() -> None:
    llm = AnthropicLlm(AnthropicLlm.Settings(model="m", base_url="http://127.0.0.1:9", max_retries=0))
    async with opened(llm) as it:
        with pytest.raises(Unavailable, match="cannot be reached"):
            [each async for each in it.generate(PROMPT, limit=5, call=Call())]


@pytest.mark.parametrize("pieces", [[], ["Hel"]], ids=["at once", "half way"])
async def test_an_endpoint_that_hangs_costs_no_more_than_the_deadline(endpoint: Endpoint, pieces: list[str]) -> None:
    endpoint.replies = [anthropic_reply(pieces, stop_reason=None, ending="hanging")]
    with pytest.raises(CallEnded):
        await _said(endpoint, Call(Deadline.after(2.0)), max_retries=5)
    assert await _left(endpoint)


async def test_an_endpoint_that_hangs_is_left_when_the_caller_leaves(endpoint: Endpoint) -> None:
    endpoint.replies = [anthropic_reply(["Hel"], stop_reason=None, ending="hanging")]
    call = Call()
    async with opened(_llm(endpoint)) as llm:
        with pytest.raises(CallEnded):
            async for _ in llm.generate(PROMPT, limit=50, call=call):
                asyncio.get_running_loop().call_soon(call.end)
        assert await _left(endpoint)


async def test_an_endpoint_that_hangs_is_left_when_the_iterator_is_closed(endpoint: Endpoint) -> None:
    endpoint.replies = [anthropic_reply(["Hel"], stop_reason=None, ending="hanging")]
    async with opened(_llm(endpoint)) as llm:
        async with aclosing(llm.generate(PROMPT, limit=50, call=Call())) as pieces:
            assert await anext(pieces) == "Hel"
        assert await _left(endpoint)


async def test_an_endpoint_that_is_silent_for_too_long_is_unavailable(endpoint: Endpoint) -> None:
    endpoint.replies = [anthropic_reply(["Hel"], stop_reason=None, ending="hanging")]
    with pytest.raises(Unavailable, match="silent"):
        await _said(endpoint, patience=0.3)


def test_a_key_can_stand_in_a_file_of_its_own_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-2\n")
    llm = AnthropicLlm(AnthropicLlm.Settings(model="m", api_key_file=tmp_path / "key"))
    assert "sk-2" not in repr(llm.settings)
    assert "sk-3" not in repr(AnthropicLlm.Settings(model="m", api_key="sk-3"))
    with pytest.raises(ConfigurationError, match="api_key_file"):
        AnthropicLlm(AnthropicLlm.Settings(model="m", api_key_file=tmp_path / "none"))
