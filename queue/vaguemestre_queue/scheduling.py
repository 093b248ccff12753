"""What may move now: preparation, due deferrals, claims, lookups of doubt, and the next instant something is due."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from vaguemestre_core.deferral import overdue_schedule
from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderEvent, OrderId, OrderState, WaitReason
from vaguemestre_core.records import AGENT_ACTOR, Change, Order
from vaguemestre_core.turns import ALL_KINDS, SendingRight
from vaguemestre_queue import changing, ledger, relations, rows, setaside, setback, transitions
from vaguemestre_queue.connection import Connection, Value
from vaguemestre_queue.context import Context
from vaguemestre_queue.rows import Row

DOUBTS_OF_EACH: Final = 16  # doubts looked up in one round, of each professional and client
CANDIDATES: Final = 16  # rows looked at in one claim: forged or dependent ones are passed over

_CLAIMABLE: Final = (
    f"{rows.SELECT} AS o WHERE state = 'ready' AND holds = '' AND quarantined = 0 AND service = ? "
    "AND professional = ? AND client_id = ? AND asked_now = ? AND next_attempt_at_us <= ? "
    "AND ({kinds}) AND NOT EXISTS (SELECT 1 FROM orders AS e WHERE e.lane = o.lane AND e.seq < o.seq "
    "AND e.state NOT IN ('sent', 'cancelled', 'superseded', 'abandoned')) "
    "AND (predecessor IS NULL OR EXISTS (SELECT 1 FROM orders AS p WHERE p.order_id = o.predecessor "
    "AND p.state = 'sent' AND p.unique_id IS o.predecessor_unique_id)) "
    "ORDER BY next_attempt_at_us, seq LIMIT ?"
)


def authentic(connection: Connection, context: Context, cells: Sequence[Value]) -> Row | None:
    """Return the row if it is ours; else set it aside, write it down, and return None."""
    row, mac = rows.row_of(tuple(cells))
    if rows.is_authentic(context.sealer, row, mac):
        return row
    connection.run("UPDATE orders SET quarantined = 1 WHERE order_id = ?", [row["order_id"]])
    ledger.append(
        connection,
        ledger.Line(
            at=context.clock.now(),
            kind="order.quarantined",
            actor=AGENT_ACTOR,
            order_id=rows.as_text(row["order_id"]),
            detail=(("code", "ROW_NOT_AUTHENTIC"),),
        ),
    )
    return None


def authentic_rows(connection: Connection, context: Context, where: str, params: Sequence[Value]) -> list[Row]:
    """Return the rows selected that are ours; the others are set aside."""
    found = connection.run(f"{rows.SELECT} WHERE quarantined = 0 AND {where}", params)
    return [row for cells in found if (row := authentic(connection, context, cells)) is not None]


def claim(
    connection: Connection,
    context: Context,
    service: str,
    rights: Sequence[SendingRight],
    now: datetime,
    changes: list[Change],
    avoid: frozenset[OrderId] = frozenset(),
) -> Order | None:
    """Take the next order that may leave, of the first of these rights that has one and is not avoided, or None."""
    for right in rights:
        for asked_now in (1, 0) if right.asked_first else (0, 1):
            while (row := _first_due(connection, context, service, right, asked_now, now, avoid)) is not None:
                if setaside.hold_if_altered(connection, context, row, changes):
                    continue
                if not setback.goes_on(connection, context, row, changes):
                    continue
                new = transitions.transition(
                    connection, context, row, OrderEvent.CLAIM, AGENT_ACTOR, changes, columns={"waiting": None}
                )
                return rows.order_of(new)
    return None


def _first_due(
    connection: Connection,
    context: Context,
    service: str,
    right: SendingRight,
    asked_now: int,
    now: datetime,
    avoid: frozenset[OrderId],
) -> Row | None:
    """Return the first order of a right that may leave: one search of an index for each client."""
    best: Row | None = None
    best_rank: tuple[int, int] | None = None
    statement = _CLAIMABLE.replace("{kinds}", _kinds_clause(right))
    for client_id in sorted(right.clients):
        params: list[Value] = [service, right.professional, client_id, asked_now, rows.to_us(now), CANDIDATES]
        for cells in connection.run(statement, params):
            row = authentic(connection, context, cells)
            if (
                row is None
                or row["order_id"] in avoid
                or not (_dependencies_sent(connection, row) and _is_proved(connection, context, row))
            ):
                continue
            rank = (rows.as_int(row["next_attempt_at_us"]), rows.as_int(row["accepted_at_us"]))
            if best_rank is None or rank < best_rank:
                best, best_rank = row, rank
            break
    return best


def _kinds_clause(right: SendingRight) -> str:
    """Return the condition of a means that may not send every kind of order; the kinds are our constants."""
    if right.kinds == ALL_KINDS:
        return "TRUE"
    names = ", ".join(f"'{kind.value}'" for kind in sorted(right.kinds))
    return f"kind IN ({names})"


def _dependencies_sent(connection: Connection, row: Row) -> bool:
    for order_id in rows.depends_on_of(row["depends_on"]):
        if connection.run("SELECT state FROM orders WHERE order_id = ?", [order_id]) != [("sent",)]:
            return False
    return True


def _is_proved(connection: Connection, context: Context, row: Row) -> bool:
    """Say whether what the order builds upon is SENT with that uniqueId, in a row that is ours."""
    if row["predecessor"] is None:
        return True
    found = connection.run(f"{rows.SELECT} WHERE order_id = ?", [row["predecessor"]])
    before = authentic(connection, context, found[0]) if found else None
    return (
        before is not None
        and state_of(before) is OrderState.SENT
        and before["unique_id"] == row["predecessor_unique_id"]
    )


def due(
    connection: Connection,
    context: Context,
    now: datetime,
    boot_s: float,
    boot_id: str,
    limit: int,
    changes: list[Change],
) -> int:
    """Make READY what is due on both clocks; return how many.

    The undo minutes of another boot cannot be measured on this boot's clock: the wall clock alone decides then.
    """
    found = authentic_rows(
        connection,
        context,
        "state = 'deferred' AND not_before_us <= ? AND undo_until_us <= ? AND (boot_id <> ? OR undo_boot_s <= ?) "
        "ORDER BY not_before_us LIMIT ?",
        [rows.to_us(now), rows.to_us(now), boot_id, boot_s, limit],
    )
    for row in found:
        if setback.goes_on(connection, context, row, changes):
            transitions.transition(connection, context, row, OrderEvent.DUE, AGENT_ACTOR, changes)
    return len(found)


def refresh_overdue(
    connection: Connection,
    context: Context,
    now: datetime,
    boot_s: float,
    boot_id: str,
    older_than: datetime,
    changes: list[Change],
) -> int:
    """Give fresh undo minutes to what became due while nobody was there; return how many."""
    # What is still being prepared too: nobody was there to stop it either. One search for each state's own index.
    found: list[Row] = []
    for state in ("deferred", "preparing"):
        found += authentic_rows(
            connection, context, f"state = '{state}' AND not_before_us < ?", [rows.to_us(older_than)]
        )
    for row in found:
        undo_s = row["undo_s"]
        if not isinstance(undo_s, (int, float)):
            raise StoreError("STORE_CORRUPT")
        fresh = overdue_schedule(now, undo_s, between_patients=bool(row["between_patients"]))
        columns: Row = {
            "not_before_us": rows.to_us(fresh.not_before),
            "undo_until_us": rows.to_us(fresh.undo_until),
            "undo_boot_s": float(boot_s + fresh.undo_s),
            "boot_id": boot_id,
        }
        transitions.touch(connection, context, row, "order.overdue", AGENT_ACTOR, changes, columns)
    return len(found)


def patient_left(connection: Connection, context: Context, client_id: str, now: datetime, changes: list[Change]) -> int:
    """Bring a client's between-two-patients orders forward to the end of their undo minutes; return how many."""
    found = authentic_rows(
        connection,
        context,
        "state = 'deferred' AND between_patients = 1 AND client_id = ? AND not_before_us > max(undo_until_us, ?)",
        [client_id, rows.to_us(now)],
    )
    for row in found:
        soon = max(rows.as_int(row["undo_until_us"]), rows.to_us(now))
        transitions.touch(
            connection, context, row, "order.brought_forward", AGENT_ACTOR, changes, {"not_before_us": soon}
        )
    return len(found)


