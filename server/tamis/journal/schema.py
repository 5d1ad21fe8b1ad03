"""The journal's tables, and the steps that lead to them from those of an older Tamis.

Written for SQLite; `tamis.journal.database` says what another dialect makes of them.
"""

from __future__ import annotations

__all__ = ["MIGRATIONS", "SCHEMA_VERSION"]

_TABLES = """
CREATE TABLE collections (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    incarnation TEXT NOT NULL,
    create_time TEXT NOT NULL,
    last_sequence INTEGER NOT NULL DEFAULT 0,
    document_count INTEGER NOT NULL DEFAULT 0,
    passage_count INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE changes (
    collection INTEGER NOT NULL REFERENCES collections ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    document_id TEXT NOT NULL,
    is_delete INTEGER NOT NULL,
    time TEXT NOT NULL,
    PRIMARY KEY (collection, sequence)
) WITHOUT ROWID;
CREATE TABLE documents (
    collection INTEGER NOT NULL REFERENCES collections ON DELETE CASCADE,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    metadata TEXT NOT NULL,
    content_hash BLOB NOT NULL,
    UNIQUE (collection, id)
);
CREATE TABLE passages (
    collection INTEGER NOT NULL REFERENCES collections ON DELETE CASCADE,
    id TEXT NOT NULL,
    document_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    heading TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (collection, id)
);
CREATE INDEX passages_by_document ON passages (collection, document_id, ordinal);
"""

_LANGUAGE_AND_PLACES = """
ALTER TABLE collections ADD COLUMN language TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN landmarks TEXT NOT NULL DEFAULT '[]';
ALTER TABLE passages ADD COLUMN heading_path TEXT NOT NULL DEFAULT '[]';
ALTER TABLE passages ADD COLUMN first_page INTEGER NOT NULL DEFAULT 0;
ALTER TABLE passages ADD COLUMN last_page INTEGER NOT NULL DEFAULT 0;
ALTER TABLE passages ADD COLUMN first_line INTEGER NOT NULL DEFAULT 0;
ALTER TABLE passages ADD COLUMN last_line INTEGER NOT NULL DEFAULT 0;
"""

_DEAD_LETTERS_AND_REQUESTS = """
CREATE TABLE dead_letters (
    collection INTEGER NOT NULL REFERENCES collections ON DELETE CASCADE,
    stage TEXT NOT NULL,
    document_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    document_version INTEGER NOT NULL,
    reason TEXT NOT NULL,
    time TEXT NOT NULL,
    PRIMARY KEY (collection, stage, document_id, generation)
);
CREATE INDEX dead_letters_by_document ON dead_letters (collection, document_id);
CREATE TABLE requests (
    collection INTEGER NOT NULL REFERENCES collections ON DELETE CASCADE,
    id TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    written_count INTEGER NOT NULL,
    unchanged_count INTEGER NOT NULL,
    time TEXT NOT NULL,
    PRIMARY KEY (collection, id)
);
CREATE INDEX requests_by_time ON requests (collection, time);
"""

MIGRATIONS: tuple[tuple[int, str], ...] = (
    (1, _TABLES),
    (2, _LANGUAGE_AND_PLACES),
    (3, _DEAD_LETTERS_AND_REQUESTS),
)
"""What leads to each version of the schema from the one before it; never changed once released."""

SCHEMA_VERSION = MIGRATIONS[-1][0]
