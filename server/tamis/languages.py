"""Languages by their ISO 639-1 code, with the names that Snowball's stemmers go by."""

from __future__ import annotations

from tamis.errors import ConfigurationError, InvalidRequest

__all__ = ["STEMMERS", "known_language", "stemmer"]

STEMMERS = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
}
"""ISO 639-1 codes, each with the name of its stemmer; those that Tantivy and snowballstemmer both have."""


def known_language(language: str, field: str = "language") -> str:
    """The language itself, or empty for none. Raises `InvalidRequest` with the codes there are."""
    if language and language not in STEMMERS:
        raise InvalidRequest.of(field, f"{language[:32]!r} is not known; allowed: {', '.join(sorted(STEMMERS))}")
    return language


def stemmer(language: str) -> str:
    """The name of a language's stemmer. Raises `ConfigurationError` with the codes there are."""
    if language not in STEMMERS:
        raise ConfigurationError(f"language {language!r} has no stemmer; allowed: {', '.join(sorted(STEMMERS))}")
    return STEMMERS[language]
