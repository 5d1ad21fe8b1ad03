"""What only some models give, over the wire: weights of terms, vectors of tokens, log-probabilities."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plugin_hosts import PluginProcess, foreign, hosting
from real_server import Servers

from tamis.context import Call
from tamis.errors import ConfigurationError, Unavailable
from tamis.models import EmbedsSparse, EmbedsTokens, Message, Prompt, TextKind
from tamis.testing.embedders import HashEmbedder
from tamis.testing.llms import OracleLlm
from tamis.v1 import passage_pb2, plugin_service_pb2_grpc
from tamis.v1 import plugin_service_pb2 as pb
from tamis_remote import RemoteEmbedder, RemoteLlm

_HOSTED = """
[models.hash]
plugin = "fake-hash"
[models.open]
plugin = "fake-oracle"
[models.mute]
plugin = "fake-oracle"
gives_log_probabilities = false
"""
_TEXTS = ("smooth sauce", "Grüße 🎹 東京", "", "word " * 400, *(f"text {number}" for number in range(40)))
_PROMPT = Prompt((Message("user", "Is the moon round?"),))
_RAN = passage_pb2.STAGE_OUTCOME_RAN


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PluginProcess]:
    with hosting(tmp_path_factory.mktemp("host"), _HOSTED) as process:
        yield process


@asynccontextmanager
async def _opened(kind: type[Any], component: str, address: str) -> AsyncIterator[Any]:
    remote = kind(kind.Settings(component=component, addresses=(address,)))
    await remote.open()
    try:
        yield remote
    finally:
        await remote.close()


@pytest.mark.parametrize("kind", TextKind)
async def test_weights_of_terms_and_vectors_of_tokens_are_those_of_the_other_side(
    host: PluginProcess, kind: TextKind
) -> None:
    here = HashEmbedder(HashEmbedder.Settings())
    async with _opened(RemoteEmbedder, "hash", host.address) as there:
        assert isinstance(there, EmbedsSparse)
        assert isinstance(there, EmbedsTokens)
        expected = await here.embed_tokens(_TEXTS, kind=kind, call=Call())
        found = await there.embed_tokens(_TEXTS, kind=kind, call=Call())
        for one, other in zip(found, expected, strict=True):
            assert np.array_equal(one, other)
        sparse = await there.embed_sparse(_TEXTS, kind=kind, call=Call())
        for weights, other in zip(sparse, await here.embed_sparse(_TEXTS, kind=kind, call=Call()), strict=True):
            assert np.array_equal(weights.indices, other.indices)
            assert np.array_equal(weights.values, other.values)
        assert await there.embed_tokens((), kind=kind, call=Call()) == []
        assert await there.embed_sparse((), kind=kind, call=Call()) == []


async def test_late_interaction_ranks_by_the_tokens_of_a_model_elsewhere(host: PluginProcess, servers: Servers) -> None:
    stages = f"""
