"""The names of a new package, all made of one."""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass

from tamis.plugins import discover

__all__ = ["Names", "problem_of"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 60
_TAKEN = sys.stdlib_module_names | {"tamis", "test", "tests"}


@dataclass(frozen=True, slots=True)
class Names:
    """`name` is that of the distribution and of the plugin in a configuration: `my-reranker`."""

    name: str

    @property
    def module(self) -> str:
        return self.name.replace("-", "_")

    @property
    def class_name(self) -> str:
        return self.name.title().replace("-", "")


def problem_of(name: str, group: str) -> str:
    """Why a new plugin of an entry-point group cannot be called so, with what would do; empty if it can."""
    if not _NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()).strip("-0123456789")
        would = f"; {near!r} would do" if _NAME.fullmatch(near) else ""
        return f"{name!r} is not lower-case letters and digits joined by hyphens, a letter first{would}"
    if len(name) > _LONGEST:
        return f"{name!r} is longer than {_LONGEST} characters"
    module = Names(name).module
    if keyword.iskeyword(module) or module in _TAKEN or module.startswith("tamis_"):
        return f"a Python module called {module!r} would be in the way of another; 'acme-{name}' would do"
    for each in discover():
        if (each.name, each.group) == (name, group) and each.distribution != name:
            return f"{each.distribution} {each.version} has a plugin {name!r} of that kind; 'acme-{name}' would do"
    return ""
