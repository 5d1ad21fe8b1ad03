"""The rerankers over a language model keep the contract, in every mode and on either kind of model."""

from __future__ import annotations

from typing import Any, ClassVar

from tamis.stage import Reranker
from tamis.testing.contract import RerankerContract
from tamis.testing.contract.collections import TEXTS
from tamis.testing.llms import OracleLlm
from tamis_llm_rankers import ListwiseLlmReranker, PairwiseReranker, QueryLikelihoodReranker, SetwiseReranker

GRADES = {text[:24]: float(place * 7 % 5) for place, text in enumerate(TEXTS)}


class _Contract(RerankerContract):
    kind: ClassVar[Any]
    chosen: ClassVar[dict[str, Any]] = {}
    oracle: ClassVar[dict[str, Any]] = {}

    def component(self) -> Reranker:
        llm = OracleLlm(OracleLlm.Settings(**{"grades": GRADES, "gives_log_probabilities": False, **self.oracle}))
        reranker: Reranker = self.kind(self.kind.Settings(llm=llm, **self.chosen))
        return reranker


class _Listwise(_Contract):
    kind = ListwiseLlmReranker


class TestListwise(_Listwise):
    pass


class TestListwiseInSmallWindows(_Listwise):
    chosen: ClassVar[dict[str, Any]] = {"window": 4, "stride": 2, "passes": 3, "prompt": "few-shot"}


class TestListwiseInTurns(_Listwise):
    chosen: ClassVar[dict[str, Any]] = {"prompt": "rank-gpt"}


class TestListwiseByTheFirstToken(_Listwise):
    chosen: ClassVar[dict[str, Any]] = {"method": "first", "window": 5, "stride": 3}
    oracle: ClassVar[dict[str, Any]] = {"gives_log_probabilities": True}


class _Pairwise(_Contract):
    kind = PairwiseReranker


class TestPairwiseHeap(_Pairwise):
    pass


class TestPairwiseSliding(_Pairwise):
    chosen: ClassVar[dict[str, Any]] = {"method": "sliding", "prompt": "prp"}


class TestPairwiseAllPairs(_Pairwise):
    chosen: ClassVar[dict[str, Any]] = {"method": "all-pairs", "prompt": "few-shot", "max_candidates": 12}


class TestPairwiseByLogProbabilities(_Pairwise):
    chosen: ClassVar[dict[str, Any]] = {"prompt": "duo-t5"}
    oracle: ClassVar[dict[str, Any]] = {"gives_log_probabilities": True}


class TestSetwise(_Contract):
    kind = SetwiseReranker
    chosen: ClassVar[dict[str, Any]] = {"set_size": 5}


class TestSetwiseByLogProbabilities(_Contract):
    kind = SetwiseReranker
    chosen: ClassVar[dict[str, Any]] = {"prompt": "setwise"}
    oracle: ClassVar[dict[str, Any]] = {"gives_log_probabilities": True}


class TestQueryLikelihood(_Contract):
    kind = QueryLikelihoodReranker
    oracle: ClassVar[dict[str, Any]] = {"gives_log_probabilities": True}


class TestQueryLikelihoodOfBaseModels(_Contract):
    kind = QueryLikelihoodReranker
    chosen: ClassVar[dict[str, Any]] = {"prompt": "plain", "per_token": False}
    oracle: ClassVar[dict[str, Any]] = {"gives_log_probabilities": True}
