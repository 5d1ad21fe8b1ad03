"""The first-party plugins together: late interaction blended and replacing, restarts, two real indexes."""

from __future__ import annotations

from real_server import Servers

from tamis.v1 import index_service_pb2
from tamis.v1 import passage_pb2 as pb

STAGES = """
[models.minilm]
plugin = "sentence-transformers"
[stages.bm25]
plugin = "tantivy"
[stages.dense]
plugin = "qdrant"
embedder = "minilm"
[stages.late]
plugin = "late-interaction"
embedder = "minilm"
[stages.answer]
plugin = "extractive"
[pipelines.default]
expression = "(bm25 % 50 | dense % 50) % 100 >> (prior | late) % 50 >> answer"
"""
TEXTS = {
    "boiling": "Water boils at one hundred degrees Celsius at sea level. On a mountain it boils earlier.",
    "freezing": "Water freezes at zero degrees Celsius. Salt lowers that point.",
    "cats": "Cats sleep for most of the day and hunt at dusk.",
    "trains": "The night train from Paris to Vienna leaves in the evening.",
}


async def test_a_question_is_answered_by_meaning_and_cited_to_the_byte(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.fill(TEXTS)
        found = await client.search("At how many degrees does water boil?")
    assert found.hits[0].passage.document_id == "boiling"
    assert found.answer.finish_reason == pb.FINISH_REASON_ANSWERED
    (citation, *_) = found.answer.citations
    evidence = TEXTS[citation.document_id].encode()[citation.document_span.start : citation.document_span.end]
    assert evidence.decode() == "Water boils at one hundred degrees Celsius at sea level."
    assert found.answer.text.encode()[citation.answer_span.start : citation.answer_span.end] == evidence


async def test_late_interaction_replaces_or_blends(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.fill(TEXTS)
        replaced = await client.search("feline habits", "dense >> late")
        blended = await client.search("feline habits", "dense >> (prior | late)")
    assert replaced.hits[0].passage.document_id == blended.hits[0].passage.document_id == "cats"
    assert {each.score_kind for each in replaced.hits} == {pb.SCORE_KIND_MAX_SIM}
    assert {each.score_kind for each in blended.hits} == {pb.SCORE_KIND_RANK_FUSION}
    late = {hit.passage.id: score for hit in blended.hits for score in hit.stage_scores if score.stage == "late"}
    assert {hit.passage.id: hit.score for hit in replaced.hits} == {key: each.score for key, each in late.items()}


async def test_words_find_what_meaning_does_not_know_and_the_other_way_round(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.fill({**TEXTS, "code": "Error TMS-4711 means that the sieve is clogged."})
        by_words = await client.search("TMS-4711", "bm25")
        by_meaning = await client.search("kitten", "dense % 1")
        assert [each.passage.document_id for each in by_words.hits] == ["code"]
        assert "TMS" in by_words.hits[0].snippet
        assert [each.passage.document_id for each in by_meaning.hits] == ["cats"]
        assert not (await client.search("kitten", "bm25")).hits


async def test_after_a_restart_everything_is_found_at_once(servers: Servers) -> None:
    async with servers.start(STAGES) as client:
        await client.fill(TEXTS)
        before = {stage: await client.search("water", stage) for stage in ("bm25", "dense")}
    async with servers.start(STAGES) as client:
        known = await client.index.GetCollection(index_service_pb2.GetCollectionRequest(collection="docs"))
        assert {each.stage: each.lag_count for each in known.collection.indexes}.keys() == {"bm25", "dense"}
        await client.wait()
        for stage, expected in before.items():
            assert (await client.search("water", stage)).hits == expected.hits
        await client.write([pb.Document(id="ice", text="Ice is frozen water.")])
        await client.wait()
        assert "ice" in await client.found("water", "bm25")
