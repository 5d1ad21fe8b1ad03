"""Makes judged collections, in BEIR's format, of what is installed; the same input gives the same files.

    python benchmarks/make_collections.py FOLDER

`pydocs-summaries`: the first sentence of a docstring asks for the documentation that it was taken out of.
`pydocs-names`: a function's name with one of its parameters asks for its documentation, as pasted from code.
`building-faq`: short questions for the answers of a FAQ (pip install zaragoza-construction-faq; CC-BY-4.0).
`small-talk`: short, loose questions for any of their answers (pip install chatterbot-corpus pyyaml; BSD).
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tamis.ingest.pydocs import python_documentation
from tamis.model import Document

_DOCUMENTS, _QUERIES = 800, 300
_SENTENCE = re.compile(r"\s*(.{25,200}?[.?!])\s+(\S.*)", re.DOTALL)
_SIGNATURE = re.compile(r"(\w+)\((.*)\)\n\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents, and for each question the ids of those that answer it."""

    documents: list[Document]
    queries: list[tuple[str, set[str]]]


def pydocs_summaries() -> Collection:
    """Docstrings without their first sentence; that sentence is the question."""
    documents, queries = [], []
    for each in _sample(_library(), _DOCUMENTS):
        signature = _SIGNATURE.match(each.text)
        body = each.text[signature.end() :] if signature else each.text
        found = _SENTENCE.fullmatch(body)
        if found and len(found[2]) > 80:
            documents.append(Document(each.id, found[2], each.title))
            queries.append((" ".join(found[1].split()), {each.id}))
        else:
            documents.append(each)
    return Collection(documents, queries[:_QUERIES])


def pydocs_names() -> Collection:
    """`copytree symlinks`: the last part of a name, and the parameter of it that the fewest functions have."""
    documents = _sample(_library(), _DOCUMENTS)
    parameters = {each.id: _parameters(each.text) for each in documents}
    count: dict[str, int] = {}
    for name in (name for names in parameters.values() for name in names):
        count[name] = count.get(name, 0) + 1
    queries = []
    for each in documents:
        if names := [name for name in parameters[each.id] if name not in ("self", "cls")]:
            rarest = min(names, key=lambda name: (count[name], name))
            queries.append((f"{each.title.rpartition('.')[2]} {rarest}", {each.id}))
    return Collection(documents, queries[:_QUERIES])


def building_faq() -> Collection:
    """A FAQ, questions taken out of their answers."""
    with (_installed("zaragoza_construction_faq") / "data" / "faq-en.jsonl").open() as file:
        entries = [json.loads(line) for line in file]
    documents = [Document(each["id"], each["a"]) for each in entries]
    return Collection(documents, [(each["q"], {each["id"]}) for each in entries])


def small_talk() -> Collection:
    """Short exchanges: every answer that the corpus gives to a question is relevant."""
    import yaml

    answers: dict[str, Document] = {}
    asked: dict[str, set[str]] = {}
    for file in sorted((_installed("chatterbot_corpus") / "data" / "english").glob("*.yml")):
        for question, *replies in yaml.safe_load(file.read_text())["conversations"]:
            for reply in map(str, replies):
                key = hashlib.blake2b(reply.encode(), digest_size=6).hexdigest()
                answers[key] = Document(key, reply)
                asked.setdefault(str(question), set()).add(key)
    return Collection(list(answers.values()), [*_sample_pairs(asked.items(), _QUERIES)])


MAKERS = {
    "pydocs-summaries": pydocs_summaries,
    "pydocs-names": pydocs_names,
    "building-faq": building_faq,
    "small-talk": small_talk,
}


def write(collection: Collection, folder: Path) -> None:
    """BEIR's three files."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    documents = [{"_id": each.id, "title": each.title, "text": each.text} for each in collection.documents]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(each) + "\n" for each in documents))
    queries = [{"_id": str(number), "text": text} for number, (text, _) in enumerate(collection.queries)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(each) + "\n" for each in queries))
    judged = [f"{number}\t{id}\t1\n" for number, (_, ids) in enumerate(collection.queries) for id in sorted(ids)]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judged))


def _library() -> Iterator[Document]:
    return (each for each in python_documentation() if each.metadata["kind"] in ("function", "class"))


def _parameters(text: str) -> list[str]:
    signature = _SIGNATURE.match(text)
    if not signature:
        return []
    try:
        found = ast.parse(f"def f({signature[2]}): ...").body[0]
    except SyntaxError:
        return []
    return [each.arg for each in found.args.args + found.args.kwonlyargs]  # type: ignore[attr-defined]


def _sample(documents: Iterable[Document], count: int) -> list[Document]:
    """By a hash of the id, so that one more document moves at most one other out."""
    return sorted(documents, key=lambda each: hashlib.blake2b(each.id.encode()).digest())[:count]


def _sample_pairs(pairs: Iterable[tuple[str, set[str]]], count: int) -> list[tuple[str, set[str]]]:
    return sorted(pairs, key=lambda each: hashlib.blake2b(each[0].encode()).digest())[:count]


def _installed(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(package)
    return Path(found.origin).parent


def main(folder: Annotated[Path, typer.Argument(help="Where the collections go, one folder each.")]) -> None:
    """Makes all that can be made here."""
    console = Console()
    for name, maker in MAKERS.items():
        try:
            made = maker()
        except ModuleNotFoundError as error:
            console.print(f"{name}: left out, {error.name or error} is not installed")
            continue
        write(made, folder / name)
        console.print(f"{name}: {len(made.documents):,} documents, {len(made.queries):,} queries")


if __name__ == "__main__":
    typer.run(main)
