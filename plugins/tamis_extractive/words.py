"""The words of a text that carry meaning, stemmed."""

from __future__ import annotations

import re

import snowballstemmer

from tamis.languages import stemmer

__all__ = ["Words"]

_FUNCTION_WORDS = {
    "en": """a about an and any are as at be been but by can could did do does for from get give had has have how i if
    in into is it its make me mean means my not of on one or our should so some tell than that the their them then there
    these they this those to use used using want was way we were what when where which while who whom whose why will
    with would you your""",
    "de": """aber als am an auf aus bei bin das dass dem den der des die ein eine einem einen einer es für hat
    ich ihr im in ist kann mit nicht oder sich sie sind so und uns von war warum was welche wer werden wie wir
    wird wo zu zum""",
    "fr": """a au aux avec ce ces comment dans de des du elle en est et eux il ils je la le les leur lui ma mais me ne
    nous on ou où par pas pour pourquoi qu que quel quelle qui quoi sa se si son sur un une vous""",
    "es": """al como con cual cuando cuál cómo de del dónde el ella en es esta este la las lo los me mi no o para pero
    por porque qué que quien quién se si sin su un una y yo""",
}
"""Words of questions and grammar: rare in documents, so that rarity alone would not tell them apart."""


class Words:
    """Turns text of one language into stems. Raises `ConfigurationError` for an unknown one. Not thread-safe."""

    def __init__(self, language: str) -> None:
        self._stemmer = snowballstemmer.stemmer(stemmer(language))
        self._ignored = frozenset(_FUNCTION_WORDS.get(language, "").split())

    def stems(self, text: str) -> list[str]:
        """The stems of a text in order, function words left out; names such as `os.path` and `read_text` in parts."""
        words = re.findall(r"[^\W_]+", text.lower())
        return [str(each) for each in self._stemmer.stemWords([word for word in words if word not in self._ignored])]