[models.hash]
plugin = "remote-embedder"
component = "hash"
addresses = ["{host.address}"]
[stages.dense]
plugin = "qdrant"
embedder = "hash"
[stages.late]
plugin = "late-interaction"
embedder = "hash"
[pipelines.default]
expression = "dense % 10 >> late"
"""
    async with servers.start(stages) as client:
        await client.fill()
        found = await client.search("smooth sauce")
    assert {each.stage for each in found.stage_reports} >= {"dense", "late"}
    assert {each.outcome for each in found.stage_reports} == {_RAN}
    assert {each.passage.document_id for each in found.hits[:2]} == {"sieve", "spoon"}


async def test_log_probabilities_are_those_of_the_other_side_or_none(host: PluginProcess) -> None:
    here = OracleLlm(OracleLlm.Settings())
    choices = ("yes", "no", "東京")
    expected = await here.log_probabilities(_PROMPT, choices, call=Call())
    async with _opened(RemoteLlm, "open", host.address) as there:
        assert (await there.log_probabilities(_PROMPT, choices, call=Call())).tolist() == expected.tolist()
    async with _opened(RemoteLlm, "mute", host.address) as there:
        call = Call()
        with pytest.raises(NotImplementedError):
            await there.log_probabilities(_PROMPT, choices, call=call)
        assert not call.notes, "it was reached"


class _Earlier(plugin_service_pb2_grpc.PluginServiceServicer):
    """Speaks the contract as it was before there was more than one kind of vector."""

    role = pb.PLUGIN_ROLE_EMBEDDER

    async def Describe(self, request: pb.DescribeRequest, context: Any) -> pb.DescribeResponse:  # noqa: N802
        return pb.DescribeResponse(
            contract_version=1, role=self.role, dimension_count=2, token_limit=8, fingerprint="x", context_token_count=8
        )


class _EarlierLlm(_Earlier):
    role = pb.PLUGIN_ROLE_LLM


class _Careless(_Earlier):
    """Says that it gives everything, and sends what its texts say."""

    async def Describe(self, request: pb.DescribeRequest, context: Any) -> pb.DescribeResponse:  # noqa: N802
        found = await super().Describe(request, context)
        found.embeds_sparse = found.embeds_tokens = True
        return found

    async def EmbedSparse(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        (text,) = [text async for each in requests for text in each.texts]
        one, nan = np.float32(1).tobytes(), np.float32("nan").tobytes()
        terms = np.array([7, 7], np.uint32).tobytes()
        yield {
            "uneven": pb.EmbedSparseResponse(embeddings=[pb.SparseEmbedding(terms=terms, weights=one)]),
            "torn": pb.EmbedSparseResponse(embeddings=[pb.SparseEmbedding(terms=terms[:5], weights=one)]),
            "not rising": pb.EmbedSparseResponse(embeddings=[pb.SparseEmbedding(terms=terms, weights=one * 2)]),
            "not finite": pb.EmbedSparseResponse(embeddings=[pb.SparseEmbedding(terms=terms[:4], weights=nan)]),
            "too few": pb.EmbedSparseResponse(),
        }[text]

    async def EmbedTokens(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        (text,) = [text async for each in requests for text in each.texts]
        one, nan = np.float32(1).tobytes(), np.float32("nan").tobytes()
        sent = {"uneven": one * 3, "torn": one[:3], "not finite": nan * 2}
        embeddings = [] if text == "too few" else [pb.TokenEmbeddings(vectors=sent.get(text, one * 2))]
        yield pb.EmbedTokensResponse(token_dimension_count=0 if text == "no length" else 2, embeddings=embeddings)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ('plugin = "qdrant-learned-sparse"\nindex = "dense"', "weighs no terms"),
        ('plugin = "qdrant-tokens"\nindex = "dense"', "no token vectors"),
        ('plugin = "late-interaction"', "no token vectors"),
    ],
)
async def test_a_stage_is_refused_at_the_start_whose_model_elsewhere_cannot_do_it(
    tmp_path: Path, stage: str, message: str
) -> None:
    async with foreign(_Earlier()) as address:
        dense = '[stages.dense]\nplugin = "qdrant"\nembedder = "far"\n'
        far = f'[models.far]\nplugin = "remote-embedder"\ncomponent = "far"\naddresses = ["{address}"]\n'
        with pytest.raises(ConfigurationError, match=message):
            async with Servers(tmp_path).start(f'{far}{dense}[stages.more]\n{stage}\nembedder = "far"\n'):
                pass


async def test_a_model_of_before_gives_no_log_probabilities() -> None:
    async with foreign(_EarlierLlm()) as address, _opened(RemoteLlm, "far", address) as there:
        with pytest.raises(NotImplementedError):
            await there.log_probabilities(_PROMPT, ("yes",), call=Call())


@pytest.mark.parametrize("text", ["uneven", "torn", "not rising", "not finite", "too few"])
async def test_weights_that_can_be_none_are_refused(text: str) -> None:
    async with foreign(_Careless()) as address, _opened(RemoteEmbedder, "far", address) as there:
        with pytest.raises(Unavailable):
            await there.embed_sparse((text,), kind=TextKind.QUERY, call=Call())


@pytest.mark.parametrize("text", ["uneven", "torn", "no length", "not finite", "too few"])
async def test_vectors_of_tokens_that_can_be_none_are_refused(text: str) -> None:
    async with foreign(_Careless()) as address, _opened(RemoteEmbedder, "far", address) as there:
        with pytest.raises(Unavailable):
            await there.embed_tokens((text,), kind=TextKind.QUERY, call=Call())
