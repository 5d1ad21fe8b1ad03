"""The extractive generator keeps the contract."""

from __future__ import annotations

from tamis.testing.contract import GeneratorContract
from tamis_extractive import ExtractiveGenerator


class TestExtractive(GeneratorContract):
    def component(self) -> ExtractiveGenerator:
        return ExtractiveGenerator(ExtractiveGenerator.Settings())
