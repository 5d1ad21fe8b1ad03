"""Checks which stages stand in for others: each for one of its own kind, and all that belongs together at once."""

from __future__ import annotations

from collections.abc import Mapping

from tamis.component import Component, referred
from tamis.config import Config
from tamis.errors import ConfigurationError
from tamis.plugins.discovery import ROLES, InstalledPlugin

__all__ = ["check_replacements"]


def check_replacements(
    config: Config, components: Mapping[str, Component], plugins: Mapping[str, InstalledPlugin]
) -> None:
    """Raises `ConfigurationError` at the first `replaces` that makes no sense."""
    for name, table in config.models.items():
        if table.replaces:
            message = f"[models.{name}] replaces: only a stage replaces another; let one with this model do it"
            raise config.error(message, "models", name, "replaces")
    for name, table in config.stages.items():
        if table.replaces and (problem := _problem(config, plugins, name)):
            raise _error(config, name, problem)
    for name in config.stages:
        _check_references(config, components, name)


def _problem(config: Config, plugins: Mapping[str, InstalledPlugin], name: str) -> str:
    former = config.stages[name].replaces
    if former == name:
        return "itself"
    if former not in config.stages:
        names = ", ".join(sorted(config.stages.keys() - {name})) or "none"
        return f"names {former!r}, which is no configured stage; there are: {names}"
    if config.stages[former].replaces:
        return f"names {former!r}, which itself replaces {config.stages[former].replaces!r}; replace that one"
    if config.replacements[former] != name:
        return f"names {former!r}, which {config.replacements[former]!r} replaces already"
    mine, its = ROLES[plugins[name].group], ROLES[plugins[former].group]
    if mine is not its:
        return f"names {former!r}, which is a {_words(its.value)} and not a {_words(mine.value)}"
    return ""


def _check_references(config: Config, components: Mapping[str, Component], name: str) -> None:
    """What a new generation runs must not reach past it to a stage that it does not run."""
    if name in config.replacements:
        return
    for former, by in config.replacements.items():
        if any(each is components[former] for each in referred(components[name])):
            remedy = (
                f"refer to {by!r} instead"
                if config.stages[name].replaces
                else f"let a stage that refers to {by!r} replace this one as well"
            )
            message = f"[stages.{name}] refers to {former!r}, which {by!r} replaces: {remedy}"
            raise config.error(message, "stages", name)


def _error(config: Config, name: str, problem: str) -> ConfigurationError:
    return config.error(f"[stages.{name}] replaces {problem}", "stages", name, "replaces")


def _words(role: str) -> str:
    return role.replace("_", " ")