def preparing(
    connection: Connection, context: Context, now: datetime, limit: int, changes: list[Change]
) -> list[Order]:
    """Return orders that may be prepared, oldest first, each linked to the version before it.

    One whose document has an older order still open waits: what it replaces is not known yet.
    """
    found = authentic_rows(
        connection,
        context,
        f"state = 'preparing' AND next_attempt_at_us <= ? AND {relations.IS_FREE} "
        "ORDER BY next_attempt_at_us, seq LIMIT ?",
        [rows.to_us(now), limit],
    )
    found = [row for row in found if setback.goes_on(connection, context, row, changes)]
    linked = [_materialised(connection, context, row, changes) for row in found]
    return [rows.order_of(row) for row in linked if row is not None]


def _materialised(connection: Connection, context: Context, row: Row, changes: list[Change]) -> Row | None:
    """Link an order to the version before it, or None when it ends here.

    A document with a row that is not ours: a person looks.
    """
    try:
        if relations.is_change(row):
            return changing.materialise(connection, context, row, changes)
        return relations.materialise(connection, context, row, changes)
    except StoreError as error:
        if error.code != "ROW_NOT_AUTHENTIC":
            raise
        authentic_rows(connection, context, "document_id = ?", [row["document_id"]])  # sets it aside
        return None


