"""Whatever the hits are and whatever a language model does: an answer, or a reason why there is none, and every hit."""

from __future__ import annotations

from typing import Any

import pytest
from real_server import Client, Servers

from tamis.testing.plugins import SECRET
from tamis.v1 import passage_pb2 as pb
from tamis.v1 import search_service_pb2

TEXTS = {
    "bridge": "The old bridge was built in 1871. It is made of iron.",
    "guide": "According to the guide the old bridge was built in 1902.",
    "ferry": "The ferry leaves at nine.",
}
QUESTION = "When was the old bridge built?"
ANSWERED, TRUNCATED = pb.FINISH_REASON_ANSWERED, pb.FINISH_REASON_TRUNCATED
INSUFFICIENT, NO_HITS = pb.FINISH_REASON_INSUFFICIENT_EVIDENCE, pb.FINISH_REASON_NO_HITS
FAILED = pb.FINISH_REASON_FAILED
RAN, PARTIAL, FELL_BACK = pb.STAGE_OUTCOME_RAN, pb.STAGE_OUTCOME_PARTIAL, pb.STAGE_OUTCOME_FELL_BACK
QUOTED = "The old bridge was built in 1871. According to the guide the old bridge was built in 1902."


def _stages(model: str, *, answer: str = "", pick: str = "", pipeline: str = "words >> pick >> answer") -> str:
    """Stages `words`, `pick`, `answer` (asks the scripted model) and `quote` (extractive), with settings in TOML."""
    return f"""
[models.scripted]
plugin = "fake-scripted"
{model}
[stages.words]
plugin = "fake-memory"
[stages.pick]
plugin = "passages"
{pick}
[stages.quote]
plugin = "extractive"
[stages.answer]
plugin = "llm"
llm = "scripted"
{answer}
[pipelines.default]
expression = "{pipeline}"
"""


async def _asked(
    servers: Servers, stages: str, question: str = QUESTION, texts: dict[str, str] = TEXTS, timeout: float = 20
) -> tuple[search_service_pb2.SearchResponse, pb.StageReport]:
    async with servers.start(stages) as client:
        await client.fill(texts)
        found = await client.search(question, timeout=timeout)
        events = await client.events(question, timeout=timeout)
    assert events[-1].completed.finish_reason == found.answer.finish_reason
    assert "".join(each.answer_delta.text for each in events) == found.answer.text
    assert SECRET.encode() not in found.SerializeToString()
    hits = {hit.passage.id: hit.passage for hit in found.hits}
    for each in found.answer.citations:
        span, cited = hits[each.passage_id].document_span, each.document_span
        assert span.start <= cited.start < cited.end <= span.end
        assert each.answer_span.end <= len(found.answer.text.encode())
    reports = {each.stage: each for each in found.stage_reports}
    return found, reports["answer"]


def _evidence(found: search_service_pb2.SearchResponse) -> list[tuple[str, str]]:
    """Each citation as the words of the answer and those of the document."""
    spans = [(each, each.answer_span, each.document_span) for each in found.answer.citations]
    answer = found.answer.text.encode()
    return [
        (answer[said.start : said.end].decode(), TEXTS[each.document_id].encode()[cited.start : cited.end].decode())
        for each, said, cited in spans
    ]


async def test_an_answer_cites_the_very_sentence_that_supports_it(servers: Servers) -> None:
    found, report = await _asked(servers, _stages('reply = "It was built in 1871 [1]."'))
    assert (found.answer.text, found.answer.finish_reason) == ("It was built in 1871.", ANSWERED)
    assert _evidence(found) == [("It was built in 1871", "The old bridge was built in 1871.")]
    assert (report.outcome, list(report.notes)) == (RAN, [])
    assert report.usage.model_call_count == 1
    assert report.usage.output_token_count == 9
    assert found.usage.input_token_count == report.usage.input_token_count > 100


async def test_no_hits_is_a_reason_and_no_model_is_asked(servers: Servers) -> None:
    found, report = await _asked(servers, _stages('reply = "Yes [1]."'), question="zebra")
    assert (found.answer.finish_reason, found.answer.text, list(found.hits)) == (NO_HITS, "", [])
    assert report.usage.model_call_count == 0


async def test_one_hit_is_enough(servers: Servers) -> None:
    texts = {"bridge": TEXTS["bridge"]}
    found, _ = await _asked(servers, _stages('reply = "In 1871 [1], or [2]."'), texts=texts)
    assert (found.answer.text, found.answer.finish_reason) == ("In 1871, or.", ANSWERED)
    assert len(found.answer.citations) == 1


async def test_hits_that_contradict_each_other_are_both_shown_and_both_cited(servers: Servers) -> None:
    reply = "The passages disagree: the bridge was built in 1871 [1] or, says the guide, in 1902 [2]."
    found, _ = await _asked(servers, _stages(f'reply = "{reply}"', pick="passages_factual = 2"))
    assert [each.document_id for each in found.answer.citations] == ["bridge", "guide"]
    assert found.answer.finish_reason == ANSWERED


async def test_hits_over_the_budget_leave_the_answer_to_those_within_it(servers: Servers) -> None:
    texts = {**TEXTS, "long": "old bridge built when was the " * 40}
    found, report = await _asked(servers, _stages('reply = "In 1871 [1]."', pick="max_tokens = 64"), texts=texts)
    assert [each.document_id for each in found.answer.citations] == ["bridge"]
    assert (found.answer.finish_reason, report.done_count) == (ANSWERED, 1)
    (picked,) = [each for each in found.stage_reports if each.stage == "pick"]
    assert "passages left out: over the token budget" in picked.notes


