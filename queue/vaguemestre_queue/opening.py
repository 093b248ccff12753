"""Opening the store of a folder: database, recovery, incarnation, then the writer; closing in reverse."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiosqlite

from vaguemestre_core.errors import StoreError
from vaguemestre_core.ports import ClockPort, FailpointPort, RandomPort
from vaguemestre_core.records import RecoveryReport
from vaguemestre_queue import ledger, recovery
from vaguemestre_queue.connection import Connection, ConnectionFactory, SqliteConnection, transaction
from vaguemestre_queue.context import Context
from vaguemestre_queue.database import SYNCHRONOUS_FULL, open_database
from vaguemestre_queue.sealing import Sealer, StoreKeys
from vaguemestre_queue.store import Store

_log = logging.getLogger(__name__)
DATABASE_FILE = "queue.db"
MARKER_FILE = "queue.marker"


def bring_up(
    connection: Connection, context: Context, marker: Path, new_store_id: str, *, recovering: bool = True
) -> tuple[Context, str, RecoveryReport]:
    """Recover an opened database in one transaction; return the context of this life, the store's id, the report.

    ``recovering=False`` is a seeded bug of the self-tests: what was on the way stays on the way.
    """
    seen = recovery.read_marker(marker)
    same_life = recovery.is_same_life(connection, seen)
    with transaction(connection):
        recovery.require_keys(connection, context.sealer)
        store_id = recovery.meta(connection, "store_id")
        if store_id is None:
            store_id = new_store_id
            recovery.set_meta(connection, "store_id", store_id)
        incarnation = int(recovery.meta(connection, "incarnation") or "1") + (0 if same_life else 1)
        recovery.set_meta(connection, "incarnation", str(incarnation))
        alive = Context(
            sealer=context.sealer, clock=context.clock, failpoints=context.failpoints, incarnation=incarnation
        )
        report = RecoveryReport()
        if recovering:
            report = recovery.recover(connection, alive, same_life=same_life, changes=[])
    if seen is None or not same_life:
        recovery.write_marker(marker, recovery.Marker(store_id=store_id, ledger_seq=ledger.head(connection)[0]))
    return alive, store_id, report


def require_keys_of(folder: Path, keys: StoreKeys) -> None:
    """Refuse keys that are not those of the store in a folder; a folder without one accepts any. Writes nothing.

    Raises:
        StoreError: KEYS_REPLACED; STORE_… when the file cannot be read.
    """
    path = folder / DATABASE_FILE
    if not path.exists():
        return
    connection = SqliteConnection(path)
    try:
        if recovery.same_keys(connection, Sealer(keys)) is False:
            raise StoreError("KEYS_REPLACED")
    finally:
        connection.close()


def _open_private(path: Path, connect: ConnectionFactory, synchronous: int) -> Connection:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    connection = open_database(path, connect, synchronous=synchronous)
    if os.name == "posix":
        path.chmod(0o600)
    return connection


@asynccontextmanager
async def open_store(
    folder: Path,
    keys: StoreKeys,
    clock: ClockPort,
    random: RandomPort,
    failpoints: FailpointPort,
    *,
    connect: ConnectionFactory = SqliteConnection,
    synchronous: int = SYNCHRONOUS_FULL,
    recovering: bool = True,
) -> AsyncIterator[Store]:
    """Open, recover and serve the store of a folder; close it at the end.

    Args:
        folder: the state folder, absolute; created with mode 0700.
        keys: keys of the store.
        clock: time.
        random: makes the store's id.
        failpoints: where the crash tests cut.
        connect: what opens the database; the power-cut self-test gives another.
        synchronous: SQLite's setting; changed only to seed a bug.
        recovering: False only to seed a bug.

    Raises:
        StoreError: KEYS_REPLACED; see ``vaguemestre_queue.database.open_database``.
    """
    path = folder / DATABASE_FILE
    marker = folder / MARKER_FILE
    context = Context(sealer=Sealer(keys), clock=clock, failpoints=failpoints, incarnation=0)
    connection = await asyncio.to_thread(partial(_open_private, path, connect, synchronous))
    try:
        alive, store_id, report = await asyncio.to_thread(
            partial(bring_up, connection, context, marker, f"{random.bits(128):032x}", recovering=recovering)
        )
        reader = await aiosqlite.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
    except BaseException:
        connection.close()
        raise
    store = Store(alive, connection, reader, path, marker, store_id, report, asyncio.get_running_loop())
    store.start()
    _log.info("store.open", extra={"unclaimed": report.unclaimed, "doubtful": report.doubtful})
    try:
        yield store
    finally:
        await store.close()
