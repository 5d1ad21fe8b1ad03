"""Collections, documents and changes: every statement that touches their tables; all of it synchronous."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from tamis.encoding import decode, decode_landmarks, encode, encode_landmarks
from tamis.errors import AlreadyExists, InvalidRequest, NotFound
from tamis.journal import generations, passages, tenants
from tamis.journal.database import Database
from tamis.journal.generations import SplitsChanged
from tamis.journal.records import (
    TENANT,
    Changes,
    Collection,
    Delete,
    Mutation,
    Patch,
    Portion,
    Recipe,
    Rewrite,
    Upsert,
    Written,
)
from tamis.journal.schema import MIGRATIONS
from tamis.model import Change, Document, Passage

__all__ = ["Store"]

T = TypeVar("T")
_MOST_METADATA = 1 << 16  # bytes, as it is kept


class Store:
    """The tables behind one connection. Not thread-safe: its owner gives it one thread."""

    def __init__(self, database: Database) -> None:
        """Brings the tables up to date. Raises `ConfigurationError` when a newer Tamis wrote them."""
        self.database = self._db = database
        self._is_writing = False
        database.migrate(MIGRATIONS)

    def close(self) -> None:
        """Closes the connection."""
        self._db.close()

    def begin(self) -> None:
        """Opens a transaction that others of this connection join."""
        self._db.begin()
        self._is_writing = True

    def commit(self) -> None:
        """Makes everything since `begin` durable: on return it survives a crash of process and machine."""
        self._db.commit()
        self._is_writing = False

    def rollback(self) -> None:
        """Undoes everything since `begin`."""
        self._is_writing = False
        self._db.rollback()

    def read(self, work: Callable[[Store], T]) -> T:
        """Does `work` on the journal as it is at one moment."""
        self._db.begin(read_only=True)
        try:
            return work(self)
        finally:
            self._db.rollback()

    def announce(self, topics: Sequence[str]) -> None:
        """Tells other servers of the same journal what was committed to."""
        self._db.announce(topics)

    def savepoint(self) -> None:
        """Marks the place that `undo` goes back to."""
        self._db.execute("SAVEPOINT mutation")

    def release(self) -> None:
        """Forgets the mark, keeping what was done since."""
        self._db.execute("RELEASE SAVEPOINT mutation")

    def undo(self) -> None:
        """Goes back to the mark."""
        self._db.execute("ROLLBACK TO SAVEPOINT mutation")
        self._db.execute("RELEASE SAVEPOINT mutation")

    def create_collection(
        self, id: str, language: str, recipe: Recipe, *, tenant_partitioned: bool = False
    ) -> Collection:
        """Adds an empty collection whose first generation is made by `recipe`.

        Raises `AlreadyExists`, also for a name that some tenant would see twice.
        """
        added = self._db.execute(
            "INSERT INTO collections (id, incarnation, create_time, language, tenant, tenant_partitioned) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            (id, uuid.uuid4().hex, datetime.now(UTC).isoformat(), language, tenants.of(id), int(tenant_partitioned)),
        )
        if not added.rowcount or tenants.collides(self._db, id, tenant_partitioned):
            raise AlreadyExists(f"there is a collection named {id!r}", metadata={"name": id})
        generations.insert(self._db, self.key(id), 1, recipe, 1, is_divided=True)
        return self.collection(id)

    def delete_collection(self, id: str) -> None:
        """Removes a collection and everything in it. Raises `NotFound`."""
        if not self._db.execute("DELETE FROM collections WHERE id = ?", (id,)).rowcount:
            raise self._missing(id)

    def collection(self, id: str) -> Collection:
        """Raises `NotFound`."""
        return self._collections("WHERE id = ?", self._found(id))[0]

    def key(self, id: str) -> int:
        """What rows of a collection say in place of its id. Raises `NotFound`.

        In a transaction that writes, no other server writes to the collection from here until the end, so that its
        sequences become visible in order and without gaps. Ask for the key before anything else of the collection.
        """
        lock = self._db.lock if self._is_writing else ""
        found = self._one(f"SELECT key FROM collections WHERE id = ?{lock}", id)
        if found is None:
            raise self._missing(id)
        return int(found[0])

    def collections(self, limit: int, after: str = "") -> list[Collection]:
        """At most `limit` collections by id, those beyond `after`."""
        return self._collections("WHERE id > ? ORDER BY id LIMIT ?", after, limit)

    def tenant_collection(self, tenant: str, name: str) -> Collection:
        """A collection as a tenant sees it: its own, or a shared one with what it holds of this tenant.

        Raises `NotFound`, which tells of no other tenant's.
        """
        found = tenants.found(self._db, tenant, name)
        if found is None:
            known = [tenants.name_of(each) for each in tenants.listed(self._db, tenant, 20)]
            raise NotFound("collection", name, available=known, field="collection")
        return self._seen_by(tenant, found)

    def tenant_collections(self, tenant: str, limit: int, after: str = "") -> list[Collection]:
        """At most `limit` of those by name, those beyond `after`."""
        return [self._seen_by(tenant, each) for each in tenants.listed(self._db, tenant, limit, after)]

    def _seen_by(self, tenant: str, id: str) -> Collection:
        known = self.collection(id)
        if not known.tenant_partitioned:
            return known
        documents, last = tenants.count(self._db, self.key(id), tenant)
        return replace(known, document_count=documents, last_sequence=last, passage_count=0, generations=())

    def write(self, id: str, mutations: Sequence[Mutation]) -> Written:
        """Applies mutations in order, each with the next sequence; what changes nothing gets none.

        Raises `SplitsChanged` when one lacks the passages of a split; `NotFound` for a patch of a document that is not
        there, and `InvalidRequest` for one that has its metadata grow too large, both with the place of the patch.
        """
        key = self.key(id)
        start = self._one("SELECT last_sequence FROM collections WHERE key = ?", key)[0]
        splits = generations.live_splits(self._db, key)
        sequence, newest, unchanged = start, 0, 0
        for place, mutation in enumerate(mutations):
            known = self._mutate(key, sequence + 1, mutation, splits, place)
            unchanged += known is not None
            sequence += known is None
            newest = max(newest, sequence if known is None else known)
        self._db.execute("UPDATE collections SET last_sequence = ? WHERE key = ?", (sequence, key))
        return Written(newest, sequence - start, unchanged)

    def document(self, id: str, document_id: str) -> Document:
        """Raises `NotFound` for the collection or the document."""
        found = self._document(self.key(id), document_id)
        if found is None:
            raise NotFound("document", document_id, field="document_id")
        return found

    def documents(self, id: str, limit: int, after: str = "", tenant: str = "") -> list[Document]:
        """At most `limit` documents, all or one tenant's, by id, those beyond `after`, without texts and landmarks."""
        rows = self._db.execute(
            "SELECT id, '', title, metadata, version, '[]' FROM documents "
            f"WHERE collection = ? {'AND tenant = ? ' if tenant else ''}AND id > ? ORDER BY id LIMIT ?",
            (self.key(id), *([tenant] if tenant else []), after, limit),
        )
        return [_document(row) for row in rows]

    def documents_beyond(self, id: str, number: int, limit: int, byte_limit: int) -> Portion:
        """The next documents to divide for a generation, at most `limit`, until their texts exceed `byte_limit`."""
        key = self.key(id)
        after, size, found = generations.divided_through(self._db, key, number), 0, list[Document]()
        rows = self._db.execute(
            "SELECT id, text, title, metadata, version, landmarks FROM documents "
            "WHERE collection = ? AND id > ? ORDER BY id LIMIT ?",
            (key, after, limit),
        )
        for row in rows:
            found.append(_document(row))
            size += len(row[1])
            if size > byte_limit:
                break
        return Portion(after, tuple(found))

    def passages(self, id: str, wanted: Sequence[tuple[str, int]], split: int) -> dict[str, Passage]:
        """Passages by id, those left out whose document has another version by now."""
        versions = dict(wanted)
        found = passages.with_ids(self._db, self.key(id), split, list(versions))
        return {each.id: each for each in found if each.document_version == versions[each.id]}

    def changes(self, id: str, after: int, limit: int, byte_limit: int, split: int) -> Changes:
        """The changes behind `after`, at most `limit` looked at, until their texts exceed `byte_limit`, with the
        passages of a split."""
        key, size, upto, changes = self.key(id), 0, after, list[Change]()
        rows = self._db.execute(
            "SELECT c.sequence, c.document_id, c.is_delete, d.version FROM changes c LEFT JOIN documents d ON "
            "d.collection = c.collection AND d.id = c.document_id WHERE c.collection = ? AND c.sequence > ? "
            "ORDER BY c.sequence LIMIT ?",
            (key, after, limit),
        ).fetchall()
        for sequence, document_id, is_delete, version in rows:
            if size > byte_limit:
                break
            upto = sequence
            if is_delete and version is None:
                changes.append(Change(sequence, document_id))
            elif version == sequence:
                found = passages.of_document(self._db, key, split, document_id)
                size += sum(len(each.text) for each in found)
                changes.append(Change(sequence, document_id, found))
        else:
            if len(rows) < limit:  # the last changes may have been compacted away
                last = self._one("SELECT last_sequence FROM collections WHERE key = ?", key)[0]
                upto = max(upto, last)
        return Changes(tuple(changes), upto)

    def _mutate(
        self, key: int, sequence: int, mutation: Mutation, splits: Mapping[int, bool], place: int
    ) -> int | None:
        """Applies one mutation; returns None, or the version already there when nothing changed."""
        match mutation:
            case Upsert():
                return self._upsert(key, sequence, mutation, splits)
            case Delete(document_id):
                return self._delete(key, sequence, document_id)
            case Patch():
                return self._patch(key, sequence, mutation, f"patches[{place}]")
            case Rewrite(document_id):
                return self._rewrite(key, sequence, document_id)

    def _upsert(self, key: int, sequence: int, mutation: Upsert, splits: Mapping[int, bool]) -> int | None:
        if not splits.keys() <= mutation.divisions.keys():
            raise SplitsChanged("a generation of the collection was begun meanwhile; write again")
        document = mutation.document
        known = self._known(key, document.id)
        is_same = known is not None and known[1] == _content_hash(document)
        if is_same and self._is_divided_so(key, mutation, splits):
            return int(known[0])
        self._log(key, sequence, document.id, False)
        self._remove(key, document.id, known is not None)
        self._insert(key, sequence, mutation, splits)
        tenants.note(self._db, key, _tenant(document), sequence, known is None)
        return None

    def _is_divided_so(self, key: int, mutation: Upsert, splits: Mapping[int, bool]) -> bool:
        """A split that is still being divided says nothing yet: what it lacks is added anyway."""
        id, divisions = mutation.document.id, mutation.divisions
        divided = [split for split, is_divided in splits.items() if is_divided]
        return all(passages.are_stored(self._db, key, split, id, divisions[split]) for split in divided)

    def _delete(self, key: int, sequence: int, document_id: str) -> int | None:
        known = self._known(key, document_id)
        if known is None:
            return 0
        self._log(key, sequence, document_id, True)
        self._remove(key, document_id, True)
        tenants.note(self._db, key, known[2], sequence, -1)
        return None

    def _patch(self, key: int, sequence: int, patch: Patch, field: str) -> int | None:
        known = self._document(key, patch.document_id)
        if known is None:
            raise NotFound("document", patch.document_id, field=f"{field}.document_id")
        kept = {name: value for name, value in known.metadata.items() if name not in patch.removed_keys}
        before, after = encode(known.metadata), encode({**kept, **patch.metadata})
        if after == before:
            return known.version
        size = len(after.encode())
        if size > max(_MOST_METADATA, len(before.encode())):
            description = f"would have the document's metadata take {size:,} bytes; {_MOST_METADATA:,} are allowed"
            raise InvalidRequest.of(f"{field}.metadata", description)
        self._log(key, sequence, known.id, False)
        patched = replace(known, metadata=decode(after))
        self._db.execute(
            "UPDATE documents SET version = ?, metadata = ?, content_hash = ? WHERE collection = ? AND id = ?",
            (sequence, after, _content_hash(patched), key, known.id),
        )
        tenants.note(self._db, key, _tenant(known), sequence, 0)
        return None

    def _rewrite(self, key: int, sequence: int, document_id: str) -> int | None:
        known = self._known(key, document_id)
        if known is None:
            return 0
        self._log(key, sequence, document_id, False)
        self._db.execute(
            "UPDATE documents SET version = ? WHERE collection = ? AND id = ?", (sequence, key, document_id)
        )
        tenants.note(self._db, key, known[2], sequence, 0)
        return None

    def _known(self, key: int, document_id: str) -> Any:
        """Version, content hash and tenant, or None."""
        return self._one(
            "SELECT version, content_hash, tenant FROM documents WHERE collection = ? AND id = ?", key, document_id
        )

    def _document(self, key: int, document_id: str) -> Document | None:
        columns = "id, text, title, metadata, version, landmarks"
        found = self._one(f"SELECT {columns} FROM documents WHERE collection = ? AND id = ?", key, document_id)
        return None if found is None else _document(found)

    def _log(self, key: int, sequence: int, document_id: str, is_delete: bool) -> None:
        row = (key, sequence, document_id, is_delete, datetime.now(UTC).isoformat())
        self._db.execute("INSERT INTO changes VALUES (?, ?, ?, ?, ?)", row)

    def _remove(self, key: int, document_id: str, exists: bool) -> None:
        if exists:
            self._db.execute("DELETE FROM documents WHERE collection = ? AND id = ?", (key, document_id))
            passages.delete(self._db, key, document_id)
            self._count(key, -1)

    def _insert(self, key: int, sequence: int, mutation: Upsert, splits: Mapping[int, bool]) -> None:
        document = mutation.document
        row = (key, document.id, sequence, document.title, document.text, encode(document.metadata))
        landmarks = encode_landmarks(document.landmarks)
        self._db.execute(
            "INSERT INTO documents (collection, id, version, title, text, metadata, content_hash, landmarks, tenant) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, _content_hash(document), landmarks, _tenant(document)),
        )
        for split in splits:
            passages.insert(self._db, key, split, document.id, mutation.divisions[split])
        self._count(key, 1)

    def _count(self, key: int, difference: int) -> None:
        statement = "UPDATE collections SET document_count = document_count + ? WHERE key = ?"
        self._db.execute(statement, (difference, key))

    def _found(self, id: str) -> str:
        if self._db.execute("SELECT 1 FROM collections WHERE id = ?", (id,)).fetchone() is None:
            raise self._missing(id)
        return id

    def _missing(self, id: str) -> NotFound:
        known = [row[0] for row in self._db.execute("SELECT id FROM collections ORDER BY id LIMIT 20")]
        return NotFound("collection", id, available=known, field="collection")

    def _collections(self, where: str, *values: object) -> list[Collection]:
        rows = self._db.execute(
            "SELECT id, incarnation, create_time, last_sequence, document_count, (SELECT g.passage_count FROM "
            "generations g WHERE g.collection = key AND g.number = serving_generation), language, serving_generation, "
            f"tenant_partitioned, compacted_upto, key FROM collections {where}",
            values,
        )
        return [self._collection(row) for row in rows.fetchall()]

    def _collection(self, row: Sequence[Any]) -> Collection:
        id, incarnation, created, *columns, partitioned, compacted, key = row
        known = generations.generations(self._db, key)
        return replace(
            Collection(id, incarnation, datetime.fromisoformat(created), *columns),
            tenant_partitioned=bool(partitioned),
            generations=known,
            compacted_upto=compacted,
        )

    def _one(self, statement: str, *values: object) -> Any:
        return self._db.execute(statement, values).fetchone()


def _document(row: Sequence[Any]) -> Document:
    return Document(row[0], row[1], row[2], decode(row[3]), row[4], decode_landmarks(row[5]))


def _tenant(document: Document) -> str:
    return str(document.metadata.get(TENANT, ""))


def _content_hash(document: Document) -> bytes:
    """Covers all that a caller wrote. How it is divided is compared passage by passage: chunkers come and go."""
    digest = hashlib.blake2b(digest_size=20)
    for part in (document.title, document.text, encode(document.metadata), encode_landmarks(document.landmarks)):
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()
