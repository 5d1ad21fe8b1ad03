"""Named vectors say which text has none that is finite."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tamis.context import Call
from tamis.models import Float32Array, TextKind
from tamis.testing.embedders import HashEmbedder, HashEmbedderSettings
from tamis_qdrant.vectors import DenseVectors, NamedVectors, NotFinite, TokenVectors


class Broken(HashEmbedder):
    """Makes infinity of one text."""

    async def embed(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> Float32Array:
        vectors = await super().embed(texts, kind=kind, call=call)
        vectors[[text == "poison" for text in texts], 0] = np.inf
        return vectors

    async def embed_tokens(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> list[Float32Array]:
        vectors = await super().embed_tokens(texts, kind=kind, call=call)
        return [each * np.float32(np.inf if text == "poison" else 1) for text, each in zip(texts, vectors, strict=True)]


EMBEDDER = Broken(HashEmbedderSettings())


@pytest.mark.parametrize("vectors", [DenseVectors("dense", EMBEDDER), TokenVectors("tokens", EMBEDDER, 64)])
async def test_the_place_of_a_text_without_a_finite_vector_is_told(vectors: NamedVectors) -> None:
    with pytest.raises(NotFinite) as caught:
        await vectors.encode(["salt", "poison", "salt"], kind=TextKind.PASSAGE, language="", call=Call())
    assert caught.value.place == 1
    assert len(await vectors.encode(["salt"], kind=TextKind.PASSAGE, language="", call=Call())) == 1
