"""Ports: what the services need of the outside, in domain types; adapters and doubles run the same contracts.

Every method that waits may be cancelled at any await unless its docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from vaguemestre_core.announcements import HiddenPort
from vaguemestre_core.cardports import KeySession
from vaguemestre_core.changes import ChangeAccepted, ChangeRequest
from vaguemestre_core.clocks import ClockJump, ClockReading, EveningHour
from vaguemestre_core.facts import Fact, FactsRecorded, FactSubject, FactView, NewFact
from vaguemestre_core.indicators import Done
from vaguemestre_core.orders import ClientId, HoldKind, OrderEvent, OrderId, OrderState
from vaguemestre_core.outcomes import ExistenceAnswer, Outcome, ReferenceAnswer
from vaguemestre_core.records import (
    Acceptance,
    Accepted,
    Actor,
    CancelAnswer,
    Change,
    Client,
    FrozenIds,
    LedgerEntry,
    Order,
    OrderFilter,
    OrderPatch,
    ProductProfile,
    ProxySession,
    RecoveryReport,
    StoredBody,
)
from vaguemestre_core.redaction import Personal
from vaguemestre_core.turns import SendingRight


class ClockPort(Protocol):
    """Time. Two clocks: the wall clock can be set, the boot-time clock cannot and counts sleep."""

    def now(self) -> datetime:
        """Return the wall clock, aware UTC."""

    def boot_s(self) -> float:
        """Return seconds since boot, sleep included."""

    def boot_id(self) -> str:
        """Return an identifier of this boot, or an empty string when the system gives none."""

    async def sleep(self, seconds: float) -> None:
        """Wait on this clock."""


class RandomPort(Protocol):
    """Randomness."""

    def bits(self, count: int) -> int:
        """Return an integer of that many random bits."""

    def fraction(self) -> float:
        """Return a number in [0, 1)."""


class WitnessPort(Protocol):
    """Another host than the services', to tell an absent Internet from an absent service."""

    async def is_reached(self) -> bool | None:
        """Say whether it is reached now, within seconds; None when there is none to ask. Never raises for the way."""


