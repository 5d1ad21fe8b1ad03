"""The installed readers by the suffixes they read."""

from __future__ import annotations

from dataclasses import dataclass

from tamis.plugins import PluginProblem, discover
from tamis.reading import Reader

__all__ = ["InstalledReader", "installed_readers"]

_OURS = "tamis"


@dataclass(frozen=True, slots=True)
class InstalledReader:
    """A reader's class as `module:Class`, the name of its format, and what changes when it reads otherwise."""

    target: str
    format: str
    fingerprint: str


def installed_readers() -> dict[str, InstalledReader]:
    """Every suffix that can be read. A plugin of another distribution takes a suffix over from ours."""
    found: dict[str, InstalledReader] = {}
    plugins = [each for each in discover() if each.group == "tamis.readers"]
    for plugin in sorted(plugins, key=lambda each: (each.distribution != _OURS, each.distribution, each.name)):
        try:
            kind = plugin.load()
        except PluginProblem:
            continue  # `tamis plugin list` says why
        if issubclass(kind, Reader):
            print_of = f"{plugin.distribution} {plugin.name} {kind.version}"
            reader = InstalledReader(plugin.entry_point.value, kind.format or plugin.name, print_of)
            found.update(dict.fromkeys(kind.suffixes, reader))
    return found
