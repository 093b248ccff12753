"""Opening after a stop of any kind: what was on the way becomes what we honestly know.

CLAIMED goes back to READY (nothing had left), SENDING becomes IN_DOUBT (it may have arrived). A store that is
recognised as restored or cloned starts a new incarnation: every order that is not over becomes IN_DOUBT.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Final

from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderEvent, OrderId, OrderState, can
from vaguemestre_core.records import AGENT_ACTOR, Change, RecoveryReport, SalvageFacts
from vaguemestre_queue import facts, ledger, meta, rows, scheduling, setaside, setback, strikes, transitions
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context
from vaguemestre_queue.files import replace_file
from vaguemestre_queue.incarnation import COPIED_AT, RESTORED_AT, Standing
from vaguemestre_queue.incarnation import Marker as Marker
from vaguemestre_queue.sealing import Sealer

SALVAGED: Final = "salvaged"  # meta: JSON counts of the salvage that made this store
LAST_LINE: Final = "last_line_us"  # meta: instant of the last ledger line before this opening
KEYS_CHECK: Final = "keys_check"  # meta: keyed digest that only the store's keys give


def read_marker(path: Path) -> Marker | None:
    """Return the marker, or None when there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return marker_from(content)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def marker_from(content: Mapping[str, object]) -> Marker:
    """Return the marker of a parsed text. Raises KeyError, ValueError, TypeError."""
    return Marker(
        store_id=str(content["store_id"]),
        ledger_seq=int(str(content["ledger_seq"])),
        digest=str(content.get("digest", "")),
        place=str(content.get("place", "")),
    )


def write_marker(path: Path, marker: Marker) -> None:
    """Write the marker so that a crash leaves the old or the new one."""
    # Its name too must outlive a power cut: without it the store is taken for a copy.
    replace_file(path, json.dumps(asdict(marker)).encode())


def same_keys(connection: Connection, sealer: Sealer) -> bool | None:
    """Say whether these are the keys that this store was written with, or None when it does not know yet."""
    known = meta.read(connection, KEYS_CHECK)
    return None if known is None else any(hmac.compare_digest(known, value) for value in sealer.check_values())


def require_keys(connection: Connection, sealer: Sealer) -> None:
    """Refuse keys that are not the store's, and let a new store remember its own, in the caller's transaction.

    Raises:
        StoreError: KEYS_REPLACED; nothing was changed.
    """
    same = same_keys(connection, sealer)
    if same is False:
        raise StoreError("KEYS_REPLACED")
    if meta.read(connection, KEYS_CHECK) != sealer.check_value():  # a new store, or the first opening after a rotation
        meta.write(connection, KEYS_CHECK, sealer.check_value())


def _salvaged(connection: Connection) -> SalvageFacts | None:
    text = meta.read(connection, SALVAGED)
    if text is None:
        return None
    orders, lost, missing = json.loads(text)
    return SalvageFacts(orders=int(orders), lost=int(lost), ledger_missing=int(missing))


def recover(connection: Connection, context: Context, *, standing: Standing, changes: list[Change]) -> RecoveryReport:
    """Put right what the last stop left, in the caller's transaction; return what was found."""
    clean = meta.read(connection, "clean_stop") != "0"  # a new store was not interrupted
    meta.write(connection, "clean_stop", "0")
    last_line = connection.run("SELECT at_us FROM ledger ORDER BY seq DESC LIMIT 1")
    if last_line:
        meta.write(connection, LAST_LINE, str(rows.as_int(last_line[0][0])))
    _count_facts(connection)
    setaside.believe_again(connection, context)
    before = _quarantined(connection)
    unclaimed = doubtful = incarnated = 0
    if standing is not Standing.SAME:
        incarnated = _incarnate(connection, context, standing, changes)
    doubtful += setback.look(connection, context, changes)
    now_us = rows.to_us(context.clock.now())
    for row in scheduling.moving(connection, context):
        columns: rows.Row = {}
        if scheduling.state_of(row) is OrderState.SENDING:
            columns = {"doubt_since_us": now_us, "next_attempt_at_us": 0, "failure_code": "STOPPED_WHILE_SENDING"}
            doubtful += 1
        else:
            unclaimed += 1
        new = transitions.transition(
            connection, context, row, OrderEvent.RESTARTED, AGENT_ACTOR, changes, columns=columns
        )
        strikes.restarted(connection, context, new, changes)
    report = RecoveryReport(
        unclaimed=unclaimed,
        doubtful=doubtful,
        incarnated=incarnated,
        unauthenticated=_quarantined(connection) - before,
        previous_stop_clean=clean,
        restored_at=_instant(connection, RESTORED_AT),
        copied_at=_instant(connection, COPIED_AT),
        salvaged=_salvaged(connection),
    )
    detail = (
        ("clean", str(clean).lower()),
        ("doubtful", str(doubtful)),
        ("incarnated", str(incarnated)),
        ("standing", standing.name.lower()),
        ("unclaimed", str(unclaimed)),
    )
    entry = ledger.append(
        connection,
        ledger.Line(at=context.clock.now(), kind="store.opened", actor=AGENT_ACTOR, detail=detail),
    )
    changes.append(Change(entry=entry, order=None))
    return report


def _count_facts(connection: Connection) -> None:
    """Never count below a fact that is there: the newest word decides, also where the count was lost or set back."""
    found = rows.as_int(connection.run("SELECT coalesce(max(version), 0) FROM facts")[0][0])
    if found > facts.version_of(connection):
        meta.write(connection, facts.VERSION, str(found))


def _incarnate(connection: Connection, context: Context, standing: Standing, changes: list[Change]) -> int:
    """Doubt every order that its other self may have sent since; a copy remembers that its original may be alive."""
    now_us = rows.to_us(context.clock.now())
    meta.write(connection, RESTORED_AT, str(now_us))
    if standing is Standing.COPIED:
        meta.write(connection, COPIED_AT, str(now_us))
    code = "STORE_COPIED" if standing is Standing.COPIED else "STORE_RESTORED"
    found = connection.run(
        "SELECT order_id FROM orders WHERE quarantined = 0 AND state NOT IN "
        "('sent', 'cancelled', 'superseded', 'abandoned', 'rejected', 'in_doubt', 'preparation_failed')"
    )
    count = 0
    for (order_id,) in found:
        try:
            row = transitions.load(connection, context, OrderId(rows.as_text(order_id)))
        except StoreError as error:
            if error.code != "ROW_NOT_AUTHENTIC":
                raise
            continue  # not ours: never sent
        if can(scheduling.state_of(row), OrderEvent.INCARNATED):
            columns: rows.Row = {"doubt_since_us": now_us, "next_attempt_at_us": 0, "failure_code": code}
            transitions.transition(
                connection, context, row, OrderEvent.INCARNATED, AGENT_ACTOR, changes, columns=columns
            )
            count += 1
    return count


def _instant(connection: Connection, key: str) -> datetime | None:
    value = meta.read(connection, key)
    return None if value is None else rows.from_us(int(value))


def _quarantined(connection: Connection) -> int:
    return rows.as_int(connection.run("SELECT count(*) FROM orders WHERE quarantined = 1")[0][0])
