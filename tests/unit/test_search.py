"""What a search asks of its stages."""

from __future__ import annotations

from tamis.deadline import Deadline
from tamis.events import StageRole
from tamis.expression import parse
from tamis.model import Document, Query
from tamis.pipeline import Pipeline
from tamis.search import Search

PIPELINE = Pipeline("", parse("words"), {}, {"words": StageRole.RERANKER})


def test_documents_to_be_alike_are_looked_for_with_the_query_which_alone_is_answered() -> None:
    search = Search(PIPELINE, Query("why?", "docs"), like_document_ids=("a", "b"))
    request = search.request(Deadline(), like=[Document("a", "x" * 9_000, "Title"), Document("b", "short")])
    assert request.query.text.startswith("why?\nTitle\nxxx")
    assert request.query.text.endswith("\nshort")
    assert len(request.query.text) < 3_000
    assert request.query.excluded_document_ids == {"a", "b"}
    assert request.asked.text == "why?"


def test_quotes_in_documents_to_be_alike_make_no_phrases() -> None:
    search = Search(PIPELINE, Query('"my phrase"', "docs"), like_document_ids=("a",))
    request = search.request(Deadline(), like=[Document("a", 'he said "never again')])
    assert request.query.text == '"my phrase"\n\nhe said  never again'


def test_documents_to_be_alike_without_a_query_leave_nothing_to_answer() -> None:
    request = Search(PIPELINE, Query("", "docs"), like_document_ids=("a",)).request(
        Deadline(), like=[Document("a", "t")]
    )
    assert not request.is_question
    assert request.query.text.strip() == "t"
