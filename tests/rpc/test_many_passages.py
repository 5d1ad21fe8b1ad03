"""As many passages as a rerank takes, one of them as long as a passage may be; and one more."""

from __future__ import annotations

import pytest
from real_server import CallFailed, Client, Servers, fakes

from tamis.v1 import passage_pb2 as pb
from tamis.v1 import search_service_pb2

MOST = 10_000


async def _reranked(client: Client, passages: list[pb.Passage]) -> search_service_pb2.RerankResponse:
    request = search_service_pb2.RerankRequest(query="smooth sauce", passages=passages, pipeline="default")
    found: search_service_pb2.RerankResponse = await client.call(client.searches.Rerank(request, timeout=60))
    return found


async def test_ten_thousand_passages_come_back_each_once_and_one_more_is_refused(servers: Servers) -> None:
    texts = [" ", "?", "smooth sauce", "smooth sauce", "sauce " * 170_000]
    passages = [pb.Passage(id=f"p{n}", text=texts[n] if n < len(texts) else f"text {n}") for n in range(MOST)]
    async with servers.start(fakes("words >> rank")) as client:
        found = await _reranked(client, passages)
        with pytest.raises(CallFailed) as caught:
            await _reranked(client, [*passages, pb.Passage(id="one more", text="text")])
    assert sorted(hit.passage.id for hit in found.hits) == sorted(each.id for each in passages)
    assert [hit.passage.id for hit in found.hits][:3] == ["p2", "p3", "p4"]
    (report,) = found.stage_reports
    assert (report.outcome, report.done_count, report.total_count) == (pb.STAGE_OUTCOME_RAN, MOST, MOST)
    assert caught.value.violations.keys() == {"passages"}
