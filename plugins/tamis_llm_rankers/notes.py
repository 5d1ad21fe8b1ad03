"""What is noted on a call when a model's answer had to be repaired."""

from __future__ import annotations

__all__ = [
    "AMBIGUOUS",
    "CALL_LIMIT",
    "INEXACT",
    "IN_WORDS",
    "MISSING",
    "NOTHING",
    "NO_LABEL",
    "PROSE",
    "REPEATED",
    "TOO_MANY",
    "UNKNOWN",
]

AMBIGUOUS = "an answer named no passage, or several; left as a tie"
CALL_LIMIT = "the call limit was reached"
INEXACT = "the model gives no log-probability of a whole query"
IN_WORDS = "the model gives no log-probabilities, so it was asked in words"
MISSING = "passages that an answer left out keep their order behind the others"
NOTHING = "an answer ranked nothing; its passages keep their order"
NO_LABEL = "a label without log-probability counts as the least likely"
PROSE = "an answer said more than it was asked for"
REPEATED = "a passage that an answer named again was dropped"
TOO_MANY = "more passages than max_candidates; the rest keeps its order"
UNKNOWN = "a passage that an answer made up was dropped"
