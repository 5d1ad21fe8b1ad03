"""The language model."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tamis.component import Capabilities, overridable
from tamis.context import BillingUnit, Call
from tamis.endpoint import EndpointSettings, Failure, Pacing, asked, failure, told_count, while_active
from tamis.errors import ConfigurationError, Unavailable
from tamis.models import CUT_AT_LIMIT, Llm, Prompt

if TYPE_CHECKING:
    import openai

__all__ = ["OpenAiLlm", "OpenAiSettings"]

_VENDOR = "https://api.openai.com/v1"
_ALTERNATIVES = 20  # the most that the API gives
_NO_ANSWER = (ValueError, AttributeError, LookupError, TypeError)  # what reading one raises, as the SDK checks nothing


class OpenAiSettings(EndpointSettings):
    """`base_url` is that of any compatible endpoint, `http://127.0.0.1:8000/v1`. `limit_parameter` is what the endpoint
    calls the answer's length. `temperature` is "none" for models that take none. `extra_body` goes into every request
    as it stands. At OpenAI's own address, `product` is `openai/MODEL`."""

    model: str
    base_url: str = _VENDOR
    temperature: Annotated[float, Field(ge=0, le=2)] | Literal["none"] = Field(0.0, json_schema_extra=overridable())
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(None, json_schema_extra=overridable())
    seed: int | None = Field(None, json_schema_extra=overridable())
    stop: tuple[str, ...] = ()
    extra_body: dict[str, Any] = Field(default_factory=dict)
    context_token_count: Annotated[int, Field(ge=1_024)] = 32_768
    limit_parameter: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"


class OpenAiLlm(Llm):
    """Chat completions by the official SDK, inside the call's deadline, further tries included."""

    Settings = OpenAiSettings
    capabilities = Capabilities()

    def __init__(self, settings: OpenAiSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._key = settings.key()
        self._product = settings.billed_as(f"openai/{settings.model}", _VENDOR)
        self._pacing = Pacing()
        self._client: openai.AsyncOpenAI | None = None

    async def open(self) -> None:
        try:
            import openai  # takes seconds, which whoever only looks at plugins need not spend
        except ModuleNotFoundError as error:
            raise ConfigurationError(f"needs {error.name!r}: pip install 'tamis[openai]'") from error
        settings = self._settings
        client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            admin_api_key="",
            base_url=settings.base_url,
            max_retries=0,  # further tries are ours, since the SDK's pauses know no deadline
            timeout=settings.patience,
            http_client=openai.DefaultAsyncHttpxClient(timeout=settings.patience, trust_env=False),
        )
        client.organization = client.project = None  # which it may have taken from the environment
        client._custom_headers = {}
        self._client = client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    @property
    def context_token_count(self) -> int:
        return self._settings.context_token_count

    async def generate(self, prompt: Prompt, *, limit: int, call: Call) -> AsyncIterator[str]:
        """Raises `Overloaded` for 429, `Unavailable` for everything else that the endpoint does wrong."""
        import openai

        call.check()
        extra: dict[str, Any] = {self._settings.limit_parameter: limit, "stream_options": {"include_usage": True}}
        stream = await self._asked(prompt, call, stream=True, **extra)
        heard = _Heard()
        try:
            async with stream, aclosing(while_active(aiter(stream), call)) as chunks:
                async for chunk in chunks:
                    if text := heard.text_of(chunk):
                        yield text
        except (openai.OpenAIError, *_NO_ANSWER) as error:
            raise _judged(error).error from None
        finally:
            self._count(*heard.counts(self, prompt, limit, call), call)
        if not heard.is_whole:
            raise Unavailable("the endpoint broke off its answer" if heard.said else "the endpoint's answer is none")

    async def log_probabilities(self, prompt: Prompt, choices: Sequence[str], *, call: Call) -> NDArray[Any]:
        """Of choices that the model can give as its first token; the API tells twenty of those at most. A choice that
        is not among them gets minus infinity. Raises `NotImplementedError` where the endpoint gives none."""
        import openai

        extra: dict[str, Any] = {self._settings.limit_parameter: 1, "logprobs": True, "top_logprobs": _ALTERNATIVES}
        try:
            completion = await self._asked(prompt, call, judged=_judged_unless_mute, stream=False, **extra)
        except openai.APIStatusError:
            raise NotImplementedError("the endpoint gives no log-probabilities") from None
        try:
            choice = completion.choices[0]
            content = choice.logprobs.content if choice.logprobs else None
            alternatives = content[0].top_logprobs if content else None
            told = {each.token.strip(): float(each.logprob) for each in reversed(alternatives or ())}
        except _NO_ANSWER as error:
            raise _judged(error).error from None
        self._count(*_counts(completion.usage, self, prompt, 1, call), call)
        if not told:
            raise NotImplementedError("the endpoint gives no log-probabilities")
        return np.array([told.get(choice.strip(), -math.inf) for choice in choices], dtype=np.float64)

    async def _asked(
        self, prompt: Prompt, call: Call, judged: Callable[[Exception], Failure | None] | None = None, **extra: Any
    ) -> Any:
        client = self._client
        if client is None:
            raise RuntimeError("the language model is not open")
        settings = self._settings
        chosen = {name: call.options.get(name, getattr(settings, name)) for name in ("temperature", "top_p", "seed")}
        body = {name: value for name, value in chosen.items() if value not in (None, "none")}
        if settings.stop:
            body["stop"] = list(settings.stop)
        messages: Any = [{"role": each.role, "content": each.text} for each in prompt.messages]
        streams = extra.pop("stream")

        async def attempt() -> Any:
            call.usage.model_call_count += 1
            return await client.chat.completions.create(
                model=settings.model, messages=messages, stream=streams, extra_body=body | extra | settings.extra_body
            )

        judged = judged or _judged
        return await asked(attempt, judged=judged, retries=settings.max_retries, call=call, pacing=self._pacing)

    def _count(self, read: int, written: int, call: Call) -> None:
        call.usage.input_token_count += read
        call.usage.output_token_count += written
        if self._product:
            call.usage.charge(self._product, BillingUnit.INPUT_TOKEN, read)
            call.usage.charge(self._product, BillingUnit.OUTPUT_TOKEN, written)


