"""Builds what the configuration names, opens it in order and closes it in reverse."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

import structlog
from pydantic import ValidationError

from tamis.component import Component, references
from tamis.config import Config, PluginConfig, allowed
from tamis.embeddings import FILE, stored
from tamis.errors import ConfigurationError
from tamis.events import StageRole
from tamis.models import Embedder
from tamis.plugins.discovery import ROLES, InstalledPlugin, PluginProblem, candidates, discover
from tamis.plugins.replacements import check_replacements

__all__ = ["Components", "build"]

_LOG = structlog.get_logger(__name__)


class Components(Mapping[str, Component]):
    """The configured models and stages by name, every reference resolved, in the order they are opened."""

    def __init__(
        self,
        components: Mapping[str, Component],
        plugins: Mapping[str, InstalledPlugin],
        replacements: Mapping[str, str] | None = None,
    ) -> None:
        self._components, self._plugins = dict(components), dict(plugins)
        self._replacing = frozenset((replacements or {}).values())
        self._opened: list[str] = []

    def __getitem__(self, name: str) -> Component:
        return self._components[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._components)

    def __len__(self) -> int:
        return len(self._components)

    @property
    def roles(self) -> dict[str, StageRole]:
        """The stages that pipelines are made of, each with its role; one that replaces another answers to its name."""
        stages = {name: ROLES[each.group] for name, each in self._plugins.items() if each.group in ROLES}
        return {name: role for name, role in stages.items() if name not in self._replacing}

    def plugin_of(self, name: str) -> InstalledPlugin:
        """The plugin that a component is made from."""
        return self._plugins[name]

    def used_by(self, plugin: InstalledPlugin) -> list[str]:
        """The names of the components made from a plugin."""
        return sorted(name for name, each in self._plugins.items() if each == plugin)

    async def open(self) -> None:
        """Opens all; what is referred to first. When one fails, those opened are closed again.

        Raises `ConfigurationError`, whatever a plugin raised.
        """
        try:
            for name, component in self._components.items():
                self._opened.append(name)
                await _open(name, component)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Closes what was opened, in reverse; one that fails to close does not keep the others open."""
        while self._opened:
            name = self._opened.pop()
            try:
                await self._components[name].close()
            except Exception:
                _LOG.exception("plugin failed to close", component=name)


async def _open(name: str, component: Component) -> None:
    try:
        await component.open()
    except ConfigurationError as error:
        raise ConfigurationError(f"{name!r} cannot be opened: {error.message}", path=error.path) from error
    except Exception as error:
        _LOG.exception("plugin failed to open", component=name)
        raise ConfigurationError(f"{name!r} cannot be opened: {type(error).__name__}: {error}") from error


def build(config: Config) -> Components:
    """Constructs every configured model and stage; imports nothing that the configuration does not name.

    Raises `ConfigurationError` at the place of the first thing that cannot be built.
    """
    return _Builder(config).build()


class _Builder:
    def __init__(self, config: Config) -> None:
        self._config = config
        self._tables = {**config.models, **config.stages}
        self._installed = discover()
        self._built: dict[str, Component] = {}
        self._plugins: dict[str, InstalledPlugin] = {}
        self._path: list[str] = []

    def build(self) -> Components:
        for name in self._tables:
            self._component(name)
        check_replacements(self._config, self._built, self._plugins)
        return Components(self._built, self._plugins, self._config.replacements)

    def _component(self, name: str) -> Component:
        if name in self._built:
            return self._built[name]
        if name in self._path:
            cycle = " -> ".join((*self._path[self._path.index(name) :], name))
            raise self._error(name, f"these refer to each other in a circle: {cycle}")
        self._path.append(name)
        table = self._tables[name]
        plugin = self._plugin(name, table)
        component = self._stored(name, table, self._constructed(name, table, self._loaded(name, plugin)))
        self._path.pop()
        self._built[name], self._plugins[name] = component, plugin
        return component

    def _stored(self, name: str, table: PluginConfig, component: Component) -> Component:
        if not table.stored:
            return component
        if not isinstance(component, Embedder):
            raise self._error(name, f"stored is for embedders, not for a {type(component).__name__}", "stored")
        path = self._config.server.data_directory / FILE
        return stored(component, path, most_bytes=table.stored_bytes)

    def _plugin(self, name: str, table: PluginConfig) -> InstalledPlugin:
        is_stage = name in self._config.stages
        fitting = [each for each in self._installed if (each.group in ROLES) == is_stage]
        found = candidates(table.plugin, fitting)
        if len(found) == 1:
            return found[0]
        if found:
            sources = ", ".join(
                f"{each.group.removeprefix('tamis.')}/{each.name} of {each.distribution}" for each in found
            )
            raise self._error(name, f"the plugin name {table.plugin!r} is ambiguous: {sources}", "plugin")
        names = sorted({each.name for each in fitting})
        near = difflib.get_close_matches(table.plugin, names, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        kind = "stage" if is_stage else "model"
        message = f"no {kind} plugin named {table.plugin!r} is installed; available: {', '.join(names) or 'none'}{hint}"
        raise self._error(name, message, "plugin")

    def _loaded(self, name: str, plugin: InstalledPlugin) -> type[Component]:
        try:
            return plugin.load()
        except PluginProblem as problem:
            others = sorted({each.name for each in self._installed if each.group == plugin.group} - {plugin.name})
            message = (
                f"the plugin {plugin.name!r} of {plugin.distribution} {plugin.version} cannot be loaded: {problem}"
            )
            available = f"; also installed: {', '.join(others)}" if others else ""
            raise self._error(name, message + available, "plugin") from problem

    def _constructed(self, name: str, table: PluginConfig, kind: type[Component]) -> Component:
        values = dict(table.settings)
        for key, reference in references(kind.Settings).items():
            value = values.get(key)
            if reference.is_plural:
                if isinstance(value, list):
                    values[key] = tuple(self._reference(name, key, each, reference.role) for each in value)
            elif isinstance(value, str):
                values[key] = self._reference(name, key, value, reference.role)
        try:
            component = kind(kind.Settings.model_validate(values))
        except ValidationError as error:
            message, keys = allowed(error, kind.Settings)
            raise self._error(name, message, *keys) from None
        except ConfigurationError as error:
            raise self._error(name, error.message) from error
        cache = self._config.server.cache_directory
        component.cache_directory = None if cache is None else cache / table.plugin
        return component

    def _reference(self, name: str, key: str, target: object, role: type) -> Component:
        if not isinstance(target, str) or target not in self._tables:
            names = ", ".join(sorted(self._tables.keys() - {name})) or "none"
            raise self._error(name, f"{key} names {target!r}, which is not configured; configured: {names}", key)
        component = self._component(target)
        if not isinstance(component, role):
            message = f"{key} names {target!r}, which is a {type(component).__name__}, not a {role.__name__}"
            raise self._error(name, message, key)
        return component

    def _error(self, name: str, message: str, *keys: str) -> ConfigurationError:
        section = "stages" if name in self._config.stages else "models"
        return self._config.error(f"[{section}.{name}] {message}", section, name, *keys)
