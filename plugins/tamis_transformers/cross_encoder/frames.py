"""How query and passage become sequences of tokens: what stands around them, and windows of what is too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import tokenizers

from tamis.errors import ConfigurationError
from tamis_transformers.cross_encoder.templates import Template

__all__ = ["Frame", "Pair", "Part", "Read", "Reading", "frame_of_pairs", "frame_of_template"]

Tokens = tuple[int, ...]
_LONGEST_TOKEN = 16  # characters of a text that are looked at for a token that may be read
_LEAST_ROOM = 8


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a passage, or a window of it, as one sequence, with the segment of each token."""

    tokens: Tokens
    segments: Tokens


@dataclass(frozen=True, slots=True)
class Part:
    """Tokens that are always the same, or the place of the query or the passage with the text around it."""

    slot: Literal["", "query", "passage"]
    tokens: Tokens = ()
    segments: Tokens = (0,)
    lead: str = ""
    tail: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """How much is read: `max_tokens` in a sequence, `most_passage_tokens` of a passage in all its windows, of which
    each begins with the last `overlap_tokens` of the one before. Without `windows` only the first is read."""

    max_tokens: int
    most_passage_tokens: int
    overlap_tokens: int
    windows: bool


@dataclass(slots=True)
class Read:
    """The windows of each passage, at least one, and what had to be cut."""

    windows: list[list[Pair]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Frame:
    """Tokenizes queries and passages and puts them in their places. For one thread."""

    def __init__(self, tokenizer: Any, parts: Sequence[Part], reading: Reading) -> None:
        """Raises `ConfigurationError` when what stands around a pair leaves no room for it."""
        self._plain = _copy(tokenizer)
        self._plain.encode_special_tokens = True  # what a user writes is text, and ends nobody's turn
        self._parts, self._reading = tuple(parts), reading
        placed = {part.slot: part for part in parts}
        self._query, self._passage = placed["query"], placed["passage"]
        self._lead, self._tail = self._tokens([self._passage.lead.rstrip(), self._query.tail])
        fixed = sum(len(part.tokens) for part in parts)
        self._room = reading.max_tokens - fixed
        least = _LEAST_ROOM + len(self._lead) + len(self._tail) + len(self._tokens([self._query.lead])[0])
        if self._room < least:
            raise ConfigurationError(
                f"max_tokens = {reading.max_tokens} leaves no room for a query and a passage; at least {fixed + least}"
            )

    def read(self, query: str, texts: Sequence[str]) -> Read:
        """The pairs of one query with each text, in order. Never more than half of the room for the query, unless the
        text leaves it. Time is linear in what is read, however long a text is."""
        read = Read()
        most = _LONGEST_TOKEN * self._room
        (asked,) = self._tokens([f"{self._query.lead}{query[:most]}{self._query.tail}"])
        longest = _LONGEST_TOKEN * self._most_passage_tokens
        prefixed = [self._passage.lead + text[:longest] for text in texts]
        for text, tokens in zip(texts, self._tokens(prefixed), strict=True):
            kept = self._cut_query(asked, max(self._room // 2, self._room - len(tokens)))
            windows, is_whole = self._windows(tokens, self._room - len(kept))
            read.windows.append([self._filled(kept, window) for window in windows])
            if len(kept) < len(asked) or len(query) > most:
                _note(read.notes, "a long query was cut")
            if not is_whole or len(text) > longest:
                _note(read.notes, "a long passage was cut")
        return read

    @property
    def _most_passage_tokens(self) -> int:
        return max(self._room, self._reading.most_passage_tokens) if self._reading.windows else self._room

    def _cut_query(self, tokens: Tokens, most: int) -> Tokens:
        return tokens if len(tokens) <= most else (*tokens[: most - len(self._tail)], *self._tail)

    def _windows(self, tokens: Tokens, room: int) -> tuple[list[Tokens], bool]:
        """Windows of at most `room` tokens, each with the passage's lead, the last one full; whether that is all."""
        if len(tokens) <= room:
            return [tokens], True
        if not self._reading.windows:
            return [tokens[:room]], False
        lead = _shared(self._lead, tokens)
        read, size = tokens[len(lead) : self._most_passage_tokens], room - len(lead)
        step = size - min(self._reading.overlap_tokens, size // 2)
        starts = [*range(0, len(read) - size, step), max(0, len(read) - size)]
        return [(*lead, *read[start : start + size]) for start in starts], len(tokens) <= self._most_passage_tokens

    def _filled(self, query: Tokens, passage: Tokens) -> Pair:
        tokens: list[int] = []
        segments: list[int] = []
        for part in self._parts:
            added = {"query": query, "passage": passage}.get(part.slot, part.tokens)
            tokens.extend(added)
            segments.extend(part.segments if part.slot == "" else part.segments * len(added))
        return Pair(tuple(tokens), tuple(segments))

    def _tokens(self, texts: Sequence[str]) -> list[Tokens]:
        return [tuple(each.ids) for each in self._plain.encode_batch_fast(list(texts), add_special_tokens=False)]


def frame_of_pairs(tokenizer: Any, reading: Reading) -> Frame:
    """The frame that the tokenizer itself puts around a pair of texts."""
    sample = _copy(tokenizer).encode("a", "b", add_special_tokens=True)
    parts: list[Part] = []
    for slot, tokens in _runs(sample.sequence_ids):
        segments = tuple(sample.type_ids[tokens])
        if slot is None:
            parts.append(Part("", tuple(sample.ids[tokens]), segments))
        else:
            parts.append(Part("passage" if slot else "query", segments=segments[:1]))
    if {part.slot for part in parts} < {"query", "passage"}:
        raise ConfigurationError("the tokenizer makes nothing of a pair of texts")
    return Frame(tokenizer, parts, reading)


def frame_of_template(tokenizer: Any, template: Template, instruction: str | None, reading: Reading) -> Frame:
    """The frame of a prompt. Raises `ConfigurationError` for special tokens beside a placeholder."""
    literal = _copy(tokenizer)
    parts: list[Part] = []
    for slot, before, after in template.parts(instruction):
        if slot and any(token in before + after for token in tokenizer.all_special_tokens):
            raise ConfigurationError(f"a special token stands beside {{{slot}}}; make it a part of its own")
        if slot:
            parts.append(Part(slot, lead=before, tail=after))
        else:
            parts.append(_fixed(literal.encode(before, add_special_tokens=False).ids))
    if template.bos and tokenizer.bos_token_id is not None and tokenizer.bos_token_id != tokenizer.pad_token_id:
        parts.insert(0, _fixed([tokenizer.bos_token_id]))
    if template.eos and tokenizer.eos_token_id is not None:
        parts.append(_fixed([tokenizer.eos_token_id]))
    return Frame(tokenizer, parts, reading)


def _fixed(tokens: Sequence[int]) -> Part:
    return Part("", tuple(tokens), (0,) * len(tokens))


def _runs(sequences: Sequence[int | None]) -> list[tuple[int | None, slice]]:
    """Runs of tokens of the same text, None for what belongs to none."""
    found: list[tuple[int | None, slice]] = []
    for place, each in enumerate(sequences):
        if found and found[-1][0] == each:
            found[-1] = each, slice(found[-1][1].start, place + 1)
        else:
            found.append((each, slice(place, place + 1)))
    return found


def _shared(one: Tokens, other: Tokens) -> Tokens:
    """What both begin with."""
    count = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:count]


def _note(notes: list[str], note: str) -> None:
    if note not in notes:
        notes.append(note)


def _copy(tokenizer: Any) -> Any:
    """One that cuts and pads nothing, whatever the tokenizer itself is told."""
    copy = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy
