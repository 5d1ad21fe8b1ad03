"""Headings, pages and lines from the documents that came in to the citations that go out."""

from __future__ import annotations

from typing import Any

import pytest
from real_server import CallFailed, Client, Servers, fakes

from tamis.v1 import index_service_pb2, passage_pb2

TEXT = "Über Siebe\n\nA drum sieve makes\na sauce smooth.\n\fAn iron pan wants oil."
PAGE_2 = len(TEXT.split("\f")[0].encode()) + 1
CONFIG = """
[models.chunks]
plugin = "sentences"
[ingest]
chunker = "chunks"
[stages.words]
plugin = "tantivy"
[stages.answer]
plugin = "extractive"
[pipelines.default]
expression = "words >> answer"
"""


def _heading(start: int, text: str = "Heading", level: int = 1) -> passage_pb2.Landmark:
    return passage_pb2.Landmark(start=start, heading=passage_pb2.Heading(text=text, level=level))


def _page(start: int, page: int) -> passage_pb2.Landmark:
    return passage_pb2.Landmark(start=start, page=page)


LANDMARKS = [_page(0, 4), _heading(0, "Sieves"), _heading(13, "Drums", 2), _page(PAGE_2, 5)]


async def _stored(client: Client) -> passage_pb2.Document:
    request = index_service_pb2.GetDocumentRequest(collection="docs", document_id="tools.pdf")
    found: index_service_pb2.GetDocumentResponse = await client.call(client.index.GetDocument(request))
    return found.document


async def test_landmarks_come_back_as_they_were_written_and_citations_have_their_own_lines_and_pages(
    servers: Servers,
) -> None:
    async with servers.start(CONFIG) as client:
        await client.create()
        await client.write([passage_pb2.Document(id="tools.pdf", text=TEXT, landmarks=LANDMARKS)])
        await client.wait()
        assert list((await _stored(client)).landmarks) == LANDMARKS
        found = await client.search("What makes a sauce smooth?")
        (hit,) = found.hits
        assert list(hit.passage.heading_path)[:1] == ["Sieves"]
        assert hit.passage.heading == hit.passage.heading_path[-1]
        assert hit.passage.locator == passage_pb2.Locator(first_page=4, last_page=5, first_line=1, last_line=5)
        places = {
            TEXT.encode()[each.document_span.start : each.document_span.end].decode(): each.locator
            for each in found.answer.citations
        }
        assert places["A drum sieve makes\na sauce smooth."] == passage_pb2.Locator(
            first_page=4, last_page=4, first_line=3, last_line=4
        )


async def test_a_stateless_call_says_nothing_of_places(servers: Servers) -> None:
    from tamis.v1 import search_service_pb2

    async with servers.start(CONFIG) as client:
        passages = [passage_pb2.Passage(id="a", text="A drum sieve makes a sauce smooth.")]
        request = search_service_pb2.GenerateRequest(query="What makes a sauce smooth?", passages=passages)
        events = [each async for each in client.stream(client.searches.Generate(request))]
        citations = [citation for each in events for citation in each.answer_delta.citations]
        assert citations
        assert not any(each.HasField("locator") for each in citations)


WRONG: list[tuple[list[passage_pb2.Landmark], str]] = [
    ([_page(-1, 1)], "[0].start"),
    ([_page(1_000, 1)], "[0].start"),
    ([_page(5, 1), _page(4, 2)], "[1].start"),
    ([_page(1, 1)], "[0].start"),
    ([_page(0, 0)], "[0].page"),
    ([_page(0, -3)], "[0].page"),
    ([passage_pb2.Landmark(start=0)], "[0]"),
    ([_heading(0, "")], "[0].heading.text"),
    ([_heading(0, " \n")], "[0].heading.text"),
    ([_heading(0, "x" * 1_025)], "[0].heading.text"),
    ([_heading(0, level=0)], "[0].heading.level"),
    ([_heading(0, level=10)], "[0].heading.level"),
    ([_page(0, 1)] * 100_001, ""),
]


@pytest.mark.parametrize(("landmarks", "field"), WRONG, ids=lambda each: str(each)[:20])
async def test_landmarks_that_do_not_fit_the_text_are_refused_with_the_field_to_blame(
    servers: Servers, landmarks: Any, field: str
) -> None:
    async with servers.start(fakes()) as client:
        await client.create()
        with pytest.raises(CallFailed) as caught:
            await client.write([passage_pb2.Document(id="d", text=TEXT, landmarks=landmarks)])
        assert list(caught.value.violations) == [f"documents[0].landmarks{field}"]
