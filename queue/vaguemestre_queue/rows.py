"""Rows of the orders table as values, both ways: columns, instants, JSON cells and the keyed digest of a row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import ClientId, DocumentId, HoldKind, OrderId, OrderKind, OrderState, WaitReason
from vaguemestre_core.records import Actor, FrozenIds, Order, Schedule
from vaguemestre_queue.connection import SqlRow, Value
from vaguemestre_queue.sealing import Sealer

Row: TypeAlias = dict[str, Value]

# Every column but seq (given by the insert), quarantined and mac: what the digest of a row covers.
COLUMNS: Final = (
    "order_id", "document_id", "client_id", "client_ref", "kind", "state", "version", "set_id", "unique_id",
    "type_code", "professional", "lane", "guard_facts", "request_digest", "accepted_at_us", "state_at_us",
    "not_before_us", "undo_until_us", "undo_s", "undo_boot_s", "boot_id", "between_patients", "attempts",
    "next_attempt_at_us", "waiting", "holds", "cancel_requested", "predecessor", "predecessor_unique_id",
    "depends_on", "failure_code",
    "service_code", "doubt_since_us", "fact_version", "incarnation", "actor", "frozen_ids", "holder",
    "custody_epoch", "receipt", "given_digest", "prepared_digest", "signature_digest", "revision",
)  # fmt: skip
SELECT: Final = f"SELECT {', '.join(COLUMNS)}, mac FROM orders"
INSERT: Final = (
    f"INSERT INTO orders ({', '.join(COLUMNS)}, quarantined, mac) VALUES ({', '.join('?' for _ in COLUMNS)}, 0, ?)"
)
# The kinds that carry a version of a document.
CONTENT: Final = frozenset({OrderKind.DMP_SUBMIT.value, OrderKind.DMP_REPLACE.value})
_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # making one costs more than using it
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def is_content(row: Row) -> bool:
    """Say whether an order carries a version of the document."""
    return row["kind"] in CONTENT


def to_us(instant: datetime) -> int:
    """Return an aware instant as microseconds since 1970 UTC."""
    return (instant - _EPOCH) // _MICROSECOND


def from_us(value: Value) -> datetime:
    """Return microseconds since 1970 as an aware UTC instant."""
    return _EPOCH + timedelta(microseconds=as_int(value))


def as_int(value: Value) -> int:
    """Return an integer cell. Raises StoreError STORE_CORRUPT."""
    if not isinstance(value, int):
        raise StoreError("STORE_CORRUPT")
    return value


def as_text(value: Value) -> str:
    """Return a text cell. Raises StoreError STORE_CORRUPT."""
    if not isinstance(value, str):
        raise StoreError("STORE_CORRUPT")
    return value


def as_bytes(value: Value) -> bytes:
    """Return a blob cell. Raises StoreError STORE_CORRUPT."""
    if not isinstance(value, bytes):
        raise StoreError("STORE_CORRUPT")
    return value


def _optional_text(value: Value) -> str | None:
    return None if value is None else as_text(value)


def actor_json(actor: Actor) -> str:
    """Return an actor as a JSON cell."""
    return _JSON.encode([actor.user, actor.role, actor.rpps])


def actor_of(cell: Value) -> Actor:
    """Return the actor of a JSON cell."""
    user, role, rpps = json.loads(as_text(cell))
    return Actor(user=user, role=role, rpps=rpps)


def pairs_json(pairs: Sequence[tuple[str, str]]) -> str:
    """Return sorted (name, value) pairs as a JSON cell."""
    return _JSON.encode(sorted(pairs)) if pairs else "[]"


def pairs_of(cell: Value) -> tuple[tuple[str, str], ...]:
    """Return the pairs of a JSON cell."""
    text = as_text(cell)
    return () if text == "[]" else tuple((str(name), str(value)) for name, value in json.loads(text))


def depends_on_of(cell: Value) -> tuple[OrderId, ...]:
    """Return the order ids of a JSON cell."""
    text = as_text(cell)
    return () if text == "[]" else tuple(OrderId(str(item)) for item in json.loads(text))


def holds_text(holds: frozenset[HoldKind]) -> str:
    """Return holds as a cell: sorted, comma separated."""
    return ",".join(sorted(hold.value for hold in holds))


def holds_of(cell: Value) -> frozenset[HoldKind]:
    """Return the holds of a cell."""
    text = as_text(cell)
    return frozenset(HoldKind(part) for part in text.split(",")) if text else frozenset()


def frozen_json(frozen: FrozenIds) -> str:
    """Return frozen identifiers as a JSON cell."""
    return json.dumps(
        [
            frozen.submission_set_id,
            frozen.signature_id,
            frozen.message_id,
            frozen.boundary,
            to_us(frozen.submission_at),
        ],
        separators=(",", ":"),
    )


def frozen_of(cell: Value) -> FrozenIds | None:
    """Return the frozen identifiers of a JSON cell, or None."""
    if cell is None:
        return None
    submission_set, signature, message, boundary, at_us = json.loads(as_text(cell))
    return FrozenIds(
        submission_set_id=submission_set,
        signature_id=signature,
        message_id=message,
        boundary=boundary,
        submission_at=from_us(at_us),
    )


def row_of(cells: SqlRow) -> tuple[Row, Value]:
    """Return a row selected by ``SELECT`` as (columns, mac)."""
    return dict(zip(COLUMNS, cells[:-1], strict=True)), cells[-1]


def mac_of(sealer: Sealer, row: Mapping[str, Value]) -> bytes:
    """Return the keyed digest of an order's row."""
    return sealer.authenticate("orders", [row[column] for column in COLUMNS])


