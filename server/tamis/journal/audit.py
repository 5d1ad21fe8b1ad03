"""Whether a journal agrees with itself: what is wrong with it, in words."""

from __future__ import annotations

from dataclasses import dataclass

from tamis.journal import generations
from tamis.journal.database import Database

__all__ = ["Misplaced", "misplaced", "problems"]


@dataclass(frozen=True, slots=True)
class Misplaced:
    """A portion of documents by id: the last of them, None at the end, and those whose passages are not what their
    spans say."""

    last: str | None
    document_ids: tuple[str, ...]


def problems(db: Database, key: int) -> list[str]:
    """What can be counted: numbers kept beside what they count, sequences, rows without their counterpart."""
    last, documents, compacted = db.execute(
        "SELECT last_sequence, document_count, compacted_upto FROM collections WHERE key = ?", (key,)
    ).fetchone()
    found = [*_counts(db, key, documents), *_sequences(db, key, last, compacted)]
    unknown = _one(
        db,
        "SELECT COUNT(*) FROM documents d LEFT JOIN changes c ON c.collection = d.collection AND "
        "c.sequence = d.version WHERE d.collection = ? AND "
        "(c.sequence IS NULL OR c.document_id <> d.id OR c.is_delete <> 0)",
        key,
    )
    orphans = _one(
        db,
        "SELECT COUNT(*) FROM passages p LEFT JOIN documents d ON d.collection = p.collection AND "
        "d.id = p.document_id WHERE p.collection = ? AND d.id IS NULL",
        key,
    )
    if unknown:
        found.append(f"{unknown:,} documents have a version that no change wrote")
    if orphans:
        found.append(f"{orphans:,} passages belong to no document")
    return found


def misplaced(db: Database, key: int, after: str, *, limit: int = 64) -> Misplaced:
    """Reads the texts of at most `limit` documents, those beyond `after`, of every split."""
    rows = db.execute(
        "SELECT id, text FROM documents WHERE collection = ? AND id > ? ORDER BY id LIMIT ?", (key, after, limit)
    ).fetchall()
    wrong = tuple(id for id, text in rows if not _is_placed(db, key, id, text.encode(errors="surrogatepass")))
    return Misplaced(rows[-1][0] if rows else None, wrong)


def _counts(db: Database, key: int, documents: int) -> list[str]:
    found = []
    counted = _one(db, "SELECT COUNT(*) FROM documents WHERE collection = ?", key)
    if counted != documents:
        found.append(f"there are {counted:,} documents, and {documents:,} are counted")
    rows = db.execute("SELECT number, split, passage_count FROM generations WHERE collection = ?", (key,)).fetchall()
    live = {each.number for each in generations.generations(db, key) if not each.is_dropped}
    for number, split, passages in rows:
        counted = _one(db, "SELECT COUNT(*) FROM passages WHERE collection = ? AND split = ?", key, split)
        if number in live and counted != passages:
            found.append(f"generation {number} has {counted:,} passages, and {passages:,} are counted")
    return found


def _sequences(db: Database, key: int, last: int, compacted: int) -> list[str]:
    found = []
    there = _one(db, "SELECT COUNT(*) FROM changes WHERE collection = ? AND sequence > ?", key, compacted)
    if there != last - compacted:
        found.append(
            f"there are {there:,} changes after sequence {compacted:,}, where there should be {last - compacted:,}"
        )
    for table, column in (("changes", "sequence"), ("documents", "version")):
        beyond = _one(db, f"SELECT COUNT(*) FROM {table} WHERE collection = ? AND {column} > ?", key, last)
        if beyond:
            found.append(f"{beyond:,} {table} have a {column} above the last sequence, {last:,}")
    return found


def _is_placed(db: Database, key: int, document_id: str, text: bytes) -> bool:
    rows = db.execute(
        'SELECT start, "end", text FROM passages WHERE collection = ? AND document_id = ?', (key, document_id)
    )
    return all(text[start:end] == passage.encode(errors="surrogatepass") for start, end, passage in rows.fetchall())


def _one(db: Database, statement: str, *values: object) -> int:
    return int(db.execute(statement, values).fetchone()[0])
