"""Loads jina-reranker-v3 natively and reads a query and a block of passages in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache, Qwen3Model

from tamis.errors import ConfigurationError
from tamis_transformers.checkpoint import device as device_of
from tamis_transformers.checkpoint import dtype as dtype_of
from tamis_transformers.checkpoint import model_of, tensors_of, tokenizer_of
from tamis_transformers.conversation import defuser

__all__ = ["Block", "JinaV3Model", "Part", "Texts"]

_PASSAGE_END, _QUERY_END = "<|embed_token|>", "<|rerank_token|>"
_PART = 2_048  # tokens that are read at once; the call is asked in between
_SYSTEM = (
    "You are a search relevance expert who can determine a ranking of the passages based on how relevant they are to "
    "the query. If the query is a question, how relevant a passage is depends on how well it answers the question. If "
    "not, try to analyze the intent of the query and assess how well each passage satisfies the intent. If an "
    "instruction is provided, you should follow the instruction when determining the ranking."
)


@dataclass(frozen=True, slots=True)
class Texts:
    """A query and its passages as the model reads them, and which passages share a block, in their order."""

    query: str
    passages: tuple[str, ...]
    blocks: tuple[range, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Block:
    """Projected states: of the query, of shape [dimensions], and of a block's passages, [passages, dimensions]."""

    query: NDArray[np.float64]
    passages: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Part:
    """What one forward pass gave: how many tokens it read, and the block when that was its last part."""

    read_count: int
    block: Block | None = None


class _Backbone(Qwen3Model):
    """The projector is loaded apart; the output layer, where a checkpoint has one, is not used."""

    _keys_to_ignore_on_load_unexpected = [r"^projector\.", r"^lm_head\."]  # noqa: RUF012


