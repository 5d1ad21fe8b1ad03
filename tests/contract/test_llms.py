"""The language models keep the contract: the fake one, and those behind an endpoint, which a scripted server plays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from scripted_endpoint import Reply, anthropic_reply, endpoint_running, openai_reply

from tamis.models import Llm
from tamis.testing.contract import LlmContract
from tamis.testing.llms import OracleLlm, ScriptedLlm
from tamis_anthropic import AnthropicLlm
from tamis_openai import OpenAiLlm

PIECES = ["The moon", " is", " round", ".", " 東京", " 🎹", *(f" {number}" for number in range(20))]


class TestScriptedLlm(LlmContract):
    def component(self) -> Llm:
        return ScriptedLlm(ScriptedLlm.Settings(reply="The moon is round. 東京 🎹 " * 5))


class TestOracleLlm(LlmContract):
    limit = 4

    def component(self) -> Llm:
        return OracleLlm(OracleLlm.Settings())


class _Behind(LlmContract):
    """The server runs for the whole module, so that it is there before a plugin is opened."""

    url: ClassVar[str]


@pytest.fixture(scope="module", autouse=True)
def _endpoint() -> Iterator[None]:
    with endpoint_running() as endpoint:
        endpoint.replies = [_reply]
        _Behind.url = endpoint.url
        yield


def _reply(body: dict[str, Any]) -> Reply:
    pieces = PIECES[: body["max_tokens"]]
    if body["model"] == "an-openai-model":
        return openai_reply(pieces, finish="length") if body["stream"] else _with_log_probabilities()
    return anthropic_reply(pieces, stop_reason="max_tokens")


def _with_log_probabilities() -> Reply:
    """A whole completion of one token, as an endpoint gives it that tells them."""
    told = [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in (("yes", -0.2), (" no", -1.8))]
    choice = {
        "index": 0,
        "finish_reason": "length",
        "message": {"role": "assistant", "content": "yes"},
        "logprobs": {"content": [told[0] | {"top_logprobs": told}]},
    }
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
    whole = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
    return Reply([json.dumps(whole).encode()], headers={"Content-Type": "application/json"})


class TestOpenAi(_Behind):
    def component(self) -> Llm:
        return OpenAiLlm(OpenAiLlm.Settings(model="an-openai-model", base_url=f"{self.url}/v1"))


class TestAnthropic(_Behind):
    def component(self) -> Llm:
        return AnthropicLlm(AnthropicLlm.Settings(model="an-anthropic-model", base_url=self.url))
