"""Opening the database file: settings, format, version and migrations.

A file that is not ours or is newer than this program is refused and left untouched. Migrations run in one transaction,
after a verified copy when there is something to lose.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from vaguemestre_core.errors import StoreError
from vaguemestre_queue.connection import Connection, ConnectionFactory, SqliteConnection, transaction

APPLICATION_ID: Final = 0x5641474D  # "VAGM"
SYNCHRONOUS_FULL: Final = 2
_HEADER_BYTES: Final = 100
_MIGRATION = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


def migrations() -> Sequence[tuple[int, str]]:
    """Return the shipped migrations as (version, SQL), in order."""
    found: list[tuple[int, str]] = []
    for item in resources.files("vaguemestre_queue").joinpath("sql/migrations").iterdir():
        match = _MIGRATION.fullmatch(item.name)
        if match:
            found.append((int(match.group(1)), item.read_text(encoding="utf-8")))
    return sorted(found)


def schema_version() -> int:
    """Return the version of the schema this program writes."""
    return migrations()[-1][0]


def open_database(
    path: Path, connect: ConnectionFactory = SqliteConnection, *, synchronous: int = SYNCHRONOUS_FULL
) -> Connection:
    """Open or create the store's file with its settings, brought to the present schema.

    Args:
        path: the file; its folder exists.
        connect: what opens a connection.
        synchronous: SQLite's setting; anything but FULL is only for the seeded bugs of the self-tests.

    Raises:
        StoreError: STORE_NOT_OURS, STORE_TOO_NEW, STORE_CORRUPT, STORE_CANNOT_OPEN, STORE_MIGRATION_FAILED.
    """
    _look_at_header(path)
    connection = connect(path)
    try:
        _settings(connection, synchronous)
        _bring_up(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _look_at_header(path: Path) -> None:
    """Refuse a file of somebody else or of a newer version before SQLite has it: even closing it could write to it.

    The header is at fixed places (sqlite.org/fileformat.html, 1.3); a file too short for one is left to SQLite.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:
        return
    if len(header) < _HEADER_BYTES or not header.startswith(b"SQLite format 3\x00"):
        return
    version, application = (int.from_bytes(header[start : start + 4], "big") for start in (60, 68))
    if application not in (0, APPLICATION_ID):
        raise StoreError("STORE_NOT_OURS")
    if application == APPLICATION_ID and version > schema_version():
        raise StoreError("STORE_TOO_NEW", file_version=version, known_version=schema_version())


def _settings(connection: Connection, synchronous: int) -> None:
    mode = connection.run("PRAGMA journal_mode = WAL")
    if mode != [("wal",)]:
        raise StoreError("STORE_CANNOT_OPEN", reason="wal")
    connection.run(f"PRAGMA synchronous = {int(synchronous)}")
    connection.run("PRAGMA foreign_keys = ON")
    connection.run("PRAGMA secure_delete = ON")
    connection.run("PRAGMA trusted_schema = OFF")
    connection.run("PRAGMA wal_autocheckpoint = 8000")


def _single(connection: Connection, sql: str) -> int:
    value = connection.run(sql)[0][0]
    if not isinstance(value, int):
        raise StoreError("STORE_CORRUPT")
    return value


def _bring_up(connection: Connection, path: Path) -> None:
    application = _single(connection, "PRAGMA application_id")
    version = _single(connection, "PRAGMA user_version")
    tables = _single(connection, "SELECT count(*) FROM sqlite_schema")
    if application not in (0, APPLICATION_ID) or (application == 0 and tables):
        raise StoreError("STORE_NOT_OURS")
    if version > schema_version():
        raise StoreError("STORE_TOO_NEW", file_version=version, known_version=schema_version())
    todo = [(number, sql) for number, sql in migrations() if number > version]
    if not todo:
        return
    if tables:
        keep_copy(connection, path, version)
    with transaction(connection):
        connection.run(f"PRAGMA application_id = {APPLICATION_ID}")
        for number, sql in todo:
            for statement in split_statements(sql):
                connection.run(statement)
            connection.run(f"PRAGMA user_version = {number}")
        broken = connection.run("PRAGMA foreign_key_check")
        if broken:
            raise StoreError("STORE_MIGRATION_FAILED", broken_rows=len(broken))


def keep_copy(connection: Connection, path: Path, version: int) -> Path:
    """Write a verified copy of the file beside it before a migration; return its path."""
    connection.run("PRAGMA wal_checkpoint(TRUNCATE)")
    copy = path.with_name(f"{path.name}.before-{version + 1:04d}")
    shutil.copyfile(path, copy)
    with copy.open("rb+") as file:
        os.fsync(file.fileno())
    if hashlib.sha256(copy.read_bytes()).digest() != hashlib.sha256(path.read_bytes()).digest():
        raise StoreError("STORE_MIGRATION_FAILED", reason="copy")
    return copy


def split_statements(sql: str) -> list[str]:
    """Return the statements of a migration; comments go, triggers stay whole."""
    text = re.sub(r"--[^\n]*", "", sql)
    statements: list[str] = []
    current = ""
    for piece in text.split(";"):
        current += piece
        if current.strip().upper().startswith("CREATE TRIGGER") and not current.strip().upper().endswith("END"):
            current += ";"
            continue
        if current.strip():
            statements.append(current.strip())
        current = ""
    return statements
