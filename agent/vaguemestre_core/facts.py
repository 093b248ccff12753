"""Facts about patients and professionals that guard what may leave: what is recorded, and what it says now.

Owns values and pure readings; the store keeps them, keyed by pseudonym. No reason is asked or kept for a patient's wish
(SC.DMP/CONF.09.BIS). A change of identity makes what was accepted before it stale (INS/va1.60).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

from vaguemestre_core.guards import FEEDING, GuardInput
from vaguemestre_core.identities import IdentityStatus, Ins, LocalPatientId
from vaguemestre_core.orders import ClientId, HoldKind, OrderId, OrderKind
from vaguemestre_core.records import Actor, Order
from vaguemestre_core.redaction import Personal


@unique
class FactKind(StrEnum):
    """Kinds of facts. Values are stored: they never change."""

    OPPOSITION = "opposition"  # to feeding
    CONSULTATION = "consultation"
    MSS_PATIENT = "mss_patient"
    MSS_PROFESSIONALS = "mss_professionals"
    IDENTITY_STATUS = "identity_status"
    IDENTITY_EVENT = "identity_event"
    DELEGATION = "delegation"
    SAME_PATIENT = "same_patient"  # two identifiers given together name one person


@unique
class IdentityEvent(StrEnum):
    """What happened to an identity in the LGC. Values are stored: they never change."""

    TRAIT_CHANGED = "trait_changed"
    MATRICULE_CHANGED = "matricule_changed"
    MERGED = "merged"
    STATUS_CHANGED = "status_changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a patient's wish of one kind is stored.

    Attributes:
        granted, refused: the two values stored.
        is_granted_unless_told: what holds when the patient said nothing.
    """

    granted: str = "granted"
    refused: str = "refused"
    is_granted_unless_told: bool = True


