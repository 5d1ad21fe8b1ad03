"""Finds installed plugins by entry point, and says what each is or why it cannot be loaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

from tamis.chunking import Chunker
from tamis.component import CONTRACT_VERSION, Component, Settings
from tamis.events import StageRole
from tamis.generator import ContextBuilder, Generator
from tamis.models import Embedder, Llm
from tamis.reading import Reader
from tamis.stage import Reranker, Retriever

__all__ = ["GROUPS", "ROLES", "Inspected", "InstalledPlugin", "PluginProblem", "discover", "inspect"]

GROUPS: dict[str, type[Component]] = {
    "tamis.retrievers": Retriever,
    "tamis.rerankers": Reranker,
    "tamis.context_builders": ContextBuilder,
    "tamis.generators": Generator,
    "tamis.embedders": Embedder,
    "tamis.llms": Llm,
    "tamis.chunkers": Chunker,
    "tamis.readers": Reader,
}
"""Entry-point groups, each with the class its plugins derive from."""

ROLES: dict[str, StageRole] = {
    "tamis.retrievers": StageRole.RETRIEVER,
    "tamis.rerankers": StageRole.RERANKER,
    "tamis.context_builders": StageRole.CONTEXT_BUILDER,
    "tamis.generators": StageRole.GENERATOR,
}
"""The groups whose plugins are stages, each with its role."""


class PluginProblem(Exception):
    """Why a plugin cannot be loaded, in one line for people."""


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """An entry point that a distribution declares. Nothing of it has been imported yet."""

    name: str
    group: str
    distribution: str
    version: str
    entry_point: EntryPoint

    def load(self) -> type[Component]:
        """Imports the class. Raises `PluginProblem` when that fails or it breaks the contract."""
        try:
            loaded = self.entry_point.load()
        except ModuleNotFoundError as error:
            raise PluginProblem(self._missing(error)) from error
        except Exception as error:
            raise PluginProblem(f"{self.entry_point.value} cannot be imported: {_one_line(error)}") from error
        self._check(loaded)
        component: type[Component] = loaded
        return component

    def _check(self, loaded: Any) -> None:
        role = GROUPS[self.group]
        if not (isinstance(loaded, type) and issubclass(loaded, role)):
            raise PluginProblem(f"{self.entry_point.value} is not a class derived from {role.__name__}")
        if not (isinstance(loaded.Settings, type) and issubclass(loaded.Settings, Settings)):
            raise PluginProblem(f"{self.entry_point.value}.Settings is not derived from tamis.component.Settings")
        written_for = loaded.capabilities.contract_version
        if written_for != CONTRACT_VERSION:
            raise PluginProblem(f"written for contract version {written_for}; this server speaks {CONTRACT_VERSION}")
        if missing := sorted(getattr(loaded, "__abstractmethods__", ())):
            raise PluginProblem(f"{self.entry_point.value} does not implement {', '.join(missing)}")

    def _missing(self, error: ModuleNotFoundError) -> str:
        """Names the extra that brings what is missing, when the distribution has one of the plugin module's name."""
        advice = f"needs the module {error.name!r}, which is not installed"
        module = (self.entry_point.module.split(".")[0]).removeprefix("tamis_")
        extras = self.entry_point.dist.metadata.get_all("Provides-Extra") or [] if self.entry_point.dist else []
        return f"{advice}: pip install '{self.distribution}[{module}]'" if module in extras else advice


@dataclass(frozen=True, slots=True)
class Inspected:
    """An installed plugin with the JSON Schema of its settings, or the problem that keeps it from loading."""

    plugin: InstalledPlugin
    settings_schema: dict[str, Any] | None
    problem: str = ""


def discover() -> list[InstalledPlugin]:
    """Every installed plugin by group and name. Imports none of them."""
    found: dict[tuple[str, str, str], InstalledPlugin] = {}
    for distribution in distributions():
        for plugin in _brought(distribution):
            found.setdefault((plugin.group, plugin.name, plugin.distribution), plugin)
    return [found[key] for key in sorted(found)]


def inspect() -> list[Inspected]:
    """Every installed plugin, loaded to see whether it can be."""
    return [_inspected(plugin) for plugin in discover()]


def candidates(name: str, plugins: Sequence[InstalledPlugin]) -> list[InstalledPlugin]:
    """The plugins a configuration means by `name`: an entry point's name, or `group/name` where that is ambiguous."""
    group, _, short = name.rpartition("/")
    return [each for each in plugins if each.name == short and (not group or each.group in (group, f"tamis.{group}"))]


def _brought(distribution: Distribution) -> list[InstalledPlugin]:
    points = [each for each in distribution.entry_points if each.group in GROUPS]
    if not points:
        return []
    told = distribution.metadata  # is read and parsed anew each time
    name = re.sub(r"[-_.]+", "-", told["Name"] or "unknown").lower()
    return [InstalledPlugin(each.name, each.group, name, told["Version"], each) for each in points]


def _inspected(plugin: InstalledPlugin) -> Inspected:
    try:
        return Inspected(plugin, plugin.load().Settings.model_json_schema())
    except PluginProblem as problem:
        return Inspected(plugin, None, str(problem))
    except Exception as error:
        return Inspected(plugin, None, f"its settings have no JSON Schema: {_one_line(error)}")


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]