def doubtful(
    connection: Connection, context: Context, service: str, rights: Sequence[SendingRight], now: datetime
) -> list[Order]:
    """Return orders in doubt whose next lookup is due, a few of each of these rights, in their order."""
    found: list[Row] = []
    for right in rights:
        for client_id in sorted(right.clients):
            found += authentic_rows(
                connection,
                context,
                "state = 'in_doubt' AND professional = ? AND client_id = ? AND next_attempt_at_us <= ? "
                "AND service = ? ORDER BY next_attempt_at_us LIMIT ?",
                [right.professional, client_id, rows.to_us(now), service, DOUBTS_OF_EACH],
            )
    return [rows.order_of(row) for row in found]


def wait_for_authority(
    connection: Connection, context: Context, service: str, rights: Sequence[SendingRight], changes: list[Change]
) -> int:
    """Write ``waiting=auth`` on READY orders without a right, and remove it for those with one; return how many."""
    inside, cells = _having_right(rights)
    params: list[Value] = [*cells, service]
    found: list[Row] = []
    # One search for each value of waiting: each is a range of an index of the READY orders only.
    for waiting in WaitReason:
        here = inside if waiting is WaitReason.AUTH else f"NOT {inside}"
        where = f"state = 'ready' AND waiting = '{waiting.value}' AND {here} AND service = ?"
        found += authentic_rows(connection, context, f"{where} LIMIT 500", params)
    where = f"state = 'ready' AND waiting IS NULL AND NOT {inside} AND service = ? LIMIT 500"
    found += authentic_rows(connection, context, where, params)
    for row in found:
        has_right = row["waiting"] == WaitReason.AUTH.value  # those that wait are sought only inside the rights
        columns: Row = {"waiting": None if has_right else WaitReason.AUTH.value}
        if has_right:
            columns["next_attempt_at_us"] = 0
        detail = (("waiting", "" if has_right else WaitReason.AUTH.value),)
        transitions.touch(connection, context, row, "order.waiting", AGENT_ACTOR, changes, columns, detail)
    return len(found)


def _having_right(rights: Sequence[SendingRight]) -> tuple[str, list[Value]]:
    """Return the condition that an order is covered by one of these rights, and its values."""
    covered: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for right in rights:
        for client_id in right.clients:
            covered[_kinds_clause(right)].add((right.professional, client_id))
    conditions: list[str] = []
    cells: list[Value] = []
    for clause, pairs in sorted(covered.items()):
        values = f"(professional, client_id) IN (VALUES {', '.join('(?, ?)' for _ in pairs)})"
        conditions.append(values if clause == "TRUE" else f"({clause} AND {values})")
        cells += [cell for pair in sorted(pairs) for cell in pair]
    return (f"({' OR '.join(conditions)})" if conditions else "FALSE"), cells


def next_instant(connection: Connection, now: datetime) -> datetime | None:
    """Return the next instant after now at which a deferral, an attempt or a lookup becomes due, or None."""
    now_us = rows.to_us(now)
    found = connection.run(
        "SELECT min(at) FROM ("
        "SELECT min(max(not_before_us, undo_until_us)) AS at FROM orders WHERE state = 'deferred' "
        "AND quarantined = 0 UNION ALL "
        "SELECT min(next_attempt_at_us) FROM orders WHERE state = 'ready' AND holds = '' AND quarantined = 0 "
        "AND next_attempt_at_us > ?1 UNION ALL "
        "SELECT min(next_attempt_at_us) FROM orders WHERE state = 'preparing' AND quarantined = 0 "
        "AND next_attempt_at_us > ?1 UNION ALL "
        "SELECT min(next_attempt_at_us) FROM orders WHERE state = 'in_doubt' AND quarantined = 0 "
        "AND next_attempt_at_us > ?1)",
        [now_us],
    )
    value = found[0][0]
    if value is None:
        return None
    return max(rows.from_us(value), now + timedelta(milliseconds=1))


def moving(connection: Connection, context: Context) -> list[Row]:
    """Return the rows a stopped process left CLAIMED or SENDING."""
    return authentic_rows(connection, context, "state IN ('claimed', 'sending')", [])


def state_of(row: Row) -> OrderState:
    """Return the state of a row."""
    return OrderState(rows.as_text(row["state"]))
