"""Generations of a collection: every statement that touches their table; all of it synchronous."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from tamis.encoding import encode_landmarks
from tamis.errors import Aborted, FailedPrecondition, NotFound
from tamis.journal import passages as divided
from tamis.journal.database import Database
from tamis.journal.records import Generation, Portion, Recipe
from tamis.model import Document, Passage

__all__ = [
    "SplitsChanged",
    "add",
    "adopt",
    "divide",
    "divided_through",
    "drop",
    "generations",
    "insert",
    "live_splits",
    "serve",
    "sweep",
]

_DIVIDING, _DIVIDED, _DROPPED = "dividing", "divided", "dropped"


class SplitsChanged(Aborted):
    """A generation was begun or dropped since the passages of a write were made: make them again."""


def generations(db: Database, key: int) -> tuple[Generation, ...]:
    """All of a collection, in the order of their numbers."""
    rows = db.execute(
        "SELECT number, chunker, chunker_digest, replacements, split, create_time, state, divided_count "
        "FROM generations WHERE collection = ? ORDER BY number",
        (key,),
    )
    return tuple(
        Generation(
            row[0],
            Recipe(row[1], row[2], json.loads(row[3])),
            row[4],
            datetime.fromisoformat(row[5]),
            row[6] != _DIVIDING,
            row[6] == _DROPPED,
            row[7],
        )
        for row in rows
    )


def live_splits(db: Database, key: int) -> dict[int, bool]:
    """The splits that a write must divide documents for, each with whether all older ones are divided in it."""
    rows = db.execute(
        "SELECT split, state FROM generations WHERE collection = ? AND state <> ? ORDER BY number", (key, _DROPPED)
    )
    return {split: state == _DIVIDED for split, state in reversed(rows.fetchall())}


def add(db: Database, key: int, recipe: Recipe) -> int:
    """Begins a generation, and returns its number. It shares the split of one that the same chunker divided.

    Raises `FailedPrecondition` while another one is being divided.
    """
    known = [each for each in generations(db, key) if not each.is_dropped]
    if undivided := [each.number for each in known if not each.is_divided]:
        raise FailedPrecondition(f"generation {undivided[0]} is being built; switch to it or drop it first")
    db.execute("UPDATE collections SET last_generation = last_generation + 1 WHERE key = ?", (key,))
    number = int(db.execute("SELECT last_generation FROM collections WHERE key = ?", (key,)).fetchone()[0])
    alike = [each.split for each in known if each.recipe.chunker_digest == recipe.chunker_digest]
    split = alike[-1] if alike else number
    insert(db, key, number, recipe, split, is_divided=bool(alike))
    return number


def insert(db: Database, key: int, number: int, recipe: Recipe, split: int, *, is_divided: bool) -> None:
    """Writes down a generation; one that shares a split has as many passages as the others in it."""
    state, now = _DIVIDED if is_divided else _DIVIDING, datetime.now(UTC).isoformat()
    replacements = json.dumps(dict(recipe.replacements), sort_keys=True)
    shared = db.execute(
        "SELECT MAX(passage_count) FROM generations WHERE collection = ? AND split = ?", (key, split)
    ).fetchone()
    db.execute(
        "INSERT INTO generations (collection, number, state, chunker, chunker_digest, replacements, split, "
        "create_time, passage_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (key, number, state, recipe.chunker, recipe.chunker_digest, replacements, split, now, shared[0] or 0),
    )


def adopt(db: Database, recipe: Recipe) -> None:
    """Says what divided the generations of which that is not known, as an older Tamis wrote nothing down."""
    statement = "UPDATE generations SET chunker = ?, chunker_digest = ? WHERE chunker_digest IS NULL"
    db.execute(statement, (recipe.chunker, recipe.chunker_digest))


def divide(db: Database, key: int, number: int, portion: Portion, divisions: Mapping[str, Sequence[Passage]]) -> None:
    """Adds the passages of a portion's documents, and moves on; after an empty portion the generation is divided.

    Documents that were written or deleted since the portion was read are left as they are: a write brings its own
    passages, and only a patch leaves that to this. So is everything when the portion does not begin where the division
    stands. Raises `NotFound`.
    """
    row = db.execute(
        "SELECT split, state, divided_through FROM generations WHERE collection = ? AND number = ?", (key, number)
    ).fetchone()
    if row is None or row[1] == _DROPPED:
        raise NotFound("generation", str(number), field="generation")
    split, state, through = row
    if state == _DIVIDED or through != portion.after:
        return
    for document in portion.documents:
        if _lacks(db, key, split, document):
            divided.insert(db, key, split, document.id, divisions[document.id])
    through, count = portion.documents[-1].id if portion.documents else through, len(portion.documents)
    db.execute(
        "UPDATE generations SET divided_through = ?, divided_count = divided_count + ?, state = ? "
        "WHERE collection = ? AND number = ?",
        (through, count, _DIVIDING if count else _DIVIDED, key, number),
    )


def divided_through(db: Database, key: int, number: int) -> str:
    """The id of the last document that was divided for a generation; empty before the first."""
    statement = "SELECT divided_through FROM generations WHERE collection = ? AND number = ?"
    row = db.execute(statement, (key, number)).fetchone()
    return str(row[0]) if row else ""


def serve(db: Database, key: int, number: int) -> None:
    """Has searches read a generation. Raises `NotFound`, and `FailedPrecondition` while it is being divided."""
    known = {each.number: each for each in generations(db, key) if not each.is_dropped}
    if number not in known:
        raise NotFound("generation", str(number), available=[str(each) for each in known], field="generation")
    if not known[number].is_divided:
        raise FailedPrecondition(f"the documents of generation {number} are still being divided")
    db.execute("UPDATE collections SET serving_generation = ? WHERE key = ?", (number, key))


def drop(db: Database, key: int, number: int) -> None:
    """Gives a generation up; `sweep` removes what is left of it. Raises `NotFound`, and `FailedPrecondition` for the
    one that serves."""
    serving = db.execute("SELECT serving_generation FROM collections WHERE key = ?", (key,)).fetchone()[0]
    if number == serving:
        raise FailedPrecondition(f"generation {number} serves; switch to another one first")
    dropped = db.execute(
        "UPDATE generations SET state = ? WHERE collection = ? AND number = ? AND state <> ?",
        (_DROPPED, key, number, _DROPPED),
    )
    if not dropped.rowcount:
        raise NotFound("generation", str(number), field="generation")


def sweep(db: Database, key: int, number: int, limit: int) -> bool:
    """Removes at most `limit` passages that only a dropped generation used; returns whether that was all.

    Then the generation is forgotten as well, so call it last.
    """
    row = db.execute(
        "SELECT split FROM generations WHERE collection = ? AND number = ? AND state = ?", (key, number, _DROPPED)
    ).fetchone()
    if row is None:
        return True
    if row[0] not in live_splits(db, key) and divided.sweep(db, key, row[0], limit) == limit:
        return False
    db.execute("DELETE FROM dead_letters WHERE collection = ? AND generation = ?", (key, number))
    db.execute("DELETE FROM generations WHERE collection = ? AND number = ?", (key, number))
    return True


def _lacks(db: Database, key: int, split: int, document: Document) -> bool:
    return _is_as_read(db, key, document) and not _is_divided(db, key, split, document.id)


def _is_as_read(db: Database, key: int, document: Document) -> bool:
    """Whether nothing was written since that brought passages. A new version alone does not: patches bring none."""
    here = (key, document.id)
    row = db.execute("SELECT version FROM documents WHERE collection = ? AND id = ?", here).fetchone()
    if row is None or row[0] == document.version:
        return row is not None
    row = db.execute("SELECT title, text, landmarks FROM documents WHERE collection = ? AND id = ?", here).fetchone()
    return tuple(row) == (document.title, document.text, encode_landmarks(document.landmarks))


def _is_divided(db: Database, key: int, split: int, document_id: str) -> bool:
    statement = "SELECT 1 FROM passages WHERE collection = ? AND document_id = ? AND split = ? LIMIT 1"
    return db.execute(statement, (key, document_id, split)).fetchone() is not None
