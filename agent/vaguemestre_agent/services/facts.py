"""Facts told by a client: wishes of patients, changes of identity, delegations of professionals.

Owns the words of the API (what about, granted or not) and whom a client's reference names; the store records them and
acts on what waits. No reason of a wish is taken (SC.DMP/CONF.09.BIS).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from vaguemestre_core.errors import InvalidInput, NotFound
from vaguemestre_core.facts import (
    GRANTED,
    WISHES,
    Care,
    Fact,
    FactKind,
    FactsRecorded,
    FactSubject,
    IdentityEvent,
    NewFact,
    current,
    delegation,
    key_of_reference,
    pair_of,
    patient_keys,
    view_of,
    wish,
)
from vaguemestre_core.identities import IdentityStatus, Ins, LocalPatientId
from vaguemestre_core.ports import StorePort
from vaguemestre_core.records import Actor, Client, Order, Scope
from vaguemestre_core.redaction import Personal

# What the API calls a kind of wish.
ABOUT: Final[Mapping[str, FactKind]] = {
    "feeding": FactKind.OPPOSITION,
    "consultation": FactKind.CONSULTATION,
    "mss_patient": FactKind.MSS_PATIENT,
    "mss_professionals": FactKind.MSS_PROFESSIONALS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifiers:
    """Identifiers of one patient, any of them."""

    ins: Ins | None = None
    local_id: LocalPatientId | None = None


NO_IDENTIFIERS: Final = Identifiers()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldWish:
    """A wish: of which kind, granted or not, for which care, by whom and when it was recorded."""

    kind: FactKind
    granted: bool
    care: Care
    actor: Actor
    at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientWishes:
    """What is refused now, for the care looked at, and the last wish of each kind and care, oldest first."""

    refused: frozenset[FactKind]
    wishes: tuple[ToldWish, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """A professional's last word about a station and a type (None: every type)."""

    professional: str
    station: str
    type_code: str | None
    granted: bool
    actor: Actor
    at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FactService:
    """Reads and records facts for a client."""

    store: StorePort

    async def wishes(self, client: Client, reference: str, care: Care) -> PatientWishes:
        """Return what a patient said. Raises NotFound PATIENT_REFERENCE_UNKNOWN."""
        facts, version = await self._told(client, reference)
        return PatientWishes(refused=view_of(facts, version, care=care).refused, wishes=current_wishes(facts))

    async def record_wishes(
        self, client: Client, reference: str, identifiers: Identifiers, wishes: Sequence[NewFact], actor: Actor
    ) -> FactsRecorded:
        """Record wishes; what waits is held or freed at once. Raises NotFound PATIENT_REFERENCE_UNKNOWN."""
        subject = await self._subject(client, reference, identifiers)
        return visible(client, await self.store.record_facts(subject, wishes, actor, client))

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
        """Record that an identity changed; what waits is held, what is there is proposed for deletion.

        Raises:
            NotFound: PATIENT_REFERENCE_UNKNOWN.
            InvalidInput: IDENTITY_EVENT_INCOMPLETE: a merge without the other file, a status event without a status.
        """
        others = patient_keys(former.ins, former.local_id)
        if event is IdentityEvent.MERGED and not others:
            raise InvalidInput("IDENTITY_EVENT_INCOMPLETE", pointer="/former")
        if event is IdentityEvent.STATUS_CHANGED and status is None:
            raise InvalidInput("IDENTITY_EVENT_INCOMPLETE", pointer="/identity_status")
        subject = await self._subject(client, reference, identifiers)
        if event is IdentityEvent.MERGED:
            subject = replace(subject, patient=(*subject.patient, *others))
        elif event is IdentityEvent.MATRICULE_CHANGED:
            subject = replace(subject, former=tuple(key for key in others if key not in subject.patient))
        facts = [NewFact(kind=FactKind.IDENTITY_EVENT, value=event.value)]
        if status is not None:
            facts.append(NewFact(kind=FactKind.IDENTITY_STATUS, value=status.value))
        return visible(client, await self.store.record_facts(subject, facts, actor, client))

    async def delegations(self, professional: str) -> Sequence[Delegation]:
        """Return a professional's last words."""
        return delegations_of(professional, await self.store.professional_facts(professional))

    async def delegate(
        self, client: Client, professional: str, station: str, type_code: str | None, *, granted: bool, actor: Actor
    ) -> FactsRecorded:
        """Record a delegation or its withdrawal; what was accepted under it is freed or held."""
        told = [delegation(station, type_code, granted=granted)]
        subject = FactSubject(professional=professional)
        return visible(client, await self.store.record_facts(subject, told, actor, client))

    async def _told(self, client: Client, reference: str) -> tuple[Sequence[Fact], int]:
        facts, version = await self.store.patient_facts([key_of_reference(client.client_id, reference)])
        if not facts:
            raise NotFound("PATIENT_REFERENCE_UNKNOWN")
        return facts, version

    async def _subject(self, client: Client, reference: str, identifiers: Identifiers) -> FactSubject:
        """Return whom a reference names; one never seen needs an identifier that documents bear too."""
        keys: tuple[Personal, ...] = patient_keys(identifiers.ins, identifiers.local_id)
        if not keys:
            await self._told(client, reference)
        return FactSubject(patient=(*keys, key_of_reference(client.client_id, reference)))


def new_wish(about: str, *, granted: bool, care: Care) -> NewFact:
    """Return the wish that the API's words name."""
    return wish(ABOUT[about], granted=granted, care=care)


def current_wishes(facts: Sequence[Fact]) -> tuple[ToldWish, ...]:
    """Return the last wish of each kind and care; one whose row is not ours is refused."""
    found: list[ToldWish] = []
    for kind, stored in WISHES.items():
        for fact in current(facts, kind):
            episode, team = pair_of(fact.scope)
            found.append(
                ToldWish(
                    kind=kind,
                    granted=fact.is_authentic and fact.value == stored.granted,
                    care=Care(episode=episode or None, team=team or None),
                    actor=fact.actor,
                    at=fact.at,
                    version=fact.version,
                )
            )
    return tuple(sorted(found, key=lambda told: told.version))


def delegations_of(professional: str, facts: Sequence[Fact]) -> Sequence[Delegation]:
    """Return the last word of each station and type; one whose row is not ours is withdrawn."""
    found: list[Delegation] = []
    for fact in current(facts, FactKind.DELEGATION):
        station, type_code = pair_of(fact.scope)
        found.append(
            Delegation(
                professional=professional,
                station=station,
                type_code=type_code or None,
                granted=fact.is_authentic and fact.value == GRANTED,
                actor=fact.actor,
                at=fact.at,
                version=fact.version,
            )
        )
    return found


def visible(client: Client, recorded: FactsRecorded) -> FactsRecorded:
    """Return what the client may see of an effect: its own orders, all of them for an administrator."""
    if Scope.ADMIN in client.scopes:
        return recorded

    def own(orders: tuple[Order, ...]) -> tuple[Order, ...]:
        return tuple(order for order in orders if order.client_id == client.client_id)

    return replace(
        recorded,
        held=own(recorded.held),
        freed=own(recorded.freed),
        deletions=own(recorded.deletions),
    )