class _Heard:
    """What has been told in a stream so far."""

    def __init__(self) -> None:
        self.said = ""
        self._finish: str | None = None
        self._usage: Any = None

    @property
    def is_whole(self) -> bool:
        """Whether the endpoint said that it has finished."""
        return self._finish is not None

    def text_of(self, chunk: Any) -> str:
        """The piece of the answer in a chunk, without what a model thinks aloud. Raises for a chunk that is none."""
        self._usage = chunk.usage or self._usage
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        self._finish = choice.finish_reason or self._finish
        text: str = choice.delta.content or ""
        self.said += text
        return text

    def counts(self, llm: Llm, prompt: Prompt, limit: int, call: Call) -> tuple[int, int]:
        """How many tokens were read and written, an estimate where the endpoint did not say."""
        if self._finish == "length":
            call.note(CUT_AT_LIMIT)
        written = limit if self._finish == "length" else min(llm.count_tokens(self.said), limit)
        return _counts(self._usage, llm, prompt, written, call)


def _counts(usage: Any, llm: Llm, prompt: Prompt, written: int, call: Call) -> tuple[int, int]:
    """How many tokens were read and written, an estimate and `written` where the usage does not say."""
    told = told_count(getattr(usage, "prompt_tokens", None)), told_count(getattr(usage, "completion_tokens", None))
    if None in told:
        call.note("the endpoint gives no token counts; estimated")
    read = sum(llm.count_tokens(each.text) for each in prompt.messages) if told[0] is None else int(told[0])
    return read, written if told[1] is None else int(told[1])


def _judged_unless_mute(error: Exception) -> Failure | None:
    """None for a refusal to give log-probabilities, as some models' are."""
    import openai

    told = (
        error.body.get("message") if isinstance(error, openai.APIStatusError) and isinstance(error.body, dict) else ""
    )
    return None if "logprobs" in str(told) else _judged(error)


def _judged(error: Exception) -> Failure:
    """What an exception of the SDK, or one over something that is no answer, means."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return failure(error.status_code, error.response.headers)
    if isinstance(error, openai.APITimeoutError):
        return Failure(Unavailable("the endpoint is silent"), may_pass=True)
    if isinstance(error, openai.APIConnectionError):
        return Failure(Unavailable("the endpoint cannot be reached"), may_pass=True)
    return Failure(Unavailable("the endpoint does not answer as it should"))
