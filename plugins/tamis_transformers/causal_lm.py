"""The language-model plugin: any causal language model of transformers, from safetensors or GGUF."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, Literal

from numpy.typing import NDArray
from pydantic import Field

from tamis.component import Capabilities, Settings, overridable
from tamis.context import Call
from tamis.models import CUT_AT_LIMIT, Llm, Prompt
from tamis_transformers.checkpoint import located, located_gguf
from tamis_transformers.turns import Turns

if TYPE_CHECKING:
    from tamis_transformers.language_model import LanguageModel, Sampling

__all__ = ["CausalLm", "CausalLmSettings"]


class CausalLmSettings(Settings):
    """`model` is a folder with safetensors, a GGUF file, or a hub id downloaded before; `tokenizer` is another folder
    for a model that brings none, or one that loads slowly. `chat_template = false` gives a base model a plain
    transcript although its tokenizer has a template. `context_token_count` lowers what is read where memory is short.
    """

    model: str
    tokenizer: str | None = None
    chat_template: bool = True
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    context_token_count: Annotated[int, Field(ge=16)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] = Field(0.0, json_schema_extra=overridable())
    top_p: Annotated[float, Field(gt=0, le=1)] = Field(1.0, json_schema_extra=overridable())
    repetition_penalty: Annotated[float, Field(ge=1, le=2)] = Field(1.0, json_schema_extra=overridable())
    seed: int | None = Field(None, json_schema_extra=overridable())
    stop: tuple[str, ...] = ()
    most_waiting: Annotated[int, Field(ge=1)] = 32


class CausalLm(Llm):
    """Writes token by token in a thread of its own, for one call after the other, the earliest deadline first."""

    Settings = CausalLmSettings
    capabilities = Capabilities()

    def __init__(self, settings: CausalLmSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._path = located_gguf(settings.model) or located(settings.model)
        self._tokenizer_path = self._path if settings.tokenizer is None else located(settings.tokenizer)
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="tamis-tokenize")
        self._loaded: LanguageModel | None = None
        self._turns = Turns(most_waiting=settings.most_waiting)

    async def open(self) -> None:
        self._loaded = await asyncio.get_running_loop().run_in_executor(self._tokenizing, self._load)
        self._turns.start()

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._tokenizing, self._turns.close)
        self._tokenizing.shutdown(wait=False)

    @property
    def context_token_count(self) -> int:
        return self._model.context_token_count

    def count_tokens(self, text: str) -> int:
        """By the model's own tokenizer, special tokens left out."""
        return self._model.count(text)

    @property
    def extra_tokens(self) -> int:
        """None: a prompt brings its own."""
        return 0

    def token_offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """As `tamis.models.Tokenizes` has it."""
        return self._model.offsets(text)

    async def generate(self, prompt: Prompt, *, limit: int, call: Call) -> AsyncIterator[str]:
        """Ends at the model's end of turn, at a stop string or at the limit; then also where the context is full."""
        call.check()
        model, sampling = self._model, self._sampling(call)
        tokens = await self._in_executor(model.tokens, prompt)

        def work() -> Iterator[Any]:
            return model.steps(tokens, limit, sampling, self._settings.stop)

        async with aclosing(self._turns.stream(work, call)) as steps:
            async for step in steps:
                call.usage.input_token_count += step.read_count
                call.usage.output_token_count += step.written_count
                call.usage.model_call_count += 1 if step.read_count or step.written_count else 0
                if step.is_cut:
                    call.note(CUT_AT_LIMIT)
                if step.text:
                    yield step.text

    async def log_probabilities(self, prompt: Prompt, choices: Sequence[str], *, call: Call) -> NDArray[Any]:
        """Exact: the sum over each choice's tokens, in float32 from the model's own precision."""
        call.check()
        model = self._model

        def work() -> Iterator[Any]:
            yield model.log_probabilities(prompt, choices)

        async with aclosing(self._turns.stream(work, call)) as steps:
            found: NDArray[Any] = await anext(steps)
        call.usage.model_call_count += 1
        call.usage.input_token_count += sum(model.count(each.text) for each in prompt.messages)
        return found

    async def _in_executor(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._tokenizing, work, *arguments)

    def _sampling(self, call: Call) -> Sampling:
        from tamis_transformers.language_model import Sampling

        names = ("temperature", "top_p", "repetition_penalty", "seed")
        chosen: dict[str, Any] = {name: call.options.get(name, getattr(self._settings, name)) for name in names}
        return Sampling(**chosen)

    @property
    def _model(self) -> LanguageModel:
        if self._loaded is None:
            raise RuntimeError("the language model is not open")
        return self._loaded

    def _load(self) -> LanguageModel:
        from tamis_transformers.language_model import LanguageModel

        settings = self._settings
        return LanguageModel(
            self._path,
            self._tokenizer_path,
            device=settings.device,
            dtype=settings.dtype,
            context_token_count=settings.context_token_count,
            has_template=settings.chat_template,
        )
