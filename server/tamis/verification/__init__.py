"""Compares the journal with every index, passage by passage, while both are in use."""

from tamis.verification.aftercare import Aftercare
from tamis.verification.comparison import Comparison, Verification

__all__ = ["Aftercare", "Comparison", "Verification"]
