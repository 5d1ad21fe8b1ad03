"""Measures answers: how often there is one, and whether what it cites is where the answer stands.

    python benchmarks/answers.py FOLDER [--queries N] [--json] [--ranking EXPRESSION] [--config tamis.toml]
    python benchmarks/answers.py FOLDER --narrowing

FOLDER holds documents/*.txt and questions.jsonl with the bytes of each answer (document, start_byte, end_byte). Every
generator of the configuration is asked, without a context builder and with each one that is configured.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tamis.answering import CONTEXT_SIZE
from tamis.config import Config, load, parse
from tamis.context import Call
from tamis.deadline import Deadline
from tamis.events import Completed, HitsRevised, StageRole
from tamis.generator import AnswerDelta, ContextBuilder
from tamis.ingest.passages import SentencesChunker
from tamis.model import Citation, Document, FinishReason, Hit, Query, Span
from tamis.presentation import Presentation
from tamis.search import Search
from tamis.service import Tamis
from tamis_llm.support import Supports

STAGES = """
[stages.bm25]
plugin = "tantivy"
[stages.passages]
plugin = "passages"
[stages.passages-in-order]
plugin = "passages"
order = "rank"
[stages.passages-3]
plugin = "passages"
passages_factual = 3
[stages.passages-10]
plugin = "passages"
kind = "research"
[stages.extractive]
plugin = "extractive"
"""
PAGE = 10


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and where its answer stands."""

    text: str
    answer: str
    document: str
    span: Span

    def is_in(self, document: str, span: Span) -> bool:
        """Whether a span of a document has some of the answer."""
        return document == self.document and span.start < self.span.end and self.span.start < span.end


@dataclass(slots=True)
class Measured:
    """What became of the questions, one entry each; of `cited`, one for each citation."""

    answered: list[bool] = field(default_factory=list)
    cited: list[bool] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    in_context: list[bool] = field(default_factory=list)
    passages: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """The means, and the median time in milliseconds. `precision` is by citation, the others are by question."""
        return {
            "answered": _mean(self.answered),
            "precision": _mean(self.cited),
            "recall": _mean(self.found),
            "in_context": _mean(self.in_context),
            "passages": _mean(self.passages),
            "median_ms": statistics.median(self.seconds) * 1_000,
        }


def collection(folder: Path, count: int | None) -> tuple[list[Document], list[Question]]:
    """The documents, and a sample of the questions, the same each time."""
    documents = [Document(file.stem, file.read_text()) for file in sorted((folder / "documents").glob("*.txt"))]
    lines = [json.loads(line) for line in (folder / "questions.jsonl").read_text().splitlines()]
    questions = [
        Question(each["text"], each["answer"], str(each["document"]), Span(each["start_byte"], each["end_byte"]))
        for each in lines
    ]
    return documents, questions if count is None else random.Random(0).sample(questions, min(count, len(questions)))


async def measure(config: Config, ranking: str, documents: Sequence[Document], questions: Sequence[Question]) -> Any:
    """Indexes once, then asks every generator behind every context builder the same questions."""
    with tempfile.TemporaryDirectory() as data:
        tamis = Tamis(config.with_server(data_directory=data))
        await tamis.open()
        try:
            await tamis.create_collection("c")
            await tamis.write("c", documents)
            await tamis.wait_indexed("c", 0, deadline=Deadline.after(3_600))
            roles = tamis.components.roles
            builders = [None, *(name for name, role in roles.items() if role is StageRole.CONTEXT_BUILDER)]
            generators = [name for name, role in roles.items() if role is StageRole.GENERATOR]
            return {
                f"{generator}, {builder or f'first {CONTEXT_SIZE}'}": await _variant(
                    tamis, ranking, builder, generator, questions
                )
                for generator in generators
                for builder in builders
            }
        finally:
            await tamis.close()


