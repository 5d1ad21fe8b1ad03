"""Chooses which passages a generator reads, and in which order."""

from tamis_context.builder import PassagesContextBuilder

__all__ = ["PassagesContextBuilder"]
