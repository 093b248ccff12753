"""Accepting: a request becomes an order, durable, once; or the answer of the same request is replayed.

Correcting before it leaves happens here too: the older version is superseded in the same transaction.
"""

from __future__ import annotations

import struct

from vaguemestre_core.errors import Conflict, StoreError
from vaguemestre_core.orders import CANCEL_ASKED_ONLY, DocumentId, HoldKind, OrderEvent, OrderId, OrderState
from vaguemestre_core.records import AGENT_ACTOR, Acceptance, Accepted, Change, StoredBody, event_kind
from vaguemestre_queue import facts, given, idempotency, ledger, meta, relations, rows, transitions
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context
from vaguemestre_queue.incarnation import RESTORED_AT
from vaguemestre_queue.rows import Row
from vaguemestre_queue.sealing import Envelope

_FRAME = struct.Struct(">II")  # lengths of the metadata and of the media type, then both, then the body


def frame(acceptance: Acceptance) -> bytes:
    """Return what is sealed: metadata, media type and body in one piece."""
    media = acceptance.media_type.encode()
    return _FRAME.pack(len(acceptance.metadata), len(media)) + acceptance.metadata + media + acceptance.body


def unframe(opened: bytes) -> StoredBody:
    """Return the pieces of an opened body. Raises StoreError BODY_UNREADABLE."""
    if len(opened) < _FRAME.size:
        raise StoreError("BODY_UNREADABLE")
    metadata_bytes, media_bytes = _FRAME.unpack_from(opened)
    start = _FRAME.size
    middle, end = start + metadata_bytes, start + metadata_bytes + media_bytes
    if end > len(opened):
        raise StoreError("BODY_UNREADABLE")
    return StoredBody(
        metadata=opened[start:middle], media_type=opened[middle:end].decode(errors="replace"), body=opened[end:]
    )


def accept(
    connection: Connection, context: Context, acceptance: Acceptance, sealed: Envelope, changes: list[Change]
) -> Accepted:
    """Make the order durable, or replay. Raises Conflict IDEMPOTENCY_MISMATCH, DOCUMENT_OF_ANOTHER_PATIENT, …ERASED."""
    by_key = _replayed_by_id(connection, context, acceptance) or _replayed_by_key(connection, context, acceptance)
    if by_key is not None:
        return by_key
    document = connection.run(
        "SELECT document_id FROM documents WHERE client_id = ? AND client_ref = ?",
        [acceptance.client_id, acceptance.client_ref],
    )
    facts.link_at_acceptance(connection, context, acceptance, changes)
    superseded: OrderId | None = None
    latest: Row | None = None
    earlier: list[Row] = []
    if document:
        document_id = DocumentId(rows.as_text(document[0][0]))
        earlier = relations.of_document(connection, context, document_id)
        _require_same_reference(acceptance, earlier)
        latest = relations.wanted(earlier)
        if _same_wish(acceptance, latest, earlier):
            _remember_key(connection, context, acceptance, rows.as_text(latest["order_id"]))
            return Accepted(order=rows.order_of(latest), replayed=True)
        _require_patient(context, acceptance, earlier)
        superseded = _make_room(connection, context, acceptance, earlier, changes)
        # The orders say which set it is: their digests cover it, that of a document's row does not exist.
        set_id = acceptance.set_id if relations.is_set_aside(latest) else rows.as_text(latest["set_id"])
        earlier = relations.of_document(connection, context, document_id)
        _keep_document(connection, context, acceptance, document_id, set_id)
    else:
        document_id, set_id = acceptance.document_id, acceptance.set_id
        _insert_document(connection, context, acceptance)
    holds = facts.holds_at_acceptance(connection, context, acceptance)
    row = _new_row(context, acceptance, document_id, set_id, sealed)
    row |= {"holds": rows.holds_text(holds)}
    if latest is not None and latest["request_digest"] == acceptance.request_digest and _is_unreadable(latest):
        row["guard_facts"] = latest["guard_facts"]  # the body was lost, not the visibility that a person chose since
    row |= relations.linked(row, earlier)
    row = transitions.insert(connection, context, row)
    given.keep(connection, row, sealed)
    _remember_key(connection, context, acceptance, acceptance.order_id)
    order = rows.order_of(row)
    detail = [("kind", order.kind.value), ("type", acceptance.type_code), ("version", str(order.version))]
    detail += [("holds", rows.as_text(row["holds"]))] if row["holds"] else []
    entry = ledger.append(
        connection,
        ledger.Line(
            at=acceptance.accepted_at,
            kind=event_kind(OrderEvent.ACCEPTED),
            actor=acceptance.actor,
            order_id=acceptance.order_id,
            client_id=acceptance.client_id,
            client_ref=acceptance.client_ref,
            after=OrderState.PREPARING,
            detail=tuple(detail),
        ),
    )
    changes.append(Change(entry=entry, order=order))
    if acceptance.was_answered and meta.read(connection, RESTORED_AT) is not None:
        row = _doubted(connection, context, row, changes)
    return Accepted(order=rows.order_of(row), replayed=False, superseded=superseded)


def _doubted(connection: Connection, context: Context, row: Row, changes: list[Change]) -> Row:
    """Doubt what was kept without keys in a store that has another self: that one may have taken it, and sent it."""
    columns: Row = {"doubt_since_us": row["state_at_us"], "next_attempt_at_us": 0, "failure_code": "STORE_RESTORED"}
    return transitions.transition(
        connection, context, row, OrderEvent.INCARNATED, AGENT_ACTOR, changes, columns=columns
    )


