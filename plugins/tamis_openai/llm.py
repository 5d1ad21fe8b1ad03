"""The language model."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

import openai
from pydantic import Field, SecretStr

from tamis.component import Capabilities, Settings
from tamis.context import Call
from tamis.errors import ConfigurationError, Overloaded, Unavailable
from tamis.models import Llm, Prompt

__all__ = ["OpenAiLlm", "OpenAiSettings"]


class OpenAiSettings(Settings):
    """`base_url` is that of any compatible endpoint, `http://127.0.0.1:8000/v1`. The key stands in `api_key_file`, or in
    `api_key`; an endpoint without keys needs neither. `limit_parameter` is what the endpoint calls the answer's length.
    """

    model: str
    base_url: str = "https://api.openai.com/v1"
    api_key: SecretStr = SecretStr("")
    api_key_file: Path | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = 0.0
    context_token_count: Annotated[int, Field(ge=1_024)] = 32_768
    limit_parameter: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    max_retries: Annotated[int, Field(ge=0, le=10)] = 2


class OpenAiLlm(Llm):
    """Chat completions by the official SDK, which retries and honours Retry-After, inside the call's deadline."""

    Settings = OpenAiSettings
    capabilities = Capabilities()

    def __init__(self, settings: OpenAiSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._key = _key(settings)
        self._client: openai.AsyncOpenAI | None = None

    async def open(self) -> None:
        settings = self._settings
        self._client = openai.AsyncOpenAI(
            api_key=self._key or "none", base_url=settings.base_url, max_retries=settings.max_retries
        )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    @property
    def context_token_count(self) -> int:
        return self._settings.context_token_count

    async def generate(self, prompt: Prompt, *, limit: int, call: Call) -> AsyncIterator[str]:
        """Raises `Overloaded` for 429, `Unavailable` for everything else that the endpoint does wrong."""
        call.check()
        try:
            stream = await self._stream(prompt, limit, call)
            async with stream:
                async for chunk in stream:
                    call.check()
                    _count(chunk, call)
                    if chunk.choices and (text := chunk.choices[0].delta.content):
                        yield text
        except openai.RateLimitError as error:
            raise Overloaded("the endpoint refuses more requests") from error
        except openai.APIStatusError as error:
            raise Unavailable(f"the endpoint answers {error.status_code}") from error
        except (openai.OpenAIError, ValueError) as error:
            raise Unavailable(f"the endpoint cannot be used: {type(error).__name__}") from error

    async def _stream(self, prompt: Prompt, limit: int, call: Call) -> Any:
        if self._client is None:
            raise RuntimeError("the language model is not open")
        call.usage.model_call_count += 1
        settings, remaining = self._settings, call.deadline.remaining
        optional = {} if settings.temperature is None else {"temperature": settings.temperature}
        return await self._client.chat.completions.create(
            model=settings.model,
            messages=[{"role": each.role, "content": each.text} for each in prompt.messages],  # type: ignore[misc]
            stream=True,
            stream_options={"include_usage": True},
            timeout=600.0 if math.isinf(remaining) else max(remaining, 0.001),
            extra_body={settings.limit_parameter: limit, **optional},
        )


def _count(chunk: Any, call: Call) -> None:
    if chunk.usage is not None:
        call.usage.input_token_count += chunk.usage.prompt_tokens
        call.usage.output_token_count += chunk.usage.completion_tokens


def _key(settings: OpenAiSettings) -> str:
    if settings.api_key_file is None:
        return settings.api_key.get_secret_value()
    try:
        return settings.api_key_file.expanduser().read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"api_key_file: {settings.api_key_file}: {error.strerror}") from error
