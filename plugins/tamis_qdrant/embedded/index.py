"""One collection's vectors: a serving process, and beside it now and then one that builds the graph."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from tamis.context import Call
from tamis.deadline import Deadline
from tamis.errors import ConfigurationError, Unavailable, Unusable
from tamis.filters import Filter
from tamis.model import Candidate, Change, Passage, ScoreKind
from tamis.models import Embedder, Float32Array, TextKind
from tamis.terms import AllOf, AnyOf, HasAny, NoneOf, TermCondition, sorted_terms, superset
from tamis_qdrant.embedded.missed import Missed
from tamis_qdrant.embedded.process import ShardShape, Worker, WorkerGone

__all__ = ["EmbeddedIndex", "Prepared"]

_LOG = structlog.get_logger(__name__)
_CURRENT, _LOCK = "current", "lock"
_FORMAT = 2
_PATIENCE = 30.0  # seconds that processes of a killed server may take to end
_MISSED = "missed"
_OUTSIDE = 0.25  # of the points in the graph, how many may be outside it
_MOST_OUTSIDE = 100_000  # points: each is compared with every query, and takes 3 kB of memory


@dataclass(frozen=True, slots=True)
class Prepared:
    """Documents to replace, and the points that they become, each with its vector."""

    documents: Sequence[str]
    points: Sequence[Mapping[str, Any]]
    vectors: Float32Array


class EmbeddedIndex:
    """Implements `tamis.stage.Index`, `Prepares` and `Compacts`.

    The folder holds numbered shards and a file that names the current one. When enough points are outside the graph,
    a copy of the shard is optimised by a second process while the first serves on; then what was applied meanwhile is
    applied to the copy too, and the copy takes over. Searches never wait for the graph; writes do once 100,000 passages
    have been written beside it, so that a stream of them cannot outgrow the memory.

    The folder is locked, and each process holds the lock as long as it lives: those of a server that was killed end a
    moment after it, and until then nobody else touches their files.
    """

    def __init__(
        self,
        directory: Path,
        embedder: Embedder,
        shape: ShardShape,
        files: Executor,
        closed: Callable[[EmbeddedIndex], None],
    ) -> None:
        """Use `open`."""
        self._directory, self._embedder, self._shape, self._files = directory, embedder, shape, files
        self._writing = asyncio.Lock()
        self._starting = asyncio.Lock()
        self._worker: Worker | None = None
        self._building: asyncio.Task[None] | None = None
        self._missed: Missed | None = None
        self._tried = 0  # points outside the graph when one was last begun that did not come to be
        self._closed, self._tell_closed = False, closed
        self._lock: int | None = None

    @classmethod
    async def open(
        cls,
        directory: Path,
        embedder: Embedder,
        *,
        shape: ShardShape,
        files: Executor,
        closed: Callable[[EmbeddedIndex], None],
    ) -> EmbeddedIndex:
        """Opens or creates; calls `closed` when it closes. Raises `ConfigurationError` when the vectors there were made
        by another embedder or a newer Tamis."""
        index = cls(directory, embedder, shape, files, closed)
        try:
            await index._on_files(index._prepare)
            await index._serving()
        except BaseException:
            index._unlock()
            raise
        return index

    async def apply(self, changes: Sequence[Change], *, upto: int) -> None:
        """Embeds, then writes; a document with a vector that is not finite is unusable. Of several changes of one
        document the last one counts."""
        await self.apply_prepared(await self.prepared(changes), upto=upto)

    async def prepared(self, changes: Sequence[Change]) -> Prepared:
        """Embeds."""
        last = {change.document_id: change for change in changes}
        passages = [passage for change in last.values() for passage in change.passages]
        texts = [passage.full_text for passage in passages]
        vectors = await self._embedder.embed(texts, kind=TextKind.PASSAGE, call=Call())
        for passage, vector in zip(passages, vectors, strict=True):
            if not np.isfinite(vector).all():
                raise Unusable(passage.document_id, "the embedder makes a vector of it that is not finite")
        return Prepared(tuple(last), _payloads(passages), vectors)

    async def apply_prepared(self, prepared: Prepared, *, upto: int) -> None:
        request = {"documents": prepared.documents, "points": prepared.points, "upto": upto}
        await self._caught_up(len(prepared.points))
        async with self._writing:
            info = await self._ask("apply", prepared.vectors, **request)
            if self._missed is not None:
                await self._on_files(partial(self._missed.add, request, prepared.vectors))
            else:
                await self._follow_up(info)

    async def checkpoint(self) -> int:
        return int((await self._ask("checkpoint"))["checkpoint"])

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        offset: str | None = None
        while True:
            page = await self._ask("ids", offset=offset)
            for passage_id, version in page["ids"]:
                yield passage_id, version
            offset = page["next"]
            if offset is None:
                return

    async def search(
        self, vector: Float32Array, filter: Filter | None, *, limit: int, deadline: Deadline
    ) -> list[Candidate]:
        """The nearest passages that may satisfy the filter, by falling cosine."""
        condition = None if filter is None else _encoded(superset(filter))
        until = min(deadline.at, 1e18)  # JSON has no infinity
        found = await self._ask("search", vector, limit=limit, condition=condition, until=until)
        return [Candidate(id, version, score, ScoreKind.COSINE) for id, version, score in found["hits"]]

    async def compact(self) -> None:
        """Has a copy optimised, which leaves out what was removed, and take over."""
        async with self._writing:
            if self._building is None or self._building.done():
                await self._start_building()
        await self.built()

    async def built(self) -> None:
        """Returns once no graph is being built."""
        while (building := self._building) is not None and not building.done():
            await asyncio.gather(building, return_exceptions=True)

    async def close(self) -> None:
        self._closed = True
        self._tell_closed(self)
        if self._building is not None:
            self._building.cancel()
            await self.built()
        if self._worker is not None:
            await self._worker.close()
        self._unlock()

    async def drop(self) -> None:
        await self.close()
        await self._on_files(lambda: shutil.rmtree(self._directory, ignore_errors=True))

    async def _ask(self, do: str, *vectors: Float32Array, **fields: Any) -> dict[str, Any]:
        """Asks the serving process; one that has died is replaced, once, and asked again.

        Raises `Unavailable` when that one is killed as well, and `WorkerGone` when it ends by itself, as it does over
        files that it cannot read.
        """
        worker = await self._serving()
        try:
            return await worker.ask(do, *vectors, **fields)
        except WorkerGone:
            if self._closed:
                raise
            status = await worker.exit_status()
            _LOG.warning("qdrant process ended; starting another", shard=str(self._shard().name), exit_status=status)
        worker = await self._serving()
        try:
            return await worker.ask(do, *vectors, **fields)
        except WorkerGone:
            if await worker.was_killed():
                raise Unavailable("the process of the embedded Qdrant is killed again and again") from None
            raise

    async def _serving(self) -> Worker:
        async with self._starting:
            if self._closed:
                raise WorkerGone
            if self._worker is None or self._worker.gone:
                self._worker = await self._start(self._shard())
            return self._worker

    async def _start(self, shard: Path) -> Worker:
        if self._lock is None:
            raise WorkerGone
        return await Worker.start(shard, self._shape, self._lock)

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    async def _caught_up(self, count: int) -> None:
        """Waits for the graph that is being built when this many more would be too many beside it."""
        if self._missed is not None and self._building is not None and self._missed.count + count > _MOST_OUTSIDE:
            await asyncio.wait([self._building])

    async def _follow_up(self, info: Mapping[str, int]) -> None:
        """Starts building where enough points are outside the graph: searches look at each of them, and building is
        dear. What failed, as on a full disk, is tried again once as many points have come as are enough for a graph."""
        outside = info["points"] - info["indexed"]
        if outside <= max(self._tried + self._shape.index_from, min(_OUTSIDE * info["indexed"], _MOST_OUTSIDE)):
            return
        self._tried = outside
        try:
            await self._start_building()
        except OSError:
            _LOG.exception("the shard could not be copied to build its graph; it serves on")

    async def _start_building(self) -> None:
        """Copies the shard, which nobody writes to meanwhile, and leaves the rest to a task."""
        source = self._shard()
        target = self._directory / f"shard-{int(source.name.split('-')[1]) + 1}"
        await self._on_files(lambda: _copy(source, target))
        self._missed = Missed(self._directory / _MISSED, self._shape.dimensions)
        self._building = asyncio.create_task(self._build(target, self._missed))

    async def _build(self, target: Path, missed: Missed) -> None:
        """Leaves a copy with a graph in place of the shard, or everything as it was."""
        try:
            info = await self._replaced_by(target, missed)
        except asyncio.CancelledError:
            raise
        except Exception:
            _LOG.exception("the graph could not be built; the old one serves on")
            return
        async with self._writing:
            self._tried = 0
            if self._missed is None and not self._closed:
                await self._follow_up(info)

    async def _replaced_by(self, target: Path, missed: Missed) -> Mapping[str, int]:
        builder: Worker | None = None
        try:
            builder = await self._start(target)
            info = await builder.ask("optimize")
            async with self._writing:
                for request, vectors in missed:
                    info = await builder.ask("apply", vectors, **request)
                await _to_its_end(self._take_over(target, builder))
                self._missed = None
            return info
        except BaseException:
            if self._shard() != target:
                if builder is not None:
                    await builder.kill()
                shutil.rmtree(target, ignore_errors=True)
            raise
        finally:
            async with self._writing:  # whoever adds to the file is done
                self._missed = None
                missed.remove()

    async def _take_over(self, target: Path, builder: Worker) -> None:
        """From here on the copy is the index; the old process answers what it was asked, then ends."""
        old_shard = self._shard()
        await self._on_files(lambda: _point_to(self._directory, target))
        old, self._worker = self._worker, builder
        if old is not None:
            await old.close()
        await self._on_files(lambda: shutil.rmtree(old_shard, ignore_errors=True))

    def _shard(self) -> Path:
        return self._directory / (self._directory / _CURRENT).read_text().strip()

    def _prepare(self) -> None:
        """Creates the folder, or checks who made it and removes copies that never took over.

        What is in the format of an older Tamis is removed: the journal fills it again.
        """
        made_by: dict[str, Any] = {
            "format": _FORMAT,
            "fingerprint": self._embedder.fingerprint,
            "dimensions": self._embedder.dimensions,
        }
        self._directory.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self._directory / _LOCK)
        note = self._directory / "tamis.json"
        found = json.loads(note.read_text()) if note.exists() else made_by
        if {**found, "format": _FORMAT} != made_by:
            message = "the vectors here were made by another embedder; use a new collection, or the embedder of before"
            raise ConfigurationError(message, path=str(self._directory))
        if found["format"] > _FORMAT:
            raise ConfigurationError("the index was made by a newer Tamis", path=str(self._directory))
        if found["format"] < _FORMAT:
            _empty(self._directory)
        if not (self._directory / _CURRENT).exists():
            note.write_text(json.dumps(made_by))
            _point_to(self._directory, self._directory / "shard-1")
        for shard in self._directory.glob("shard-*"):
            if shard != self._shard():
                shutil.rmtree(shard)

    async def _on_files(self, work: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(self._files, work)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Whoever is cancelled meanwhile hears of it once the work is done."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _locked(file: Path) -> int:
    """The open file, locked. Raises `ConfigurationError` when another process does not let go of it."""
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() >= until:
                os.close(lock)
                raise ConfigurationError("another process has these vectors open", path=str(file.parent)) from None
            time.sleep(0.01)


def _payloads(passages: Sequence[Passage]) -> list[dict[str, Any]]:
    found = sorted_terms(each.metadata for each in passages)
    return [
        {"p": each.id, "d": each.document_id, "v": each.document_version, "t": its}
        for each, its in zip(passages, found, strict=True)
    ]


def _encoded(condition: TermCondition) -> list[Any]:
    match condition:
        case HasAny(found):
            return ["has", list(found)]
        case AllOf(operands):
            return ["all", [_encoded(each) for each in operands]]
        case AnyOf(operands):
            return ["any", [_encoded(each) for each in operands]]
        case NoneOf(operand):
            return ["none", _encoded(operand)]


def _empty(directory: Path) -> None:
    """Removes all but the lock, which is held."""
    for each in directory.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        elif each.name != _LOCK:
            each.unlink()


def _copy(source: Path, target: Path) -> None:
    """Leaves nothing of a copy that fails: the room may be wanted."""
    shutil.rmtree(target, ignore_errors=True)
    try:
        shutil.copytree(source, target)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _point_to(directory: Path, shard: Path) -> None:
    """Names the current shard, durably and at once: a crash leaves the old name or the new one."""
    fresh = directory / f"{_CURRENT}.new"
    with fresh.open("w") as file:
        file.write(shard.name)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(directory / _CURRENT)
    folder = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
