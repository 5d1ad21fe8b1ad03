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

# Passages are copied into a table whose keys know the split, and the keys are made afterwards: sorted once, they cost a
# fraction of what rows in random order do. They are indexes, not constraints, so that the next step need not copy.
_GENERATIONS = """
ALTER TABLE collections ADD COLUMN serving_generation INTEGER NOT NULL DEFAULT 1;
ALTER TABLE collections ADD COLUMN last_generation INTEGER NOT NULL DEFAULT 1;
CREATE TABLE generations (
    collection INTEGER NOT NULL REFERENCES collections ON DELETE CASCADE,
    number INTEGER NOT NULL,
    state TEXT NOT NULL,
    chunker TEXT NOT NULL,
    chunker_digest TEXT,
    replacements TEXT NOT NULL,
    split INTEGER NOT NULL,
    create_time TEXT NOT NULL,
    divided_through TEXT NOT NULL DEFAULT '',
    divided_count INTEGER NOT NULL DEFAULT 0,
    passage_count INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (collection, number)
);
INSERT INTO generations (collection, number, state, chunker, replacements, split, create_time, passage_count)
    SELECT key, 1, 'divided', '', '{}', 1, create_time, passage_count FROM collections;
ALTER TABLE collections DROP COLUMN passage_count;
CREATE TABLE divided_passages (
    collection INTEGER NOT NULL REFERENCES collections ON DELETE CASCADE,
    split INTEGER NOT NULL DEFAULT 1,
    id TEXT NOT NULL,
    document_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    heading TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    text TEXT NOT NULL,
    heading_path TEXT NOT NULL DEFAULT '[]',
    first_page INTEGER NOT NULL DEFAULT 0,
    last_page INTEGER NOT NULL DEFAULT 0,
    first_line INTEGER NOT NULL DEFAULT 0,
    last_line INTEGER NOT NULL DEFAULT 0
);
INSERT INTO divided_passages (collection, id, document_id, ordinal, heading, start, "end", text, heading_path,
    first_page, last_page, first_line, last_line)
    SELECT collection, id, document_id, ordinal, heading, start, "end", text, heading_path,
    first_page, last_page, first_line, last_line FROM passages;
DROP TABLE passages;
ALTER TABLE divided_passages RENAME TO passages;
CREATE UNIQUE INDEX passages_by_id ON passages (collection, split, id);
CREATE INDEX passages_by_document ON passages (collection, document_id, split, ordinal);
"""

# A lease outlives its collection, so that the epochs of one that is created anew go on from there.
_LEASES = """
CREATE TABLE leases (
    collection TEXT NOT NULL,
    generation INTEGER NOT NULL,
    stage TEXT NOT NULL,
    holder TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    expires REAL NOT NULL,
    PRIMARY KEY (collection, generation, stage)
);
"""

_COMPACTION = """
ALTER TABLE collections ADD COLUMN compacted_upto INTEGER NOT NULL DEFAULT 0;
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
    (4, _GENERATIONS),
    (5, _LEASES),
    (6, _COMPACTION),
)
"""What leads to each version of the schema from the one before it; never changed once released."""

SCHEMA_VERSION = MIGRATIONS[-1][0]
