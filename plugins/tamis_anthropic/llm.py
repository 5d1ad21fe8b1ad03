"""The language model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tamis.component import Capabilities, overridable
from tamis.context import BillingUnit, Call
from tamis.endpoint import EndpointSettings, Failure, Pacing, asked, failure, told_count, while_active
from tamis.errors import ConfigurationError, Unavailable
from tamis.models import CUT_AT_LIMIT, Llm, Prompt

if TYPE_CHECKING:
    import anthropic

__all__ = ["AnthropicLlm", "AnthropicSettings"]

_NO_ANSWER = (ValueError, AttributeError, LookupError, TypeError)  # what reading one raises, as the SDK checks nothing
_VENDOR = "https://api.anthropic.com"
_CACHE_WRITE, _CACHE_READ = 1.25, 0.1  # what a token costs there, in input tokens, whatever the model
_CUT = ("max_tokens", "model_context_window_exceeded")
_STATUS_OF_EVENT = {"overloaded_error": 529, "rate_limit_error": 429, "authentication_error": 401, "api_error": 500}


class AnthropicSettings(EndpointSettings):
    """`base_url` is that of the API or of a proxy in front of it. `temperature` and `top_p` are sent only where they
    are set: some models take neither. `extra_body` goes into every request as it stands. At Anthropic's own address,
    `product` is `anthropic/MODEL`."""

    model: str
    base_url: str = _VENDOR
    temperature: Annotated[float, Field(ge=0, le=1)] | None = Field(None, json_schema_extra=overridable())
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(None, json_schema_extra=overridable())
    stop: tuple[str, ...] = ()
    extra_body: dict[str, Any] = Field(default_factory=dict)
    context_token_count: Annotated[int, Field(ge=1_024)] = 200_000


class AnthropicLlm(Llm):
    """Messages by the official SDK, inside the call's deadline, further tries included."""

    Settings = AnthropicSettings
    capabilities = Capabilities()

    def __init__(self, settings: AnthropicSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._key = settings.key()
        self._product = settings.billed_as(f"anthropic/{settings.model}", _VENDOR)
        self._pacing = Pacing()
        self._client: anthropic.AsyncAnthropic | None = None

    async def open(self) -> None:
        try:
            import anthropic  # takes seconds, which whoever only looks at plugins need not spend
            import httpx2
        except ModuleNotFoundError as error:
            raise ConfigurationError(f"needs {error.name!r}: pip install 'tamis[anthropic]'") from error
        self._client = anthropic.AsyncAnthropic(
            api_key=self._key or "none",  # none at all would be looked for in the environment
            base_url=self._settings.base_url,
            max_retries=0,  # further tries are ours, since the SDK's pauses know no deadline
            timeout=self._settings.patience,
            open_telemetry=False,
            http_client=httpx2.AsyncClient(timeout=self._settings.patience, trust_env=False),
        )
        self._client._custom_headers = {}  # which it may have taken from the environment

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    @property
    def context_token_count(self) -> int:
        return self._settings.context_token_count

    async def generate(self, prompt: Prompt, *, limit: int, call: Call) -> AsyncIterator[str]:
        """Raises `Overloaded` for 429 and 529, `Unavailable` for everything else that the endpoint does wrong."""
        import anthropic
        import httpx2

        call.check()
        stream = await self._asked(prompt, limit, call)
        heard = _Heard()
        try:
            async with stream, aclosing(while_active(aiter(stream), call)) as events:
                async for event in events:
                    if text := heard.text_of(event):
                        yield text
        except (anthropic.AnthropicError, httpx2.HTTPError, *_NO_ANSWER) as error:
            raise _judged(error).error from None
        finally:
            self._charge(*heard.count(self, prompt, call), call)
        if heard.stop_reason is None:
            raise Unavailable("the endpoint broke off its answer" if heard.said else "the endpoint's answer is none")

    async def _asked(self, prompt: Prompt, limit: int, call: Call) -> Any:
        client = self._client
        if client is None:
            raise RuntimeError("the language model is not open")
        settings = self._settings
        chosen = {name: call.options.get(name, getattr(settings, name)) for name in ("temperature", "top_p")}
        body = {name: value for name, value in chosen.items() if value is not None}
        if settings.stop:
            body["stop_sequences"] = list(settings.stop)
        if system := "\n\n".join(each.text for each in prompt.messages if each.role == "system"):
            body["system"] = system
        messages: Any = [{"role": each.role, "content": each.text} for each in prompt.messages if each.role != "system"]

        async def attempt() -> Any:
            call.usage.model_call_count += 1
            return await client.messages.create(
                model=settings.model,
                messages=messages,
                max_tokens=limit,
                stream=True,
                extra_body=body | settings.extra_body,
            )

        return await asked(attempt, judged=_judged, retries=settings.max_retries, call=call, pacing=self._pacing)

    def _charge(self, read: float, written: int, call: Call) -> None:
        if self._product:
            call.usage.charge(self._product, BillingUnit.INPUT_TOKEN, read)
            call.usage.charge(self._product, BillingUnit.OUTPUT_TOKEN, written)


class _Heard:
    """What has been told in a stream so far."""

    def __init__(self) -> None:
        self.said = ""
        self.stop_reason: str | None = None
        self._read: int | None = None
        self._billed = 0.0
        self._written: int | None = None

    def text_of(self, event: Any) -> str:
        """The piece of the answer in an event, without what a model thinks aloud. Raises for an event that is none."""
        if event.type == "message_start":
            usage = event.message.usage
            made = int(told_count(usage.cache_creation_input_tokens) or 0)
            found = int(told_count(usage.cache_read_input_tokens) or 0)
            if (read := told_count(usage.input_tokens)) is not None:
                self._read = int(read) + made + found
                self._billed = read + _CACHE_WRITE * made + _CACHE_READ * found
        elif event.type == "message_delta":
            self.stop_reason = event.delta.stop_reason or self.stop_reason
            written = told_count(event.usage.output_tokens)
            self._written = self._written if written is None else int(written)
        elif event.type == "content_block_delta" and event.delta.type == "text_delta":
            text: str = event.delta.text
            self.said += text
            return text
        return ""

    def count(self, llm: Llm, prompt: Prompt, call: Call) -> tuple[float, int]:
        """Adds what was used, and gives the tokens that are billed: estimates where the endpoint did not get to say."""
        if self.stop_reason in _CUT:
            call.note(CUT_AT_LIMIT)
        if self._read is None or self._written is None:
            call.note("the endpoint gives no token counts; estimated")
        if self._read is None:
            self._read = sum(llm.count_tokens(each.text) for each in prompt.messages)
            self._billed = self._read
        written = llm.count_tokens(self.said) if self._written is None else self._written
        call.usage.input_token_count += self._read
        call.usage.output_token_count += written
        return self._billed, written


def _judged(error: Exception) -> Failure:
    """What an exception of the SDK, or one over something that is no answer, means."""
    import anthropic
    import httpx2

    if isinstance(error, anthropic.APIStatusError):
        return failure(_status(error), error.response.headers)
    if isinstance(error, (anthropic.APITimeoutError, httpx2.TimeoutException)):
        return Failure(Unavailable("the endpoint is silent"), may_pass=True)
    if isinstance(error, (anthropic.APIConnectionError, httpx2.TransportError)):
        return Failure(Unavailable("the endpoint cannot be reached"), may_pass=True)
    return Failure(Unavailable("the endpoint does not answer as it should"))


def _status(error: anthropic.APIStatusError) -> int:
    """An error inside a stream comes after the status 200, and says by its type which one it would have had."""
    told = error.body.get("error") if isinstance(error.body, dict) else None
    kind = told.get("type") if isinstance(told, dict) else None
    return error.status_code if error.status_code >= 400 else _STATUS_OF_EVENT.get(str(kind), 500)
