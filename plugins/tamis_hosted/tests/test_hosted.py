"""The hosted rerankers, by their real SDKs, against a server that speaks their formats over a socket, or badly."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest
from hosted_endpoint import PROVIDERS, answered, base_url, overlap, reranking_endpoint
from scripted_endpoint import Endpoint, Reply

import tamis_hosted
from tamis.context import BillingUnit, Call, CallEnded
from tamis.deadline import Deadline
from tamis.errors import ConfigurationError, Overloaded, TamisError, Unavailable
from tamis.model import Passage, Query, ScoreKind
from tamis.stage import Reranking
from tamis.testing.contract import opened
from tamis_hosted import HostedReranker

TEXTS = ["the kettle sings", "an iron pan", "the water boils in the kettle", "a spoon"]
QUERY = "when does the kettle sing"
JSON = {"Content-Type": "application/json"}
BROKEN = "the endpoint does not answer as it should"
_NAMED = {"infinity", "vllm"}  # whose model has no default


@pytest.fixture(params=sorted(PROVIDERS))
def provider(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def endpoint(provider: str) -> Iterator[Endpoint]:
    with reranking_endpoint(provider) as running:
        yield running


def _reranker(provider: str, address: str, **settings: Any) -> HostedReranker:
    kind = getattr(tamis_hosted, f"{provider.capitalize()}Reranker")
    model = {"model": "m"} if provider in _NAMED else {}
    reranker: HostedReranker = kind(kind.Settings(**{"base_url": address, "max_retries": 0, **model, **settings}))
    return reranker


def _passages(texts: Sequence[str]) -> list[Passage]:
    return [Passage(str(number), str(number), 1, text) for number, text in enumerate(texts)]


async def _ranked(
    provider: str,
    endpoint: Endpoint,
    call: Call | None = None,
    texts: Sequence[str] = TEXTS,
    query: str = QUERY,
    **settings: Any,
) -> list[Reranking]:
    async with opened(_reranker(provider, base_url(provider, endpoint), **settings)) as reranker:
        stream = reranker.rerank(Query(query), _passages(texts), top_n=10, call=call or Call())
        async with aclosing(stream) as better:
            return [each async for each in better]


def _refusal(status: int, **headers: str) -> Reply:
    return Reply([b'{"detail": "secret detail", "message": "secret detail"}'], status, JSON | headers)


async def test_passages_are_sent_in_the_providers_format_and_their_scores_come_back(
    provider: str, endpoint: Endpoint
) -> None:
    call = Call()
    ranked = await _ranked(provider, endpoint, call, api_key="sk-1")
    assert ranked[-1].scores == tuple(overlap(QUERY, text) for text in TEXTS)
    assert ranked[-1].order[0] == 0
    assert (call.usage.pair_count, call.usage.model_call_count, call.notes) == (4, 1, [])
    assert call.usage.model_seconds > 0
    ((path, headers, body),) = endpoint.requests
    form = PROVIDERS[provider]
    assert path == form.prefix + form.path
    assert headers["authorization"] == "Bearer sk-1"
    assert (body["query"], body[form.texts]) == (QUERY, TEXTS)


async def test_settings_reach_the_endpoint(provider: str, endpoint: Endpoint) -> None:
    own = {
        "cohere": ({"model": "x", "tokens_per_passage": 99}, {"model": "x", "max_tokens_per_doc": 99}),
        "infinity": ({"model": "x", "raw_scores": True}, {"model": "x", "raw_scores": True, "return_documents": False}),
        "jina": ({"model": "x"}, {"model": "x", "return_documents": False}),
        "mixedbread": ({"model": "x/y"}, {"model": "x/y", "return_input": False, "top_k": 4}),
        "tei": ({"raw_scores": True}, {"raw_scores": True, "truncate": True}),
        "vllm": ({"model": "x"}, {"model": "x", "truncate_prompt_tokens": -1}),
        "voyage": ({"model": "x"}, {"model": "x", "truncation": True}),
    }
    settings, expected = own[provider]
    await _ranked(provider, endpoint, **settings)
    body = endpoint.requests[0][2]
    assert {name: body.get(name) for name in expected} == expected


async def test_more_passages_than_a_request_takes_are_divided_and_keep_their_places(
    provider: str, endpoint: Endpoint
) -> None:
    texts = [f"the kettle {number}" if number % 3 else f"a pan {number}" for number in range(50)]
    call = Call()
    ranked = await _ranked(provider, endpoint, call, texts=texts, passages_per_request=16, concurrent_requests=2)
    assert ranked[-1].scores == tuple(overlap(QUERY, text) for text in texts)
    assert (call.usage.pair_count, call.usage.model_call_count) == (50, 4)
    sizes = sorted(len(body[PROVIDERS[provider].texts]) for _, _, body in endpoint.requests)
    assert sizes == [2, 16, 16, 16]


async def test_nothing_of_the_environment_reaches_the_endpoint(
    provider: str, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CO_API_KEY", "COHERE_API_KEY", "VOYAGE_API_KEY", "MXBAI_API_KEY", "JINA_API_KEY"):
        monkeypatch.setenv(name, "sk-of-somebody-else")
    monkeypatch.setenv("VOYAGE_API_KEY_PATH", "/nowhere")
    monkeypatch.setenv("MIXEDBREAD_CUSTOM_HEADERS", "x-custom: sk-of-somebody-else")
    for name in ("CO_API_URL", "MIXEDBREAD_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await _ranked(provider, endpoint)
    assert "sk-of-somebody-else" not in str(endpoint.requests[0][1])


@pytest.mark.parametrize(
    ("status", "error"),
    [(each, Overloaded if each == 429 else Unavailable) for each in (400, 401, 404, 422, 429, 500, 503)],
)
async def test_a_refusal_is_a_typed_error_without_words_of_the_endpoint_or_the_query(
    provider: str,
    endpoint: Endpoint,
    status: int,
    error: type[TamisError],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    endpoint.replies = [_refusal(status)]
    caplog.set_level(logging.INFO)
    with pytest.raises(error) as caught:
        await _ranked(provider, endpoint, api_key="sk-1")
    assert str(status) in caught.value.message or status == 429
    written = capfd.readouterr()
    shown = caught.value.message + repr(caught.value) + caplog.text + written.out + written.err
    assert not [word for word in ("secret", "sk-1", "kettle") if word in shown]
    assert caught.value.__cause__ is None
    assert len(endpoint.requests) == 1


async def test_a_refusal_that_may_pass_is_tried_again(provider: str, endpoint: Endpoint) -> None:
    pause = {"Retry-After": "0"}
    endpoint.replies = [_refusal(429, **pause), _refusal(503, **pause), *endpoint.replies]
    call = Call()
    ranked = await _ranked(provider, endpoint, call, max_retries=2)
    assert ranked[-1].ranked_count == 4
    assert call.usage.model_call_count == len(endpoint.requests) == 3
    assert call.usage.pair_count == 4


async def test_a_pause_past_the_deadline_is_not_begun_and_holds_for_the_next_search_too(
    provider: str, endpoint: Endpoint
) -> None:
    endpoint.replies = [_refusal(429, **{"Retry-After": "30"}), *endpoint.replies]
    async with opened(_reranker(provider, base_url(provider, endpoint), max_retries=5)) as reranker:
        for _ in range(2):
            call = Call(Deadline.after(20))
            with pytest.raises(Overloaded) as caught:
                [each async for each in reranker.rerank(Query(QUERY), _passages(TEXTS), top_n=4, call=call)]
            assert 20 < (caught.value.retry_after or 0) <= 30
    assert len(endpoint.requests) == 1


async def test_an_endpoint_that_hangs_is_left_when_the_time_is_up(provider: str, endpoint: Endpoint) -> None:
    endpoint.replies = [Reply(headers=JSON, ending="hanging")]
    with pytest.raises(CallEnded):
        await _ranked(provider, endpoint, Call(Deadline.after(0.3)), max_retries=5)
    assert await asyncio.to_thread(endpoint.client_left.wait, 60)


async def test_an_endpoint_that_hangs_is_left_when_nobody_listens_any_more(provider: str, endpoint: Endpoint) -> None:
    asked_again = threading.Event()

    def hang(_body: dict[str, Any]) -> Reply:
        asked_again.set()
        return Reply(headers=JSON, ending="hanging")

    endpoint.replies = [*endpoint.replies, hang]
    settings = {"passages_per_request": 2, "concurrent_requests": 1}
    async with opened(_reranker(provider, base_url(provider, endpoint), **settings)) as reranker:
        stream = reranker.rerank(Query(QUERY), _passages(TEXTS), top_n=4, call=Call())
        async with aclosing(stream) as better:
            assert (await anext(better)).ranked_count == 1
            assert await asyncio.to_thread(asked_again.wait, 60)
        assert await asyncio.to_thread(endpoint.client_left.wait, 60)


async def test_an_endpoint_that_is_silent_for_too_long_is_unavailable(provider: str, endpoint: Endpoint) -> None:
    endpoint.replies = [Reply(headers=JSON, ending="hanging")]
    with pytest.raises(Unavailable, match="silent"):
        await _ranked(provider, endpoint, patience=0.2)


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
async def test_an_endpoint_that_is_not_there_is_unavailable(provider: str) -> None:
    async with opened(_reranker(provider, "http://127.0.0.1:9")) as reranker:
        with pytest.raises(Unavailable, match="cannot be reached"):
            [each async for each in reranker.rerank(Query(QUERY), _passages(TEXTS), top_n=4, call=Call())]


async def test_nothing_is_sent_for_a_call_that_is_over(provider: str, endpoint: Endpoint) -> None:
    with pytest.raises(CallEnded):
        await _ranked(provider, endpoint, Call(Deadline.after(-1)))
    assert endpoint.requests == []


@pytest.mark.parametrize(
    "reply",
    [
        Reply([b"<html>secret detail</html>"], headers={"Content-Type": "text/html"}),
        Reply([b"<html>secret detail</html>"], headers=JSON),
        Reply([], headers=JSON),
        Reply([b"null"], headers=JSON),
        Reply([b'"a string"'], headers=JSON),
        Reply([b"[1, 2]"], headers=JSON),
        Reply([b'{"error": "secret detail"}'], headers=JSON),
        Reply([b'{"results": [{"index": 0, "rele'], headers=JSON),
        Reply([b'{"results": {"a": 1}, "data": {"a": 1}}'], headers=JSON),
        Reply([b'{"results": [], "data": []}'], headers=JSON),
        Reply([b'{"results": [null], "data": ["secret detail"]}'], headers=JSON),
        Reply([b'{"results": [{"ind'], headers=JSON, ending="broken"),
        Reply([b"\xff\xfe"], headers=JSON),
        Reply([b"[" * 200_000], headers=JSON),
    ],
    ids=lambda reply: (reply.chunks[0][:20] if reply.chunks else b"nothing").decode(errors="replace") + reply.ending,
)
async def test_what_is_no_answer_is_an_error(
    provider: str, endpoint: Endpoint, reply: Reply, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    endpoint.replies = [reply]
    caplog.set_level(logging.INFO)
    with pytest.raises(Unavailable) as caught:
        await _ranked(provider, endpoint)
    written = capfd.readouterr()
    assert "secret" not in caught.value.message + caplog.text + written.out + written.err


async def test_what_is_wrong_in_an_answer_is_dropped_and_said(provider: str, endpoint: Endpoint) -> None:
    name = PROVIDERS[provider].score
    told = [(1, 0.5), (1, 0.9), (0, "much"), (-1, 0.1), (2, math.inf), (3, math.nan)]
    endpoint.replies = [answered(provider, [{"index": index, name: score} for index, score in told])]
    call = Call()
    ranked = await _ranked(provider, endpoint, call)
    assert ranked[-1].scores == (None, 0.5, None, None)
    assert sorted(ranked[-1].order) == [0, 1, 2, 3]
    assert call.notes == [
        "duplicate or unknown index dropped",
        "score that is no finite number dropped",
        "passages left without a score",
    ]


async def test_an_index_past_the_end_harms_no_more_than_its_request(provider: str, endpoint: Endpoint) -> None:
    name = PROVIDERS[provider].score
    wrong = answered(provider, [{"index": 0, name: 0.5}, {"index": 99, name: 0.9}])
    endpoint.replies = [wrong]
    if provider == "voyage":  # whose SDK looks up the text of each index
        with pytest.raises(Unavailable, match=BROKEN):
            await _ranked(provider, endpoint)
    else:
        assert (await _ranked(provider, endpoint))[-1].scores == (0.5, None, None, None)


async def test_a_number_of_four_hundred_digits_harms_no_more_than_its_request(
    provider: str, endpoint: Endpoint
) -> None:
    results = [{"index": 0, PROVIDERS[provider].score: 0.5}, {"index": 1, PROVIDERS[provider].score: 10**400}]
    endpoint.replies = [answered(provider, results)]
    with suppress(Unavailable):  # from the SDKs that convert it themselves
        assert (await _ranked(provider, endpoint))[-1].scores == (0.5, None, None, None)


async def test_a_request_that_fails_leaves_the_scores_of_the_others(provider: str, endpoint: Endpoint) -> None:
    (good,) = endpoint.replies
    endpoint.replies = [good, _refusal(500)]
    ranked: list[Reranking] = []
    settings = {"passages_per_request": 2, "concurrent_requests": 1}
    async with opened(_reranker(provider, base_url(provider, endpoint), **settings)) as reranker:
        with pytest.raises(Unavailable):
            async for each in reranker.rerank(Query(QUERY), _passages(TEXTS), top_n=4, call=Call()):
                ranked.append(each)
    assert ranked[-1].scores == (*(overlap(QUERY, text) for text in TEXTS[:2]), None, None)


async def test_a_dead_endpoint_is_not_asked_for_every_portion(provider: str, endpoint: Endpoint) -> None:
    endpoint.replies = [_refusal(500)]
    with pytest.raises(Unavailable):
        texts = [f"text {number}" for number in range(20)]
        await _ranked(provider, endpoint, texts=texts, passages_per_request=1, concurrent_requests=2)
    assert len(endpoint.requests) == 2


async def test_passages_without_text_are_last_and_not_sent(provider: str, endpoint: Endpoint) -> None:
    call = Call()
    ranked = await _ranked(provider, endpoint, call, texts=["", "the kettle", " \n"])
    assert ranked[-1].order == (1, 0, 2)
    assert endpoint.requests[0][2][PROVIDERS[provider].texts] == ["the kettle"]
    assert call.notes == ["nothing to compare; lowest score given"]


async def test_passages_without_text_do_not_come_first_where_the_endpoint_fails(
    provider: str, endpoint: Endpoint
) -> None:
    endpoint.replies = [_refusal(500)]
    ranked: list[Reranking] = []
    async with opened(_reranker(provider, base_url(provider, endpoint))) as reranker:
        with pytest.raises(Unavailable):
            async for each in reranker.rerank(Query(QUERY), _passages(["", "the kettle"]), top_n=2, call=Call()):
                ranked.append(each)
    assert ranked == []


async def test_a_query_without_text_keeps_the_order_and_asks_nothing(provider: str, endpoint: Endpoint) -> None:
    ranked = await _ranked(provider, endpoint, query=" ")
    assert (ranked[-1].order, ranked[-1].ranked_count) == ((0, 1, 2, 3), 4)
    assert endpoint.requests == []


async def test_a_text_that_passages_share_is_sent_once(provider: str, endpoint: Endpoint) -> None:
    call = Call()
    ranked = await _ranked(provider, endpoint, call, texts=["a pan", "the kettle", "a pan", "the kettle"])
    assert ranked[-1].order == (1, 3, 0, 2)
    assert call.usage.pair_count == 2


async def test_a_passage_of_a_megabyte_is_cut_before_it_is_sent(provider: str, endpoint: Endpoint) -> None:
    call = Call()
    await _ranked(provider, endpoint, call, texts=["long " * 200_000, "the kettle"], tokens_per_passage=512)
    assert max(map(len, endpoint.requests[0][2][PROVIDERS[provider].texts])) == 512 * 8
    assert "passages cut before they were sent" in call.notes


async def test_a_request_holds_no_more_tokens_than_it_may(provider: str, endpoint: Endpoint) -> None:
    texts = [f"{number} " + "long " * 300 for number in range(6)]
    await _ranked(provider, endpoint, texts=texts, tokens_per_request=1_100, tokens_per_passage=512)
    assert [len(body[PROVIDERS[provider].texts]) for _, _, body in endpoint.requests] == [2, 2, 2]


async def test_what_the_provider_bills_is_charged(provider: str, endpoint: Endpoint) -> None:
    unit = BillingUnit.SEARCH if provider == "cohere" else BillingUnit.INPUT_TOKEN
    call = Call()
    await _ranked(provider, endpoint, call, product="house/price")
    if provider in ("tei", "infinity"):  # which count nothing, or characters
        assert call.usage.charges == {}
        assert call.notes == ["the endpoint does not say what it bills; not charged"]
    else:
        count = 1 if provider == "cohere" else sum(len(f"{QUERY} {text}".split()) for text in TEXTS)
        assert call.usage.charges == {("house/price", unit): count}
        assert call.usage.input_token_count == (0 if provider == "cohere" else count)


@pytest.mark.parametrize("billed", [None, "seven", -1, 2**70])
async def test_a_bill_that_makes_no_sense_is_not_charged(provider: str, endpoint: Endpoint, billed: Any) -> None:
    endpoint.replies = [answered(provider, [{"index": 0, PROVIDERS[provider].score: 0.5}], tokens=billed)]
    if provider == "cohere":
        told = json.loads(endpoint.replies[0].chunks[0])  # type: ignore[union-attr]
        told["meta"]["billed_units"] = billed and {"search_units": billed}
        endpoint.replies = [Reply([json.dumps(told).encode()], headers=JSON)]
    call = Call()
    await _ranked(provider, endpoint, call, texts=["the kettle"], product="house/price")
    assert call.usage.charges == {}
    assert call.usage.input_token_count == 0
    assert call.notes == ["the endpoint does not say what it bills; not charged"]


def test_only_what_a_vendor_bills_has_its_product() -> None:
    addresses = {"cohere": "https://api.cohere.com", "jina": "https://api.jina.ai/v1/"}
    addresses |= {"mixedbread": "https://api.mixedbread.com", "voyage": "https://ai.mongodb.com/v1"}
    products = {
        provider: _reranker(provider, address, api_key="key")._product for provider, address in addresses.items()
    }
    assert products == {
        "cohere": "cohere/rerank-v3.5",
        "jina": "jina/jina-reranker-v2-base-multilingual",
        "mixedbread": "mixedbread/mxbai-rerank-large-v2",
        "voyage": "voyage/rerank-2.5",
    }
    assert {_reranker(each, "http://127.0.0.1:9")._product for each in PROVIDERS} == {""}
    assert _reranker("cohere", addresses["cohere"], api_key="key", product="")._product == ""


def test_scores_are_of_the_kind_that_the_provider_gives() -> None:
    kinds = {each: _reranker(each, "http://127.0.0.1:9").capabilities.score_kind for each in PROVIDERS}
    assert kinds.pop("mixedbread") is ScoreKind.LOGIT
    assert set(kinds.values()) == {ScoreKind.PROBABILITY}
    for name in ("tei", "infinity"):
        assert _reranker(name, "http://x", raw_scores=True).capabilities.score_kind is ScoreKind.LOGIT
    listwise = _reranker("jina", "http://x", model="jina-reranker-v3").capabilities
    assert (listwise.score_kind, listwise.cross_document) == (ScoreKind.COSINE, True)


def test_a_key_can_stand_in_a_file_of_its_own_and_is_never_shown(tmp_path: Path, provider: str) -> None:
    (tmp_path / "key").write_text("sk-2\n")
    reranker = _reranker(provider, "http://x", api_key_file=tmp_path / "key")
    assert "sk-2" not in repr(reranker) + repr(reranker.settings)
    assert "sk-3" not in repr(_reranker(provider, "http://x", api_key="sk-3").settings)
    with pytest.raises(ConfigurationError, match="api_key_file"):
        _reranker(provider, "http://x", api_key_file=tmp_path / "none")


async def test_documents_are_sent_as_yaml_where_fields_are_named() -> None:
    passage = Passage("1", "1", 1, "It sings.", title="Kettle", metadata={"year": 1999})
    with reranking_endpoint("cohere") as endpoint:
        async with opened(_reranker("cohere", endpoint.url, fields=("title", "year", "text"))) as reranker:
            [each async for each in reranker.rerank(Query(QUERY), [passage], top_n=1, call=Call())]
    assert endpoint.requests[0][2]["documents"] == ["title: Kettle\nyear: 1999\ntext: It sings.\n"]


async def test_a_call_that_ends_while_documents_are_written_ends_their_writing() -> None:
    written: list[str] = []

    class Counting(tamis_hosted.CohereReranker):
        """Remembers the documents it wrote."""

        def text_of(self, passage: Passage) -> str:
            written.append(passage.id)
            return super().text_of(passage)

    call = Call()
    passages = _passages([f"{number} " + "the kettle sings: " * 100 for number in range(300)])
    settings = Counting.Settings(base_url="http://127.0.0.1:9", fields=("title", "text"))
    async with opened(Counting(settings)) as reranker:
        asyncio.get_running_loop().call_soon(call.end)
        with pytest.raises(CallEnded):
            [each async for each in reranker.score(Query(QUERY), passages, call=call)]
    assert 0 < len(written) < 300


async def test_ten_thousand_passages_are_all_ranked() -> None:
    texts = [f"the kettle {number}" for number in range(10_000)]
    call = Call()
    with reranking_endpoint("cohere") as endpoint:
        reranker = _reranker("cohere", endpoint.url, passages_per_request=1_000, product="cohere/x")
        async with opened(reranker):
            scores = [each async for each in reranker.score(Query(QUERY), _passages(texts), call=call)]
    assert sorted(index for index, _ in scores) == list(range(10_000))
    assert call.usage.charges == {("cohere/x", BillingUnit.SEARCH): 100}


async def test_the_log_of_voyages_sdk_holds_no_passages(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("voyageai.util.VOYAGE_LOG", "debug")
    caplog.set_level(logging.DEBUG)
    with reranking_endpoint("voyage") as endpoint:
        assert await _ranked("voyage", endpoint)
    assert "kettle" not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize(("provider", "module"), [("cohere", "cohere"), ("voyage", "voyageai"), ("jina", "httpx")])
async def test_a_missing_sdk_is_named_with_the_extra_that_brings_it(
    provider: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    extra = "hosted" if provider == "jina" else provider
    with pytest.raises(ConfigurationError, match=rf"'{module}'.*tamis\[{extra}\]"):
        await _reranker(provider, "http://x").open()