class FailpointPort(Protocol):
    """Named places where the crash tests cut the power. In production, nothing."""

    def hit(self, name: str) -> None:
        """Pass the failpoint; may not return when armed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedBuild:
    """A document built by the worker process.

    Attributes:
        prepared: our container of CDA, XDS entry and sending context (see ``vaguemestre_documents.preparation``).
        type_code: the document's type code.
        unique_id: the document's id@root; a ready CDA brings its own.
        set_id: the document's setId@root.
        version: the document's versionNumber.
        warnings: codes of findings that do not prevent sending.
    """

    prepared: bytes = field(repr=False)
    type_code: str
    unique_id: str
    set_id: str
    version: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationRefusal:
    """The document cannot be built from what was given.

    Attributes:
        code: stable code of the first finding.
        findings: all codes with their JSON pointers or rule numbers.
        retry: the worker died or timed out: it may be tried again.
    """

    code: str
    findings: tuple[tuple[str, str], ...] = ()
    retry: bool = False


class TallyPort(Protocol):
    """What the ledger says of the operations that ended."""

    async def tallies(self, start: datetime, end: datetime, client_id: ClientId | None) -> Mapping[Done, int]:
        """Return how many DMP operations ended between two instants, of one client or of all."""


class StorePort(TallyPort, HiddenPort, Protocol):
    """The persistent send queue. What a method returns is committed with synchronous=FULL."""

    async def accept(self, acceptance: Acceptance) -> Accepted:
        """Make an order durable, or replay the answer of the same request.

        Raises:
            Conflict: IDEMPOTENCY_MISMATCH (same key, other content), DOCUMENT_OF_ANOTHER_PATIENT (a version of it
                is, or may be, in the DMP of somebody else).
            StoreError: STORE_FULL, STORE_READ_ONLY, STORE_UNAVAILABLE; nothing was accepted.
        """

    async def accept_change(self, request: ChangeRequest) -> ChangeAccepted:
        """Make a deletion or a change of visibility durable, by whatever the document's state asks, or replay.

        Raises:
            NotFound: DOCUMENT_UNKNOWN.
            Conflict: IDEMPOTENCY_MISMATCH, DOCUMENT_NOT_THERE (nothing of it is there or waits), PRESENCE_UNKNOWN
                (given up in doubt), DELETION_UNDER_WAY, DMP_CANNOT_HIDE_AGAIN, BODY_NEEDED; nothing was changed.
            StoreError: as for ``accept``.
        """

    async def order(self, order_id: OrderId) -> Order:
        """Return an order. Raises NotFound ORDER_UNKNOWN."""

    async def orders(self, selection: OrderFilter) -> Sequence[Order]:
        """Return the orders selected, newest first."""

    async def title(self, order_id: OrderId) -> str | None:
        """Return the sealed display title of an order's document, or None when it cannot be opened."""

    async def apply(
        self,
        order_id: OrderId,
        event: OrderEvent,
        actor: Actor,
        *,
        expect: frozenset[OrderState] | None = None,
        patch: OrderPatch | None = None,
        detail: tuple[tuple[str, str], ...] = (),
    ) -> Order:
        """Apply one transition by compare-and-set, with its ledger line, in one transaction.

        Raises:
            Conflict: TRANSITION_ILLEGAL (the table forbids it now), STATE_CHANGED (``expect`` does not hold).
        """

    async def touch(
        self,
        order_id: OrderId,
        expect: OrderState,
        patch: OrderPatch,
        kind: str,
        detail: tuple[tuple[str, str], ...],
    ) -> Order:
        """Change columns without changing the state, with a ledger line of that kind. Raises Conflict STATE_CHANGED."""

    async def cancel(self, order_id: OrderId, actor: Actor) -> tuple[CancelAnswer, Order]:
        """Cancel, or record that it was asked, or say that it is too late."""

    async def put_hold(self, order_id: OrderId, hold: HoldKind, actor: Actor, cause: str) -> Order:
        """Hold an order that has not left; one on the wire keeps the hold for the day it comes back.

        Raises Conflict TOO_LATE: it is over.
        """

    async def lift_hold(self, order_id: OrderId, hold: HoldKind, actor: Actor, cause: str) -> Order:
        """Lift a hold; lifting an absent one changes nothing."""

    async def due(self, now: datetime, boot_s: float, boot_id: str, limit: int) -> int:
        """Make READY the deferred orders whose time and undo minutes have passed on both clocks; return how many."""

    async def refresh_overdue(self, now: datetime, boot_s: float, boot_id: str, older_than: datetime) -> int:
        """Give fresh undo minutes to orders whose time passed before ``older_than`` while nobody was there."""

    async def keep_time(self, reading: ClockReading, evening: EveningHour | None) -> ClockJump | None:
        """Compare both clocks with the last look; move what waits with a wall clock that was moved, and say so.

        Args:
            reading: both clocks, now.
            evening: the evening hour, when that is what the doctor chose: it stays an hour of the day.
        """

    async def patient_left(self, client_id: ClientId, now: datetime) -> int:
        """Bring forward, to the end of their undo minutes, that client's between-two-patients orders."""

    async def preparing(self, limit: int) -> Sequence[Order]:
        """Return orders that may be prepared, oldest first, each linked to the version it replaces, if any.

        One behind an open order of the same document waits: what it replaces is not known yet.
        """

    async def set_aside(self, order_id: OrderId, reason: str, actor: Actor) -> Order:
        """Give up, on a person's word, an order whose row or document was altered outside the agent.

        It ends ABANDONED, nothing of what was forged counts, and its document can be given again.

        Raises:
            Conflict: TRANSITION_ILLEGAL, nothing was altered and its state is not given up.
        """

    @property
    def trouble(self) -> str | None:
        """Code of what ails the file or its disk since an operation failed, or None."""

    async def try_out(self) -> None:
        """Try again, for real, what failed; raise the StoreError that is still there. Nothing to do on a good day."""

    async def predecessor_gone(self, order_id: OrderId) -> Order:
        """Let a claimed replacement be built again without naming a version that is no longer there.

        Raises:
            Conflict: TRANSITION_ILLEGAL.
        """

    async def claim(
        self,
        service: str,
        rights: Sequence[SendingRight],
        now: datetime,
        *,
        avoid: frozenset[OrderId] = frozenset(),
    ) -> Order | None:
        """Take the next order that may leave now, of the first of these rights that has one, as CLAIMED, or None.

        Those of ``avoid`` stay; only the first few of a right that are due are looked at.
        """

    async def strike(self, order_id: OrderId, limit: int, code: str) -> Order:
        """Count a failure that an order alone is blamed for; at the limit it is held (``trouble``) for a person.

        A person's ``SEND_NOW``, ``RESOLVED_NOT_SENT`` or the lifting of the hold counts anew.
        """

    async def doubtful(self, service: str, rights: Sequence[SendingRight], now: datetime) -> Sequence[Order]:
        """Return orders in doubt whose next lookup is due, a few of each of these rights."""

    async def wait_for_authority(self, service: str, rights: Sequence[SendingRight]) -> int:
        """Mark ``waiting=auth`` on READY orders without a right, remove it for these; return how many changed."""

    async def next_instant(self) -> datetime | None:
        """Return the next instant at which something becomes due, or None."""

    async def body(self, order_id: OrderId) -> StoredBody:
        """Open what the client gave. Raises StoreError BODY_UNREADABLE, BODY_GONE."""

    async def save_prepared(self, order_id: OrderId, build: PreparedBuild, frozen_ids: FrozenIds) -> Order:
        """Store the built document, freeze its identifiers and apply PREPARED, in one transaction.

        Raises:
            Conflict: UNIQUE_ID_TAKEN when another order of ours already carries this uniqueId; STATE_CHANGED.
        """

    async def prepared(self, order_id: OrderId) -> bytes:
        """Open the built document. Raises StoreError BODY_UNREADABLE, BODY_GONE."""

    async def first_byte(self, order_id: OrderId, signature: bytes | None) -> Order:
        """Commit SENDING (and the lot's signature, once) just before the first body byte."""

    async def signature(self, order_id: OrderId) -> bytes | None:
        """Return the frozen signature document, or None when none was made yet."""

    async def add_client(self, client: Client, actor: Actor) -> None:
        """Keep a paired client."""

    async def client(self, client_id: ClientId) -> Client:
        """Return a client that is not revoked. Raises NotFound CLIENT_UNKNOWN."""

    async def clients(self) -> Sequence[Client]:
        """Return all clients, revoked ones too."""

    async def revoke_client(self, client_id: ClientId, actor: Actor) -> None:
        """Revoke a client: it is refused from now on, its orders stay."""

    async def ledger(
        self, after: int, *, client_id: ClientId | None = None, limit: int = 1000
    ) -> Sequence[LedgerEntry]:
        """Return ledger lines after that number, oldest first."""

    async def verify_ledger(self) -> tuple[int, str]:
        """Recompute the chain; return the number of lines and the head. Raises StoreError LEDGER_BROKEN with seq."""

    async def fact_version(self) -> int:
        """Return the version of the facts now, 0 when none was ever recorded."""

    async def order_facts(self, order_id: OrderId) -> FactView:
        """Return what the facts say of an order now. Raises NotFound ORDER_UNKNOWN."""

    async def patient_facts(self, keys: Sequence[Personal]) -> tuple[Sequence[Fact], int]:
        """Return what was told of a patient, under any of these identifiers or those linked, and the facts' version."""

    async def professional_facts(self, professional: str) -> Sequence[Fact]:
        """Return what was told of a professional, oldest first."""

    async def record_facts(
        self, subject: FactSubject, told: Sequence[NewFact], actor: Actor, client: Client | None = None
    ) -> FactsRecorded:
        """Record facts under each identifier given, and hold or free what waits in the same transaction.

        The guards are asked again about each order that waits, so that nothing leaves between a fact and its effect.
        """

    async def note(
        self, kind: str, actor: Actor, *, client_id: ClientId | None = None, detail: tuple[tuple[str, str], ...] = ()
    ) -> LedgerEntry:
        """Write a ledger line that is about no order (a session, a pairing)."""

    async def last_line(self) -> int:
        """Return the number of the last ledger line, 0 when there is none."""

    async def counts(self) -> dict[str, int]:
        """Return the number of orders by state."""

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call the listener after each commit, on the loop, in commit order; return the function that stops it."""

    @property
    def recovery(self) -> RecoveryReport:
        """What was put right at opening."""


class PreparerPort(Protocol):
    """Builds and checks documents outside this process."""

    async def prepare(self, order: Order, body: StoredBody, now: datetime) -> PreparedBuild | PreparationRefusal:
        """Build the document of an order. Never raises for what the client gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingContext:
    """Under whose name and with which product a transaction is made.

    Attributes:
        session: the open proxy session of the professional, or the key under which the order leaves.
        product: the LGC's product profile.
    """

    session: ProxySession | KeySession
    product: ProductProfile