def _replayed_by_id(connection: Connection, context: Context, acceptance: Acceptance) -> Accepted | None:
    """Return what was kept without keys and is an order already, whatever has become of its document since."""
    if not acceptance.was_answered:
        return None
    if not connection.run("SELECT 1 FROM orders WHERE order_id = ?", [acceptance.order_id]):
        return None
    row = transitions.load(connection, context, acceptance.order_id)
    if (row["client_id"], row["request_digest"]) != (acceptance.client_id, acceptance.request_digest):
        raise Conflict("IDEMPOTENCY_MISMATCH")
    return Accepted(order=rows.order_of(row), replayed=True)


def _replayed_by_key(connection: Connection, context: Context, acceptance: Acceptance) -> Accepted | None:
    known = idempotency.known(connection, acceptance.client_id, acceptance.idempotency_key, acceptance.request_digest)
    if known is None:
        return None
    row = transitions.load(connection, context, known)
    if _is_unreadable(row) or HoldKind.INTEGRITY in rows.holds_of(row["holds"]):
        return None  # its body was asked for again, or it was altered: here it is
    return Accepted(order=rows.order_of(row), replayed=True)


def _same_wish(acceptance: Acceptance, latest: Row, orders: list[Row]) -> bool:
    """Say whether the client repeats its last wish.

    A new key after a stop or a deletion is a new wish; a lost body is given anew.
    """
    if latest["request_digest"] != acceptance.request_digest or _is_unreadable(latest):
        return False
    if HoldKind.INTEGRITY in rows.holds_of(latest["holds"]):
        return False  # somebody altered it or its document: the wish is given again
    stopped = {OrderState.CANCELLED, OrderState.ABANDONED, OrderState.SUPERSEDED}
    is_over = relations.state_of(latest) in stopped or relations.is_being_deleted(orders)
    return acceptance.idempotency_key is None or not is_over


def _is_unreadable(row: Row) -> bool:
    return relations.state_of(row) is OrderState.UNREADABLE


def _require_same_reference(acceptance: Acceptance, orders: list[Row]) -> None:
    """Refuse a document whose row was given another client's or another document's orders outside the agent."""
    here = (acceptance.client_id, acceptance.client_ref)
    if any((row["client_id"], row["client_ref"]) != here for row in orders):
        raise StoreError("DOCUMENT_NOT_AUTHENTIC")


def _require_patient(context: Context, acceptance: Acceptance, orders: list[Row]) -> None:
    """Refuse to replace, in the DMP of one patient, what is or may be in that of another.

    The patient of each order is in its lane, which the digest of its row covers.
    """
    there = relations.standing(orders).there
    if there is not None and there["lane"] == relations.ERASED:
        raise Conflict("DOCUMENT_ERASED")
    possible = [row for row in orders if row is there or relations.state_of(row) in CANCEL_ASKED_ONLY]
    patient = context.sealer.pseudonym("patient", acceptance.patient_key)
    if any(row["lane"] != relations.lane_of(context, patient, rows.as_text(row["set_id"])) for row in possible):
        raise Conflict("DOCUMENT_OF_ANOTHER_PATIENT")


def _make_room(
    connection: Connection, context: Context, acceptance: Acceptance, orders: list[Row], changes: list[Change]
) -> OrderId | None:
    row = relations.make_room(connection, context, orders, acceptance.order_id, acceptance.actor, changes)
    return None if row is None else OrderId(rows.as_text(row["order_id"]))


def _insert_document(connection: Connection, context: Context, acceptance: Acceptance) -> None:
    connection.run(
        "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            acceptance.document_id,
            acceptance.client_id,
            acceptance.client_ref,
            acceptance.set_id,
            context.sealer.pseudonym("patient", acceptance.patient_key),
            context.sealer.seal_card(acceptance.title),
            rows.to_us(acceptance.accepted_at),
        ],
    )


def _keep_document(
    connection: Connection, context: Context, acceptance: Acceptance, document_id: DocumentId, set_id: str
) -> None:
    """Write whom the wanted version is about: a correction may be of the patient, and the guards look at this one."""
    connection.run(
        "UPDATE documents SET set_id = ?, patient = ?, title = ? WHERE document_id = ?",
        [
            set_id,
            context.sealer.pseudonym("patient", acceptance.patient_key),
            context.sealer.seal_card(acceptance.title),
            document_id,
        ],
    )


def _remember_key(connection: Connection, context: Context, acceptance: Acceptance, order_id: str) -> None:
    idempotency.remember(
        connection,
        context,
        acceptance.client_id,
        acceptance.idempotency_key,
        acceptance.request_digest,
        order_id,
    )


def _new_row(context: Context, acceptance: Acceptance, document_id: DocumentId, set_id: str, sealed: Envelope) -> Row:
    lane = relations.lane_of(context, context.sealer.pseudonym("patient", acceptance.patient_key), set_id)
    return {
        **rows.born(
            acceptance.accepted_at,
            acceptance.schedule,
            boot_s=acceptance.boot_s,
            boot_id=acceptance.boot_id,
            incarnation=context.incarnation,
            actor=acceptance.actor,
        ),
        "order_id": acceptance.order_id,
        "document_id": document_id,
        "client_id": acceptance.client_id,
        "client_ref": acceptance.client_ref,
        "kind": acceptance.kind.value,
        "version": 1,
        "set_id": set_id,
        "unique_id": acceptance.unique_id,
        "type_code": acceptance.type_code,
        "professional": acceptance.professional,
        "lane": lane,
        "guard_facts": acceptance.facts,
        "request_digest": acceptance.request_digest,
        "fact_version": acceptance.fact_version,
        "given_digest": sealed.digest,
    }
