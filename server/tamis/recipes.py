"""What the configuration makes generations of: which chunker divides, and which component answers for a stage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import structlog
from pydantic_core import to_jsonable_python

from tamis.chunking import Chunker
from tamis.component import Component, references
from tamis.config import Config
from tamis.errors import ConfigurationError
from tamis.ingest.passages import SentencesChunker
from tamis.journal import Collection, Recipe
from tamis.models import Embedder
from tamis.plugins import Components

__all__ = ["Recipes"]

_LOG = structlog.get_logger(__name__)


class Recipes:
    """The recipe of generations that are begun now, and the parts of those that were begun before."""

    def __init__(self, config: Config, components: Components) -> None:
        """Raises `ConfigurationError` when the chunker is none."""
        self._config, self._components = config, components
        configured = {name: each for name, each in components.items() if isinstance(each, Chunker)}
        self._chunkers: dict[str, Chunker] = {"": SentencesChunker(SentencesChunker.Settings()), **configured}
        self._stages: dict[tuple[tuple[str, str], ...], Mapping[str, Component]] = {}
        self._check(config.ingest.chunker)

    @property
    def current(self) -> Recipe:
        """What is configured now. To be asked once the components are open."""
        name = self._config.ingest.chunker
        return Recipe(name, self._digests[name], self._config.replacements)

    def chunker(self, recipe: Recipe) -> Chunker:
        """What divides documents for a generation: a chunker of the same settings, or else of the same name.

        Raises `ConfigurationError` when neither is configured any more.
        """
        alike = (name for name, digest in self._digests.items() if digest == recipe.chunker_digest)
        found = self._chunkers.get(next(alike, recipe.chunker))
        if found is None:
            raise ConfigurationError(
                f"it was divided by the chunker {recipe.chunker!r}, which is not configured any more; keep the table "
                f"[models.{recipe.chunker}] until another generation serves and this one is dropped"
            )
        return found

    def components(self, recipe: Recipe) -> Mapping[str, Component]:
        """Every component by its name, and for each stage the one that answers for it in a generation.

        A stage that was replaced by one that does not replace it any more answers for itself: the table of the former
        one is gone by then, and the latter has its name.
        """
        key = tuple(sorted(recipe.replacements.items()))
        if key not in self._stages:
            configured = self._config.replacements
            standing_in = {stage: self._components[by] for stage, by in key if configured.get(stage) == by}
            self._stages[key] = {**self._components, **standing_in}
        return self._stages[key]

    def indexed(self, recipe: Recipe) -> dict[str, Component]:
        """The stages of a generation that pipelines are made of, each with its component."""
        components = self.components(recipe)
        return {name: components[name] for name in self._components.roles}

    def check(self, collections: Iterable[Collection]) -> None:
        """Raises `ConfigurationError` when a collection cannot be written to: it would be a half one from then on."""
        for collection in collections:
            for generation in collection.live:
                try:
                    self.chunker(generation.recipe)
                except ConfigurationError as error:
                    message = f"collection {collection.id!r}, generation {generation.number}: {error.message}"
                    raise self._config.error(message, "ingest") from None
                if generation.recipe.chunker_digest not in self._digests.values():
                    _LOG.warning(
                        "chunker was changed in its place; documents are divided so only as they are written",
                        collection=collection.id,
                        generation=generation.number,
                        chunker=generation.recipe.chunker or "(built in)",
                    )

    @cached_property
    def _digests(self) -> dict[str, str]:
        """What tells chunkers apart, by name. Some are known only once the models they refer to are open."""
        return {name: _digest(each) for name, each in self._chunkers.items()}

    def _check(self, name: str) -> None:
        if name in self._chunkers:
            return
        known = ", ".join(sorted(self._chunkers.keys() - {""})) or "none"
        problem = f"is not configured; configured chunkers: {known}"
        if name in self._components:
            problem = f"is a {type(self._components[name]).__name__}, not a Chunker"
        raise self._config.error(f"[ingest] chunker names {name!r}, which {problem}", "ingest", "chunker")


def _digest(chunker: Chunker) -> str:
    described = json.dumps([type(chunker).__name__, _described(chunker)], sort_keys=True)
    return hashlib.blake2b(described.encode(), digest_size=12).hexdigest()


def _described(component: Component) -> dict[str, Any]:
    """The settings of a chunker, in which a model stands by what it makes of texts and not by where it runs."""
    settings, named = component.settings, references(type(component.settings))
    described: dict[str, Any] = to_jsonable_python(settings.model_dump(exclude={*named}), fallback=str)
    for field in named:
        value = getattr(settings, field)
        each = value if isinstance(value, tuple) else () if value is None else (value,)
        described[field] = [one.fingerprint if isinstance(one, Embedder) else type(one).__name__ for one in each]
    return described
