"""Language models of one's own, tiny and random, against transformers itself."""

from __future__ import annotations

import asyncio
import threading
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest
import torch
from checkpoints.causal import CHAT_TEMPLATE, chat_tokenizer, save_chat
from transformers import AutoModelForCausalLM, AutoTokenizer

from tamis.context import Call, CallEnded
from tamis.deadline import Deadline
from tamis.errors import InvalidRequest, Overloaded
from tamis.models import CUT_AT_LIMIT, Message, Prompt, Tokenizes
from tamis.testing.contract import LlmContract, opened
from tamis.testing.contract.collections import TEXTS
from tamis_transformers import CausalLm
from tamis_transformers.sampling import Chooser, Sampling

_FOLDER = TemporaryDirectory()


@cache
def _checkpoint(kind: Literal["llama", "gemma"] = "llama", template: str | None = CHAT_TEMPLATE) -> Path:
    """Made once, removed when the process ends."""
    return save_chat(Path(_FOLDER.name) / f"{kind}-{bool(template)}", kind, template)


def _llm(path: Path | str | None = None, **settings: Any) -> CausalLm:
    return CausalLm(
        CausalLm.Settings(**{"model": str(path or _checkpoint()), "device": "cpu", "dtype": "float32"} | settings)
    )


def _prompt(text: str) -> Prompt:
    return Prompt((Message("system", "Be brief."), Message("user", text)))


async def _said(llm: CausalLm, text: str = TEXTS[0], limit: int = 24, call: Call | None = None) -> str:
    return "".join([piece async for piece in llm.generate(_prompt(text), limit=limit, call=call or Call())])


class TestCausalLm(LlmContract):
    def component(self) -> CausalLm:
        return _llm()


class TestCausalLmOnATranscript(LlmContract):
    def component(self) -> CausalLm:
        return _llm(_checkpoint("gemma", None))