# Feeding and messages are allowed unless refused; consultation only when granted (SC.DMP/CONF.06, SC.DMP/CONF.09.BIS).
WISHES: Final[Mapping[FactKind, Wish]] = MappingProxyType(
    {
        FactKind.OPPOSITION: Wish(granted="not_opposed", refused="opposed"),
        FactKind.CONSULTATION: Wish(is_granted_unless_told=False),
        FactKind.MSS_PATIENT: Wish(),
        FactKind.MSS_PROFESSIONALS: Wish(),
    }
)
# The holds that facts put and lift; the others belong to persons and to the integrity of the rows.
HOLDS: Final = frozenset({HoldKind.OPPOSITION, HoldKind.CONSENT, HoldKind.IDENTITY, HoldKind.DELEGATION})
GRANTED: Final = "granted"
WITHDRAWN: Final = "withdrawn"
LINKED: Final = ""
APART: Final = "apart"
NEVER_BEFORE: Final = 1 << 62  # an event later than any order: a fact that somebody forged


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSubject:
    """Whom facts are about: a patient by the identifiers given (they become linked), or a professional (PS_IdNat).

    Attributes:
        patient: identifiers that name the patient.
        former: identifiers that named the patient until now; told of the same facts, then no longer linked.
        professional: PS_IdNat.
    """

    patient: tuple[Personal, ...] = ()
    former: tuple[Personal, ...] = ()
    professional: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFact:
    """A fact to record.

    Attributes:
        kind: what it is about.
        value: what it says.
        scope: what part of the kind it covers (see ``pair_scope``); empty: all.
    """

    kind: FactKind
    value: str
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A fact as it was recorded.

    Attributes:
        subject: pseudonym of a patient's identifier, or PS_IdNat.
        kind: a ``FactKind``'s value, as it stands in the file.
        version: grows by one with each recording of the store.
        is_authentic: the row is ours; a forged one always objects.
    """

    subject: str
    kind: str
    scope: str
    value: str
    version: int
    actor: Actor
    at: datetime
    is_authentic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """Which care: an episode (the LGC's opaque reference), a care team (Struct_IdNat); None: all, or unknown."""

    episode: str | None = None
    team: str | None = None


ANY_CARE: Final = Care()


@dataclass(frozen=True, slots=True, kw_only=True)
class FactView:
    """What the facts say of one order or one patient now.

    Attributes:
        version: version of the store's facts looked at.
        refused: the wishes that stand against.
        identity_downgraded: version of the last fact that told a status other than qualifiée, 0 when it is not so.
        identity_event: version of the last event of the identity, 0 when none.
        delegated: the professional lets the station of origin send this type.
    """

    version: int
    refused: frozenset[FactKind] = frozenset({FactKind.CONSULTATION})
    identity_downgraded: int = 0
    identity_event: int = 0
    delegated: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsRecorded:
    """What a recording did.

    Attributes:
        version: version of the facts from now on.
        held, freed: orders that it held, and let go.
        deletions: orders whose document is there, or may be: their deletion is proposed to a person, never made.
    """

    version: int
    held: tuple[Order, ...] = ()
    freed: tuple[Order, ...] = ()
    deletions: tuple[Order, ...] = ()

    @property
    def held_ids(self) -> tuple[OrderId, ...]:
        """Ids of the orders held."""
        return tuple(order.order_id for order in self.held)

    @property
    def freed_ids(self) -> tuple[OrderId, ...]:
        """Ids of the orders let go."""
        return tuple(order.order_id for order in self.freed)


def key_of_ins(ins: Ins) -> Personal:
    """Return what names a patient by the matricule INS."""
    return Personal(f"{ins.oid}|{ins.matricule}")


def key_of_local_id(local_id: LocalPatientId) -> Personal:
    """Return what names a patient by the practice's own number."""
    return Personal(f"{local_id.oid}|{local_id.value}")


def key_of_reference(client_id: ClientId, reference: str) -> Personal:
    """Return what names a patient by the opaque reference of one client's software."""
    return Personal(f"reference|{client_id}|{reference}")


def patient_keys(ins: Ins | None, local_id: LocalPatientId | None) -> tuple[Personal, ...]:
    """Return every name of a patient; the first is the one under which orders are kept."""
    keys = () if ins is None else (key_of_ins(ins),)
    return keys if local_id is None else (*keys, key_of_local_id(local_id))


def of_patient(*keys: Personal) -> FactSubject:
    """Return a patient known by these identifiers."""
    return FactSubject(patient=keys)


def wish(kind: FactKind, *, granted: bool, care: Care = ANY_CARE) -> NewFact:
    """Return the fact that a patient grants or refuses something, for all care or one episode or team."""
    stored = WISHES[kind]
    scope = "" if care == ANY_CARE else pair_scope(care.episode or "", care.team or "")
    return NewFact(kind=kind, value=stored.granted if granted else stored.refused, scope=scope)


def opposition(opposed: bool, care: Care = ANY_CARE) -> NewFact:
    """Return the fact that a patient opposes feeding, or no longer does."""
    return wish(FactKind.OPPOSITION, granted=not opposed, care=care)


def delegation(station: str, type_code: str | None, *, granted: bool) -> NewFact:
    """Return the fact that a professional lets a station send a document type (None: every type), or no longer does."""
    return NewFact(
        kind=FactKind.DELEGATION,
        value=GRANTED if granted else WITHDRAWN,
        scope=pair_scope(station, type_code or ""),
    )


def pair_scope(first: str, second: str) -> str:
    """Return two identifiers as a scope: episode and team of a wish, station and type of a delegation."""
    return json.dumps([first, second], ensure_ascii=False, separators=(",", ":"))


def pair_of(scope: str) -> tuple[str, str]:
    """Return the two identifiers of a scope, both empty when it covers everything."""
    if not scope:
        return "", ""
    first, second = json.loads(scope)
    return str(first), str(second)


def latest(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Return the last fact of each subject, kind and scope, oldest first."""
    found: dict[tuple[str, str, str], Fact] = {}
    for fact in sorted(facts, key=lambda fact: fact.version):
        found.pop((fact.subject, fact.kind, fact.scope), None)
        found[fact.subject, fact.kind, fact.scope] = fact
    return tuple(found.values())


def current(facts: Iterable[Fact], kind: FactKind) -> tuple[Fact, ...]:
    """Return the last fact of each scope of a kind, whichever identifier of the subject it was told under."""
    return tuple({fact.scope: fact for fact in latest(facts) if fact.kind == kind}.values())


def linked_to(facts: Iterable[Fact]) -> frozenset[str]:
    """Return the pseudonyms that these facts say name the same person."""
    return frozenset(
        fact.scope
        for fact in latest(facts)
        if fact.kind == FactKind.SAME_PATIENT and fact.is_authentic and fact.value == LINKED
    )


def _covers(fact: Fact, care: Care, *, granted: str) -> bool:
    """Say whether a wish covers some care. Unknown care may be the one refused, and is never the one granted."""
    episode, team = pair_of(fact.scope)
    unknown: set[str | None] = set() if fact.value == granted else {None}
    return (not episode or care.episode in unknown | {episode}) and (not team or care.team in unknown | {team})


def _is_refused(facts: Sequence[Fact], kind: FactKind, care: Care) -> bool:
    """Say whether a wish stands against: of each identifier, the newest fact that covers this care decides.

    Any identifier under which the patient refuses counts.
    """
    stored = WISHES[kind]
    said: dict[str, str] = {}
    for fact in facts:
        if fact.kind == kind and _covers(fact, care, granted=stored.granted):
            said[fact.subject] = fact.value
    if stored.is_granted_unless_told:
        return any(value != stored.granted for value in said.values())
    return not said or any(value != stored.granted for value in said.values())


def view_of(facts: Iterable[Fact], version: int, *, care: Care = ANY_CARE, delegated: bool = True) -> FactView:
    """Return what a patient's facts say now. One forged fact is every objection, until a person looks."""
    last = latest(facts)
    if not all(fact.is_authentic for fact in last):
        return FactView(
            version=version,
            refused=frozenset(WISHES),
            identity_downgraded=NEVER_BEFORE,
            identity_event=NEVER_BEFORE,
            delegated=delegated,
        )
    downgraded = event = 0
    for fact in last:
        if fact.kind == FactKind.IDENTITY_EVENT and fact.value != IdentityEvent.STATUS_CHANGED:
            event = fact.version
        elif fact.kind == FactKind.IDENTITY_STATUS:
            downgraded = 0 if fact.value == IdentityStatus.QUALIFIEE.value else fact.version
    return FactView(
        version=version,
        refused=frozenset(kind for kind in WISHES if _is_refused(last, kind, care)),
        identity_downgraded=downgraded,
        identity_event=event,
        delegated=delegated,
    )


def is_delegated(facts: Iterable[Fact], station: str, type_code: str, *, relayed: bool) -> bool:
    """Say whether a professional lets a station send a type: the newest fact that covers both decides.

    What another station relayed must have been granted; what was deposited here must not have been withdrawn.
    """
    decided: Fact | None = None
    for fact in current(facts, FactKind.DELEGATION):
        where, which = pair_of(fact.scope)
        if where == station and which in {"", type_code}:
            decided = fact if decided is None or fact.version > decided.version else decided
    if decided is None:
        return not relayed
    return decided.is_authentic and decided.value == GRANTED


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFacts:
    """What is kept of a request for the guards and the indicators to look at later; no personal data.

    Attributes:
        identity_status, has_ins, identity_doubtful, visibility: see ``GuardInput``.
        care: the episode and the team of the document.
        to_patient: the message goes to the patient.
        station: where it was deposited, empty when not told.
        relayed: another station handed it over.
    """

    identity_status: str
    has_ins: bool
    identity_doubtful: bool
    visibility: frozenset[str]
    care: Care = ANY_CARE
    to_patient: bool = False
    station: str = ""
    relayed: bool = False


def keep(facts: KeptFacts) -> str:
    """Return what is kept, as JSON text."""
    kept: dict[str, object] = {
        "identity_status": facts.identity_status,
        "has_ins": facts.has_ins,
        "identity_doubtful": facts.identity_doubtful,
        "visibility": sorted(facts.visibility),
    }
    if facts.care.episode is not None:
        kept["episode"] = facts.care.episode
    if facts.care.team is not None:
        kept["structure"] = facts.care.team
    kept |= {"to_patient": True} if facts.to_patient else {}
    kept |= {"station": facts.station} if facts.station else {}
    kept |= {"relayed": True} if facts.relayed else {}
    return json.dumps(kept, ensure_ascii=False)


def kept(text: str) -> KeptFacts:
    """Return what was kept with an order."""
    found = json.loads(text)
    episode, structure = found.get("episode"), found.get("structure")
    return KeptFacts(
        identity_status=str(found.get("identity_status", "")),
        has_ins=bool(found.get("has_ins", False)),
        identity_doubtful=bool(found.get("identity_doubtful", False)),
        visibility=frozenset(str(code) for code in found.get("visibility", ())),
        care=Care(
            episode=None if episode is None else str(episode), team=None if structure is None else str(structure)
        ),
        to_patient=bool(found.get("to_patient", False)),
        station=str(found.get("station", "")),
        relayed=bool(found.get("relayed", False)),
    )


def guard_input(
    kind: OrderKind, guard_facts: str, view: FactView, *, accepted_under: int, has_product_reference: bool
) -> GuardInput:
    """Return what the guards look at for an order, now.

    A status told after the acceptance may only take away: what was built under another identity is deposited again.

    Args:
        kind: the order's kind.
        guard_facts: what was kept at acceptance (see ``keep``).
        view: what the facts say now.
        accepted_under: version of the facts under which it was accepted.
        has_product_reference: its client has a product profile.
    """
    facts = kept(guard_facts)
    downgraded = kind in FEEDING and view.identity_downgraded > accepted_under
    return GuardInput(
        kind=kind,
        identity_status=IdentityStatus.PROVISOIRE.value if downgraded else facts.identity_status,
        has_ins=facts.has_ins,
        identity_doubtful=facts.identity_doubtful,
        identity_changed=view.identity_event > accepted_under,
        opposed=FactKind.OPPOSITION in view.refused,
        message_refused=(FactKind.MSS_PATIENT if facts.to_patient else FactKind.MSS_PROFESSIONALS) in view.refused,
        visibility=facts.visibility,
        to_patient=facts.to_patient,
        has_product_reference=has_product_reference,
        delegated=view.delegated,
        fact_version=view.version,
    )
