"""An embedder without a transformer: the mean of MiniLM's word vectors, tens of thousands of texts a second.

For runs whose point is how many vectors there are. Real words of real texts, hence vectors that lie as near to and far
from each other as such vectors do; what they find is poorer than what MiniLM finds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from pydantic import Field

from tamis.component import Capabilities, Settings
from tamis.context import Call
from tamis.model import ScoreKind
from tamis.models import Embedder, Float32Array, TextKind
from tamis_transformers.checkpoint import BUNDLED, located

__all__ = ["StaticWords"]

_AT_ONCE = 512


class StaticWordsSettings(Settings):
    """`max_tokens` is how much of a text is read."""

    max_tokens: int = Field(default=128, ge=1)


class StaticWords(Embedder):
    """The mean of a text's word vectors, less the mean of all words."""

    Settings = StaticWordsSettings
    capabilities = Capabilities(score_kind=ScoreKind.COSINE)

    def __init__(self, settings: StaticWordsSettings) -> None:
        super().__init__(settings)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="static-words")
        self._tokenizer: Any = None
        self._words: Float32Array = np.zeros((0, 0), np.float32)

    async def open(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._load)

    async def close(self) -> None:
        self._thread.shutdown(wait=True)

    @property
    def dimensions(self) -> int:
        return int(self._words.shape[1])

    @property
    def max_tokens(self) -> int:
        return int(self.settings.max_tokens)

    @property
    def fingerprint(self) -> str:
        return f"static-words-{self.max_tokens}"

    async def embed(self, texts: Sequence[str], *, kind: TextKind, call: Call) -> Float32Array:
        found = [np.zeros((0, self.dimensions), np.float32)]
        for start in range(0, len(texts), _AT_ONCE):
            call.check()
            some = list(texts[start : start + _AT_ONCE])
            found.append(await asyncio.get_running_loop().run_in_executor(self._thread, self._vectors, some))
        return np.concatenate(found)

    def _load(self) -> None:
        from tokenizers import Tokenizer
        from transformers import AutoModel

        path = located(BUNDLED)
        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.max_tokens)
        words = AutoModel.from_pretrained(path).embeddings.word_embeddings.weight.detach().numpy()
        self._words = np.ascontiguousarray(words - words.mean(axis=0), dtype=np.float32)

    def _vectors(self, texts: list[str]) -> Float32Array:
        encoded = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        sums = [self._words[each.ids].sum(axis=0) if each.ids else self._words[0] for each in encoded]
        vectors = np.stack(sums)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
