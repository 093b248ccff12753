"""Facts about patients and professionals: authenticated, versioned, in the ledger, applied at once to what waits.

Owns their rows, the links between the identifiers of a patient, and the one way by which a fact holds or frees orders:
the guards of the core are asked again. No identifier of a patient is kept in clear; no reason of a wish is kept at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from vaguemestre_core import facts as core
from vaguemestre_core.errors import NotFound, StoreError
from vaguemestre_core.facts import Fact, FactKind, FactsRecorded, FactSubject, FactView, IdentityEvent, NewFact
from vaguemestre_core.guards import examine, holds_of
from vaguemestre_core.orders import TERMINAL, DocumentId, HoldKind, OrderId, OrderKind, OrderState
from vaguemestre_core.records import Acceptance, Actor, Change, Client, Order
from vaguemestre_core.redaction import Personal
from vaguemestre_queue import ledger, meta, relations, rows, transitions
from vaguemestre_queue.connection import Connection, SqlRow, Value
from vaguemestre_queue.context import Context

VERSION: Final = "fact_version"  # meta: version of the newest fact
_SELECT: Final = "SELECT subject, kind, scope, value, version, actor, at_us, mac FROM facts"
_OPEN: Final = ", ".join(f"'{state.value}'" for state in sorted(frozenset(OrderState) - TERMINAL))
# Where a document may be although no verdict says so.
_MAY_BE_THERE: Final = frozenset({OrderState.SENDING, OrderState.IN_DOUBT, OrderState.ENTRUSTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Effect:
    """What a recording does to orders, as it goes."""

    cause: str
    actor: Actor
    changes: list[Change]
    held: list[Order] = field(default_factory=list)
    freed: list[Order] = field(default_factory=list)
    deletions: list[Order] = field(default_factory=list)


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" for _ in values)


def version_of(connection: Connection) -> int:
    """Return the version of the facts, 0 when none was ever recorded."""
    return int(meta.read(connection, VERSION) or "0")


def _fact_of(context: Context, row: SqlRow) -> Fact:
    *cells, mac = row
    subject, kind, scope, value, version, actor, at = cells
    return Fact(
        subject=rows.as_text(subject),
        kind=rows.as_text(kind),
        scope=rows.as_text(scope),
        value=rows.as_text(value),
        version=rows.as_int(version),
        actor=rows.actor_of(actor),
        at=rows.from_us(at),
        is_authentic=context.sealer.is_authentic("facts", cells, mac),
    )


def _told(connection: Connection, context: Context, subjects: Sequence[str]) -> list[Fact]:
    found = connection.run(f"{_SELECT} WHERE subject IN ({_marks(subjects)}) ORDER BY version", list(subjects))
    return [_fact_of(context, row) for row in found]


def _known(connection: Connection, context: Context, subjects: Sequence[str]) -> tuple[list[str], list[Fact]]:
    """Return every pseudonym of a person, and the facts told under any of them."""
    names = set(subjects)
    news = sorted(names)
    facts: list[Fact] = []
    while news:
        told = _told(connection, context, news)
        facts += told
        news = sorted(core.linked_to(told) - names)
        names.update(news)
    return sorted(names), facts


def _pseudonyms(context: Context, keys: Iterable[Personal]) -> list[str]:
    return [context.sealer.pseudonym("patient", key) for key in keys]


def names_of(connection: Connection, context: Context, keys: Iterable[Personal]) -> list[str]:
    """Return every pseudonym of a patient: of these identifiers and of those known to name the same person."""
    names, _ = _known(connection, context, _pseudonyms(context, keys))
    return names


def of_patient(connection: Connection, context: Context, keys: Sequence[Personal]) -> tuple[Sequence[Fact], int]:
    """Return what was told of a patient, oldest first, and the version of the facts."""
    _, facts = _known(connection, context, _pseudonyms(context, keys))
    return sorted(facts, key=lambda fact: fact.version), version_of(connection)


def of_professional(connection: Connection, context: Context, professional: str) -> Sequence[Fact]:
    """Return what was told of a professional, oldest first."""
    return _told(connection, context, [professional])


def _view(
    connection: Connection,
    context: Context,
    names: Sequence[str],
    professional: str,
    type_code: str,
    guard_facts: str,
) -> FactView:
    kept = core.kept(guard_facts)
    delegated = not kept.station or core.is_delegated(
        _told(connection, context, [professional]), kept.station, type_code, relayed=kept.relayed
    )
    _, facts = _known(connection, context, names)
    return core.view_of(facts, version_of(connection), care=kept.care, delegated=delegated)


def of_order(connection: Connection, context: Context, order_id: OrderId) -> FactView:
    """Return what the facts say of an order now. Raises NotFound ORDER_UNKNOWN."""
    found = connection.run(
        "SELECT d.patient, o.professional, o.type_code, o.guard_facts FROM orders AS o "
        "JOIN documents AS d USING (document_id) WHERE o.order_id = ?",
        [order_id],
    )
    if not found:
        raise NotFound("ORDER_UNKNOWN")
    patient, professional, type_code, guard_facts = (rows.as_text(cell) for cell in found[0])
    return _view(connection, context, [patient], professional, type_code, guard_facts)


def holds_at_acceptance(connection: Connection, context: Context, acceptance: Acceptance) -> frozenset[HoldKind]:
    """Return the holds under which an order is born: the guards see the facts of the very transaction."""
    view = _view(
        connection,
        context,
        _pseudonyms(context, (acceptance.patient_key, *acceptance.other_patient_keys)),
        acceptance.professional,
        acceptance.type_code,
        acceptance.facts,
    )
    looked_at = core.guard_input(
        acceptance.kind,
        acceptance.facts,
        view,
        accepted_under=acceptance.fact_version,
        has_product_reference=True,
    )
    return acceptance.holds | holds_of(examine(looked_at))


def link_at_acceptance(connection: Connection, context: Context, acceptance: Acceptance, changes: list[Change]) -> None:
    """Keep that the identifiers of a document name one person; what was told under one acts on all that waits."""
    names = _pseudonyms(context, (acceptance.patient_key, *acceptance.other_patient_keys))
    if _link(connection, context, names, version_of(connection), acceptance.actor):
        effect = _Effect(cause=FactKind.SAME_PATIENT.value, actor=acceptance.actor, changes=changes)
        names, _ = _known(connection, context, names)
        for row in _of_patient(connection, context, names):
            _look_again(connection, context, row, effect)


def _link(connection: Connection, context: Context, names: Sequence[str], version: int, actor: Actor) -> bool:
    """Keep that these pseudonyms name one person, both ways; return whether that is new."""
    if len(set(names)) < 2:
        return False
    is_new = False
    facts = _told(connection, context, names)
    for one in names:
        known = core.linked_to(fact for fact in facts if fact.subject == one)
        for other in names:
            if one != other and other not in known:
                told: list[Value] = [one, FactKind.SAME_PATIENT.value, other, core.LINKED, version]
                _insert(connection, context, told, actor)
                is_new = True
    return is_new


def _set_apart(connection: Connection, context: Context, former: Sequence[str], version: int, actor: Actor) -> None:
    """Keep that these pseudonyms no longer name a person, whoever else they name."""
    for fact in core.latest(_told(connection, context, former)):
        if fact.kind == FactKind.SAME_PATIENT and fact.value == core.LINKED and fact.scope not in former:
            for one, other in ((fact.subject, fact.scope), (fact.scope, fact.subject)):
                _insert(connection, context, [one, FactKind.SAME_PATIENT.value, other, core.APART, version], actor)


def _insert(connection: Connection, context: Context, told: list[Value], actor: Actor) -> None:
    cells: list[Value] = [*told, rows.actor_json(actor), rows.to_us(context.clock.now())]
    connection.run(
        "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [*cells, context.sealer.authenticate("facts", cells)],
    )


def record(
    connection: Connection,
    context: Context,
    subject: FactSubject,
    facts: Sequence[NewFact],
    actor: Actor,
    client: Client | None,
    changes: list[Change],
) -> FactsRecorded:
    """Record facts of one subject under one new version, and hold or free what waits in the same transaction."""
    version = version_of(connection) + 1
    meta.write(connection, VERSION, str(version))
    if subject.professional is None:
        given = _pseudonyms(context, (*subject.patient, *subject.former))
        _link(connection, context, given, version, actor)
        names, _ = _known(connection, context, given)
    else:
        names = [subject.professional]
    for fact in facts:
        for name in names:
            _insert(connection, context, [name, fact.kind.value, fact.scope, fact.value, version], actor)
        line = ledger.Line(
            at=context.clock.now(),
            kind="fact.recorded",
            actor=actor,
            client_id=None if client is None else client.client_id,
            detail=_detail(subject, fact, version),
        )
        changes.append(Change(entry=ledger.append(connection, line), order=None))
    event = next((fact.value for fact in facts if fact.kind is FactKind.IDENTITY_EVENT), None)
    effect = _Effect(cause=event or facts[0].kind.value, actor=actor, changes=changes)
    if event not in {None, IdentityEvent.STATUS_CHANGED.value}:
        _propose_deletions(connection, context, names, effect)
    if subject.former:
        _set_apart(connection, context, _pseudonyms(context, subject.former), version, actor)
    find = _of_patient if subject.professional is None else _of_professional
    for row in find(connection, context, names):
        _look_again(connection, context, row, effect)
    return FactsRecorded(
        version=version, held=tuple(effect.held), freed=tuple(effect.freed), deletions=tuple(effect.deletions)
    )


def _detail(subject: FactSubject, fact: NewFact, version: int) -> tuple[tuple[str, str], ...]:
    """Return what the ledger keeps: nothing that names a patient or an episode of care."""
    told = (("fact", fact.kind.value), ("value", fact.value), ("version", str(version)))
    if fact.kind is not FactKind.DELEGATION or subject.professional is None:
        return told
    station, type_code = core.pair_of(fact.scope)
    return (*told, ("professional", subject.professional), ("station", station), ("type", type_code))


def _orders(connection: Connection, context: Context, where: str, params: Sequence[Value]) -> list[rows.Row]:
    found = connection.run(
        f"SELECT o.order_id FROM orders AS o JOIN documents AS d USING (document_id) "
        f"WHERE o.quarantined = 0 AND o.state IN ({_OPEN}) AND {where} ORDER BY o.seq",
        params,
    )
    ours: list[rows.Row] = []
    for (order_id,) in found:
        try:
            ours.append(transitions.load(connection, context, OrderId(rows.as_text(order_id))))
        except StoreError as error:
            if error.code != "ROW_NOT_AUTHENTIC":
                raise  # else it is not ours: it is never sent anyway
    return ours


def _of_patient(connection: Connection, context: Context, names: Sequence[str]) -> list[rows.Row]:
    return _orders(connection, context, f"d.patient IN ({_marks(names)})", names)


def _of_professional(connection: Connection, context: Context, names: Sequence[str]) -> list[rows.Row]:
    return _orders(connection, context, f"o.professional IN ({_marks(names)})", names)


def _look_again(connection: Connection, context: Context, row: rows.Row, effect: _Effect) -> None:
    """Ask the guards again about one order: put and lift what facts put and lift, nothing else."""
    order = rows.order_of(row)
    looked_at = core.guard_input(
        order.kind,
        order.guard_facts,
        of_order(connection, context, order.order_id),
        accepted_under=order.fact_version,
        has_product_reference=True,
    )
    wanted = holds_of(examine(looked_at)) & core.HOLDS
    # What a person must reopen is held again when it is claimed; what no longer objects is let go at once.
    put = wanted - order.holds if order.state in transitions.CAN_BE_HELD else frozenset()
    lifted = (order.holds & core.HOLDS) - wanted
    for hold in sorted(put):
        row = transitions.put_hold(connection, context, row, hold, effect.actor, effect.cause, effect.changes)
    for hold in sorted(lifted):
        row = transitions.lift_hold(connection, context, row, hold, effect.actor, effect.cause, effect.changes)
    now = rows.order_of(row)
    if now.holds and not order.holds:
        effect.held.append(now)
    elif order.holds and not now.holds:
        effect.freed.append(now)


def _propose_deletions(connection: Connection, context: Context, names: Sequence[str], effect: _Effect) -> None:
    """Name what of this patient is at the service, or may be: a person decides whether it must be deleted there."""
    found = connection.run(
        f"SELECT document_id FROM documents WHERE patient IN ({_marks(names)}) ORDER BY created_at_us, document_id",
        names,
    )
    for (document_id,) in found:
        for row in _there(connection, context, DocumentId(rows.as_text(document_id))):
            order = rows.order_of(row)
            transitions.tell(
                connection,
                context,
                row,
                "deletion.proposed",
                effect.actor,
                effect.changes,
                before=order.state,
                after=order.state,
                detail=(("cause", effect.cause),),
            )
            effect.deletions.append(order)


def _there(connection: Connection, context: Context, document_id: DocumentId) -> list[rows.Row]:
    try:
        orders = relations.of_document(connection, context, document_id)
    except StoreError as error:
        if error.code != "ROW_NOT_AUTHENTIC":
            raise
        return []  # a person looks at the whole document first
    deletions = (relations.state_of(row) for row in orders if row["kind"] == OrderKind.DMP_DELETE)
    if any(state not in TERMINAL | {OrderState.REJECTED} for state in deletions):
        return []  # a person has decided already
    there = relations.standing(orders).there
    doubtful = [row for row in orders if rows.is_content(row) and relations.state_of(row) in _MAY_BE_THERE]
    return [*([] if there is None else [there]), *doubtful]
