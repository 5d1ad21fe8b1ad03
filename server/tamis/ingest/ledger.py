"""What a collection holds of which file, as its documents' own metadata tell."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tamis.ingest.files import Found, Listing, Root
from tamis.model import Document, Value

__all__ = ["MARK", "FileState", "Ledger", "digest", "marked"]

MARK = "tamis_file"
"""The metadata that says from which file a document was read: `root`, the folder's or file's absolute path; `path`,
the file's name in it. One document of each file carries `hash`, of the file, and `count`, of its documents, too. It is
written after the others, so that a file that has a hash has been written whole."""

_CHUNK = 1 << 20


@dataclass(slots=True)
class FileState:
    """What is held of one file."""

    ids: set[str] = field(default_factory=set)
    hash: str = ""
    count: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether all of its documents were written, and nothing else is there."""
        return bool(self.hash) and len(self.ids) == self.count


class Ledger:
    """The files by root and name. Documents without the mark are nobody's here and are never touched."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._files: dict[tuple[str, str], FileState] = {}
        self._owners: dict[str, tuple[str, str]] = {}
        for each in documents:
            mark = each.metadata.get(MARK)
            if isinstance(mark, Mapping):
                self._add(each.id, mark)

    def file(self, root: Root, name: str) -> FileState:
        """What is held of a file."""
        return self._files.get((str(root.path), name), FileState())

    def other_root(self, root: Root) -> str:
        """Another root of the same name that has files here; empty if there is none."""
        others = (path for path, name in self._files if path != str(root.path) and root.holds(name))
        return min(others, default="")

    def take_over(self, root: Root) -> None:
        """Makes the files of other roots of the same name this one's; none of them counts as whole."""
        moved = [key for key in self._files if key[0] != str(root.path) and root.holds(key[1])]
        for key in moved:
            state = self._files.pop(key)
            ours = self._files.setdefault((str(root.path), key[1]), FileState())
            ours.ids |= state.ids
            ours.hash, ours.count = "", 0
            self._owners.update(dict.fromkeys(state.ids, (str(root.path), key[1])))

    def other_owner(self, document_id: str, root: Root) -> str:
        """The file of another root that has a document of that id; empty if there is none."""
        path, name = self._owners.get(document_id, ("", ""))
        return f"{path}: {name}" if path and path != str(root.path) else ""

    def vanished(self, roots: Iterable[Root], listing: Listing) -> Iterator[tuple[str, set[str]]]:
        """The files that are gone from the roots, with their documents. A file that is there and is merely left out,
        or that stands in a folder that cannot be seen, is not gone."""
        for root in roots:
            for (path, name), state in self._files.items():
                if path == str(root.path) and _is_gone(root.at(name), listing.unseen):
                    yield name, state.ids

    def _add(self, id: str, mark: Mapping[str, Value]) -> None:
        root, name, found, count = (mark.get(key) for key in ("root", "path", "hash", "count"))
        if not (isinstance(root, str) and isinstance(name, str)):
            return
        state = self._files.setdefault((root, name), FileState())
        state.ids.add(id)
        self._owners[id] = (root, name)
        if isinstance(found, str) and isinstance(count, int):
            state.hash, state.count = found, count


def digest(found: Found, reader: str) -> str:
    """Of a file's bytes and of what reads them. Raises `OSError`."""
    state = hashlib.blake2b(reader.encode(), digest_size=16)
    with found.path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def marked(document: Document, found: Found, format: str, whole: tuple[str, int] | None = None) -> Document:
    """A document that says where it comes from; `whole` is the hash and the count of the file it is the last one of."""
    mark: dict[str, Value] = {"root": str(found.root.path), "path": found.name}
    if whole:
        mark["hash"], mark["count"] = whole
    metadata = {"path": found.name, "format": format, **document.metadata, MARK: mark}
    return replace(document, metadata=metadata)


def _is_gone(path: Path, unseen: list[Path]) -> bool:
    if any(path == each or each in path.parents for each in unseen):
        return False
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
