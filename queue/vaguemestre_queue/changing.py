"""Deleting a document and changing who sees it: stopped, corrected, asked or waiting, by what its orders say.

Owns how an order without a body names the version it changes. Such an order is linked when nothing before it is open.
Source: docs/architecture.md, "Deleting and changing visibility".
"""

from __future__ import annotations

from collections.abc import Sequence

from vaguemestre_core.changes import (
    ChangeAccepted,
    ChangeAnswer,
    ChangeRequest,
    facts_of_change,
    hides_again,
    visibility_of,
)
from vaguemestre_core.errors import Conflict, NotFound
from vaguemestre_core.orders import (
    CANCEL_ASKED_ONLY,
    TERMINAL,
    DocumentId,
    OrderEvent,
    OrderId,
    OrderKind,
    OrderState,
    WaitReason,
    can,
)
from vaguemestre_core.records import AGENT_ACTOR, NOTHING_THERE, Change, Schedule, event_kind
from vaguemestre_queue import given, idempotency, ledger, relations, rows, transitions
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context
from vaguemestre_queue.relations import state_of
from vaguemestre_queue.rows import Row


def accept(connection: Connection, context: Context, request: ChangeRequest, changes: list[Change]) -> ChangeAccepted:
    """Make the change durable, or replay it. Raises as ``StorePort.accept_change``."""
    known = idempotency.known(connection, request.client_id, request.idempotency_key, request.request_digest)
    if known is not None:
        row = transitions.load(connection, context, known)
        return ChangeAccepted(answer=_answer_of(row, request), order=rows.order_of(row), replayed=True)
    found = connection.run(
        "SELECT document_id FROM documents WHERE client_id = ? AND client_ref = ?",
        [request.client_id, request.client_ref],
    )
    if not found:
        raise NotFound("DOCUMENT_UNKNOWN")
    document_id = DocumentId(rows.as_text(found[0][0]))
    work = _Work(connection, context, request, document_id, changes)
    accepted = work.delete() if request.kind is OrderKind.DMP_DELETE else work.show()
    idempotency.remember(
        connection, context, request.client_id, request.idempotency_key, request.request_digest, accepted.order.order_id
    )
    return accepted


def _answer_of(row: Row, request: ChangeRequest) -> ChangeAnswer:
    if rows.is_content(row):
        is_stopped = request.kind is OrderKind.DMP_DELETE
        return ChangeAnswer.STOPPED if is_stopped else ChangeAnswer.CORRECTED
    if state_of(row) is OrderState.SENT:
        return ChangeAnswer.DONE
    is_waiting = state_of(row) is OrderState.PREPARING and row["waiting"] is not None
    return ChangeAnswer.WAITS if is_waiting else ChangeAnswer.ACCEPTED


