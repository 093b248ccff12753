"""Opening the store of a folder: database, recovery, incarnation, then the writer; closing in reverse."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiosqlite

from vaguemestre_core.errors import NotFound, StoreError
from vaguemestre_core.orders import HoldKind
from vaguemestre_core.ports import ClockPort, FailpointPort, RandomPort
from vaguemestre_core.records import AGENT_ACTOR, RecoveryReport
from vaguemestre_queue import ledger, meta, recovery
from vaguemestre_queue.connection import Connection, ConnectionFactory, SqliteConnection, transaction
from vaguemestre_queue.context import Context
from vaguemestre_queue.database import SYNCHRONOUS_FULL, open_database
from vaguemestre_queue.incarnation import (
    COPIED_AT,
    PLACE,
    STORE_ID,
    Marker,
    Place,
    Standing,
    Witness,
    judge,
    marker_of,
    place_of,
)
from vaguemestre_queue.logcheck import is_damaged
from vaguemestre_queue.memory import Memory, tell
from vaguemestre_queue.sealing import Sealer, StoreKeys
from vaguemestre_queue.soundness import require_sound
from vaguemestre_queue.store import Store

_log = logging.getLogger(__name__)
DATABASE_FILE = "queue.db"
MARKER_FILE = "queue.marker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What tells a store from its copies, besides the marker of its folder.

    Attributes:
        machine: identities of this machine, the most telling first; empty where the system tells none.
        witnesses: who remembers the store outside its folder.
    """

    machine: tuple[str, ...] = ()
    witnesses: Sequence[Witness] = ()


def bring_up(
    connection: Connection,
    context: Context,
    marker: Path,
    new_store_id: str,
    *,
    recovering: bool = True,
    place: Place | None = None,
    witnesses: Sequence[Witness] = (),
) -> tuple[Context, str, RecoveryReport]:
    """Recover an opened database in one transaction; return the context of this life, the store's id, the report.

    ``recovering=False`` is a seeded bug of the self-tests: what was on the way stays on the way. Without a place,
    nobody looks where the store lives.
    """
    seen = recovery.read_marker(marker)
    standing = judge(connection, place, seen, _remembered(connection, witnesses))
    with transaction(connection):
        recovery.require_keys(connection, context.sealer)
        store_id = meta.read(connection, STORE_ID)
        if store_id is None:
            store_id = new_store_id
            meta.write(connection, STORE_ID, store_id)
        incarnation = int(meta.read(connection, "incarnation") or "1") + (0 if standing is Standing.SAME else 1)
        meta.write(connection, "incarnation", str(incarnation))
        if place is not None:
            meta.write(connection, PLACE, place.to_text())
        alive = Context(
            sealer=context.sealer,
            clock=context.clock,
            failpoints=context.failpoints,
            incarnation=incarnation,
            standing_holds=context.standing_holds,
        )
        report = RecoveryReport()
        if recovering:
            report = recovery.recover(connection, alive, standing=standing, changes=[])
    now = marker_of(connection, store_id, place)
    if seen is None or standing is not Standing.SAME or (place is not None and seen.place != now.place):
        recovery.write_marker(marker, now)
    if report.copied_at is None:  # the original may be alive: what it told its witnesses stays
        tell(witnesses, now)
    return alive, store_id, report


def _remembered(connection: Connection, witnesses: Sequence[Witness]) -> list[Marker]:
    store_id = meta.read(connection, STORE_ID)
    if store_id is None:
        return []
    found: list[Marker] = []
    for witness in witnesses:
        try:
            marker = witness.read(store_id)
        except (OSError, StoreError) as error:
            _log.warning("store.witness_silent", extra={"error": type(error).__name__})
            continue
        if marker is not None and marker.store_id == store_id:
            found.append(marker)
    return found


def adopt_copy(
    folder: Path,
    keys: StoreKeys,
    clock: ClockPort,
    failpoints: FailpointPort,
    surroundings: Surroundings,
    only_copy: Callable[[str], AbstractContextManager[None]],
) -> bool:
    """Make a recognised copy the store, because a person says that its original is out of service.

    Args:
        folder: the state folder.
        keys: keys of the store.
        clock: time.
        failpoints: where the crash tests cut.
        surroundings: machine and witnesses.
        only_copy: holds the machine's lock of a store while it is adopted; raises Conflict STORE_RUNS_ELSEWHERE.

    Returns:
        False when it is not a copy: nothing changes.

    Raises:
        StoreError: KEYS_REPLACED; STORE_… when the file cannot be opened.
        NotFound: STORE_UNKNOWN when the folder has none.
    """
    path = folder / DATABASE_FILE
    if not path.exists():
        raise NotFound("STORE_UNKNOWN")
    connection = open_database(path)
    try:
        sealer = Sealer(keys)
        context = Context(sealer=sealer, clock=clock, failpoints=failpoints, incarnation=0)
        place = place_of(folder, path, surroundings.machine, sealer)
        _, store_id, report = bring_up(
            connection, context, folder / MARKER_FILE, "", place=place, witnesses=surroundings.witnesses
        )
        if report.copied_at is None:
            return False
        with only_copy(store_id), transaction(connection):
            connection.run("DELETE FROM meta WHERE key = ?", [COPIED_AT])
            ledger.append(connection, ledger.Line(at=clock.now(), kind="store.adopted", actor=AGENT_ACTOR))
            meta.write(connection, "clean_stop", "1")
        now = marker_of(connection, store_id, place)
        recovery.write_marker(folder / MARKER_FILE, now)
        tell(surroundings.witnesses, now)
        return True
    finally:
        connection.close()


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
    existed = path.exists()
    if existed and is_damaged(path.with_name(f"{path.name}-wal")):
        raise StoreError("STORE_CORRUPT", part="log")  # opened, it would lose the commits after the damage
    connection = open_database(path, connect, synchronous=synchronous)
    if existed:
        try:
            require_sound(connection)
        except BaseException:
            connection.close()
            raise
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
    surroundings: Surroundings | None = None,
    standing_holds: frozenset[HoldKind] = frozenset(),
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
        surroundings: machine and witnesses.
        standing_holds: holds under which every new order is born, for as long as this store is open.

    Raises:
        StoreError: KEYS_REPLACED; see ``vaguemestre_queue.database.open_database``.
    """
    path = folder / DATABASE_FILE
    marker = folder / MARKER_FILE
    around = surroundings or Surroundings()
    context = Context(
        sealer=Sealer(keys), clock=clock, failpoints=failpoints, incarnation=0, standing_holds=standing_holds
    )
    connection = await asyncio.to_thread(partial(_open_private, path, connect, synchronous))
    try:
        place = place_of(folder, path, around.machine, context.sealer)
        alive, store_id, report = await asyncio.to_thread(
            partial(
                bring_up,
                connection,
                context,
                marker,
                f"{random.bits(128):032x}",
                recovering=recovering,
                place=place,
                witnesses=around.witnesses,
            )
        )
        reader = await aiosqlite.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
    except BaseException:
        connection.close()
        raise
    told = around.witnesses if report.copied_at is None else ()
    memory = Memory(marker, store_id, place, told)
    store = Store(alive, connection, reader, path, memory, report, asyncio.get_running_loop())
    store.start()
    _log.info("store.open", extra={"unclaimed": report.unclaimed, "doubtful": report.doubtful})
    try:
        yield store
    finally:
        await store.close()
