"""One pass of `tamis index`: what has changed since the last one is read and written, what is gone is removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from tamis.cli.writing import Outcome, delete, held, wait, write
from tamis.client import Client
from tamis.errors import InvalidRequest
from tamis.ingest.files import Choice, Found, Listing, Root, listed
from tamis.ingest.installed import InstalledReader
from tamis.ingest.ledger import Ledger, digest, marked
from tamis.ingest.workers import Job, Workers
from tamis.model import Document
from tamis.reading import Unreadable
from tamis.v1 import passage_pb2
from tamis.wire.passages import from_document, to_documents
from tamis.wire.values import to_metadata

__all__ = ["Clash", "IndexRun", "Plan"]


class Clash(Exception):
    """Two folders that would take each other's names."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do."""

    collection: str
    roots: tuple[Root, ...]
    choice: Choice
    readers: dict[str, InstalledReader]
    deletes: bool = True
    is_moved: bool = False
    is_dry: bool = False
    waits: bool = True
    language: str = ""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file to read, with its hash and its reader."""

    found: Found
    hash: str
    reader: InstalledReader


class IndexRun:
    """One pass over all files of the plan, or over those that stand at or below `only`."""

    def __init__(self, plan: Plan, client: Client, workers: Workers, only: Sequence[Path] | None = None) -> None:
        self._plan, self._client, self._workers, self._only = plan, client, workers, only
        self.outcome = Outcome()
        self._seen: set[str] = set()
        self._stale: set[str] = set()

    def run(self, progress: Progress) -> Outcome:
        """Raises `CallError`, and `Clash` before anything is written."""
        plan, outcome = self._plan, self.outcome
        listing = listed(plan.roots, plan.choice)
        listing.files = [each for each in listing.files if self._concerns(each.path)]
        outcome.unreadable += [each for each in listing.unreadable if self._concerns(each.path)]
        outcome.unknown = dict(listing.unknown)
        outcome.file_count = len(listing.files)
        self._ledger = self._known()
        wanted = self._changed(listing, progress)
        if plan.is_dry:
            outcome.written_count = len(wanted)
        elif wanted:
            messages = self._messages(wanted, progress)
            write(self._client, plan.collection, messages, outcome, progress, language=plan.language)
        gone = self._gone(listing)
        if plan.is_dry:
            outcome.deleted_count = len(gone)
        else:
            delete(self._client, plan.collection, gone, outcome)
            if plan.waits:
                wait(self._client, plan.collection, outcome.sequence, progress)
        return outcome

    def _concerns(self, path: Path) -> bool:
        return self._only is None or any(path == each or each in path.parents for each in self._only)

    def _known(self) -> Ledger:
        plan = self._plan
        documents = (
            Document(each.id, "", metadata=to_metadata(each.metadata, "metadata"))
            for each in held(self._client, plan.collection)
        )
        ledger = Ledger(documents)
        for root in plan.roots:
            if other := ledger.other_root(root):
                if not plan.is_moved:
                    raise Clash(f"{root.name!r} in this collection was read from {other}, not from {root.path}")
                ledger.take_over(root)
        return ledger

    def _changed(self, listing: Listing, progress: Progress) -> list[_Wanted]:
        """The files that are new or have changed. Those that have not are done with."""
        wanted = []
        for found in progress.track(listing.files, description="compared"):
            reader = self._plan.readers[found.suffix]
            state = self._ledger.file(found.root, found.name)
            try:
                size = found.path.stat().st_size
                if size > self._workers.limits.most_bytes:
                    raise OSError(0, f"is larger than {self._workers.limits.most_bytes >> 20:,} MiB")
                hash = digest(found, reader.fingerprint)
            except OSError as error:
                self.outcome.unreadable.append(Unreadable(found.path, error.strerror or type(error).__name__))
                self._keep(state.ids)
                continue
            if state.is_whole and state.hash == hash:
                self._keep(state.ids)
                self.outcome.unchanged_count += len(state.ids)
            else:
                wanted.append(_Wanted(found, hash, reader))
        return wanted

    def _keep(self, ids: Iterable[str]) -> None:
        self._seen.update(ids)

    def _messages(self, wanted: Sequence[_Wanted], progress: Progress) -> Iterator[passage_pb2.Document]:
        task = progress.add_task("files read", total=len(wanted))
        jobs = (
            Job(each.found.path, each.found.name, each.reader.target, each.found.packed_suffix, each) for each in wanted
        )
        for file, documents in self._workers.read(jobs):
            yield from self._messages_of(file, documents)
            progress.advance(task)

    def _messages_of(
        self, wanted: _Wanted, documents: Iterator[Document | Unreadable]
    ) -> Iterator[passage_pb2.Document]:
        """A file's documents as messages, the first of them last: it says that the file has been written whole."""
        found, first, count = wanted.found, None, 0
        problems = len(self.outcome.unreadable)
        mine: set[str] = set()
        for each in documents:
            document = self._accepted(each, wanted)
            if document is None:
                continue
            mine.add(document.id)
            count += 1
            if first is None:
                first = document
            else:
                yield from_document(marked(document, found, wanted.reader.format))
        is_whole = len(self.outcome.unreadable) == problems
        if first is not None:
            whole = (wanted.hash, count) if is_whole else None
            yield from_document(marked(first, found, wanted.reader.format, whole))
        former = self._ledger.file(found.root, found.name).ids - mine
        if is_whole:
            self._stale |= former
        else:
            self._keep(former)

    def _accepted(self, each: Document | Unreadable, wanted: _Wanted) -> Document | None:
        """The document, unless the server would refuse it or its id is taken: then that is noted."""
        path = wanted.found.path
        if isinstance(each, Unreadable):
            self.outcome.unreadable.append(Unreadable(path, each.reason, each.line))
            return None
        problem = ""
        if each.id in self._seen:
            problem = f"has the id of an earlier document: {each.id[:64]}"
        elif owner := self._ledger.other_owner(each.id, wanted.found.root):
            problem = f"has the id of a document of another file, {owner}: {each.id[:64]}"
        else:
            problem = _refusal(marked(each, wanted.found, wanted.reader.format, ("0" * 32, 1 << 40)))
        if problem:
            line = each.metadata.get("line")
            self.outcome.unreadable.append(Unreadable(path, problem, line if isinstance(line, int) else None))
            return None
        self._seen.add(each.id)
        return each

    def _gone(self, listing: Listing) -> set[str]:
        """Documents of files that are gone, and of rows that are no longer in their file."""
        if not self._plan.deletes:
            return set()
        gone = set(self._stale)
        for root in self._plan.roots:
            for name, ids in self._ledger.vanished([root], listing):
                if self._concerns(root.at(name)):
                    gone |= ids
        return gone - self._seen


def _refusal(document: Document) -> str:
    """Why the server would not take a document; empty if it would."""
    try:
        to_documents([from_document(document)], most=1)
    except InvalidRequest as error:
        (violation,) = error.violations
        return f"{document.id[:64]}: {violation.field.removeprefix('documents[0].')} {violation.description}"
    except ValueError:
        return f"{document.id[:64]}: holds what cannot be sent"
    return ""