class _Work:
    """One request on one document, inside one transaction."""

    def __init__(
        self,
        connection: Connection,
        context: Context,
        request: ChangeRequest,
        document_id: DocumentId,
        changes: list[Change],
    ) -> None:
        self._connection = connection
        self._context = context
        self._request = request
        self._changes = changes
        self._document_id = document_id
        self._orders = relations.of_document(connection, context, document_id)
        self._stopped: list[Row] = []

    def delete(self) -> ChangeAccepted:
        """Stop what has not left; ask for the deletion of what is, or may be, there."""
        before = relations.standing(self._orders)
        for row in self._orders:
            if rows.is_content(row) and can(state_of(row), OrderEvent.CANCEL):
                self._stop(row, OrderEvent.CANCEL, (("cause", "deletion"),))
        under_way = self._open(OrderKind.DMP_DELETE)
        if under_way is not None and state_of(under_way) is not OrderState.REJECTED:
            return self._told(_answer_of(under_way, self._request), under_way)
        away = self._away()
        if before.there is None and away is None:
            return self._nothing_there()
        self._stop_changes()
        base = away or before.there
        assert base is not None
        return self._ask(base, None)

    def show(self) -> ChangeAccepted:
        """Give the document exactly these visibility codes, before or after it leaves."""
        asked = self._request.visibility
        # A deletion that a newer deposit followed ends the version before: this wish is about the newer one.
        if self._open(OrderKind.DMP_DELETE) is not None and relations.is_being_deleted(self._orders):
            raise Conflict("DELETION_UNDER_WAY")
        wanted = relations.wanted(self._orders)
        if can(state_of(wanted), OrderEvent.SUPERSEDE):
            return self._correct(wanted)
        away, standing = self._away(), relations.standing(self._orders)
        base = away or standing.there
        if base is None:
            raise Conflict(_why_not_there(wanted))
        pending = self._open(OrderKind.DMP_VISIBILITY)
        if pending is not None and _visibility(pending) == asked and state_of(pending) is not OrderState.REJECTED:
            return self._told(_answer_of(pending, self._request), pending)
        if away is None and (pending is None or can(state_of(pending), OrderEvent.SUPERSEDE)):
            # What is there is known: nothing is on its way that could change it.
            last = _last_shown(self._orders, base)
            if _visibility(last) == asked:
                self._stop_changes()
                return self._told(ChangeAnswer.DONE, last)
            if hides_again(_visibility(last), asked):
                raise Conflict("DMP_CANNOT_HIDE_AGAIN")
        self._stop_changes()
        return self._ask(base, asked)

    def _nothing_there(self) -> ChangeAccepted:
        if self._stopped:
            return self._told(ChangeAnswer.STOPPED, self._stopped[-1])
        last = next(row for row in reversed(self._orders) if state_of(row) is not OrderState.SUPERSEDED)
        if state_of(last) is OrderState.SENT and last["kind"] == OrderKind.DMP_DELETE:
            return self._told(ChangeAnswer.DONE, last)
        wanted = relations.wanted(self._orders)
        if state_of(wanted) is OrderState.CANCELLED:
            return self._told(ChangeAnswer.STOPPED, wanted)
        raise Conflict(_why_not_there(wanted))

    def _open(self, kind: OrderKind) -> Row | None:
        found = (row for row in reversed(self._orders) if row["kind"] == kind and state_of(row) not in TERMINAL)
        return next(found, None)

    def _away(self) -> Row | None:
        """Return the version that left, or is owned elsewhere, and whose verdict is not known."""
        found = (row for row in reversed(self._orders) if rows.is_content(row))
        return next((row for row in found if state_of(row) in CANCEL_ASKED_ONLY), None)

    def _stop(self, row: Row, event: OrderEvent, detail: transitions.Pairs) -> None:
        stopped = transitions.transition(
            self._connection, self._context, row, event, self._request.actor, self._changes, detail=detail
        )
        self._stopped.append(stopped)

    def _stop_changes(self) -> None:
        """Let what was asked before, and has not left, give way to this wish."""
        for row in self._orders:
            if relations.is_change(row) and can(state_of(row), OrderEvent.SUPERSEDE):
                self._stop(row, OrderEvent.SUPERSEDE, (("by", self._request.order_id),))

    def _told(self, answer: ChangeAnswer, row: Row) -> ChangeAccepted:
        stopped = tuple(OrderId(rows.as_text(item["order_id"])) for item in self._stopped)
        return ChangeAccepted(answer=answer, order=rows.order_of(row), replayed=not stopped, stopped=stopped)

    def _ask(self, base: Row, visibility: frozenset[str] | None) -> ChangeAccepted:
        request = self._request
        row = self._row(base, request.schedule, visibility) | {"kind": request.kind.value, "given_digest": given.NONE}
        if request.kind is OrderKind.DMP_DELETE:
            row["unique_id"] = base["unique_id"]
        columns = _linked(relations.of_document(self._connection, self._context, self._document_id))
        assert columns is not None
        row |= columns
        return self._insert(row, _answer_of(row, request))

    def _correct(self, wanted: Row) -> ChangeAccepted:
        """Let a version with these codes take the place of one that has not left; its body stays as given."""
        if state_of(wanted) is OrderState.UNREADABLE:
            raise Conflict("BODY_NEEDED")
        if _visibility(wanted) == self._request.visibility:
            return self._told(ChangeAnswer.CORRECTED, wanted)
        self._stop_changes()
        self._stop(wanted, OrderEvent.SUPERSEDE, (("by", self._request.order_id),))
        row = self._row(wanted, self._request.correction_schedule, self._request.visibility)
        row |= {"kind": OrderKind.DMP_SUBMIT.value, "holds": wanted["holds"], "given_digest": wanted["given_digest"]}
        row["request_digest"] = wanted["request_digest"]  # the same document is wanted
        row |= relations.linked(row, relations.of_document(self._connection, self._context, self._document_id))
        accepted = self._insert(row, ChangeAnswer.CORRECTED)
        given.copy(self._connection, wanted, row)
        return accepted

    def _row(self, base: Row, schedule: Schedule, visibility: frozenset[str] | None) -> Row:
        request = self._request
        return {
            **base,
            **rows.born(
                request.accepted_at,
                schedule,
                boot_s=request.boot_s,
                boot_id=request.boot_id,
                incarnation=self._context.incarnation,
                actor=request.actor,
            ),
            "order_id": request.order_id,
            "unique_id": request.unique_id,
            "guard_facts": facts_of_change(rows.as_text(base["guard_facts"]), visibility, request.motive),
            "request_digest": request.request_digest,
        }

    def _insert(self, row: Row, answer: ChangeAnswer) -> ChangeAccepted:
        row = transitions.insert(self._connection, self._context, row)
        order = rows.order_of(row)
        request = self._request
        detail = [("kind", order.kind.value), ("type", order.type_code), ("version", str(order.version))]
        if request.motive is not None:
            detail.append(("motive", request.motive.value))
        if request.kind is OrderKind.DMP_VISIBILITY:
            detail.append(("visibility", ",".join(sorted(request.visibility))))
        entry = ledger.append(
            self._connection,
            ledger.Line(
                at=request.accepted_at,
                kind=event_kind(OrderEvent.ACCEPTED),
                actor=request.actor,
                order_id=request.order_id,
                client_id=request.client_id,
                client_ref=request.client_ref,
                after=OrderState.PREPARING,
                detail=tuple(detail),
            ),
        )
        self._changes.append(Change(entry=entry, order=order))
        stopped = tuple(OrderId(rows.as_text(item["order_id"])) for item in self._stopped)
        return ChangeAccepted(answer=answer, order=order, replayed=False, stopped=stopped)


