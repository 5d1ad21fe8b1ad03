"""Answers made of the passages' own sentences."""

from tamis_extractive.generator import ExtractiveGenerator

__all__ = ["ExtractiveGenerator"]
