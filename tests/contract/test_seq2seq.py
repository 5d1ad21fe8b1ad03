"""Encoder-decoder language models keep the contract."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from checkpoints.seq2seq import save_seq2seq

from tamis.testing.contract import LlmContract
from tamis_transformers.seq2seq_lm import Seq2SeqLm

_FOLDER = TemporaryDirectory()


@cache
def _checkpoint(kind: str) -> str:
    return str(save_seq2seq(Path(_FOLDER.name) / kind, kind))


class TestT5(LlmContract):
    def component(self) -> Seq2SeqLm:
        return Seq2SeqLm(Seq2SeqLm.Settings(model=_checkpoint("flan"), device="cpu", dtype="float32"))


class TestBart(LlmContract):
    def component(self) -> Seq2SeqLm:
        return Seq2SeqLm(Seq2SeqLm.Settings(model=_checkpoint("bart"), device="cpu", dtype="float32"))
