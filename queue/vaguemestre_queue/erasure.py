"""Erasing a patient: bodies, titles and the pseudonyms that link documents to the person; the ledger's lines stay.

They name no patient. What is on its way cannot be erased honestly: it is asked to stop, and its document stays.
"""

from __future__ import annotations

from collections.abc import Sequence

from vaguemestre_core.errors import Conflict, NotFound
from vaguemestre_core.keeping import ErasureReason, ErasureReport, WaitingChoice
from vaguemestre_core.orders import TERMINAL, OrderId
from vaguemestre_core.records import Actor, CancelAnswer, Change
from vaguemestre_core.redaction import Personal
from vaguemestre_queue import facts, ledger, relations, retention, rows, transitions
from vaguemestre_queue.connection import Connection, Value
from vaguemestre_queue.context import Context
from vaguemestre_queue.rows import Row


def erase(
    connection: Connection,
    context: Context,
    patient_keys: Sequence[Personal],
    waiting: WaitingChoice,
    reason: ErasureReason,
    actor: Actor,
    changes: list[Change],
) -> ErasureReport:
    """Erase a patient's documents in the caller's transaction. Raises NotFound, Conflict: see ``KeepingPort.erase``."""
    subjects = facts.names_of(connection, context, patient_keys)
    marks = ", ".join("?" for _ in subjects)
    documents = connection.run(f"SELECT document_id FROM documents WHERE patient IN ({marks})", subjects)
    if not documents:
        raise NotFound("PATIENT_UNKNOWN")
    open_orders = sum(len(_open(_rows(connection, document_id))) for (document_id,) in documents)
    if open_orders and waiting is WaitingChoice.REFUSE:
        raise Conflict("PATIENT_HAS_OPEN_ORDERS", count=open_orders)
    bodies = cancelled = on_their_way = 0
    for (document_id,) in documents:
        cancelled += _cancel(connection, context, document_id, actor, changes)
        if _open(_rows(connection, document_id)):
            on_their_way += 1
            continue
        bodies += _erase_document(connection, context, document_id, reason, actor, changes)
    erased = len(documents) - on_their_way
    detail = (
        ("bodies", str(bodies)),
        ("cancelled", str(cancelled)),
        ("documents", str(erased)),
        ("on_their_way", str(on_their_way)),
        ("reason", reason.value),
    )
    line = ledger.Line(at=context.clock.now(), kind="patient.erased", actor=actor, detail=detail)
    changes.append(Change(entry=ledger.append(connection, line), order=None))
    return ErasureReport(documents=erased, bodies=bodies, cancelled=cancelled, on_their_way=on_their_way)


def _rows(connection: Connection, document_id: Value) -> list[tuple[Row, Value]]:
    found = connection.run(f"{rows.SELECT} WHERE document_id = ? ORDER BY seq", [document_id])
    return [rows.row_of(cells) for cells in found]


def _open(orders: Sequence[tuple[Row, Value]]) -> list[Row]:
    return [row for row, _ in orders if relations.state_of(row) not in TERMINAL]


def _cancel(connection: Connection, context: Context, document_id: Value, actor: Actor, changes: list[Change]) -> int:
    count = 0
    for row, mac in _rows(connection, document_id):
        if relations.state_of(row) not in TERMINAL and rows.is_authentic(context.sealer, row, mac):
            order_id = OrderId(rows.as_text(row["order_id"]))
            answer, _ = transitions.cancel(connection, context, order_id, actor, changes)
            count += answer is CancelAnswer.CANCELLED
    return count


def _erase_document(
    connection: Connection,
    context: Context,
    document_id: Value,
    reason: ErasureReason,
    actor: Actor,
    changes: list[Change],
) -> int:
    count = 0
    for row, mac in _rows(connection, document_id):
        count += len(retention.destroy_bodies(connection, context, row))
        if rows.is_authentic(context.sealer, row, mac):  # one that is not keeps its forged row: nothing believes it
            detail = (("reason", reason.value),)
            transitions.touch(
                connection, context, row, "order.erased", actor, changes, {"lane": relations.ERASED}, detail
            )
    connection.run(
        "UPDATE documents SET patient = ?, title = ? WHERE document_id = ?",
        [relations.ERASED, context.sealer.seal_card(Personal("")), document_id],
    )
    return count
