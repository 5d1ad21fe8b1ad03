"""Fills in the templates and puts the package in place, whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template

from tamis.cli.scaffold.kinds import Kind
from tamis.cli.scaffold.naming import Names

__all__ = ["LICENSES", "Project", "write"]

LICENSES = {"MIT": "MIT", "Apache-2.0": "Apache-2.0", "none": "LicenseRef-Proprietary"}
"""What may be chosen, each with its SPDX identifier."""

_PACKAGE = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "test.yml": ".github/workflows/test.yml",
    "init.py": "src/{module}/__init__.py",
    "test_contract.py": "tests/test_contract.py",
    "test_entry_point.py": "tests/test_entry_point.py",
}
_OF_ITS_KIND = {
    "plugin.py": "src/{module}/plugin.py",
    "test_plugin.py": "tests/test_plugin.py",
    "test_contract.py": "tests/test_contract.py",
}
_TEMPLATES = files("tamis.cli.scaffold") / "templates"


@dataclass(frozen=True, slots=True)
class Project:
    """What is to be written."""

    names: Names
    kind: Kind
    license: str = "MIT"
    author: str = ""

    @property
    def entry_point(self) -> str:
        """The class as an entry point names it."""
        return f"{self.names.module}:{self.names.class_name}"


def write(project: Project, folder: Path) -> list[Path]:
    """Writes the package as `folder`, and returns its files, relative to it.

    Raises `FileExistsError` when `folder` is there, and leaves nothing behind when it cannot write all of it.
    """
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(folder)
    if folder.parent.exists() and not folder.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder.parent))
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        made = beside / folder.name  # has the permissions that a folder gets, which those of mkdtemp are not
        for name, text in _files(project):
            path = made / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        found = sorted(path.relative_to(made) for path in made.rglob("*") if path.is_file())
        made.rename(folder)
    finally:
        shutil.rmtree(beside)
    return found


def _files(project: Project) -> Iterator[tuple[str, str]]:
    """The name and the text of each file; of two of the same name the later one counts."""
    values = _values(project)
    module = project.names.module
    for name, target in _PACKAGE.items():
        yield target.format(module=module), _filled(f"package/{name}", values)
    for name, target in _OF_ITS_KIND.items():
        if (_TEMPLATES / f"kinds/{project.kind.name}/{name}.template").is_file():
            yield target.format(module=module), _filled(f"kinds/{project.kind.name}/{name}", values)
    yield "LICENSE", _filled(f"licenses/{project.license}", values)
    yield f"src/{module}/py.typed", ""


def _filled(name: str, values: dict[str, str]) -> str:
    return Template((_TEMPLATES / f"{name}.template").read_text(encoding="utf-8")).substitute(values)


def _values(project: Project) -> dict[str, str]:
    names, kind = project.names, project.kind
    settings = f"{names.class_name}Settings" if kind.has_settings else f"{names.class_name}.Settings"
    exports = sorted([names.class_name, settings]) if kind.has_settings else [names.class_name]
    return {
        "name": names.name,
        "module": names.module,
        "class_name": names.class_name,
        "settings_class": settings,
        "exports": ", ".join(exports),
        "quoted_exports": ", ".join(f'"{each}"' for each in exports),
        "group": kind.group,
        "role": kind.role,
        "article": "An" if kind.role[0] in "aeiou" else "A",
        "usage": kind.usage.replace("{name}", names.name).strip(),
        "license_id": LICENSES[project.license],
        "author": project.author or f"The authors of {names.name}",
        "year": str(datetime.now(UTC).year),
        "tamis_version": version("tamis"),
    }