class DmpPort(Protocol):
    """The DMP through the Proxy e-santé. Answers are classified; nothing is raised for what the service does."""

    async def test_existence(self, prepared: bytes, context: SendingContext) -> ExistenceAnswer:
        """TD0.2 for the patient of a prepared document."""

    async def sign(self, prepared: bytes, frozen_ids: FrozenIds, context: SendingContext) -> bytes | None:
        """Return the lot's signature document, or None when the profile demands none."""

    async def submit(
        self,
        prepared: bytes,
        frozen_ids: FrozenIds,
        signature: bytes | None,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """TD2.1. Calls ``before_first_byte`` once, after the connection is made and before any body byte.

        An exception of ``before_first_byte`` means nothing left: it is raised again, unchanged.
        """

    async def delete(
        self,
        prepared: bytes,
        frozen_ids: FrozenIds,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """TD3.3c on the document's own uniqueId, looked up just before; ``before_first_byte`` as for ``submit``.

        Already deleted there: DELIVERED, ``DMP_ALREADY_DELETED``. Absent there: REFUSED, ``DMP_NOTHING_TO_DELETE``.
        In both cases nothing is sent and ``before_first_byte`` is not called. A doubt is settled by ``look_up``.
        """

    async def set_visibility(
        self,
        prepared: bytes,
        visibility: frozenset[str],
        frozen_ids: FrozenIds,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """TD3.3a, TD3.3b: give our entry exactly these visibility codes, looked up just before.

        Already so: DELIVERED, ``DMP_VISIBILITY_ALREADY_SO``. Absent or deleted there: REFUSED,
        ``DMP_NOTHING_TO_CHANGE``. Certainly forbidden: REFUSED, ``VISIBILITY_COMBINATION_FORBIDDEN`` or
        ``DMP_CANNOT_HIDE_AGAIN``. In all these cases nothing is sent. A doubt is settled by ``look_up``.
        """

    async def look_up(self, prepared: bytes, context: SendingContext) -> ReferenceAnswer:
        """TD3.1 on the document's own uniqueId."""

    @property
    def longest_exchange_s(self) -> float:
        """Longest time the proxy and the service together may still be busy with a body, seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectRefused:
    """The Proxy e-santé opened no session.

    Attributes:
        code: stable code.
        retry: may be tried again by the person without changing anything.
    """

    code: str
    retry: bool


class ProxyPort(Protocol):
    """The session verbs of the Proxy e-santé. Never called silently: each connect prompts the professional."""

    async def connect(
        self, national_id: str, binding_message: str, proxy_client_id: str, channel: str
    ) -> ProxySession | ConnectRefused:
        """Open a session; blocks until the professional answered, at most the profile's time."""

    async def disconnect(self, session: ProxySession) -> None:
        """Close a session; a session already gone is no error."""
