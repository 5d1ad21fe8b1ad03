"""The language-model plugin for encoder-decoders: T5, Flan-T5, UL2, BART and their like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis_transformers.checkpoint import located
from tamis_transformers.local_llm import LocalLlm, LocalLlmSettings

if TYPE_CHECKING:
    from tamis_transformers.seq2seq_model import Seq2SeqModel

__all__ = ["Seq2SeqLm", "Seq2SeqLmSettings"]


class Seq2SeqLmSettings(LocalLlmSettings):
    """`model` is a folder with safetensors or a hub id downloaded before; `tokenizer` is another folder for a model
    that brings none. `context_token_count` is what prompt and answer may have together: by default as many tokens as
    the checkpoint was trained on; more than that only where positions are relative, as in T5.
    """


class Seq2SeqLm(LocalLlm):
    """Answers a text. The encoder reads the prompt, the decoder writes what follows.

    Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", JMLR 2020. Where
    the last message is the assistant's, the decoder goes on from its text.
    """

    Settings = Seq2SeqLmSettings

    def __init__(self, settings: Seq2SeqLmSettings) -> None:
        super().__init__(settings)
        self._path = located(settings.model)
        self._tokenizer_path = self._path if settings.tokenizer is None else located(settings.tokenizer)

    def load(self) -> Seq2SeqModel:
        from tamis_transformers.seq2seq_model import Seq2SeqModel

        settings = self._settings
        return Seq2SeqModel(
            self._path,
            self._tokenizer_path,
            device=settings.device,
            dtype=settings.dtype,
            context_token_count=settings.context_token_count,
        )
