"""The language model against a server that speaks the protocol across a socket, well or badly."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from scripted_endpoint import Endpoint, Reply, endpoint_running, openai_reply

from tamis.context import BillingUnit, Call, CallEnded
from tamis.deadline import Deadline
from tamis.errors import ConfigurationError, Overloaded, TamisError, Unavailable
from tamis.models import CUT_AT_LIMIT, Message, Prompt
from tamis.testing.contract import opened
from tamis_openai import OpenAiLlm

PROMPT = Prompt((Message("system", "Be brief."), Message("user", "Hello?")))
GOOD = openai_reply(["Hel", "lo", " there"])
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with endpoint_running() as running:
        running.replies = [GOOD]
        yield running


def _refusal(status: int, **headers: str) -> Reply:
    return Reply([b'{"error": {"message": "secret detail"}}'], status, JSON | headers)


def _llm(endpoint: Endpoint, **settings: Any) -> OpenAiLlm:
    return OpenAiLlm(
        OpenAiLlm.Settings(**{"model": "m", "base_url": f"{endpoint.url}/v1", "max_retries": 0, **settings})
    )


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
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer sk-1"
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}]
    assert (body["max_tokens"], body["temperature"], body["stream"]) == (50, 0.0, True)


@pytest.mark.parametrize("told", [True, False], ids=["told", "estimated"])
async def test_the_tokens_are_charged_under_the_products_name(endpoint: Endpoint, told: bool) -> None:
    endpoint.replies = [openai_reply(["Hel", "lo"], usage=told)]
    call = Call()
    await _said(endpoint, call, product="openai/gpt-5")
    read, written = call.usage.input_token_count, call.usage.output_token_count
    assert call.usage.charges == {
        ("openai/gpt-5", BillingUnit.INPUT_TOKEN): read,
        ("openai/gpt-5", BillingUnit.OUTPUT_TOKEN): written,
    }
    assert min(read, written) > 0
    assert call.usage.model_seconds > 0


async def test_an_endpoint_of_ones_own_charges_nothing(endpoint: Endpoint) -> None:
    call = Call()
    await _said(endpoint, call)
    assert call.usage.charges == {}
    assert OpenAiLlm(OpenAiLlm.Settings(model="gpt-5"))._product == "openai/gpt-5"


async def test_newer_endpoints_take_the_limit_by_its_newer_name_and_no_temperature(endpoint: Endpoint) -> None:
    await _said(endpoint, limit_parameter="max_completion_tokens", temperature="none")
    body = endpoint.requests[0][2]
    assert body["max_completion_tokens"] == 50
    assert not {"max_tokens", "temperature", "top_p", "seed", "stop"} & body.keys()


async def test_settings_reach_the_endpoint_and_a_request_may_override_some(endpoint: Endpoint) -> None:
    call = Call(options={"temperature": 0.7, "seed": 9})
    await _said(endpoint, call, top_p=0.9, seed=1, stop=("\n\n",), extra_body={"chat_template_kwargs": {"x": False}})
    body = endpoint.requests[0][2]
    assert (body["temperature"], body["top_p"], body["seed"], body["stop"]) == (0.7, 0.9, 9, ["\n\n"])
    assert body["chat_template_kwargs"] == {"x": False}


async def test_nothing_of_the_environment_reaches_the_endpoint(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "sk-of-somebody-else")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-custom: sk-of-somebody-else")
    for name in ("OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/v1")
    assert await _said(endpoint)
    assert "sk-of-somebody-else" not in str(endpoint.requests[0][1])


async def test_an_answer_cut_at_the_limit_says_so(endpoint: Endpoint) -> None:
    endpoint.replies = [openai_reply(["a", "b"], finish="length")]
    call = Call()
    await _said(endpoint, call)
    assert call.notes == [CUT_AT_LIMIT]


@pytest.mark.parametrize(("finish", "written"), [("stop", 4), ("length", 50)])
async def test_usage_that_is_not_told_is_estimated_and_said_to_be(
    endpoint: Endpoint, finish: str, written: int
) -> None:
    endpoint.replies = [openai_reply(["Hel", "lo", " there"], finish=finish, usage=False)]
    call = Call()
    await _said(endpoint, call)
    assert call.usage.output_token_count == written
    assert call.usage.input_token_count == 5
    assert "the endpoint gives no token counts; estimated" in call.notes


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Unavailable),
        (401, Unavailable),
        (403, Unavailable),
        (404, Unavailable),
        (422, Unavailable),
        (429, Overloaded),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
    ],
)
async def test_a_refusal_is_a_typed_error_without_the_endpoints_words(
    endpoint: Endpoint, status: int, error: type[TamisError], caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.replies = [_refusal(status)]
    caplog.set_level(logging.INFO)
    with pytest.raises(error) as caught:
        await _said(endpoint, api_key="sk-1")
    assert str(status) in caught.value.message or status == 429
    shown = caught.value.message + repr(caught.value) + caplog.text
    assert "secret" not in shown
    assert "sk-1" not in shown
    assert "Hello?" not in shown
    assert len(endpoint.requests) == 1


async def test_failures_that_may_pass_are_tried_again(endpoint: Endpoint) -> None:
    endpoint.replies = [_refusal(503, **{"Retry-After": "0"}), _refusal(429, **{"Retry-After": "0"}), GOOD]
    call = Call()
    assert await _said(endpoint, call, max_retries=2) == ["Hel", "lo", " there"]
    assert call.usage.model_call_count == len(endpoint.requests) == 3


async def test_failures_that_cannot_pass_are_not_tried_again(endpoint: Endpoint) -> None:
    endpoint.replies = [_refusal(401), GOOD]
    with pytest.raises(Unavailable, match="key"):
        await _said(endpoint, max_retries=5)
    assert len(endpoint.requests) == 1


async def test_a_pause_that_would_outlast_the_deadline_is_not_begun(endpoint: Endpoint) -> None:
    endpoint.replies = [_refusal(429, **{"Retry-After": "30"})]
    call = Call(Deadline.after(20))
    with pytest.raises(Overloaded) as caught:
        await _said(endpoint, call, max_retries=5)
    assert caught.value.retry_after == 30
    assert call.active
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply([b"<html>secret detail</html>"], headers={"Content-Type": "text/html"}),
        Reply([]),
        Reply([b"data: [DONE]\n\n"]),
        Reply([b'data: "a string"\n\n']),
        Reply([b'data: {"choices": [{"index": 0}]}\n\n']),
        Reply([b'data: {"choices": {"a": 1}}\n\n']),
        Reply([b'data: {"error": {"message": "secret detail"}}\n\n']),
        Reply([b'{"choices": [{"message": {"content": "not streamed"}}]}'], headers=JSON),
    ],
    ids=["html", "empty", "done", "string", "no delta", "no list", "error", "json"],
)
async def test_what_is_no_answer_is_an_error(endpoint: Endpoint, reply: Reply) -> None:
    endpoint.replies = [reply]
    with pytest.raises(Unavailable) as caught:
        await _said(endpoint)
    assert "secret" not in caught.value.message


async def test_an_empty_answer_is_none_and_no_error(endpoint: Endpoint) -> None:
    endpoint.replies = [openai_reply([])]
    assert await _said(endpoint) == []


@pytest.mark.parametrize(
    "reply",
    [
        openai_reply(["Hel", "lo"], finish=None, usage=False, ending="broken"),
        openai_reply(["Hel", "lo"], finish=None),
        Reply([*openai_reply(["Hel", "lo"], finish=None, ending="broken").chunks, b'data: {"choices": [{"ind\n\n']),
    ],
    ids=["closed", "unfinished", "cut"],
)
async def test_a_stream_that_breaks_off_is_an_error_after_its_pieces(endpoint: Endpoint, reply: Reply) -> None:
    endpoint.replies = [reply]
    said, call = [], Call()
    async with opened(_llm(endpoint)) as llm:
        with pytest.raises(Unavailable):
            async for each in llm.generate(PROMPT, limit=50, call=call):
                said.append(each)
    assert said == ["Hel", "lo"]
    assert call.usage.output_token_count > 0


async def test_an_endpoint_that_is_not_there_is_unavailable() -> None:
    llm = OpenAiLlm(OpenAiLlm.Settings(model="m", base_url="http://127.0.0.1:9/v1", max_retries=0))
    async with opened(llm) as it:
        with pytest.raises(Unavailable, match="cannot be reached"):
            [each async for each in it.generate(PROMPT, limit=5, call=Call())]


@pytest.mark.parametrize("pieces", [[], ["Hel"]], ids=["at once", "half way"])
async def test_an_endpoint_that_hangs_costs_no_more_than_the_deadline(endpoint: Endpoint, pieces: list[str]) -> None:
    endpoint.replies = [openai_reply(pieces, finish=None, ending="hanging")]
    with pytest.raises(CallEnded):
        await _said(endpoint, Call(Deadline.after(2.0)), max_retries=5)
    assert await _left(endpoint)


async def test_an_endpoint_that_hangs_is_left_when_the_caller_leaves(endpoint: Endpoint) -> None:
    endpoint.replies = [openai_reply(["Hel"], finish=None, ending="hanging")]
    call = Call()
    async with opened(_llm(endpoint)) as llm:
        with pytest.raises(CallEnded):
            async for _ in llm.generate(PROMPT, limit=50, call=call):
                asyncio.get_running_loop().call_soon(call.end)
        assert await _left(endpoint)


async def test_an_endpoint_that_hangs_is_left_when_the_iterator_is_closed(endpoint: Endpoint) -> None:
    endpoint.replies = [openai_reply(["Hel"], finish=None, ending="hanging")]
    async with opened(_llm(endpoint)) as llm:
        async with aclosing(llm.generate(PROMPT, limit=50, call=Call())) as pieces:
            assert await anext(pieces) == "Hel"
        assert await _left(endpoint)


async def test_an_endpoint_that_is_silent_for_too_long_is_unavailable(endpoint: Endpoint) -> None:
    endpoint.replies = [openai_reply(["Hel"], finish=None, ending="hanging")]
    with pytest.raises(Unavailable, match="silent"):
        await _said(endpoint, patience=0.3)


async def test_nothing_is_sent_for_a_call_that_is_over(endpoint: Endpoint) -> None:
    with pytest.raises(CallEnded):
        await _said(endpoint, Call(Deadline.after(-1)))
    assert endpoint.requests == []


def test_a_key_can_stand_in_a_file_of_its_own_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-2\n")
    llm = OpenAiLlm(OpenAiLlm.Settings(model="m", api_key_file=tmp_path / "key"))
    assert "sk-2" not in repr(llm.settings) + repr(vars(llm.settings))
    assert "sk-3" not in repr(OpenAiLlm.Settings(model="m", api_key="sk-3"))
    with pytest.raises(ConfigurationError, match="api_key_file"):
        OpenAiLlm(OpenAiLlm.Settings(model="m", api_key_file=tmp_path / "none"))


def _completion(logprobs: Any) -> Reply:
    message = {"role": "assistant", "content": "yes"}
    choice = {"index": 0, "finish_reason": "length", "message": message, "logprobs": logprobs}
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
    return Reply([json.dumps(body).encode()], headers=JSON)


async def test_log_probabilities_are_those_of_the_first_token(endpoint: Endpoint) -> None:
    top = [
        {"token": each, "logprob": value, "bytes": None} for each, value in ((" yes", -0.1), ("yes", -3), ("no", -2))
    ]
    endpoint.replies = [_completion({"content": [{"token": " yes", "logprob": -0.1, "top_logprobs": top}]})]
    call = Call()
    async with opened(_llm(endpoint)) as llm:
        found = await llm.log_probabilities(PROMPT, ["yes", "no", "maybe"], call=call)
    assert found.tolist() == [-0.1, -2, -math.inf]
    assert (call.usage.input_token_count, call.usage.output_token_count) == (9, 1)
    body = endpoint.requests[0][2]
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, 20, 1)


@pytest.mark.parametrize("status", [400, 403])
async def test_an_endpoint_that_refuses_log_probabilities_gives_none(endpoint: Endpoint, status: int) -> None:
    told = {"error": {"message": "You are not allowed to request logprobs from this model", "code": None}}
    endpoint.replies = [Reply([json.dumps(told).encode()], status, JSON)]
    async with opened(_llm(endpoint)) as llm:
        with pytest.raises(NotImplementedError) as caught:
            await llm.log_probabilities(PROMPT, ["yes"], call=Call())
    assert "You are" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "reply",
    [
        Reply([b"<html>secret detail</html>"], headers={"Content-Type": "text/html"}),
        Reply([b'{"choices": []}'], headers=JSON),
        Reply([b"null"], headers=JSON),
        _refusal(400),
    ],
    ids=["html", "no choice", "null", "refused"],
)
async def test_no_answer_does_not_say_that_there_are_no_log_probabilities(endpoint: Endpoint, reply: Reply) -> None:
    endpoint.replies = [reply]
    async with opened(_llm(endpoint)) as llm:
        with pytest.raises(Unavailable) as caught:
            await llm.log_probabilities(PROMPT, ["yes"], call=Call())
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 2**70, "completion_tokens": -1, "total_tokens": "x"}])
async def test_usage_of_log_probabilities_that_is_not_told_is_estimated(endpoint: Endpoint, usage: Any) -> None:
    alternatives = [{"token": "yes", "logprob": -0.1, "bytes": None}]
    whole = json.loads(
        _completion({"content": [{"token": "yes", "logprob": -0.1, "top_logprobs": alternatives}]}).chunks[0]
    )
    endpoint.replies = [Reply([json.dumps(whole | {"usage": usage}).encode()], headers=JSON)]
    call = Call()
    async with opened(_llm(endpoint, product="house/m")) as llm:
        assert (await llm.log_probabilities(PROMPT, ["yes"], call=call)).tolist() == [-0.1]
    assert (call.usage.input_token_count, call.usage.output_token_count) == (5, 1)
    assert call.usage.charges[("house/m", BillingUnit.INPUT_TOKEN)] == 5
    assert call.notes == ["the endpoint gives no token counts; estimated"]


@pytest.mark.parametrize(
    "logprobs",
    [None, {"content": []}, {"content": None}, {"content": [{"token": "y", "logprob": 0, "top_logprobs": []}]}],
)
async def test_an_endpoint_without_log_probabilities_gives_none(endpoint: Endpoint, logprobs: Any) -> None:
    endpoint.replies = [_completion(logprobs)]
    async with opened(_llm(endpoint)) as llm:
        with pytest.raises(NotImplementedError):
            await llm.log_probabilities(PROMPT, ["yes"], call=Call())