def is_authentic(sealer: Sealer, row: Mapping[str, Value], mac: Value) -> bool:
    """Say whether an order's row is ours."""
    return sealer.is_authentic("orders", [row[column] for column in COLUMNS], mac)


def order_of(row: Mapping[str, Value]) -> Order:
    """Return the order a row describes. Raises StoreError STORE_CORRUPT."""
    try:
        return _order_of(row)
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError("STORE_CORRUPT") from error


def _order_of(row: Mapping[str, Value]) -> Order:
    waiting = row["waiting"]
    predecessor = row["predecessor"]
    doubt = row["doubt_since_us"]
    next_attempt = as_int(row["next_attempt_at_us"])
    return Order(
        order_id=OrderId(as_text(row["order_id"])),
        document_id=DocumentId(as_text(row["document_id"])),
        client_id=ClientId(as_text(row["client_id"])),
        client_ref=as_text(row["client_ref"]),
        kind=OrderKind(as_text(row["kind"])),
        state=OrderState(as_text(row["state"])),
        version=as_int(row["version"]),
        set_id=as_text(row["set_id"]),
        unique_id=as_text(row["unique_id"]),
        type_code=as_text(row["type_code"]),
        professional=as_text(row["professional"]),
        lane=as_text(row["lane"]),
        guard_facts=as_text(row["guard_facts"]),
        accepted_at=from_us(row["accepted_at_us"]),
        state_at=from_us(row["state_at_us"]),
        not_before=from_us(row["not_before_us"]),
        undo_until=from_us(row["undo_until_us"]),
        attempts=as_int(row["attempts"]),
        next_attempt_at=from_us(next_attempt) if next_attempt else None,
        waiting=None if waiting is None else WaitReason(as_text(waiting)),
        holds=holds_of(row["holds"]),
        cancel_requested=bool(row["cancel_requested"]),
        predecessor=None if predecessor is None else OrderId(as_text(predecessor)),
        predecessor_unique_id=_optional_text(row["predecessor_unique_id"]),
        depends_on=depends_on_of(row["depends_on"]),
        failure_code=_optional_text(row["failure_code"]),
        service_code=_optional_text(row["service_code"]),
        doubt_since=None if doubt is None else from_us(doubt),
        fact_version=as_int(row["fact_version"]),
        incarnation=as_int(row["incarnation"]),
        actor=actor_of(row["actor"]),
        frozen_ids=frozen_of(row["frozen_ids"]),
        holder=_optional_text(row["holder"]),
        custody_epoch=as_int(row["custody_epoch"]),
        receipt=pairs_of(row["receipt"]),
        revision=as_int(row["revision"]),
    )


def born(at: datetime, schedule: Schedule, *, boot_s: float, boot_id: str, incarnation: int, actor: Actor) -> Row:
    """Return the columns that every order is born with, whatever it asks."""
    at_us = to_us(at)
    return {
        "state": OrderState.PREPARING.value,
        "accepted_at_us": at_us,
        "state_at_us": at_us,
        "not_before_us": to_us(schedule.not_before),
        "undo_until_us": to_us(schedule.undo_until),
        "undo_s": float(schedule.undo_s),  # REAL columns come back as floats: the row's digest must too
        "undo_boot_s": float(boot_s + schedule.undo_s),
        "boot_id": boot_id,
        "between_patients": int(schedule.between_patients),
        "attempts": 0,
        "next_attempt_at_us": 0,
        "waiting": None,
        "holds": "",
        "cancel_requested": 0,
        "predecessor": None,
        "predecessor_unique_id": None,
        "depends_on": "[]",
        "failure_code": None,
        "service_code": None,
        "doubt_since_us": None,
        "incarnation": incarnation,
        "actor": actor_json(actor),
        "frozen_ids": None,
        "holder": None,
        "custody_epoch": 0,
        "receipt": "[]",
        "prepared_digest": None,
        "signature_digest": None,
        "revision": 1,
    }
