"""Finds entry points, builds what the configuration names, closes in reverse."""

from tamis.plugins.components import Components, build
from tamis.plugins.discovery import GROUPS, ROLES, Inspected, InstalledPlugin, PluginProblem, discover, inspect

__all__ = [
    "GROUPS",
    "ROLES",
    "Components",
    "Inspected",
    "InstalledPlugin",
    "PluginProblem",
    "build",
    "discover",
    "inspect",
]
