"""The language-model plugin: any causal language model of transformers, from safetensors or GGUF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis_transformers.checkpoint import located, located_gguf
from tamis_transformers.local_llm import LocalLlm, LocalLlmSettings

if TYPE_CHECKING:
    from tamis_transformers.language_model import LanguageModel

__all__ = ["CausalLm", "CausalLmSettings"]


class CausalLmSettings(LocalLlmSettings):
    """`model` is a folder with safetensors, a GGUF file, or a hub id downloaded before; `tokenizer` is another folder
    for a model that brings none, or one that loads slowly. `chat_template = false` gives a base model a plain
    transcript although its tokenizer has a template. `context_token_count` lowers what is read where memory is short.
    """

    chat_template: bool = True


class CausalLm(LocalLlm):
    """Continues a text. Reads its prompt in parts; between two of them the call is asked."""

    Settings = CausalLmSettings

    def __init__(self, settings: CausalLmSettings) -> None:
        super().__init__(settings)
        self._path = located_gguf(settings.model) or located(settings.model)
        self._tokenizer_path = self._path if settings.tokenizer is None else located(settings.tokenizer)
        self._has_template = settings.chat_template

    def load(self) -> LanguageModel:
        from tamis_transformers.language_model import LanguageModel

        settings = self._settings
        return LanguageModel(
            self._path,
            self._tokenizer_path,
            device=settings.device,
            dtype=settings.dtype,
            context_token_count=settings.context_token_count,
            has_template=self._has_template,
        )