class JinaV3Model:
    """Tokenizer, Qwen3 and projector of one checkpoint. Computes in the thread that calls it, one call at a time."""

    def __init__(
        self,
        path: Path,
        *,
        instruction: str,
        device: str,
        dtype: str,
        block_passage_count: int,
        block_token_count: int | None,
        max_passage_tokens: int,
        max_query_tokens: int,
    ) -> None:
        """Loads the weights; safetensors only, no code from the checkpoint. Raises `ConfigurationError`."""
        self._tokenizer = tokenizer_of(path)
        self._passage_end, self._query_end = (self._id(path, each) for each in (_PASSAGE_END, _QUERY_END))
        self._defused = defuser(self._tokenizer, _PASSAGE_END, _QUERY_END)
        self._device = device_of(device)
        to = {"device": self._device, "dtype": dtype_of(dtype, self._device)}
        self._model = model_of(path, _Backbone, **to)
        self._projector = [each.to(**to) for each in _projector(path, int(self._model.config.hidden_size))]
        positions = int(self._model.config.max_position_embeddings)
        self._block_tokens = min(positions, block_token_count or positions)
        self._block_passages = block_passage_count
        self._most_passage, self._most_query = max_passage_tokens, max_query_tokens
        self._instruction = instruction
        # What stands around a passage, and some for words that meet at its ends.
        self._around = len(self._ids(_passage(block_passage_count, ""))) + 3
        if self._room(max_query_tokens) - self._around < 8:
            raise ConfigurationError(f"the model at {path} has no room for a passage beside its prompt and query")

    def texts(self, query: str, passages: Sequence[str]) -> Texts:
        """Cuts what is too long and fills the blocks, in the order of the passages."""
        (asked,), (asked_count,), is_query_cut = self._cut([query], self._most_query)
        room = self._room(asked_count)
        told, counts, is_cut = self._cut(passages, min(self._most_passage, room - self._around))
        blocks, start, free = [], 0, room
        for place, count in enumerate(counts):
            if place > start and (place - start == self._block_passages or count + self._around > free):
                blocks.append(range(start, place))
                start, free = place, room
            free -= count + self._around
        blocks.append(range(start, len(told)))
        return Texts(asked, tuple(told), tuple(blocks), is_cut or is_query_cut)

    def read(self, texts: Texts, block: range) -> Iterator[Part]:
        """Reads a block in parts; the last one has what was read of it."""
        ids = self._ids(_prompt(texts.query, [texts.passages[place] for place in block], self._instruction))
        wanted = {self._passage_end, self._query_end}
        cache, states = DynamicCache(config=self._model.config), []
        ends: list[int] = []
        for start in range(0, len(ids), _PART):
            part = ids[start : start + _PART]
            places = [place for place, token in enumerate(part) if token in wanted]
            states.append(self._projected(part, places, cache))
            ends.extend(part[place] for place in places)
            if start + _PART < len(ids):
                yield Part(len(part))
        vectors, is_query = np.concatenate(states), np.array(ends) == self._query_end
        yield Part(len(part), Block(vectors[is_query][0], vectors[~is_query]))

    @torch.inference_mode()
    def _projected(self, part: list[int], places: list[int], cache: Any) -> NDArray[np.float64]:
        """Projected states at some places of a part; shape [places, dimensions]. The cache grows by the part."""
        ids = torch.tensor([part], device=self._device)
        states = self._model(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state[0, places]
        first, second = self._projector
        found: NDArray[np.float64] = ((states @ first.T).relu() @ second.T).double().cpu().numpy()
        return found

    def _cut(self, texts: Sequence[str], most: int) -> tuple[list[str], list[int], bool]:
        """The texts without special tokens, none longer than `most` tokens, how many tokens they have, and whether one
        was longer."""
        harmless = [self._defused(text) for text in texts]
        found = self._tokenizer(harmless, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        cut = [
            text if len(offsets) <= most else text[: offsets[most][0]]
            for text, offsets in zip(harmless, found, strict=True)
        ]
        return cut, [min(len(offsets), most) for offsets in found], any(len(offsets) > most for offsets in found)

    def _room(self, query_count: int) -> int:
        """How many tokens of passages, with what stands around each, fit beside a query, which stands there twice."""
        alone = len(self._ids(_prompt("", [], self._instruction)))
        return self._block_tokens - alone - 2 * query_count - self._around

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _id(self, path: Path, token: str) -> int:
        found = self._tokenizer.get_vocab().get(token)
        if found is None or self._ids(token) != [found]:
            raise ConfigurationError(f"the tokenizer at {path} has no token {token}, so this is no jina-reranker-v3")
        return int(found)


def _projector(path: Path, hidden: int) -> list[torch.Tensor]:
    """The two linear layers, of shape [inner, hidden] and [dimensions, inner]."""
    found = tensors_of(path, "projector.")
    if found.keys() != {"0.weight", "2.weight"}:
        raise ConfigurationError(f"the model at {path} has no projector of two layers without biases")
    first, second = found["0.weight"], found["2.weight"]
    if first.shape[1] != hidden or second.shape[1] != first.shape[0]:
        raise ConfigurationError(f"the projector at {path} does not fit its model")
    return [first, second]


def _passage(place: int, text: str) -> str:
    return f'<passage id="{place}">\n{text}{_PASSAGE_END}\n</passage>\n'


def _prompt(query: str, passages: Sequence[str], instruction: str) -> str:
    """The conversation that the model was trained on; its embedding tokens stand at the end of each text."""
    asked = (
        f"I will provide you with {len(passages)} passages, each indicated by a numerical identifier. "
        f"Rank the passages based on their relevance to query: {query}\n"
    )
    instructed = f"<instruct>\n{instruction}\n</instruct>\n" if instruction else ""
    told = "".join(_passage(place, text) for place, text in enumerate(passages))
    return (
        f"<|im_start|>system\n{_SYSTEM}<|im_end|>\n<|im_start|>user\n"
        f"{asked}{instructed}{told}<query>\n{query}{_QUERY_END}\n</query>"
        "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
