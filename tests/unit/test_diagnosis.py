"""What `tamis doctor` finds: for each rule a configuration that breaks it and one that keeps it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tamis.component import Capabilities, Component
from tamis.config import Config, parse
from tamis.diagnosis import Finding, diagnose
from tamis.events import StageRole
from tamis.expression import parse as parse_expression
from tamis.model import ScoreKind
from tamis.pipeline import Pipeline

STAGES = {
    "bm25": (StageRole.RETRIEVER, ScoreKind.BM25),
    "dense": (StageRole.RETRIEVER, ScoreKind.COSINE),
    "outside": (StageRole.RETRIEVER, ScoreKind.NONE),
    "late": (StageRole.RERANKER, ScoreKind.MAX_SIM),
    "cross": (StageRole.RERANKER, ScoreKind.LOGIT),
    "context": (StageRole.CONTEXT_BUILDER, ScoreKind.NONE),
    "answer": (StageRole.GENERATOR, ScoreKind.NONE),
}
GOOD = "(bm25 % 50 | dense % 50) % 100 >> (prior | late) % 50 >> cross % 20 >> context >> answer"


class _Declared(Component):
    """Only what it declares matters here."""

    def __init__(self, kind: ScoreKind) -> None:
        self.capabilities = Capabilities(score_kind=kind)  # type: ignore[misc]


def found(
    expression: str = GOOD, *, fusion: str = "z_score", required: str = "[]", name: str = "default", more: str = ""
) -> dict[str, Finding]:
    """The findings for a pipeline over the stages above, by rule."""
    tables = "".join(f'[stages.{stage}]\nplugin = "{stage}"\n' for stage in STAGES if f"[stages.{stage}]" not in more)
    table = (
        f'[pipelines.{name}]\nexpression = "{expression}"\nrequired = {required}\nfusion = {{ kind = "{fusion}" }}\n'
    )
    config = parse(f"{table}{tables}{more}", path="tamis.toml")
    return {each.rule: each for each in diagnose(config, [_pipeline(config, name)])}


def _pipeline(config: Config, name: str) -> Pipeline:
    table = config.pipelines[name]
    return Pipeline(
        name,
        parse_expression(table.expression),
        {stage: _Declared(kind) for stage, (_, kind) in STAGES.items()},
        {stage: role for stage, (role, _) in STAGES.items()},
        table.fusion.build(),
        table.required,
    )


def test_a_good_pipeline_has_no_findings_but_what_it_leaves_out() -> None:
    assert set(found()) == {"unused-stage"}


@pytest.mark.parametrize(
    ("rule", "expression"),
    [
        ("few-candidates", "bm25 % 49 >> cross % 10"),
        ("few-candidates", "(bm25 | dense) % 20 >> (prior | late)"),
        ("few-candidates", "bm25 >> (prior | late) % 30 >> cross"),
        ("keeps-one", "bm25 % 50 >> cross % 1 >> answer"),
        ("short-pages", "bm25 % 3 | dense % 4"),
        ("replaces-order", "(bm25 | dense) >> late % 50"),
        ("ranks-under-scores", "outside | dense"),
    ],
)
def test_a_pitfall_is_found_at_its_line(rule: str, expression: str) -> None:
    finding = found(expression)[rule]
    assert finding.place in ("tamis.toml:2", "tamis.toml:4")
    assert finding.why
    assert finding.remedy


@pytest.mark.parametrize(
    ("rule", "expression"),
    [
        ("few-candidates", "bm25 % 50 >> cross % 10"),
        ("few-candidates", "(bm25 % 25 | dense % 25) >> (prior | late)"),
        ("keeps-one", "bm25 % 2"),
        ("short-pages", "bm25 % 5 | dense % 5"),
        ("replaces-order", "(bm25 | dense) >> (prior | late) % 50"),
        ("replaces-order", "(bm25 | dense) >> cross"),
        ("ranks-under-scores", "bm25 | dense"),
    ],
)
def test_what_is_well_is_not_found(rule: str, expression: str) -> None:
    assert rule not in found(expression)


def test_rank_fusion_may_have_sides_of_ranks_alone() -> None:
    assert "ranks-under-scores" not in found("outside | dense", fusion="rrf")


@pytest.mark.parametrize(("count", "is_found"), [(10, False), (11, True)])
def test_more_than_ten_passages_are_too_many_for_an_answer(count: int, is_found: bool) -> None:
    more = f'[stages.context]\nplugin = "context"\npassages_research = {count}\n'
    assert ("wide-context" in found(more=more)) is is_found


@pytest.mark.parametrize(
    ("kinds", "is_found"),
    [("{ logit = 0.0 }", True), ("{ logit = 0.0, normalized = 1.0 }", False), ("{}", False)],
)
def test_a_threshold_for_one_kind_does_not_hold_for_what_a_failed_stage_leaves(kinds: str, is_found: bool) -> None:
    assert ("mixed-kinds" in found(more=f'[stages.context]\nplugin = "context"\nmin_scores = {kinds}\n')) is is_found


@pytest.mark.parametrize(("required", "is_found"), [('["bm25"]', False), ('["cross"]', True), ('["answer"]', True)])
def test_only_retrievers_are_worth_requiring(required: str, is_found: bool) -> None:
    assert ("required-refiner" in found(required=required)) is is_found


def test_a_configuration_without_a_default_pipeline_is_told_so() -> None:
    assert "no-default" in found(name="other")
    assert "no-default" not in found()


def test_a_stage_that_another_refers_to_is_in_use() -> None:
    more = '[stages.answer]\nplugin = "answer"\nfallback = "outside"\n'
    assert found()["unused-stage"].message.startswith("[stages.outside]")
    assert "unused-stage" not in found(more=more)


@pytest.mark.parametrize(
    ("longest", "embedder", "is_found"),
    [
        (256, 'plugin = "sentence-transformers"', False),
        (257, 'plugin = "sentence-transformers"', True),
        (257, 'plugin = "sentence-transformers"\nmax_tokens = 128', True),
        (129, 'plugin = "other"\nmax_tokens = 128', True),
        (9_999, 'plugin = "other"', False),
    ],
)
def test_passages_must_not_be_longer_than_the_encoder_reads(longest: int, embedder: str, is_found: bool) -> None:
    more = f'[models.e]\n{embedder}\n[models.chunks]\nplugin = "sentences"\nembedder = "e"\nmax_tokens = {longest}\n'
    assert ("long-passages" in found(more=more)) is is_found


def test_a_model_in_a_folder_says_there_how_much_it_reads(tmp_path: Path) -> None:
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 384}))
    for longest, is_found in ((384, False), (385, True)):
        more = (
            f'[models.e]\nplugin = "sentence-transformers"\nmodel = "{tmp_path}"\n'
            f'[models.chunks]\nplugin = "sentences"\nembedder = "e"\nmax_tokens = {longest}\n'
        )
        assert ("long-passages" in found(more=more)) is is_found
