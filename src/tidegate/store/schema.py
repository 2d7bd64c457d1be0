"""The tables of the ledger, and how an older file becomes a newer one (`PRAGMA user_version` counts the migrations).

A migration is never edited once released; a change is a new one. Money is integer nano-USD: the CHECKs refuse what
SQLite would otherwise turn into a float on overflow.
"""

import sqlite3

GRAIN_NS = 900 * 1_000_000_000
"""Rollups are kept by slots of 15 minutes: each time zone's hours, days and months begin on one."""

_FIRST = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    time_ns INTEGER NOT NULL,
    team TEXT NOT NULL,
    consumer TEXT NOT NULL,
    key TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    upstream_model TEXT NOT NULL,
    operation TEXT NOT NULL,
    dialect TEXT NOT NULL,
    status INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    code TEXT NOT NULL,
    stream INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL CHECK (typeof(input_tokens) = 'integer'),
    cached_input_tokens INTEGER NOT NULL CHECK (typeof(cached_input_tokens) = 'integer'),
    output_tokens INTEGER NOT NULL CHECK (typeof(output_tokens) = 'integer'),
    usage BLOB NOT NULL,
    cost_nano INTEGER CHECK (typeof(cost_nano) IN ('integer', 'null')),
    charged_nano INTEGER NOT NULL CHECK (typeof(charged_nano) = 'integer'),
    price_version TEXT NOT NULL,
    first_byte_ms INTEGER,
    total_ms INTEGER NOT NULL,
    snapshot TEXT NOT NULL,
    tags TEXT
);
CREATE INDEX events_by_time ON events (time_ns);

CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY REFERENCES events (seq),
    body BLOB NOT NULL
);

CREATE TABLE rollups (
    slot INTEGER NOT NULL,
    team TEXT NOT NULL,
    consumer TEXT NOT NULL,
    key TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    upstream_model TEXT NOT NULL,
    operation TEXT NOT NULL,
    dialect TEXT NOT NULL,
    status INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    requests INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL CHECK (typeof(input_tokens) = 'integer'),
    cached_input_tokens INTEGER NOT NULL CHECK (typeof(cached_input_tokens) = 'integer'),
    output_tokens INTEGER NOT NULL CHECK (typeof(output_tokens) = 'integer'),
    cost_nano INTEGER NOT NULL CHECK (typeof(cost_nano) = 'integer'),
    unknown_cost_requests INTEGER NOT NULL,
    PRIMARY KEY (slot, team, consumer, key, model, provider, upstream_model, operation, dialect, status, outcome)
) WITHOUT ROWID;

CREATE TABLE spend (
    scope TEXT NOT NULL CHECK (scope IN ('team', 'consumer')),
    name TEXT NOT NULL,
    slot INTEGER NOT NULL,
    charged_nano INTEGER NOT NULL CHECK (typeof(charged_nano) = 'integer'),
    PRIMARY KEY (scope, name, slot)
) WITHOUT ROWID;

CREATE TABLE progress (
    segment TEXT PRIMARY KEY,
    offset INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST,)


class SchemaError(Exception):
    """The file was written by a newer version."""


def migrate(connection: sqlite3.Connection) -> None:
    """Brings the file to the newest schema, each step in one transaction; safe when several processes start at once."""
    while (version := _version(connection)) < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _version(connection) == version:
                for statement in MIGRATIONS[version].split(";\n"):
                    if statement.strip():
                        connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1:d}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    if version > len(MIGRATIONS):
        raise SchemaError(
            f"the ledger has schema {version}, this version knows {len(MIGRATIONS)}: use a newer tidegate"
        )


def _version(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]
