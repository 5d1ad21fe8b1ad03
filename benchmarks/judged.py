"""Judged collections: reads them, and says how good an order is."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tamis.model import Document, Hit

__all__ = ["Judged", "Judgement", "ndcg", "read"]


@dataclass(frozen=True, slots=True)
class Judged:
    """A question, how many relevant things there are, and what makes a hit relevant: the same key counts once."""

    text: str
    relevant_count: int
    key: Callable[[Hit], str | None]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known of a passage for one question: its document, and the relevant thing that it is, if any."""

    document_id: str
    key: str | None


def read(folder: Path, count: int | None = None) -> tuple[list[Document], list[Judged]]:
    """Documents and questions of a folder; at most `count` questions, the same each time.

    In BEIR's format (corpus.jsonl, queries.jsonl, qrels/test.tsv), or documents/*.txt and questions.jsonl with the
    bytes of each answer (document, start_byte, end_byte): then a passage is relevant when it overlaps the answer.
    """
    documents, queries = _beir(folder) if (folder / "corpus.jsonl").exists() else _spans(folder)
    if count is not None and count < len(queries):
        queries = random.Random(0).sample(queries, len(queries))[
            :count
        ]  # so that a larger sample has the smaller in it
    return documents, queries


def ndcg(order: Sequence[Judgement], relevant_count: int, depth: int = 10) -> float:
    """Binary nDCG at `depth` (Järvelin and Kekäläinen, 2002); what counts twice counts at its first place."""
    seen: set[str] = set()
    gain, place = 0.0, 0
    for each in order:
        if each.document_id in seen and relevant_count > 1:
            continue
        seen.add(each.document_id)
        if each.key is not None and each.key not in seen:
            seen.add(each.key)
            gain += 1 / math.log2(place + 2)
        place += 1
        if place == depth:
            break
    return gain / sum(1 / math.log2(each + 2) for each in range(min(depth, relevant_count)))


def _beir(folder: Path) -> tuple[list[Document], list[Judged]]:
    documents = [
        Document(each["_id"], each.get("text", ""), each.get("title", "")) for each in _lines(folder / "corpus.jsonl")
    ]
    relevant: dict[str, set[str]] = {}
    with (folder / "qrels" / "test.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0:
                relevant.setdefault(row["query-id"], set()).add(row["corpus-id"])
    queries = [
        Judged(each["text"], len(relevant[each["_id"]]), _in_documents(relevant[each["_id"]]))
        for each in _lines(folder / "queries.jsonl")
        if each["_id"] in relevant
    ]
    return documents, queries


def _spans(folder: Path) -> tuple[list[Document], list[Judged]]:
    documents = [Document(file.stem, file.read_text()) for file in sorted((folder / "documents").glob("*.txt"))]
    queries = [
        Judged(each["text"], 1, _overlapping(str(each["document"]), each["start_byte"], each["end_byte"]))
        for each in _lines(folder / "questions.jsonl")
    ]
    return documents, queries


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as file:
        yield from map(json.loads, file)


def _in_documents(relevant: set[str]) -> Callable[[Hit], str | None]:
    return lambda hit: f"relevant {hit.passage.document_id}" if hit.passage.document_id in relevant else None


def _overlapping(document: str, start: int, end: int) -> Callable[[Hit], str | None]:
    def key(hit: Hit) -> str | None:
        passage = hit.passage
        overlaps = passage.document_id == document and passage.span.start < end and start < passage.span.end
        return "the answer" if overlaps else None

    return key
