"""What is read once is not read again, across the socket: queries, pairs, and passages that cannot reach the top."""

from __future__ import annotations

from real_server import Servers

from tamis.v1 import passage_pb2 as pb
from tamis.v1 import search_service_pb2, value_pb2

MODELS = """
[models.minilm]
plugin = "sentence-transformers"
query_cache_bytes = {query_cache_bytes}
[stages.dense]
plugin = "qdrant"
embedder = "minilm"
[stages.late]
plugin = "late-interaction"
embedder = "minilm"
store = "int8"
cache_bytes = 0
[pipelines.default]
expression = "dense % 50 >> late"
"""
FAKES = """
[stages.words]
plugin = "fake-memory"
[stages.rank]
plugin = "fake-words"
[stages.first]
plugin = "progressive"
reranker = "rank"
step = 2
expected_newcomers = 5
[pipelines.default]
expression = "words >> first % 2"
"""
TEXTS = {
    "boiling": "Water boils at one hundred degrees Celsius at sea level.",
    "freezing": "Water freezes at zero degrees Celsius. Salt lowers that point.",
    "cats": "Cats sleep for most of the day and hunt at dusk.",
}
QUESTION = "At how many degrees does water boil?"
_QUESTION_TOKENS = 10  # with the two special ones


def _usages(found: search_service_pb2.SearchResponse) -> list[tuple[int, int]]:
    """Model calls and tokens read, of the dense retriever and of late interaction."""
    reports = {each.stage: each.usage for each in found.stage_reports}
    return [(reports[name].model_call_count, reports[name].input_token_count) for name in ("dense", "late")]


async def test_stored_vectors_leave_only_the_query_to_encode(servers: Servers) -> None:
    async with servers.start(MODELS.format(query_cache_bytes=0)) as client:
        await client.fill(TEXTS)
        found = await client.search(QUESTION)
    assert _usages(found) == [(1, _QUESTION_TOKENS), (1, _QUESTION_TOKENS)]
    (late,) = [each.usage for each in found.stage_reports if each.stage == "late"]
    assert late.cache_hit_count == late.pair_count == len(TEXTS)


async def test_all_stages_of_a_search_and_the_next_one_share_one_encoding_of_the_query(servers: Servers) -> None:
    async with servers.start(MODELS.format(query_cache_bytes=1_000_000)) as client:
        await client.fill(TEXTS)
        first, again = await client.search(QUESTION), await client.search(QUESTION)
        other = await client.search("feline habits")
    assert _usages(first) == [(1, _QUESTION_TOKENS), (0, 0)]
    assert _usages(again) == [(0, 0), (0, 0)]
    assert [(hit.passage.id, hit.score) for hit in again.hits] == [(hit.passage.id, hit.score) for hit in first.hits]
    assert _usages(other)[0][0] == 1
    assert other.hits[0].passage.document_id == "cats"


async def test_a_stage_that_leaves_passages_out_on_purpose_has_run(servers: Servers) -> None:
    texts = {f"d{number}": f"smooth sauce {'and gravy ' * number}" for number in range(8)}
    async with servers.start(FAKES) as client:
        await client.fill(texts)
        some = await client.search("smooth sauce")
        override = search_service_pb2.StageOverride(
            stage="first", setting="risk", value=value_pb2.Value(double_value=0)
        )
        everything = await client.search("smooth sauce", stage_overrides=[override])
    report, full = [each.stage_reports[-1] for each in (some, everything)]
    assert (report.stage, report.outcome) == ("first", pb.STAGE_OUTCOME_RAN)
    assert 2 <= report.done_count < report.total_count == len(texts)
    assert list(report.notes) == ["passages left out: they can hardly reach the top"]
    assert full.done_count == len(texts)
