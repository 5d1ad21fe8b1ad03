"""Passages to try plugins on, and a collection that is written to as the server does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tamis.context import Call
from tamis.filters import Filter
from tamis.model import Candidate, Change, Hit, Passage, Query, ScoreKind, Span, Value
from tamis.stage import Index, Retriever

__all__ = ["HUGE_TEXT", "ODD_TEXTS", "TEXTS", "Collection", "hit", "passage"]

TEXTS = (
    "The moon orbits the earth once in twenty-seven days and raises the tides of the oceans.",
    "A sourdough bread needs flour, water, salt and a starter that has been fed the day before.",
    "The lighthouse of Alexandria was among the tallest buildings made by human hands for centuries.",
    "Honey bees dance to tell their sisters where flowers are, and how far one has to fly.",
    "Die Straßenbahn fährt über die Brücke; größere Fahrräder müssen draußen bleiben.",
    "東京は日本の首都であり、世界最大の都市の一つです。",
    "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.",
    "The piano 🎹 has eighty-eight keys, fifty-two of them white. 👩🏽‍🚀 play it, too.",
)
"""Passages about eight things, not all in English."""

ODD_TEXTS = (
    "?",
    "?!… — (){}[]\"'`~^*+-:\\/|&<>=",
    'AND OR NOT "unbalanced (title:x^2 [a TO',
    "🎹👩🏽‍🚀🇫🇷",
    "\u200b\u0301\ufeff",
    "\x00\x01 \t\r\n",
    "naïve 東京 Straße мир שלום",
    "a" * 10_000,
    "long words " * 910,
)
"""Texts that people do not write and programs send."""


HUGE_TEXT = "word " * 5_000
"""More than most models read."""


def passage(id: str, text: str, *, metadata: Mapping[str, Value] | None = None, start: int = 0) -> Passage:
    """The first passage of a document that begins `start` bytes into it."""
    span = Span(start, start + len(text.encode()))
    return Passage(f"{id}/0", id, 1, text, span=span, metadata=metadata or {})


def hit(passage: Passage, rank: int) -> Hit:
    """A hit as a retriever would have made it."""
    return Hit(passage, 1 / rank, ScoreKind.NORMALIZED)


@dataclass(slots=True)
class Collection:
    """A generation of a collection in one retriever. Passage ids are `document/number`."""

    retriever: Retriever
    name: str
    index: Index
    sequence: int = 0
    generation: int = 1

    async def put(self, *documents: tuple[str, Sequence[Passage]]) -> list[Change]:
        """Replaces documents one after the other, in one batch; one without passages is deleted."""
        changes = []
        for name, passages in documents:
            self.sequence += 1
            versioned = tuple(replace(each, document_id=name, document_version=self.sequence) for each in passages)
            changes.append(Change(self.sequence, name, versioned))
        await self.index.apply(changes, upto=self.sequence)
        return changes

    async def write(self, *texts: str) -> None:
        """One document a text, numbered from 0."""
        await self.put(*((str(number), [passage(str(number), text)]) for number, text in enumerate(texts)))

    async def fill(self, *documents: tuple[str, Sequence[Passage]]) -> None:
        """Replaces all that is held, in one batch."""
        held = {key.split("/")[0] for key in await self.held()}
        await self.put(*((name, ()) for name in sorted(held)), *documents)

    async def clear(self) -> None:
        """Deletes every document."""
        await self.fill()

    async def held(self) -> dict[str, int]:
        """The version of every passage."""
        ids = [each async for each in self.index.ids()]
        assert len(ids) == len(dict(ids)), "a passage is held twice"
        return dict(ids)

    async def candidates(
        self, text: str, *, filter: Filter | None = None, limit: int = 100, call: Call | None = None
    ) -> Sequence[Candidate]:
        """What the retriever finds."""
        query = Query(text, self.name, filter, generation=self.generation)
        return await self.retriever.retrieve(query, limit=limit, call=call or Call())

    async def found(self, text: str, *, filter: Filter | None = None) -> list[str]:
        """The ids of what it finds, best first."""
        return [each.passage_id for each in await self.candidates(text, filter=filter)]
