"""Bad days of a migration: killed at every statement, the store opens old or new, never half; a newer one is left."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from vaguemestre_core.errors import StoreError
from vaguemestre_queue import database
from vaguemestre_queue.connection import SqliteConnection
from vaguemestre_queue.database import open_database

# Opens a store, and dies for good just before or just after its nth statement.
_KILLED = """
import os, sys
from pathlib import Path
from vaguemestre_queue.connection import SqliteConnection
from vaguemestre_queue.database import open_database

left = [int(sys.argv[2])]

class Dying(SqliteConnection):
    def run(self, sql, params=()):
        if left[0] == 0:
            os._exit(9)
        left[0] -= 1
        return super().run(sql, params)

open_database(Path(sys.argv[1]), Dying)
os._exit(9 if left[0] == 0 else 0)
"""


def shape(path: Path) -> tuple[int, tuple[str, ...], int]:
    """Version, schema and one row's worth of content, as another program sees them."""
    raw = sqlite3.connect(path)
    try:
        version = raw.execute("PRAGMA user_version").fetchone()[0]
        found = raw.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
        schema = tuple(row[0] for row in found)
        kept = raw.execute("SELECT count(*) FROM meta WHERE key = 'witness' AND value = 'kept'").fetchone()[0]
        assert raw.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    finally:
        raw.close()
    return version, schema, kept


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A store of the first schema."""
    path = tmp_path / "first.db"
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA journal_mode = WAL")
    for statement in database.split_statements(database.migrations()[0][1]):
        raw.execute(statement)
    raw.execute(f"PRAGMA application_id = {database.APPLICATION_ID}")
    raw.execute("PRAGMA user_version = 1")
    raw.execute("INSERT INTO meta VALUES ('witness', 'kept')")
    raw.close()
    return path


def test_killed_at_any_statement_of_a_migration_it_opens_old_or_new_never_half(first: Path, tmp_path: Path) -> None:
    assert database.schema_version() > 1
    old = shape(first)
    whole = tmp_path / "whole.db"
    shutil.copyfile(first, whole)
    open_database(whole).close()
    new = shape(whole)
    assert (old[0], new[0], new[2]) == (1, database.schema_version(), 1)
    seen: list[int] = []
    for statement in range(200):
        path = tmp_path / f"killed-{statement}.db"
        shutil.copyfile(first, path)
        ended = subprocess.run([sys.executable, "-c", _KILLED, str(path), str(statement)], check=False)
        found = shape(path)
        assert found in (old, new), statement
        seen.append(found[0])
        open_database(path).close()  # the next start ends the work
        assert shape(path) == new
        if ended.returncode == 0:
            break
        assert ended.returncode == 9
    assert seen == sorted(seen)
    assert {1, database.schema_version()} == set(seen)
    assert len(seen) > len(database.split_statements(database.migrations()[1][1]))


def test_a_migration_without_its_transaction_would_be_seen(first: Path, tmp_path: Path) -> None:
    """The same judgement, on half a migration made on purpose."""
    old = shape(first)
    half = tmp_path / "half.db"
    shutil.copyfile(first, half)
    raw = sqlite3.connect(half, isolation_level=None)
    raw.execute(database.split_statements(database.migrations()[1][1])[0])
    raw.close()
    assert shape(half) != old


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_newer_file_is_left_byte_for_byte(first: Path, mode: str) -> None:
    raw = sqlite3.connect(first, isolation_level=None)
    raw.execute(f"PRAGMA journal_mode = {mode}")
    raw.execute(f"PRAGMA user_version = {database.schema_version() + 1}")
    raw.close()
    before, names = first.read_bytes(), sorted(path.name for path in first.parent.iterdir())
    with pytest.raises(StoreError, match="STORE_TOO_NEW") as refused:
        open_database(first)
    assert refused.value.params == {
        "file_version": database.schema_version() + 1,
        "known_version": database.schema_version(),
    }
    assert first.read_bytes() == before
    assert sorted(path.name for path in first.parent.iterdir()) == names


def test_a_copy_is_kept_before_a_migration(first: Path) -> None:
    before = shape(first)
    connection = open_database(first, SqliteConnection)
    connection.close()
    assert shape(first.with_name("first.db.before-0002")) == before
