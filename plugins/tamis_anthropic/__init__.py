"""Language models behind Anthropic's Messages API."""

from tamis_anthropic.llm import AnthropicLlm

__all__ = ["AnthropicLlm"]