async def test_when_no_hit_is_within_the_budget_the_evidence_is_insufficient(servers: Servers) -> None:
    texts = {"long": "old bridge built when was the " * 20}
    found, report = await _asked(servers, _stages('reply = "In 1871 [1]."', pick="max_tokens = 64"), texts=texts)
    assert (found.answer.finish_reason, len(found.hits)) == (INSUFFICIENT, 1)
    assert report.usage.model_call_count == 0


@pytest.mark.parametrize(
    ("model", "finish", "outcome", "text", "notes"),
    [
        ('reply = "INSUFFICIENT"', INSUFFICIENT, RAN, "", []),
        ('reply = ""', INSUFFICIENT, RAN, "", ["the model wrote nothing"]),
        ('reply = " \\n "', INSUFFICIENT, RAN, "", ["the model wrote nothing"]),
        ('reply = "I just know."', ANSWERED, RAN, "I just know.", ["the answer cites nothing"]),
        (
            'reply = "In 1871 [99]."',
            ANSWERED,
            RAN,
            "In 1871.",
            ["citation of a passage that does not exist dropped", "the answer cites nothing"],
        ),
        ('reply = "In 1871 [1"', ANSWERED, RAN, "In 1871 [1", ["the answer cites nothing"]),
        ('reply = "Built in 1871 [1]. And"\nfails_after = 6', TRUNCATED, PARTIAL, "Built in 1871.", []),
        ('reply = "never"\nfails_after = 0', FAILED, FELL_BACK, "", []),
    ],
)
async def test_every_way_a_model_can_go_wrong_has_its_outcome(
    servers: Servers, model: str, finish: int, outcome: int, text: str, notes: list[str]
) -> None:
    found, report = await _asked(servers, _stages(model))
    assert (found.answer.finish_reason, report.outcome, found.answer.text) == (finish, outcome, text)
    assert list(report.notes) == notes
    assert len(found.hits) == 3


@pytest.mark.parametrize("reply", ["It was built, they say, and built again, and built once more, ", "ha", "[1] "])
async def test_a_model_that_repeats_for_ever_is_stopped(servers: Servers, reply: str) -> None:
    found, report = await _asked(servers, _stages(f'reply = "{reply}"\nendless = true', answer="max_tokens = 64"))
    assert found.answer.finish_reason == (TRUNCATED if found.answer.text else INSUFFICIENT)
    assert report.outcome == RAN
    assert any(each.endswith("and was stopped") for each in report.notes)
    assert len(found.hits) == 3


@pytest.mark.parametrize(
    ("model", "note"),
    [
        ('reply = ""', "the model wrote nothing, the fallback answered"),
        ('reply = "never"\nfails_after = 0', "the model failed, the fallback answered"),
        ('reply = "never"\nhangs_after = 0', "the model was too slow, the fallback answered"),
    ],
)
async def test_the_fallback_answers_in_place_of_a_silent_model(servers: Servers, model: str, note: str) -> None:
    stages = _stages(model, answer='fallback = "quote"\nfallback_seconds = 0.6', pick='order = "rank"')
    found, report = await _asked(servers, stages, timeout=1.5)
    assert (found.answer.text, found.answer.finish_reason) == (QUOTED, ANSWERED)
    assert (report.outcome, list(report.notes)) == (RAN, [note])
    assert [each.document_id for each in found.answer.citations] == ["bridge", "guide"]


async def test_a_model_that_falls_silent_half_way_leaves_its_words(servers: Servers) -> None:
    stages = _stages('reply = "Built in 1871 [1]. And so on"\nhangs_after = 6', answer='fallback = "quote"')
    found, report = await _asked(servers, stages, timeout=1.2)
    assert (found.answer.text, found.answer.finish_reason) == ("Built in 1871.", TRUNCATED)
    assert (report.outcome, report.reason) == (PARTIAL, pb.STAGE_REASON_DEADLINE)
    assert len(found.answer.citations) == 1


async def _generated(client: Client, passages: list[pb.Passage]) -> tuple[str, list[pb.Citation], list[pb.StageReport]]:
    request = search_service_pb2.GenerateRequest(query=QUESTION, passages=passages, pipeline="default")
    events: list[Any] = [each async for each in client.stream(client.searches.Generate(request, timeout=20))]
    deltas = [each.answer_delta for each in events if each.HasField("answer_delta")]
    citations = [citation for delta in deltas for citation in delta.citations]
    return "".join(each.text for each in deltas), citations, list(events[-1].completed.stage_reports)


async def test_what_is_read_as_one_passage_is_cited_as_those_it_was_made_of(servers: Servers) -> None:
    """Two overlapping passages of one document; the model sees one, and cites a sentence that crosses their border."""
    text = "The old bridge was built in 1871. It was widened in 1902 for the tram. It is made of iron."
    spans = [(0, 50), (34, len(text))]
    passages = [
        pb.Passage(id=f"p{start}", document_id="d", text=text[start:end], document_span={"start": start, "end": end})
        for start, end in spans
    ]
    reply = "Built in 1871 [1]. Widened in 1902 for the tram [1]. Made of iron [1]. Nobody knows everything [1]."
    async with servers.start(_stages(f'reply = "{reply}"')) as client:
        _, citations, reports = await _generated(client, passages)
    cited = [(each.passage_id, text[each.document_span.start : each.document_span.end]) for each in citations]
    assert cited == [
        ("p0", "The old bridge was built in 1871."),
        ("p34", "It was widened in 1902 for the tram."),
        ("p34", "It is made of iron."),
        ("p0", text[0:50]),
        ("p34", text[50:]),
    ]
    assert [list(each.notes) for each in reports] == [[], []]
