"""What an embedder must do."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.context import Call, CallEnded
from tamis.models import Embedder, EmbedsSparse, EmbedsTokens, Float32Array, SparseVector, TextKind, Tokenizes
from tamis.testing.contract.collections import ODD_TEXTS, TEXTS
from tamis.testing.contract.component import ServingContract, law, on_its_loop, opened, over, written_in

__all__ = ["EmbedderContract"]


class EmbedderContract(ServingContract):
    """Of an embedder, and of its token vectors where it has them. `least_cosine` is how near a vector must be to the
    same text's vector in another batch: half precision is allowed."""

    least_cosine: ClassVar[float] = 0.999
    places = (Embedder, Embedder.embed)

    def component(self) -> Embedder:
        raise NotImplementedError(f"{type(self).__name__} does not say how its plugin is built")

    async def use(self, plugin: Embedder, call: Call) -> None:
        await plugin.embed(TEXTS, kind=TextKind.PASSAGE, call=call)

    async def vectors(self, *texts: str, kind: TextKind = TextKind.PASSAGE) -> Float32Array:
        """The vectors of texts, checked for what holds of all vectors."""
        vectors: Float32Array = await self.plugin.embed(texts, kind=kind, call=Call())
        assert vectors.shape == (len(texts), self.plugin.dimensions)
        _check_rows(vectors)
        return vectors

    def test_it_says_what_it_makes(self) -> None:
        assert self.plugin.dimensions > 0
        assert self.plugin.max_tokens > 0
        assert self.plugin.fingerprint

    @pytest.mark.parametrize("kind", TextKind)
    @on_its_loop
    async def test_vectors_have_unit_length_for_any_text(self, kind: TextKind) -> None:
        await self.vectors(*TEXTS, *ODD_TEXTS, "", kind=kind)

    @law(15)
    @given(texts=st.lists(st.text(max_size=80), min_size=1, max_size=6))
    @on_its_loop
    async def test_vectors_have_unit_length_for_generated_texts(self, texts: list[str]) -> None:
        await self.vectors(*texts)

    @on_its_loop
    async def test_no_texts_make_no_vectors(self) -> None:
        assert (await self.vectors()).shape == (0, self.plugin.dimensions)

    @on_its_loop
    async def test_a_vector_depends_on_its_text_and_not_on_its_neighbours(self) -> None:
        together = await self.vectors(*TEXTS, "long " * 300)
        for row, text in enumerate(TEXTS):
            (alone,) = await self.vectors(text)
            assert alone @ together[row] >= self.least_cosine

    @on_its_loop
    async def test_vectors_come_in_the_order_of_their_texts(self) -> None:
        forth, back = await self.vectors(*TEXTS), await self.vectors(*reversed(TEXTS))
        nearest = (forth @ back.T).argmax(axis=1)
        assert nearest.tolist() == list(reversed(range(len(TEXTS))))

    @on_its_loop
    async def test_calls_at_the_same_time_do_not_mix(self) -> None:
        alone = await self.vectors(*TEXTS)
        together = await asyncio.gather(*(self.vectors(text) for text in TEXTS))
        assert ((alone * np.concatenate(together)).sum(axis=1) >= self.least_cosine).all()

    @on_its_loop
    async def test_a_very_long_text_is_cut(self) -> None:
        await self.vectors("word " * 50_000, TEXTS[0])

    @on_its_loop
    async def test_a_call_that_is_over_is_told_so(self) -> None:
        for call in over():
            with pytest.raises(CallEnded):
                await self.plugin.embed(TEXTS, kind=TextKind.PASSAGE, call=call)
        await self.vectors(*TEXTS)

    @on_its_loop
    async def test_the_same_settings_have_the_same_fingerprint_and_the_same_vectors(self) -> None:
        mine = await self.vectors(*TEXTS)
        async with opened(self.component()) as other:
            assert other.fingerprint == self.plugin.fingerprint
            others = await other.embed(TEXTS, kind=TextKind.PASSAGE, call=Call())
        assert ((mine * others).sum(axis=1) >= self.least_cosine).all()

    @written_in(EmbedsTokens)
    @pytest.mark.parametrize("kind", TextKind)
    @on_its_loop
    async def test_token_vectors_have_unit_length(self, kind: TextKind) -> None:
        if not isinstance(self.plugin, EmbedsTokens):
            pytest.skip("gives no token vectors")
        texts = [*TEXTS, *ODD_TEXTS, ""]
        found = await self.plugin.embed_tokens(texts, kind=kind, call=Call())
        assert len(found) == len(texts)
        assert all(len(vectors) for vectors in found[: len(TEXTS)])
        assert len({vectors.shape[1] for vectors in found}) == 1
        for vectors in found:
            _check_rows(vectors)

    @written_in(EmbedsSparse.embed_sparse, SparseVector)
    @pytest.mark.parametrize("kind", TextKind)
    @on_its_loop
    async def test_sparse_vectors_have_rising_terms_and_finite_weights(self, kind: TextKind) -> None:
        if not isinstance(self.plugin, EmbedsSparse):
            pytest.skip("weighs no terms")
        texts = [*TEXTS, *ODD_TEXTS, ""]
        found = await self.plugin.embed_sparse(texts, kind=kind, call=Call())
        assert len(found) == len(texts)
        for each in found:
            assert len(each.indices) == len(each.values)
            assert (np.diff(each.indices.astype(np.int64)) > 0).all(), "indices rise and are distinct"
            assert np.isfinite(each.values).all()

    @written_in(Tokenizes)
    def test_tokens_stand_in_the_text_in_order_and_all_are_counted(self) -> None:
        if not isinstance(self.plugin, Tokenizes):
            pytest.skip("does not say where its tokens are")
        for text in (*TEXTS, *ODD_TEXTS, "", "word " * 50_000, "x" * 100_000):
            before = 0
            for start, end in self.plugin.token_offsets(text):
                assert before <= start <= end <= len(text)
                before = start
        assert len(self.plugin.token_offsets("word " * 50_000)) == 50_000
        assert self.plugin.extra_tokens >= 0

    @written_in(Tokenizes)
    def test_tokens_are_found_on_many_threads_while_texts_are_read(self) -> None:
        plugin = self.plugin
        if not isinstance(plugin, Tokenizes):
            pytest.skip("does not say where its tokens are")
        text = " ".join(TEXTS) * 200
        expected = plugin.token_offsets(text)
        with ThreadPoolExecutor(4) as threads:
            found = [threads.submit(plugin.token_offsets, text) for _ in range(12)]
            self.loop.run(self.plugin.embed([text] * 4, kind=TextKind.PASSAGE, call=Call()))
            assert all(each.result() == expected for each in found)


def _check_rows(vectors: Float32Array) -> None:
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
