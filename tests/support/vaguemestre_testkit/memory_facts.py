"""The memory backend's part about facts and batches: the core's own readings over a list, effects at once.

Obeys the same guards as the product; keeps nothing on a disk. Identifiers are kept as they are given.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from vaguemestre_agent.localapi.backend import BatchOutcome, Delegation, DocumentUpload, Identifiers, PatientWishes
from vaguemestre_agent.services.facts import current_wishes, delegations_of, visible
from vaguemestre_agent.services.history import BatchDefect, BatchRefused
from vaguemestre_core.errors import Conflict, InvalidInput, NotFound
from vaguemestre_core.facts import (
    HOLDS,
    Care,
    Fact,
    FactKind,
    FactsRecorded,
    IdentityEvent,
    NewFact,
    delegation,
    guard_input,
    is_delegated,
    kept,
    key_of_ins,
    key_of_local_id,
    key_of_reference,
    view_of,
)
from vaguemestre_core.guards import GuardAnswer, examine, holds_of
from vaguemestre_core.identities import IdentityStatus
from vaguemestre_core.orders import SETTLED, HoldKind, OrderId, OrderState
from vaguemestre_core.records import Accepted, Actor, Client, Order
from vaguemestre_testkit.memory_pairing import MemoryPairing

Metadata = Mapping[str, object]


class MemoryFacts(MemoryPairing):
    """Facts over the orders of a memory backend."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
        self.fact_version = 0
        self.facts: list[Fact] = []
        self._orders: dict[OrderId, Order] = {}
        self._persons: dict[str, set[str]] = {}  # identifier → all the identifiers of the same person
        self._patients: dict[OrderId, str] = {}

    @abstractmethod
    async def put_document(self, client: Client, upload: DocumentUpload) -> Accepted:
        """Accept one document."""

    @abstractmethod
    def _with_holds(self, order: Order, kind: str, actor: Actor, holds: frozenset[HoldKind]) -> Order:
        """Write the holds of an order."""

    async def put_documents(self, client: Client, uploads: Sequence[DocumentUpload]) -> Sequence[BatchOutcome]:
        """Accept several, or none when an identity is not qualifiée."""
        if len({upload.client_ref for upload in uploads}) != len(uploads):
            raise InvalidInput("BATCH_REFERENCE_TWICE", pointer="/documents")
        defects = tuple(
            BatchDefect(code="INS_NOT_QUALIFIED", pointer=f"/documents/{number}", sentence="Non qualifiée.")
            for number, upload in enumerate(uploads)
            if status_of(json.loads(upload.metadata)) != IdentityStatus.QUALIFIEE.value
        )
        if defects:
            raise BatchRefused(defects)
        outcomes: list[BatchOutcome] = []
        for upload in uploads:
            try:
                outcomes.append(
                    BatchOutcome(client_ref=upload.client_ref, accepted=await self.put_document(client, upload))
                )
            except (InvalidInput, Conflict) as refused:
                outcomes.append(BatchOutcome(client_ref=upload.client_ref, refused=refused))
        return outcomes

    async def patient_wishes(self, client: Client, reference: str, care: Care) -> PatientWishes:
        """Return what a patient said."""
        facts = self._of_person(self._person(client, reference))
        return PatientWishes(refused=view_of(facts, self.fact_version, care=care).refused, wishes=current_wishes(facts))

    async def record_wishes(
        self, client: Client, reference: str, identifiers: Identifiers, wishes: Sequence[NewFact], actor: Actor
    ) -> FactsRecorded:
        """Record wishes."""
        person = self._subject(client, reference, _names(identifiers))
        return self._record(client, person, wishes, actor)

    async def record_identity_event(
        self,
        client: Client,
        reference: str,
        event: IdentityEvent,
        *,
        identifiers: Identifiers,
        former: Identifiers,
        status: IdentityStatus | None,
        actor: Actor,
    ) -> FactsRecorded:
        """Record a change of identity; identifiers once linked stay so here."""
        if event is IdentityEvent.MERGED and not _names(former):
            raise InvalidInput("IDENTITY_EVENT_INCOMPLETE", pointer="/former")
        if event is IdentityEvent.STATUS_CHANGED and status is None:
            raise InvalidInput("IDENTITY_EVENT_INCOMPLETE", pointer="/identity_status")
        person = self._subject(client, reference, _names(identifiers))
        person = self._link([*person, *_names(former)])
        told = [NewFact(kind=FactKind.IDENTITY_EVENT, value=event.value)]
        if status is not None:
            told.append(NewFact(kind=FactKind.IDENTITY_STATUS, value=status.value))
        recorded = self._record(client, person, told, actor)
        if event is IdentityEvent.STATUS_CHANGED:
            return recorded
        there = {OrderState.SENT, OrderState.SENDING, OrderState.IN_DOUBT}
        deletions = tuple(order for order in self._orders_of(person) if order.state in there)
        return visible(client, FactsRecorded(version=recorded.version, held=recorded.held, deletions=deletions))

    async def delegations(self, professional: str) -> Sequence[Delegation]:
        """Return a professional's last words."""
        return delegations_of(professional, [fact for fact in self.facts if fact.subject == professional])

    async def delegate(
        self, client: Client, professional: str, station: str, type_code: str | None, *, granted: bool, actor: Actor
    ) -> FactsRecorded:
        """Record a delegation or its withdrawal."""
        told = [delegation(station, type_code, granted=granted)]
        return self._record(client, frozenset({professional}), told, actor)

    def keep_patient(self, order_id: OrderId, metadata: Metadata) -> None:
        """Remember whom an order is about."""
        patient = metadata.get("patient")
        ins = patient.get("ins") if isinstance(patient, Mapping) else None
        if isinstance(ins, Mapping):
            self._patients[order_id] = f"{ins['oid']}|{ins['matricule']}"

    def fact_holds(self, order: Order) -> frozenset[HoldKind]:
        """Return the holds that the guards ask for now."""
        return holds_of(self.fact_answers(order))

    def fact_answers(self, order: Order) -> tuple[GuardAnswer, ...]:
        """Return what the guards say of an order now."""
        name = self._patients.get(order.order_id)
        facts = [] if name is None else self._of_person(self._persons.get(name, {name}))
        looked_at = kept(order.guard_facts)
        own = [fact for fact in self.facts if fact.subject == order.professional]
        view = view_of(
            facts,
            self.fact_version,
            care=looked_at.care,
            delegated=is_delegated(own, looked_at.station, order.type_code, relayed=looked_at.relayed),
        )
        return examine(
            guard_input(
                order.kind, order.guard_facts, view, accepted_under=order.fact_version, has_product_reference=True
            )
        )

    def _record(self, client: Client, names: Iterable[str], told: Sequence[NewFact], actor: Actor) -> FactsRecorded:
        self.fact_version += 1
        self.facts += [
            Fact(
                subject=name,
                kind=new.kind.value,
                scope=new.scope,
                value=new.value,
                version=self.fact_version,
                actor=actor,
                at=self.now,
                is_authentic=True,
            )
            for new in told
            for name in sorted(names)
        ]
        self._write_pairing("fact.recorded", actor, client.client_id)
        held: list[Order] = []
        freed: list[Order] = []
        for order in list(self._orders.values()):
            if order.state in SETTLED:
                continue
            holds = (order.holds - HOLDS) | self.fact_holds(order)
            if holds != order.holds:
                changed = self._with_holds(order, "order.held", actor, holds)
                (held if holds > order.holds else freed).append(changed)
        return visible(client, FactsRecorded(version=self.fact_version, held=tuple(held), freed=tuple(freed)))

    def _person(self, client: Client, reference: str) -> frozenset[str]:
        name = key_of_reference(client.client_id, reference).reveal()
        if name not in self._persons:
            raise NotFound("PATIENT_REFERENCE_UNKNOWN")
        return frozenset(self._persons[name])

    def _subject(self, client: Client, reference: str, names: Sequence[str]) -> frozenset[str]:
        if not names:
            return self._person(client, reference)
        return self._link([key_of_reference(client.client_id, reference).reveal(), *names])

    def _link(self, names: Sequence[str]) -> frozenset[str]:
        everyone: set[str] = set(names).union(*(self._persons.get(name, set()) for name in names))
        for name in everyone:
            self._persons[name] = everyone
        return frozenset(everyone)

    def _of_person(self, names: Iterable[str]) -> list[Fact]:
        known = set(names)
        return [fact for fact in self.facts if fact.subject in known]

    def _orders_of(self, names: Iterable[str]) -> list[Order]:
        known = set(names)
        return [order for order in self._orders.values() if self._patients.get(order.order_id) in known]


def status_of(metadata: Metadata) -> str:
    """Return the identity status that the metadata declare."""
    patient = metadata.get("patient")
    found = patient.get("identity_status") if isinstance(patient, Mapping) else metadata.get("identity_status")
    return str(found or IdentityStatus.QUALIFIEE.value)


def _names(identifiers: Identifiers) -> tuple[str, ...]:
    ins = () if identifiers.ins is None else (key_of_ins(identifiers.ins).reveal(),)
    return ins if identifiers.local_id is None else (*ins, key_of_local_id(identifiers.local_id).reveal())
