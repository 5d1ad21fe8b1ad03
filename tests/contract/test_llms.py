"""The language models keep the contract: the fake one, and those behind an endpoint, which a scripted server plays."""

from __future__ import annotations

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
        return openai_reply(pieces, finish="length")
    return anthropic_reply(pieces, stop_reason="max_tokens")


class TestOpenAi(_Behind):
    def component(self) -> Llm:
        return OpenAiLlm(OpenAiLlm.Settings(model="an-openai-model", base_url=f"{self.url}/v1"))


class TestAnthropic(_Behind):
    def component(self) -> Llm:
        return AnthropicLlm(AnthropicLlm.Settings(model="an-anthropic-model", base_url=self.url))