async def _variant(
    tamis: Tamis, ranking: str, builder: str | None, generator: str, questions: Sequence[Question]
) -> dict[str, float]:
    pipeline = tamis.pipelines.resolve(" >> ".join(part for part in (ranking, builder, generator) if part))
    measured = Measured()
    for question in track(questions, f"{generator}, {builder}", console=Console(stderr=True), transient=True):
        hits, citations, reason = tuple[Hit, ...](), list[Citation](), FinishReason.FAILED
        search, started = Search(pipeline, Query(question.text, "c"), Presentation(PAGE)), time.perf_counter()
        async for event in tamis.search(search, Deadline.after(120)):
            match event:
                case HitsRevised():
                    hits = event.hits
                case AnswerDelta():
                    citations += event.citations
                case Completed():
                    reason = event.finish_reason
        measured.seconds.append(time.perf_counter() - started)
        measured.answered.append(reason is FinishReason.ANSWERED)
        right = [question.is_in(each.document_id, each.document_span) for each in citations]
        measured.cited += right
        measured.found.append(any(right))
        context = await _context(tamis, builder, search.query, hits)
        measured.passages.append(len(context))
        measured.in_context.append(any(question.is_in(each.document_id, each.span) for each in context))
    return measured.figures()


async def _context(tamis: Tamis, builder: str | None, query: Query, hits: Sequence[Hit]) -> list[Any]:
    """What the generator read: builders are deterministic."""
    chosen: Sequence[Hit] = hits[:CONTEXT_SIZE]
    if builder is not None:
        component: Any = tamis.components[builder]
        assert isinstance(component, ContextBuilder)
        chosen = await component.build(query, hits, call=Call())
    return [each.passage for each in chosen]


def narrowing(documents: Sequence[Document], questions: Sequence[Question]) -> dict[str, dict[str, float]]:
    """How well a citation finds its sentence: of passages that hold an answer, claims made of some of its words."""
    chunker = SentencesChunker(SentencesChunker.Settings())
    passages = {document.id: chunker.chunk(document) for document in documents}
    found = {}
    for name, asked_share in (("60 % of the answer's words", 0.0), ("and 70 % of the question's", 0.7)):
        chance, right, sizes, count = random.Random(0), list[bool](), list[float](), 0
        for question in questions:
            holding = [each for each in passages[question.document] if question.is_in(question.document, each.span)]
            kept = [word for word in question.answer.split() if chance.random() < 0.6]
            kept += [word for word in question.text.split() if chance.random() < asked_share]
            if holding:
                span = Supports(holding[:1]).span(0, " ".join(kept))
                count += 1
                if span != holding[0].span:
                    right.append(question.is_in(question.document, span))
                    sizes.append((span.end - span.start) / (holding[0].span.end - holding[0].span.start))
        found[name] = {"narrowed": len(right) / count, "right": _mean(right), "size": _mean(sizes)}
    return found


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else 0.0


def main(
    folder: Annotated[Path, typer.Argument(help="A collection whose answers are spans of its documents.")],
    queries: Annotated[int | None, typer.Option(help="A sample of so many questions, the same each time.")] = None,
    ranking: Annotated[str, typer.Option(help="What stands before the context builder.")] = "bm25 % 50",
    config: Annotated[Path | None, typer.Option(help="Stages of your own, context builders and generators.")] = None,
    narrow: Annotated[bool, typer.Option("--narrowing", help="Only how well citations find their sentence.")] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Prints a table, one row a variant."""
    documents, questions = collection(folder, queries)
    if narrow:
        found = narrowing(documents, questions)
    else:
        chosen = parse(STAGES) if config is None else load(config)
        found = asyncio.run(measure(chosen, ranking, documents, questions))
    if as_json:
        print(json.dumps({"collection": folder.name, "queries": len(questions), "variants": found}))
        return
    table = Table(title=f"{folder.name}: {len(questions):,} questions")
    for column in ("variant", *next(iter(found.values()))):
        table.add_column(column.replace("_", " "), justify="left" if column == "variant" else "right", no_wrap=True)
    for name, figures in found.items():
        table.add_row(name, *(f"{each:,.3f}" if each < 2 else f"{each:,.1f}" for each in figures.values()))
    Console(width=120).print(table)


if __name__ == "__main__":
    typer.run(main)
