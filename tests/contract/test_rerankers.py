"""The rerankers without a model of their own keep the contract, over fakes and over a model."""

from __future__ import annotations

from tamis.stage import Reranker
from tamis.testing.contract import RerankerContract
from tamis.testing.embedders import HashEmbedder
from tamis.testing.plugins import WordReranker
from tamis_rerankers import EnsembleReranker, MmrReranker, ProgressiveReranker
from tamis_transformers import LateInteractionReranker


def mmr(**settings: object) -> MmrReranker:
    embedder = HashEmbedder(HashEmbedder.Settings())
    return MmrReranker(MmrReranker.Settings.model_validate({"embedder": embedder, **settings}))


def ensemble(*rerankers: Reranker, **settings: object) -> EnsembleReranker:
    return EnsembleReranker(EnsembleReranker.Settings.model_validate({"rerankers": rerankers, **settings}))


def words() -> WordReranker:
    return WordReranker(WordReranker.Settings())


def late() -> LateInteractionReranker:
    embedder = HashEmbedder(HashEmbedder.Settings())
    return LateInteractionReranker(LateInteractionReranker.Settings(embedder=embedder))


class TestMmr(RerankerContract):
    def component(self) -> MmrReranker:
        return mmr()


class TestMmrByThePriorOrderWithoutCache(RerankerContract):
    def component(self) -> MmrReranker:
        return mmr(relevance="prior", diversity=0.7, cache_bytes=0)


class TestEnsembleByRank(RerankerContract):
    def component(self) -> EnsembleReranker:
        return ensemble(words(), late(), mmr())


class TestEnsembleByMean(RerankerContract):
    def component(self) -> EnsembleReranker:
        return ensemble(words(), late(), mmr(), method="mean", weights=(2.0, 1.0, 0.5))


class TestEnsembleOfOne(RerankerContract):
    def component(self) -> EnsembleReranker:
        return ensemble(words(), method="mean")


class TestProgressive(RerankerContract):
    def component(self) -> ProgressiveReranker:
        return ProgressiveReranker(ProgressiveReranker.Settings(reranker=words()))


class TestProgressiveOneByOne(RerankerContract):
    def component(self) -> ProgressiveReranker:
        return ProgressiveReranker(ProgressiveReranker.Settings(reranker=late(), step=1, expected_newcomers=0.3))
