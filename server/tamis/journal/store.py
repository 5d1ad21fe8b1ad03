"""Documents, passages and changes: every statement that touches their tables; all of it synchronous."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tamis.errors import AlreadyExists, InvalidRequest, NotFound
from tamis.journal.database import Database
from tamis.journal.encoding import decode, decode_landmarks, encode, encode_landmarks
from tamis.journal.records import Changes, Collection, Delete, Mutation, Patch, Rewrite, Upsert, Written
from tamis.journal.schema import MIGRATIONS
from tamis.model import Change, Document, Locator, Passage, Span

__all__ = ["Store"]

_MOST_METADATA = 1 << 16  # bytes, as it is kept
_PASSAGE_COLUMNS = (
    'p.id, p.document_id, d.version, p.text, d.title, p.heading, p.start, p."end", d.metadata, p.heading_path, '
    "p.first_page, p.last_page, p.first_line, p.last_line"
)


class Store:
    """The tables behind one connection. Not thread-safe: its owner gives it one thread."""

    def __init__(self, database: Database) -> None:
        """Brings the tables up to date. Raises `ConfigurationError` when a newer Tamis wrote them."""
        self._db = database
        database.migrate(MIGRATIONS)

    @property
    def database(self) -> Database:
        """The connection, for the modules that keep other tables."""
        return self._db

    def close(self) -> None:
        """Closes the connection."""
        self._db.close()

    def begin(self) -> None:
        """Opens a transaction that others of this connection join."""
        self._db.begin()

    def commit(self) -> None:
        """Makes everything since `begin` durable: on return it survives a crash of process and machine."""
        self._db.commit()

    def rollback(self) -> None:
        """Undoes everything since `begin`."""
        self._db.rollback()

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

    def create_collection(self, id: str, language: str) -> Collection:
        """Adds an empty collection. Raises `AlreadyExists`."""
        created = Collection(id, uuid.uuid4().hex, datetime.now(UTC), language=language)
        added = self._db.execute(
            "INSERT INTO collections (id, incarnation, create_time, language) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (id) DO NOTHING",
            (id, created.incarnation, created.create_time.isoformat(), language),
        )
        if not added.rowcount:
            raise AlreadyExists(f"there is a collection named {id!r}", metadata={"name": id})
        return created

    def delete_collection(self, id: str) -> None:
        """Removes a collection and everything in it. Raises `NotFound`."""
        self._db.execute("DELETE FROM collections WHERE key = ?", (self.key(id),))

    def collection(self, id: str) -> Collection:
        """Raises `NotFound`."""
        return self._collections("WHERE id = ?", self._found(id))[0]

    def key(self, id: str) -> int:
        """What other tables know a collection by. Raises `NotFound`."""
        return int(self._one("SELECT key FROM collections WHERE id = ?", self._found(id))[0])

    def collections(self, limit: int, after: str = "") -> list[Collection]:
        """At most `limit` collections by id, those beyond `after`."""
        return self._collections("WHERE id > ? ORDER BY id LIMIT ?", after, limit)

    def write(self, id: str, mutations: Sequence[Mutation]) -> Written:
        """Applies mutations in order, each with the next sequence; what changes nothing gets none.

        Raises `NotFound` for a patch of a document that is not there, and `InvalidRequest` for one that has its
        metadata grow too large, both with the place of the patch.
        """
        key = self.key(id)
        start = self._one("SELECT last_sequence FROM collections WHERE key = ?", key)[0]
        sequence, newest, unchanged = start, 0, 0
        for place, mutation in enumerate(mutations):
            known = self._mutate(key, sequence + 1, mutation, place)
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

    def documents(self, id: str, limit: int, after: str = "") -> list[Document]:
        """At most `limit` documents by id, those beyond `after`, without their texts and landmarks."""
        rows = self._db.execute(
            "SELECT id, '', title, metadata, version, '[]' FROM documents "
            "WHERE collection = ? AND id > ? ORDER BY id LIMIT ?",
            (self.key(id), after, limit),
        )
        return [_document(row) for row in rows]

    def passages(self, id: str, wanted: Sequence[tuple[str, int]]) -> dict[str, Passage]:
        """Passages by id, those left out whose document has another version by now."""
        key, versions, found = self.key(id), dict(wanted), dict[str, Passage]()
        ids = list(versions)
        for start in range(0, len(ids), 500):
            some = ids[start : start + 500]
            rows = self._db.execute(
                f"SELECT {_PASSAGE_COLUMNS} FROM passages p JOIN documents d ON d.collection = p.collection AND "
                f"d.id = p.document_id WHERE p.collection = ? AND p.id IN ({','.join('?' * len(some))})",
                (key, *some),
            )
            passages = (_passage(row) for row in rows)
            found.update((each.id, each) for each in passages if each.document_version == versions[each.id])
        return found

    def changes(self, id: str, after: int, limit: int, byte_limit: int) -> Changes:
        """The changes behind `after`, at most `limit` looked at, until their texts exceed `byte_limit`."""
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
                passages = self._passages_of(key, document_id)
                size += sum(len(each.text) for each in passages)
                changes.append(Change(sequence, document_id, passages))
        return Changes(tuple(changes), upto)

    def _mutate(self, key: int, sequence: int, mutation: Mutation, place: int) -> int | None:
        """Applies one mutation; returns None, or the version already there when nothing changed."""
        match mutation:
            case Upsert():
                return self._upsert(key, sequence, mutation)
            case Delete(document_id):
                return self._delete(key, sequence, document_id)
            case Patch():
                return self._patch(key, sequence, mutation, f"patches[{place}]")
            case Rewrite(document_id):
                return self._rewrite(key, sequence, document_id)

    def _upsert(self, key: int, sequence: int, mutation: Upsert) -> int | None:
        document_id = mutation.document.id
        known = self._known(key, document_id)
        if known is not None and known[1] == _content_hash(mutation):
            return int(known[0])
        self._log(key, sequence, document_id, False)
        self._remove(key, document_id, known is not None)
        self._insert(key, sequence, mutation)
        return None

    def _delete(self, key: int, sequence: int, document_id: str) -> int | None:
        if self._known(key, document_id) is None:
            return 0
        self._log(key, sequence, document_id, True)
        self._remove(key, document_id, True)
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
        patched = Upsert(replace(known, metadata=decode(after)), self._passages_of(key, known.id))
        self._db.execute(
            "UPDATE documents SET version = ?, metadata = ?, content_hash = ? WHERE collection = ? AND id = ?",
            (sequence, after, _content_hash(patched), key, known.id),
        )
        return None

    def _rewrite(self, key: int, sequence: int, document_id: str) -> int | None:
        if self._known(key, document_id) is None:
            return 0
        self._log(key, sequence, document_id, False)
        self._db.execute(
            "UPDATE documents SET version = ? WHERE collection = ? AND id = ?", (sequence, key, document_id)
        )
        return None

    def _known(self, key: int, document_id: str) -> Any:
        """Version and content hash, or None."""
        return self._one(
            "SELECT version, content_hash FROM documents WHERE collection = ? AND id = ?", key, document_id
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
            gone = self._db.execute("DELETE FROM passages WHERE collection = ? AND document_id = ?", (key, document_id))
            self._count(key, -1, -gone.rowcount)

    def _insert(self, key: int, sequence: int, mutation: Upsert) -> None:
        document = mutation.document
        row = (key, document.id, sequence, document.title, document.text, encode(document.metadata))
        landmarks = encode_landmarks(document.landmarks)
        self._db.execute(
            "INSERT INTO documents (collection, id, version, title, text, metadata, content_hash, landmarks) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, _content_hash(mutation), landmarks),
        )
        self._db.executemany(
            'INSERT INTO passages (collection, document_id, ordinal, id, heading, start, "end", text, heading_path, '
            "first_page, last_page, first_line, last_line) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(key, document.id, ordinal, *_columns(each)) for ordinal, each in enumerate(mutation.passages)],
        )
        self._count(key, 1, len(mutation.passages))

    def _count(self, key: int, documents: int, passages: int) -> None:
        self._db.execute(
            "UPDATE collections SET document_count = document_count + ?, passage_count = passage_count + ? "
            "WHERE key = ?",
            (documents, passages, key),
        )

    def _passages_of(self, key: int, document_id: str) -> tuple[Passage, ...]:
        rows = self._db.execute(
            f"SELECT {_PASSAGE_COLUMNS} FROM passages p JOIN documents d ON d.collection = p.collection AND "
            "d.id = p.document_id WHERE p.collection = ? AND p.document_id = ? ORDER BY p.ordinal",
            (key, document_id),
        )
        return tuple(_passage(row) for row in rows)

    def _found(self, id: str) -> str:
        if self._db.execute("SELECT 1 FROM collections WHERE id = ?", (id,)).fetchone() is None:
            known = [row[0] for row in self._db.execute("SELECT id FROM collections ORDER BY id LIMIT 20")]
            raise NotFound("collection", id, available=known, field="collection")
        return id

    def _collections(self, where: str, *values: object) -> list[Collection]:
        rows = self._db.execute(
            "SELECT id, incarnation, create_time, last_sequence, document_count, passage_count, language "
            f"FROM collections {where}",
            values,
        )
        return [Collection(row[0], row[1], datetime.fromisoformat(row[2]), *row[3:]) for row in rows]

    def _one(self, statement: str, *values: object) -> Any:
        return self._db.execute(statement, values).fetchone()


def _document(row: Sequence[Any]) -> Document:
    return Document(row[0], row[1], row[2], decode(row[3]), row[4], decode_landmarks(row[5]))


def _columns(passage: Passage) -> tuple[object, ...]:
    """What is stored of a passage, but for what its document has."""
    span, where = passage.span, passage.locator
    path = json.dumps(passage.heading_path, ensure_ascii=False)
    lines = (where.first_page, where.last_page, where.first_line, where.last_line)
    return (passage.id, passage.heading, span.start, span.end, passage.text, path, *lines)


def _passage(row: Sequence[Any]) -> Passage:
    id, document_id, version, text, title, heading, start, end, metadata, path, *where = row
    span, path = Span(start, end), tuple(json.loads(path))
    return Passage(id, document_id, version, text, title, heading, span, decode(metadata), path, Locator(*where))


def _content_hash(mutation: Upsert) -> bytes:
    """Covers all that an index or a reader could see, the way the text was split included."""
    document, digest = mutation.document, hashlib.blake2b(digest_size=20)
    parts = [document.title, document.text, encode(document.metadata), encode_landmarks(document.landmarks)]
    parts += [
        f"{each.id} {each.heading} {each.span.start} {each.span.end} {each.heading_path} {each.locator}"
        for each in mutation.passages
    ]
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()
