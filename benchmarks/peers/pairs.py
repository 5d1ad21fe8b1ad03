"""Queries with a hundred candidates each: of the documentation that Python carries, or of a judged collection."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import judged
import tantivy

from tamis.ingest.pydocs import python_documentation
from tamis.model import Document, Hit, Passage, ScoreKind

__all__ = ["CANDIDATES", "Asked", "from_collection", "from_documentation", "read", "write"]

CANDIDATES = 100
"""How many texts a query has to be compared with."""
_SENTENCE = re.compile(r"\s*(.{30,160}?[.?!])\s+(\S.*)", re.DOTALL)
_SIGNATURE = re.compile(r"\w+\(.*\)\n\n", re.DOTALL)
_WORDS = (40, 150)


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, its candidates with the best by BM25 first, and the ids of what is relevant, found or not."""

    query: str
    ids: list[str]
    texts: list[str]
    relevant: list[str]


def from_documentation(count: int) -> list[Asked]:
    """First sentences of docstrings ask for the passage that they were taken out of; the same on the same Python.

    A passage is what stands together in a module or a topic, 40 to 150 words of it, or more by its last part.
    """
    texts: dict[str, str] = {}
    relevant: dict[str, str] = {}
    for number, (passage, sentences) in enumerate(_passages(python_documentation())):
        texts[str(number)] = passage
        relevant |= dict.fromkeys(sentences, str(number))
    questions = sorted(relevant, key=_hash)
    return _asked(texts, ((each, [relevant[each]]) for each in questions), count)


def from_collection(folder: Path, count: int) -> list[Asked]:
    """The questions of a collection in BEIR's format, see `judged.read`; whole documents, title first."""
    documents, queries = judged.read(folder)
    texts = {each.id: f"{each.title}\n{each.text}".strip() for each in documents}
    questions = sorted(queries, key=lambda each: _hash(each.text))
    judgements = ((each.text, [id for id in texts if each.key(_hit(id)) is not None]) for each in questions)
    return _asked({id: text for id, text in texts.items() if text}, judgements, count)


def write(asked: Sequence[Asked], path: Path) -> None:
    """A JSON object a line, as the runners read it."""
    path.write_text("".join(json.dumps(asdict(each)) + "\n" for each in asked))


def read(path: Path) -> list[Asked]:
    """What `write` wrote."""
    return [Asked(**json.loads(line)) for line in path.read_text().splitlines()]


def _asked(texts: dict[str, str], questions: Iterable[tuple[str, list[str]]], count: int) -> list[Asked]:
    """The first questions that have as many candidates as they need, among them something relevant."""
    found: list[Asked] = []
    search = _searching(texts)
    for query, relevant in questions:
        ids = search(query)
        if len(ids) == CANDIDATES and set(ids) & set(relevant):
            found.append(Asked(query, ids, [texts[id] for id in ids], relevant))
        if len(found) == count:
            return found
    raise ValueError(f"only {len(found)} questions have {CANDIDATES} candidates, {count} are needed")


def _searching(texts: dict[str, str]) -> Callable[[str], list[str]]:
    """BM25 over stems, in memory."""
    schema = tantivy.SchemaBuilder()
    schema.add_text_field("id", stored=True, tokenizer_name="raw")
    schema.add_text_field("text", tokenizer_name="en_stem")
    index = tantivy.Index(schema.build())
    writer = index.writer(num_threads=1)  # so that ties fall the same way each time
    for id, text in texts.items():
        writer.add_document(tantivy.Document(id=id, text=text))
    writer.commit()
    index.reload()
    searcher = index.searcher()

    def search(query: str) -> list[str]:
        words = " ".join(re.findall(r"\w+", query.lower()))
        hits = searcher.search(index.parse_query(words, ["text"]), CANDIDATES).hits
        return [searcher.doc(address)["id"][0] for _, address in hits]

    return search


def _passages(documents: Iterable[Document]) -> Iterator[tuple[str, list[str]]]:
    """Texts, each with the sentences that were taken out of it."""
    place, parts, sentences = "", list[str](), list[str]()
    for document in documents:
        here = str(document.metadata.get("module", document.id))
        for part, sentence in _parts(document):
            if parts and (here != place or sum(len(each.split()) for each in parts) >= _length("\n".join(parts))):
                yield "\n".join(parts), sentences
                parts, sentences = [], []
            place = here
            parts.append(part)
            sentences += [sentence] if sentence else []
    yield "\n".join(parts), sentences


def _parts(document: Document) -> Iterator[tuple[str, str]]:
    """Paragraphs; the first sentence is apart from them where enough is left."""
    signature = _SIGNATURE.match(document.text)
    body = document.text[signature.end() :] if signature else document.text
    found = _SENTENCE.fullmatch(body)
    sentence, rest = (" ".join(found[1].split()), found[2]) if found and len(found[2]) > 160 else ("", body)
    for number, paragraph in enumerate(each for each in rest.split("\n\n") if each.strip()):
        yield (f"{document.title}\n{paragraph}", sentence) if number == 0 else (paragraph, "")


def _length(text: str) -> int:
    """Lengths that differ, as those of passages do: of its first words, so that more text does not change it."""
    shortest, longest = _WORDS
    return shortest + int(_hash(text[:40])[:4], 16) % (longest - shortest)


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _hit(document_id: str) -> Hit:
    return Hit(Passage(document_id, document_id, 1, ""), None, ScoreKind.NONE)
