"""When the wall clock is moved, what waits is moved with it: no order waits for an hour that was never true.

Owns the reference of the two clocks (in ``meta``) and the shift of deferrals, undo minutes and attempts. A deferred row
says itself under which offset of the clocks it was scheduled, so none is shifted twice. Nothing becomes READY
here. Source: docs/bad-days.md, "Clocks".
"""

from __future__ import annotations

import json
from typing import Final
from zoneinfo import ZoneInfo

from vaguemestre_core.clocks import ClockJump, ClockReading, EveningHour
from vaguemestre_core.deferral import next_local_time
from vaguemestre_core.errors import StoreError
from vaguemestre_core.records import AGENT_ACTOR, Change
from vaguemestre_queue import ledger, meta, recovery, rows, scheduling, transitions
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context
from vaguemestre_queue.rows import Row

JUMP_S: Final = 60.0  # less is a clock being disciplined; what is ignored adds up and is seen in the end
_REFERENCE: Final = "clock"  # meta: [boot id, microseconds between the two clocks]
_SECOND: Final = 1_000_000


def keep_time(
    connection: Connection,
    context: Context,
    reading: ClockReading,
    evening: EveningHour | None,
    changes: list[Change],
) -> ClockJump | None:
    """Compare the clocks with the last look; move what waits when the wall clock was moved.

    Across a boot only a clock that went back can be told from time spent off: the last ledger line of the earlier life
    is then taken for the present.
    """
    offset_us = _offset_us(reading)
    delta_us = _moved_us(connection, reading, offset_us)
    if delta_us is None or (abs(delta_us) < JUMP_S * _SECOND and not _is_same_boot(connection, reading)):
        _remember(connection, reading, offset_us)
    if delta_us is None or abs(delta_us) < JUMP_S * _SECOND:
        return None
    moved = _move_schedules(connection, context, reading, delta_us, evening, changes)
    if delta_us < 0:
        moved += _move_attempts(connection, context, reading, delta_us, changes)
    _remember(connection, reading, offset_us)
    jump = ClockJump(seconds=delta_us / _SECOND, moved=moved)
    detail = (("moved", str(moved)), ("seconds", str(round(jump.seconds))))
    entry = ledger.append(
        connection, ledger.Line(at=reading.now, kind="clock.jumped", actor=AGENT_ACTOR, detail=detail)
    )
    changes.append(Change(entry=entry, order=None))
    return jump


def _offset_us(reading: ClockReading) -> int:
    return rows.to_us(reading.now) - round(reading.boot_s * _SECOND)


def _reference(connection: Connection) -> tuple[str, int] | None:
    text = meta.read(connection, _REFERENCE)
    if text is None:
        return None
    try:
        boot_id, offset_us = json.loads(text)
        return str(boot_id), int(offset_us)
    except (ValueError, TypeError):
        return None


def _remember(connection: Connection, reading: ClockReading, offset_us: int) -> None:
    meta.write(connection, _REFERENCE, json.dumps([reading.boot_id, offset_us]))


def _is_same_boot(connection: Connection, reading: ClockReading) -> bool:
    reference = _reference(connection)
    return reference is not None and reference[0] == reading.boot_id


def _moved_us(connection: Connection, reading: ClockReading, offset_us: int) -> int | None:
    """Return by how much the wall clock was moved since the last look, or None when there was none."""
    reference = _reference(connection)
    if reference is None:
        return None
    if reference[0] == reading.boot_id:
        return offset_us - reference[1]
    last = meta.read(connection, recovery.LAST_LINE)
    return None if last is None else min(rows.to_us(reading.now) - int(last), 0)


def _move_schedules(
    connection: Connection,
    context: Context,
    reading: ClockReading,
    delta_us: int,
    evening: EveningHour | None,
    changes: list[Change],
) -> int:
    moved = 0
    for state in ("deferred", "preparing"):
        for row in scheduling.authentic_rows(connection, context, f"state = '{state}'", []):
            columns = _moved_schedule(row, reading, delta_us, evening)
            if columns is not None:
                transitions.touch(connection, context, row, "order.clock_moved", AGENT_ACTOR, changes, columns)
                moved += 1
    return moved


def _moved_schedule(row: Row, reading: ClockReading, delta_us: int, evening: EveningHour | None) -> Row | None:
    """Return the columns of a row's new schedule, or None when it was made under the present clock."""
    undo_boot_s, undo_s = row["undo_boot_s"], row["undo_s"]
    if not isinstance(undo_boot_s, float) or not isinstance(undo_s, float):
        raise StoreError("STORE_CORRUPT")
    now_us = rows.to_us(reading.now)
    until_us = rows.as_int(row["undo_until_us"])
    if row["boot_id"] == reading.boot_id:
        delta_us = _offset_us(reading) - (until_us - round(undo_boot_s * _SECOND))
        if abs(delta_us) < JUMP_S * _SECOND:
            return None
        undo_us = until_us + delta_us
    else:
        # Its undo minutes cannot be measured on this boot's clock: they are never longer than they were.
        undo_us = min(until_us + delta_us, now_us + round(undo_s * _SECOND))
        undo_boot_s = reading.boot_s + (undo_us - now_us) / _SECOND
    old_us = rows.as_int(row["not_before_us"])
    wanted_us = old_us + delta_us
    if evening is not None and _is_evening(old_us, evening):
        if delta_us < 0:
            next_us = rows.to_us(next_local_time(reading.now, evening.at, evening.zone))
            wanted_us = min(old_us, max(wanted_us, next_us))
        elif old_us > now_us:
            wanted_us = old_us
        else:  # the hour was jumped over: nobody saw it come
            wanted_us = undo_us = now_us + round(undo_s * _SECOND)
            undo_boot_s = reading.boot_s + undo_s
    return {
        "not_before_us": max(wanted_us, undo_us),
        "undo_until_us": undo_us,
        "undo_boot_s": float(undo_boot_s),
        "boot_id": reading.boot_id,
    }


def _is_evening(instant_us: int, evening: EveningHour) -> bool:
    return rows.from_us(instant_us).astimezone(ZoneInfo(evening.zone)).time() == evening.at


def _move_attempts(
    connection: Connection, context: Context, reading: ClockReading, delta_us: int, changes: list[Change]
) -> int:
    """Bring back the next attempts and lookups that a clock set back would make wait."""
    now_us = rows.to_us(reading.now)
    moved = 0
    for state in ("ready", "preparing", "in_doubt"):
        where = f"state = '{state}' AND next_attempt_at_us > ?"
        for row in scheduling.authentic_rows(connection, context, where, [now_us]):
            at_us = max(rows.as_int(row["next_attempt_at_us"]) + delta_us, now_us)
            columns: Row = {"next_attempt_at_us": at_us}
            transitions.touch(connection, context, row, "order.clock_moved", AGENT_ACTOR, changes, columns)
            moved += 1
    return moved