def _why_not_there(wanted: Row) -> str:
    is_unknown = state_of(wanted) is OrderState.ABANDONED and wanted["doubt_since_us"] is not None
    return "PRESENCE_UNKNOWN" if is_unknown else "DOCUMENT_NOT_THERE"


def _visibility(row: Row) -> frozenset[str]:
    return visibility_of(rows.as_text(row["guard_facts"]))


def _last_shown(orders: Sequence[Row], there: Row) -> Row:
    """Return the order that gave what is there the visibility it has."""
    position = next(number for number, row in enumerate(orders) if row["order_id"] == there["order_id"])
    changed = (
        row
        for row in reversed(orders[position + 1 :])
        if row["kind"] == OrderKind.DMP_VISIBILITY and state_of(row) is OrderState.SENT
    )
    return next(changed, there)


def _linked(earlier: Sequence[Row]) -> Row | None:
    """Return the columns by which a change names the version it changes, or None when none is there."""
    now = relations.standing(earlier)
    if not now.settled:
        return {"waiting": WaitReason.PREDECESSOR.value}
    there = now.there
    if there is None:
        return None
    same = ("unique_id", "version", "set_id", "lane", "type_code", "professional")
    return {
        "waiting": None,
        "predecessor": there["order_id"],
        "predecessor_unique_id": there["unique_id"],
        **{name: there[name] for name in same},
    }


def materialise(connection: Connection, context: Context, row: Row, changes: list[Change]) -> Row | None:
    """Link a change that may be prepared now, or end it when nothing is there to change; return it, or None."""
    columns = _linked(relations.before(connection, context, row))
    if columns is None:
        cause = (("cause", "nothing_there"),)
        transitions.transition(
            connection,
            context,
            row,
            OrderEvent.CANCEL,
            AGENT_ACTOR,
            changes,
            columns={"failure_code": NOTHING_THERE, "waiting": None},
            detail=cause,
        )
        return None
    if all(row[name] == value for name, value in columns.items()):
        return row
    detail = (("kind", rows.as_text(row["kind"])), ("version", str(columns.get("version", row["version"]))))
    return transitions.touch(connection, context, row, "order.linked", AGENT_ACTOR, changes, columns, detail)
