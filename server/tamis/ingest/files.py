"""Finds the files to read, and names them."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from tamis.reading import Unreadable

__all__ = ["Choice", "Found", "Listing", "Root", "listed"]

_PACKED = ".gz"


@dataclass(frozen=True, slots=True)
class Root:
    """A path that was named: a folder, or a file. What is in it is called `name/relative/path`; a file, `name`."""

    path: Path
    name: str

    @classmethod
    def of(cls, path: Path, name: str = "") -> Root:
        """`path` made absolute, links in its folders resolved."""
        absolute = path.resolve() if path.is_dir() else path.parent.resolve() / path.name
        return cls(absolute, name or absolute.name or "root")

    def holds(self, name: str) -> bool:
        """Whether a file of that name is one of this root's."""
        return name == self.name or name.startswith(f"{self.name}/")

    def at(self, name: str) -> Path:
        """Where the file of that name is, or was."""
        return self.path / name[len(self.name) + 1 :] if name != self.name else self.path


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file; its `suffix`, in lower case, without the one of its packing, which `packed_suffix` is."""

    path: Path
    name: str
    root: Root
    suffix: str
    packed_suffix: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which files are wanted: those of `suffixes` that match one of `include`, if there are any, and none of
    `exclude`. A pattern is matched against the path below the root, and against the name alone."""

    suffixes: Collection[str]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def excludes(self, below: str) -> bool:
        """Whether a file or folder is left out by a pattern."""
        return _matches(below, self.exclude)

    def wants(self, below: str) -> bool:
        """Whether a file is in by its name."""
        return (not self.include or _matches(below, self.include)) and not self.excludes(below)


@dataclass(slots=True)
class Listing:
    """What was found, in order; `unknown` counts files by a suffix that nothing reads; `unseen` are folders that
    could not be looked into."""

    files: list[Found] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    unseen: list[Path] = field(default_factory=list)


def listed(roots: Iterable[Root], choice: Choice) -> Listing:
    """Every wanted file below the roots, folders walked in order.

    Hidden entries and links to folders are left out. What is wanted and cannot be read is listed as that.
    """
    listing = Listing()
    for root in roots:
        if root.path.is_dir():
            for path, below in _walked(root, choice, listing):
                _add(listing, choice, path, f"{root.name}/{below}", root, is_named=False)
        elif not os.path.lexists(root.path):
            listing.unreadable.append(Unreadable(root.path, "does not exist"))
            listing.unseen.append(root.path)
        else:
            _add(listing, choice, root.path, root.name, root, is_named=True)
    return listing


def _walked(root: Root, choice: Choice, listing: Listing) -> Iterator[tuple[Path, str]]:
    def unseen(error: OSError) -> None:
        folder = Path(error.filename)
        listing.unseen.append(folder)
        listing.unreadable.append(Unreadable(folder, error.strerror or type(error).__name__))

    for directory, folders, names in os.walk(root.path, onerror=unseen):
        above = Path(directory).relative_to(root.path)
        shown = [each for each in sorted(folders) if not each.startswith(".")]
        folders[:] = [each for each in shown if not choice.excludes((above / each).as_posix())]
        for each in sorted(names):
            below = (above / each).as_posix()
            if not each.startswith(".") and choice.wants(below):
                yield Path(directory, each), below


def _add(listing: Listing, choice: Choice, path: Path, name: str, root: Root, *, is_named: bool) -> None:
    packed = _PACKED if path.suffix.lower() == _PACKED else ""
    suffix = Path(path.stem).suffix.lower() if packed else path.suffix.lower()
    if suffix not in choice.suffixes:
        if is_named:
            reason = f"is of no known kind; known are {', '.join(sorted(choice.suffixes))}"
            listing.unreadable.append(Unreadable(path, reason))
        else:
            listing.unknown[f"{suffix}{packed}" or "no suffix"] += 1
    elif problem := _problem(path, name):
        listing.unreadable.append(Unreadable(path, problem))
    else:
        listing.files.append(Found(path, name, root, suffix, packed))


def _problem(path: Path, name: str) -> str:
    try:
        name.encode()
        mode = path.stat().st_mode
    except UnicodeEncodeError:
        return "has a name that is not UTF-8"
    except FileNotFoundError:
        return "is a link that leads nowhere"
    except OSError as error:
        return error.strerror or type(error).__name__
    return "" if stat.S_ISREG(mode) else "is not a regular file"


def _matches(below: str, patterns: Iterable[str]) -> bool:
    name = below.rpartition("/")[2]
    return any(fnmatchcase(below, each) or fnmatchcase(name, each) for each in patterns)
