"""What the local API needs of the services: one protocol, so that the routes are tested apart from them.

The composition root gives the real services; nothing here knows HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from vaguemestre_agent.localapi.announcementport import AnnouncementBackend
from vaguemestre_agent.localapi.indicatorport import IndicatorBackend
from vaguemestre_agent.localapi.keepingport import BackupBackend, KeepingBackend
from vaguemestre_agent.localapi.readerport import ReaderBackend
from vaguemestre_agent.services.facts import Delegation as Delegation
from vaguemestre_agent.services.facts import Identifiers as Identifiers
from vaguemestre_agent.services.facts import PatientWishes as PatientWishes
from vaguemestre_agent.services.facts import ToldWish as ToldWish
from vaguemestre_agent.services.history import BatchOutcome as BatchOutcome
from vaguemestre_agent.services.values import DocumentUpload as DocumentUpload
from vaguemestre_agent.services.values import Health as Health
from vaguemestre_agent.services.values import HealthItem as HealthItem
from vaguemestre_agent.services.values import NewClient as NewClient
from vaguemestre_agent.services.values import SessionOffer as SessionOffer
from vaguemestre_agent.services.values import Why as Why
from vaguemestre_core.changes import ChangeAccepted, DeletionMotive
from vaguemestre_core.facts import Care, FactsRecorded, IdentityEvent, NewFact
from vaguemestre_core.identities import IdentityStatus
from vaguemestre_core.orders import ClientId, OrderId
from vaguemestre_core.records import (
    Accepted,
    Actor,
    Authority,
    CancelAnswer,
    Change,
    Client,
    LedgerEntry,
    Order,
    OrderFilter,
    PersonVerdict,
    ProductProfile,
    Scope,
)
from vaguemestre_core.redaction import Secret


class Backend(Protocol):
    """All that a route may ask. Methods raise the errors of ``vaguemestre_core.errors``; codes are in the catalogue."""

    @property
    def announcements(self) -> AnnouncementBackend:
        """What the route of the documents to announce asks."""

    @property
    def indicators(self) -> IndicatorBackend:
        """What the route of indicators asks."""

    @property
    def keeping(self) -> KeepingBackend:
        """What keeps and lets go."""

    @property
    def backups(self) -> BackupBackend:
        """What makes backups."""

    @property
    def readers(self) -> ReaderBackend:
        """What shows readers and cards, and reads codes."""

    # Clients and pairing
    async def authenticate(self, client_id: ClientId, secret: Secret, os_identity: str | None) -> Client:
        """Return the client; raise Forbidden CLIENT_REFUSED (unknown, revoked, wrong secret, other system user)."""

    async def pair(
        self,
        name: str,
        scopes: frozenset[Scope],
        product: ProductProfile | None,
        os_identity: str | None,
        actor: Actor,
    ) -> NewClient:
        """Pair a program."""

    async def pair_with_code(
        self, code: Secret, name: str, product: ProductProfile | None, os: str | None
    ) -> NewClient:
        """Pair a program with a code made by ``open_pairing``; raise Forbidden PAIRING_CODE_REFUSED."""

    async def open_pairing(self, scopes: frozenset[Scope], actor: Actor) -> tuple[str, float]:
        """Make a short-lived pairing code; return it with its life in seconds."""

    async def clients(self) -> Sequence[Client]:
        """Return all clients."""

    async def revoke(self, client_id: ClientId, actor: Actor) -> None:
        """Revoke a client; raise NotFound CLIENT_UNKNOWN."""

    # Documents and orders (a client sees its own orders only; admin sees all: client_id None)
    async def put_document(self, client: Client, upload: DocumentUpload) -> Accepted:
        """Check and accept a document; raise InvalidInput, Conflict, StoreError."""

    async def put_documents(self, client: Client, uploads: Sequence[DocumentUpload]) -> Sequence[BatchOutcome]:
        """Accept documents of earlier episodes; raise Conflict INS_NOT_QUALIFIED and accept none of them."""

    async def delete_document(
        self, client: Client, client_ref: str, motive: DeletionMotive, actor: Actor, idempotency_key: str | None
    ) -> ChangeAccepted:
        """Delete a document; raise NotFound DOCUMENT_UNKNOWN, Conflict DOCUMENT_NOT_THERE, PRESENCE_UNKNOWN."""

    async def set_visibility(
        self,
        client: Client,
        client_ref: str,
        visibility: frozenset[str],
        actor: Actor,
        idempotency_key: str | None,
    ) -> ChangeAccepted:
        """Say who sees a document; raise InvalidInput VISIBILITY_COMBINATION_FORBIDDEN, and as ``delete_document``."""

    async def document_orders(self, client: Client, client_ref: str) -> Sequence[Order]:
        """Return the orders of a document, newest first; raise NotFound DOCUMENT_UNKNOWN."""

    async def orders(self, client: Client, selection: OrderFilter) -> Sequence[Order]:
        """Return orders visible to the client."""

    async def order(self, client: Client, order_id: OrderId) -> Order:
        """Return one; raise NotFound ORDER_UNKNOWN."""

    async def title(self, order_id: OrderId) -> str | None:
        """Return the display title, or None when the key store is locked."""

    async def hold(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Hold; raise Conflict TOO_LATE."""

    async def release(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Lift the person's hold."""

    async def release_from_shadow(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Let what shadow mode accepted leave; raise Conflict SHADOW_MODE while it lasts."""

    async def cancel(self, client: Client, order_id: OrderId, actor: Actor) -> tuple[CancelAnswer, Order]:
        """Cancel honestly."""

    async def send_now(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Let a deferred order leave now; raise Conflict TRANSITION_ILLEGAL."""

    async def resolve(
        self, client: Client, order_id: OrderId, verdict: PersonVerdict, reason: str, actor: Actor
    ) -> Order:
        """Apply a person's verdict; raise Conflict TRANSITION_ILLEGAL, STATE_CHANGED."""

    async def why(self, client: Client, order_id: OrderId) -> Why:
        """Say why it has not left."""

    async def reconcile(self, client: Client, client_refs: Sequence[str]) -> Mapping[str, str]:
        """Return the status of each reference: unknown, unknown_since_restore, waiting, sent, doubtful, and so on."""

    async def patient_context(self, client: Client, open_patient: bool, actor: Actor) -> int:
        """Tell that a patient's file was opened or closed; return how many orders were brought forward."""

    # Facts
    async def patient_wishes(self, client: Client, reference: str, care: Care) -> PatientWishes:
        """Return what a patient said; raise NotFound PATIENT_REFERENCE_UNKNOWN."""

    async def record_wishes(
        self, client: Client, reference: str, identifiers: Identifiers, wishes: Sequence[NewFact], actor: Actor
    ) -> FactsRecorded:
        """Record wishes, and hold or free what waits; raise NotFound PATIENT_REFERENCE_UNKNOWN."""

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
        """Record a change of identity; raise NotFound, InvalidInput IDENTITY_EVENT_INCOMPLETE."""

    async def delegations(self, professional: str) -> Sequence[Delegation]:
        """Return a professional's last words."""

    async def delegate(
        self, client: Client, professional: str, station: str, type_code: str | None, *, granted: bool, actor: Actor
    ) -> FactsRecorded:
        """Record a delegation or its withdrawal, and hold or free what was accepted under it."""

    # Events and ledger
    async def changes(self, client: Client, after: int, limit: int) -> Sequence[LedgerEntry]:
        """Return the numbered changes visible to the client after that number."""

    async def last_change(self) -> int:
        """Return the number of the last change."""

    async def first_change(self) -> int:
        """Return the number of the oldest change still kept (older ones: the client must resync)."""

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call the listener after each commit; return the function that stops it."""

    async def verify_ledger(self) -> tuple[int, str]:
        """Return lines and head digest; raise StoreError LEDGER_BROKEN."""

    # Session and health
    async def open_session(
        self, client: Client, national_id: str, channel: str, mode: str, actor: Actor
    ) -> SessionOffer:
        """Start opening a session (a person asked); raise InvalidInput, Conflict SESSION_… (pending, too many)."""

    async def adopt_session(
        self, client: Client, national_id: str, cookie: Secret, session_state: str, until_s: float | None, actor: Actor
    ) -> Authority:
        """Adopt the LGC's own proxy session; raise InvalidInput, Conflict SESSIONS_TOO_MANY."""

    async def close_session(self, client: Client, national_id: str, actor: Actor) -> None:
        """Close the session; raise NotFound SESSION_UNKNOWN."""

    async def authorities(self, client: Client) -> Sequence[Authority]:
        """Return under whom this client's orders may leave from here now; admin: those of every LGC."""

    async def health(self) -> Health:
        """Return the state of the agent."""
