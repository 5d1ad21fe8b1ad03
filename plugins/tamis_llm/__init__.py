"""Answers written by a language model from the passages it is given."""

from tamis_llm.generator import LlmGenerator

__all__ = ["LlmGenerator"]
