"""What language models that run in this process have in common: a thread, its turns, and what they report."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from numpy.typing import NDArray
from pydantic import Field

from tamis.component import Capabilities, Settings, overridable
from tamis.context import Call
from tamis.models import CUT_AT_LIMIT, Llm, Prompt
from tamis_transformers.device_slot import slot_of
from tamis_transformers.turns import Turns

if TYPE_CHECKING:
    from tamis_transformers.sampling import Sampling, Step

__all__ = ["LocalLlm", "LocalLlmSettings", "Writer"]


class Writer(Protocol):
    """Tokenizer and weights of one checkpoint. Computes in the thread that calls it, one call at a time."""

    context_token_count: int

    def count(self, text: str) -> int:
        """How many tokens the text has, special ones left out."""
        ...

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Where the tokens of the text stand in it, in characters."""
        ...

    def tokens(self, prompt: Prompt) -> Any:
        """The prompt as the model reads it. Raises `InvalidRequest` for one that leaves no room for an answer."""
        ...

    def steps(self, tokens: Any, limit: int, sampling: Sampling, stops: Sequence[str]) -> Iterator[Step]:
        """Reads the prompt, then writes at most `limit` tokens, until the model ends or a stop string comes."""
        ...

    def log_probabilities(self, prompt: Prompt, choices: Sequence[str]) -> NDArray[Any]:
        """Natural log-probability of each choice as what comes next; float64 of shape [len(choices)]."""
        ...


class LocalLlmSettings(Settings):
    """`model` is a folder or a hub id downloaded before, `tokenizer` another folder for a model that brings none."""

    model: str
    tokenizer: str | None = None
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    context_token_count: Annotated[int, Field(ge=16)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] = Field(0.0, json_schema_extra=overridable())
    top_p: Annotated[float, Field(gt=0, le=1)] = Field(1.0, json_schema_extra=overridable())
    repetition_penalty: Annotated[float, Field(ge=1, le=2)] = Field(1.0, json_schema_extra=overridable())
    seed: int | None = Field(None, json_schema_extra=overridable())
    stop: tuple[str, ...] = ()
    most_waiting: Annotated[int, Field(ge=1)] = 32
    most_begun: Annotated[int, Field(ge=1)] = 4


class LocalLlm(Llm):
    """Writes token by token in a thread of its own, the earliest deadline first, between two tokens, too; of no more
    than `most_begun` calls at a time, since each has a cache of its own."""

    capabilities = Capabilities()

    def __init__(self, settings: LocalLlmSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="tamis-tokenize")
        self._loaded: Writer | None = None
        self._turns = Turns(most_waiting=settings.most_waiting, most_begun=settings.most_begun)

    @abstractmethod
    def load(self) -> Writer:
        """Loads the weights. Blocks. Raises `ConfigurationError`."""

    async def open(self) -> None:
        self._loaded = await asyncio.get_running_loop().run_in_executor(self._tokenizing, self.load)
        self._turns.start(await self._in_executor(slot_of, self._settings.device))

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
            yield model.log_probabilities(prompt, choices), sum(model.count(each.text) for each in prompt.messages)

        async with aclosing(self._turns.stream(work, call)) as steps:
            found: NDArray[Any]
            found, read_count = await anext(steps)
        call.usage.model_call_count += 1
        call.usage.input_token_count += read_count
        return found

    async def _in_executor(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._tokenizing, work, *arguments)

    def _sampling(self, call: Call) -> Sampling:
        from tamis_transformers.sampling import Sampling

        names = ("temperature", "top_p", "repetition_penalty", "seed")
        chosen: dict[str, Any] = {name: call.options.get(name, getattr(self._settings, name)) for name in names}
        return Sampling(**chosen)

    @property
    def _model(self) -> Writer:
        if self._loaded is None:
            raise RuntimeError("the language model is not open")
        return self._loaded
