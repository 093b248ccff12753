"""Opening after a stop of any kind: what was on the way becomes what we honestly know.

CLAIMED goes back to READY (nothing had left), SENDING becomes IN_DOUBT (it may have arrived). A store that is
recognised as restored or cloned starts a new incarnation: every order that is not over becomes IN_DOUBT.
"""

from __future__ import annotations

import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderEvent, OrderId, OrderState, can
from vaguemestre_core.records import AGENT_ACTOR, Change, RecoveryReport
from vaguemestre_queue import ledger, rows, scheduling, transitions
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context
from vaguemestre_queue.sealing import Sealer

KEYS_CHECK: Final = "keys_check"  # meta: keyed digest that only the store's keys give


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """What is remembered outside the database file.

    Attributes:
        store_id: the store this marker belongs to.
        ledger_seq: a line number the ledger had certainly reached.
    """

    store_id: str
    ledger_seq: int


def read_marker(path: Path) -> Marker | None:
    """Return the marker, or None when there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Marker(store_id=str(content["store_id"]), ledger_seq=int(content["ledger_seq"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_marker(path: Path, marker: Marker) -> None:
    """Write the marker so that a crash leaves the old or the new one."""
    temporary = path.with_name(path.name + ".new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"store_id": marker.store_id, "ledger_seq": marker.ledger_seq}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    if os.name == "posix":  # the new name too must outlive a power cut: without it the store is taken for a copy
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def meta(connection: Connection, key: str) -> str | None:
    """Return a value of the meta table, or None."""
    found = connection.run("SELECT value FROM meta WHERE key = ?", [key])
    return rows.as_text(found[0][0]) if found else None


def set_meta(connection: Connection, key: str, value: str) -> None:
    """Write a value of the meta table."""
    connection.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, value])


def same_keys(connection: Connection, sealer: Sealer) -> bool | None:
    """Say whether these are the keys that this store was written with, or None when it does not know yet."""
    known = meta(connection, KEYS_CHECK)
    return None if known is None else hmac.compare_digest(known, sealer.check_value())


def require_keys(connection: Connection, sealer: Sealer) -> None:
    """Refuse keys that are not the store's, and let a new store remember its own, in the caller's transaction.

    Raises:
        StoreError: KEYS_REPLACED; nothing was changed.
    """
    same = same_keys(connection, sealer)
    if same is False:
        raise StoreError("KEYS_REPLACED")
    if same is None:
        set_meta(connection, KEYS_CHECK, sealer.check_value())


def is_same_life(connection: Connection, marker: Marker | None) -> bool:
    """Say whether this file is the one the marker saw: same store, and not older than it was."""
    store_id = meta(connection, "store_id")
    if store_id is None:
        return True  # a new file
    if marker is None or marker.store_id != store_id:
        return False
    return ledger.head(connection)[0] >= marker.ledger_seq


def recover(connection: Connection, context: Context, *, same_life: bool, changes: list[Change]) -> RecoveryReport:
    """Put right what the last stop left, in the caller's transaction; return what was found."""
    clean = meta(connection, "clean_stop") != "0"  # a new store was not interrupted
    set_meta(connection, "clean_stop", "0")
    before = _quarantined(connection)
    unclaimed = doubtful = incarnated = 0
    if not same_life:
        incarnated = _incarnate(connection, context, changes)
    now_us = rows.to_us(context.clock.now())
    for row in scheduling.moving(connection, context):
        columns: rows.Row = {}
        if scheduling.state_of(row) is OrderState.SENDING:
            columns = {"doubt_since_us": now_us, "next_attempt_at_us": 0, "failure_code": "STOPPED_WHILE_SENDING"}
            doubtful += 1
        else:
            unclaimed += 1
        transitions.transition(connection, context, row, OrderEvent.RESTARTED, AGENT_ACTOR, changes, columns=columns)
    report = RecoveryReport(
        unclaimed=unclaimed,
        doubtful=doubtful,
        incarnated=incarnated,
        unauthenticated=_quarantined(connection) - before,
        previous_stop_clean=clean,
    )
    detail = (
        ("clean", str(clean).lower()),
        ("doubtful", str(doubtful)),
        ("incarnated", str(incarnated)),
        ("unclaimed", str(unclaimed)),
    )
    entry = ledger.append(
        connection,
        ledger.Line(at=context.clock.now(), kind="store.opened", actor=AGENT_ACTOR, detail=detail),
    )
    changes.append(Change(entry=entry, order=None))
    return report


def _incarnate(connection: Connection, context: Context, changes: list[Change]) -> int:
    found = connection.run(
        "SELECT order_id FROM orders WHERE quarantined = 0 AND state NOT IN "
        "('sent', 'cancelled', 'superseded', 'abandoned', 'rejected', 'in_doubt')"
    )
    count = 0
    now_us = rows.to_us(context.clock.now())
    for (order_id,) in found:
        try:
            row = transitions.load(connection, context, OrderId(rows.as_text(order_id)))
        except StoreError as error:
            if error.code != "ROW_NOT_AUTHENTIC":
                raise
            continue  # not ours: never sent
        if can(scheduling.state_of(row), OrderEvent.INCARNATED):
            columns: rows.Row = {"doubt_since_us": now_us, "next_attempt_at_us": 0, "failure_code": "STORE_RESTORED"}
            transitions.transition(
                connection, context, row, OrderEvent.INCARNATED, AGENT_ACTOR, changes, columns=columns
            )
            count += 1
    return count


def _quarantined(connection: Connection) -> int:
    return rows.as_int(connection.run("SELECT count(*) FROM orders WHERE quarantined = 1")[0][0])
