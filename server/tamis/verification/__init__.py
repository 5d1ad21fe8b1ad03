"""Compares the journal with every index, passage by passage, while both are in use."""

from tamis.verification.comparison import Comparison, Verification

__all__ = ["Comparison", "Verification"]
