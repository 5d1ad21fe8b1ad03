"""Language models behind OpenAI's API, or any that is compatible with it."""

from tamis_openai.llm import OpenAiLlm

__all__ = ["OpenAiLlm"]