def _greedy(path: Path, text: str, limit: int) -> list[int]:
    """What transformers' own generation gives."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(path).eval(), AutoTokenizer.from_pretrained(path)
    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)
    found = model.generate(**ids, max_new_tokens=limit, do_sample=False, pad_token_id=1)[0, ids["input_ids"].shape[1] :]
    return [int(each) for each in found]


@pytest.mark.parametrize("kind", ["llama", "gemma"])
@pytest.mark.parametrize("words", [3, 70])
async def test_it_writes_what_transformers_writes(
    kind: Literal["llama", "gemma"], words: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tamis_transformers.language_model._PART", 32)  # a prompt of many parts, wider than the window
    path, text = _checkpoint(kind), "moon tide " * words
    async with opened(_llm(path)) as llm:
        said = await _said(llm, text)
    tokenizer = AutoTokenizer.from_pretrained(path)
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    expected = _greedy(path, tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True), 24)
    ends = {tokenizer.convert_tokens_to_ids(each) for each in ("</s>", "<|im_end|>")}
    until = next((place for place, token in enumerate(expected) if token in ends), len(expected))
    whole = tokenizer.decode(expected[:until], skip_special_tokens=True)
    assert said == whole.rstrip("\ufffd")


async def test_tokens_read_and_written_are_counted_and_a_cut_is_told() -> None:
    call = Call()
    async with opened(_llm()) as llm:
        await _said(llm, limit=4, call=call)
    read = len(
        chat_tokenizer(CHAT_TEMPLATE)(
            f"<s><|system|>Be brief.<|im_end|><|user|>{TEXTS[0]}<|im_end|><|assistant|>", add_special_tokens=False
        )["input_ids"]
    )
    assert (call.usage.input_token_count, call.usage.output_token_count) == (read, 4)
    assert call.notes == [CUT_AT_LIMIT]


async def test_a_model_that_ends_its_turn_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(_llm()) as llm:
        written = await _said(llm, limit=3)
        steps = [
            token
            for token in llm._model._continued(llm._model.tokens(_prompt(TEXTS[0])), 4, Sampling())
            if isinstance(token, int)
        ]
        monkeypatch.setattr(llm._model, "_ends", frozenset({steps[3]} - set(steps[:3])))
        call = Call()
        assert await _said(llm, limit=24, call=call) == written
    assert call.usage.output_token_count == 3
    assert call.notes == []


async def test_a_stop_string_ends_the_answer_and_is_not_in_it() -> None:
    async with opened(_llm()) as llm:
        whole = await _said(llm)
        stop = whole[5:8]
    call = Call()
    async with opened(_llm(stop=(stop,))) as llm:
        assert await _said(llm, call=call) == whole[: whole.index(stop)]
    assert call.notes == []


async def test_sampling_depends_on_the_seed_and_may_be_overridden() -> None:
    async with opened(_llm(temperature=1.5, seed=3)) as llm:
        one, again = await _said(llm), await _said(llm)
        other = await _said(llm, call=Call(options={"seed": 4}))
        greedy = await _said(llm, call=Call(options={"temperature": 0.0}))
        nearly = await _said(llm, call=Call(options={"top_p": 1e-9}))
    assert one == again
    assert len({one, other, greedy}) == 3
    assert nearly == greedy


def test_a_penalty_for_repetition_makes_what_was_written_less_likely() -> None:
    logits = torch.tensor([1.0, 0.9, 0.1])
    for penalty, expected in ((1.0, [0, 0, 0]), (1.5, [0, 1, 0]), (3.0, [0, 1, 2])):
        chooser = Chooser(Sampling(repetition_penalty=penalty), torch.device("cpu"))
        assert [chooser.next(logits) for _ in range(3)] == expected


async def test_a_prompt_longer_than_the_model_reads_is_refused_with_its_length() -> None:
    async with opened(_llm(context_token_count=64)) as llm:
        assert llm.context_token_count == 64
        with pytest.raises(InvalidRequest, match=r"prompt has .* the model reads 63"):
            await _said(llm, "moon " * 100)


async def test_where_the_context_is_full_the_answer_is_cut() -> None:
    call = Call()
    async with opened(_llm(context_token_count=40)) as llm:
        await _said(llm, "moon", limit=500, call=call)
    assert call.usage.input_token_count + call.usage.output_token_count == 40
    assert call.notes == [CUT_AT_LIMIT]


@pytest.mark.parametrize("path", [("llama", CHAT_TEMPLATE), ("gemma", CHAT_TEMPLATE), ("gemma", None)])
async def test_log_probabilities_are_those_of_the_model_itself(
    path: tuple[Literal["llama", "gemma"], str | None],
) -> None:
    checkpoint = _checkpoint(*path)
    choices = ["yes", "no, never", "東京", ""]
    async with opened(_llm(checkpoint)) as llm:
        call = Call()
        found = await llm.log_probabilities(_prompt("moon " * 30), choices, call=call)
        text = llm._model._conversation.text(_prompt("moon " * 30))
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(checkpoint).eval(),
        AutoTokenizer.from_pretrained(checkpoint),
    )
    for choice, told in zip(choices, found, strict=True):
        joined = choice if path[1] or not choice else f" {choice}"
        read, whole = (
            tokenizer(each, add_special_tokens=path[1] is None)["input_ids"] for each in (text, text + joined)
        )
        with torch.inference_mode():
            odds = model(torch.tensor([whole])).logits[0].log_softmax(-1)
        expected = sum(float(odds[at - 1, whole[at]]) for at in range(len(read), len(whole)))
        assert told == pytest.approx(expected, abs=1e-3)
    assert found.shape == (4,)
    assert call.usage.model_call_count == 1


async def test_tokens_are_counted_and_found_by_its_own_tokenizer() -> None:
    async with opened(_llm()) as llm:
        assert isinstance(llm, Tokenizes)
        for text in TEXTS:
            offsets = llm.token_offsets(text)
            assert (
                len(offsets)
                == llm.count_tokens(text)
                == len(chat_tokenizer(CHAT_TEMPLATE).encode(text, add_special_tokens=False))
            )
            assert all(0 <= start <= end <= len(text) for start, end in offsets)
            assert list(offsets) == sorted(offsets)


class _Gate:
    """Holds the model's thread inside a forward pass until it is opened."""

    def __init__(self, llm: CausalLm, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered, self.opened, self.count = threading.Event(), threading.Event(), 0
        forward = llm._model._forward

        def held(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            self.entered.set()
            assert self.opened.wait(60)
            return forward(*arguments, **options)

        monkeypatch.setattr(llm._model, "_forward", held)

    async def wait(self) -> None:
        await asyncio.to_thread(self.entered.wait, 60)


def _arrivals(llm: CausalLm, monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[None]:
    """Gets an item for each call that has been let into the queue."""
    submit, arrived = llm._turns._submit, asyncio.Queue[None]()

    def told(turn: Any) -> None:
        submit(turn)
        arrived.put_nowait(None)

    monkeypatch.setattr(llm._turns, "_submit", told)
    return arrived


async def test_who_is_more_urgent_is_served_first_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(_llm(most_waiting=2)) as llm:
        gate, arrived, served = _Gate(llm, monkeypatch), _arrivals(llm, monkeypatch), []

        async def ask(name: str, seconds: float) -> None:
            await _said(llm, limit=1, call=Call(Deadline.after(seconds)))
            served.append(name)

        first = asyncio.create_task(ask("first", 500))
        await gate.wait()
        late = asyncio.create_task(ask("late", 400))
        soon = asyncio.create_task(ask("soon", 300))
        for _ in range(3):
            await arrived.get()
        with pytest.raises(Overloaded):
            await _said(llm, call=Call())
        gate.opened.set()
        await asyncio.gather(first, late, soon)
    assert served.index("soon") < served.index("late")  # the first was under way, and ends when its step does


async def test_who_leaves_while_waiting_or_while_served_costs_no_further_token(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(_llm()) as llm:
        gate, arrived, calls = _Gate(llm, monkeypatch), _arrivals(llm, monkeypatch), [Call(), Call()]
        served = asyncio.create_task(_said(llm, call=calls[0]))
        await gate.wait()
        waiting = asyncio.create_task(_said(llm, call=calls[1]))
        for _ in range(2):
            await arrived.get()
        for call in calls:
            call.end()
        for task in (served, waiting):
            with pytest.raises(CallEnded):
                await task  # at once, although the model's thread is held
        gate.opened.set()
        await _said(llm, limit=1)
    assert gate.count == 2


async def test_a_model_that_fails_fails_its_call_and_serves_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(_llm()) as llm:
        with monkeypatch.context() as patch:
            patch.setattr(llm._model, "_forward", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await _said(llm)
        assert await _said(llm)


async def test_closing_ends_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    llm = _llm()
    await llm.open()
    gate = _Gate(llm, monkeypatch)
    served = asyncio.create_task(_said(llm))
    await gate.wait()
    thread = llm._turns._thread
    monkeypatch.setattr(thread, "join", lambda: (gate.opened.set(), threading.Thread.join(thread)))
    await llm.close()
    with pytest.raises(CallEnded):
        await served
