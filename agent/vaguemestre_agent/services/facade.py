"""The services as the local API sees them: one object that implements ``localapi.backend.Backend``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vaguemestre_agent.services.announcements import AnnouncementService
from vaguemestre_agent.services.authorities import Authorities
from vaguemestre_agent.services.backups import BackupService
from vaguemestre_agent.services.changes import ChangeService
from vaguemestre_agent.services.clients import ClientService
from vaguemestre_agent.services.condition import order_items
from vaguemestre_agent.services.facts import Delegation, FactService, Identifiers, PatientWishes
from vaguemestre_agent.services.history import BatchOutcome, HistoryService
from vaguemestre_agent.services.indicators import IndicatorService
from vaguemestre_agent.services.intake import IntakeService
from vaguemestre_agent.services.keeping import KeepingService
from vaguemestre_agent.services.orders import OrderService
from vaguemestre_agent.services.readers import ReadersService
from vaguemestre_agent.services.sessions import SessionService
from vaguemestre_agent.services.values import DocumentUpload, Health, HealthItem, NewClient, SessionOffer, Why
from vaguemestre_agent.services.wake import Wake
from vaguemestre_core.changes import ChangeAccepted, DeletionMotive
from vaguemestre_core.errors import InvalidInput, StoreError
from vaguemestre_core.facts import Care, FactsRecorded, IdentityEvent, NewFact
from vaguemestre_core.identities import IdentityStatus
from vaguemestre_core.orders import ClientId, OrderId
from vaguemestre_core.ports import ClockPort, StorePort
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

SESSION_MODES: Final = frozenset({"ciba"})  # what the Proxy e-santé's contract offers


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentBackend:
    """What a route may ask, answered by the services."""

    store: StorePort
    client_service: ClientService
    intake: IntakeService
    history: HistoryService
    fact_service: FactService
    change_service: ChangeService
    order_service: OrderService
    sessions: SessionService
    authorities_held: Authorities
    keeping: KeepingService
    indicators: IndicatorService
    announcements: AnnouncementService
    backups: BackupService
    readers: ReadersService
    clock: ClockPort
    dispatch_wake: Wake
    version: str
    health_items: Callable[[], Sequence[HealthItem]]
    is_ready: Callable[[], bool]

    async def authenticate(self, client_id: ClientId, secret: Secret, os_identity: str | None) -> Client:
        """Return the client; raise Forbidden CLIENT_REFUSED."""
        return await self.client_service.authenticate(client_id, secret, os_identity)

    async def pair(
        self,
        name: str,
        scopes: frozenset[Scope],
        product: ProductProfile | None,
        os_identity: str | None,
        actor: Actor,
    ) -> NewClient:
        """Pair a program."""
        client, secret = await self.client_service.pair(name, scopes, product, os_identity, actor)
        return NewClient(client=client, secret=secret)

    async def pair_with_code(
        self, code: Secret, name: str, product: ProductProfile | None, os: str | None
    ) -> NewClient:
        """Pair a program that shows a code."""
        client, secret = await self.client_service.pair_with_code(code, name, product, os)
        return NewClient(client=client, secret=secret)

    async def open_pairing(self, scopes: frozenset[Scope], actor: Actor) -> tuple[str, float]:
        """Make a pairing code."""
        return await self.client_service.open_pairing(scopes, actor)

    async def clients(self) -> Sequence[Client]:
        """Return all clients."""
        return await self.client_service.clients()

    async def revoke(self, client_id: ClientId, actor: Actor) -> None:
        """Revoke a client."""
        await self.client_service.revoke(client_id, actor)

    async def put_document(self, client: Client, upload: DocumentUpload) -> Accepted:
        """Check and accept a document."""
        return await self.intake.put_document(client, upload)

    async def put_documents(self, client: Client, uploads: Sequence[DocumentUpload]) -> Sequence[BatchOutcome]:
        """Accept documents of earlier episodes."""
        return await self.history.put_documents(client, uploads)

    async def delete_document(
        self, client: Client, client_ref: str, motive: DeletionMotive, actor: Actor, idempotency_key: str | None
    ) -> ChangeAccepted:
        """Delete a document."""
        return await self.change_service.delete(client, client_ref, motive, actor, idempotency_key)

    async def set_visibility(
        self,
        client: Client,
        client_ref: str,
        visibility: frozenset[str],
        actor: Actor,
        idempotency_key: str | None,
    ) -> ChangeAccepted:
        """Say who sees a document."""
        return await self.change_service.set_visibility(client, client_ref, visibility, actor, idempotency_key)

    async def document_orders(self, client: Client, client_ref: str) -> Sequence[Order]:
        """Return the orders of a document, newest first."""
        return await self.order_service.document_orders(client, client_ref)

    async def orders(self, client: Client, selection: OrderFilter) -> Sequence[Order]:
        """Return orders visible to the client."""
        return await self.order_service.orders(client, selection)

    async def order(self, client: Client, order_id: OrderId) -> Order:
        """Return one order."""
        return await self.order_service.order(client, order_id)

    async def title(self, order_id: OrderId) -> str | None:
        """Return the display title."""
        return await self.store.title(order_id)

    async def hold(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Hold."""
        return await self.order_service.hold(client, order_id, actor)

    async def release(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Lift the person's hold."""
        return await self.order_service.release(client, order_id, actor)

    async def release_from_shadow(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Let what shadow mode accepted leave."""
        return await self.order_service.release_from_shadow(client, order_id, actor)

    async def cancel(self, client: Client, order_id: OrderId, actor: Actor) -> tuple[CancelAnswer, Order]:
        """Cancel honestly."""
        return await self.order_service.cancel(client, order_id, actor)

    async def send_now(self, client: Client, order_id: OrderId, actor: Actor) -> Order:
        """Let a deferred order leave now."""
        return await self.order_service.send_now(client, order_id, actor)

    async def resolve(
        self, client: Client, order_id: OrderId, verdict: PersonVerdict, reason: str, actor: Actor
    ) -> Order:
        """Apply a person's verdict."""
        return await self.order_service.resolve(client, order_id, verdict, reason, actor)

    async def why(self, client: Client, order_id: OrderId) -> Why:
        """Say why it has not left."""
        return await self.order_service.why(client, order_id)

    async def reconcile(self, client: Client, client_refs: Sequence[str]) -> Mapping[str, str]:
        """Return what each reference has become."""
        return await self.order_service.reconcile(client, client_refs)

    async def patient_context(self, client: Client, open_patient: bool, actor: Actor) -> int:
        """Tell that a file was opened or closed; a closed one lets between-two-patients orders leave."""
        if open_patient:
            return 0
        moved = await self.store.patient_left(client.client_id, self.clock.now())
        self.dispatch_wake.ring()
        return moved

    async def patient_wishes(self, client: Client, reference: str, care: Care) -> PatientWishes:
        """Return what a patient said."""
        return await self.fact_service.wishes(client, reference, care)

    async def record_wishes(
        self, client: Client, reference: str, identifiers: Identifiers, wishes: Sequence[NewFact], actor: Actor
    ) -> FactsRecorded:
        """Record wishes, and hold or free what waits."""
        return await self.fact_service.record_wishes(client, reference, identifiers, wishes, actor)

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
        """Record a change of identity."""
        return await self.fact_service.record_identity_event(
            client, reference, event, identifiers=identifiers, former=former, status=status, actor=actor
        )

    async def delegations(self, professional: str) -> Sequence[Delegation]:
        """Return a professional's last words."""
        return await self.fact_service.delegations(professional)

    async def delegate(
        self, client: Client, professional: str, station: str, type_code: str | None, *, granted: bool, actor: Actor
    ) -> FactsRecorded:
        """Record a delegation or its withdrawal."""
        return await self.fact_service.delegate(client, professional, station, type_code, granted=granted, actor=actor)

    async def changes(self, client: Client, after: int, limit: int) -> Sequence[LedgerEntry]:
        """Return the numbered changes visible to the client."""
        seen_by = None if Scope.ADMIN in client.scopes else client.client_id
        return await self.store.ledger(after, client_id=seen_by, limit=limit)

    async def last_change(self) -> int:
        """Return the number of the last change."""
        return await self.store.last_line()

    async def first_change(self) -> int:
        """Return the number of the oldest change kept: the ledger keeps all."""
        return 1

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call the listener after each commit."""
        return self.store.listen(listener)

    async def verify_ledger(self) -> tuple[int, str]:
        """Return lines and head digest; every anchor is asked, those of the backups too."""
        return await self.keeping.store.verify(await self.backups.anchors())

    async def open_session(
        self, client: Client, national_id: str, channel: str, mode: str, actor: Actor
    ) -> SessionOffer:
        """Start opening a session, because a person asked."""
        if mode not in SESSION_MODES:
            raise InvalidInput("SESSION_MODE_UNKNOWN")
        request_id, binding, left_s = await self.sessions.open(client, national_id, channel, actor)
        return SessionOffer(session_request=request_id, binding_code=binding, url=None, expires_in_s=left_s)

    async def adopt_session(
        self, client: Client, national_id: str, cookie: Secret, session_state: str, until_s: float | None, actor: Actor
    ) -> Authority:
        """Adopt the LGC's own proxy session."""
        return await self.sessions.adopt(client, national_id, cookie, session_state, until_s, actor)

    async def close_session(self, client: Client, national_id: str, actor: Actor) -> None:
        """Close the session."""
        await self.sessions.close(client, national_id, actor)

    async def authorities(self, client: Client) -> Sequence[Authority]:
        """Return who may send from here now."""
        return self.authorities_held.authorities(client)

    async def health(self) -> Health:
        """Return the state of the agent: ready when it accepts; an item says what else is missing."""
        items = tuple(self.health_items())
        try:
            counts = await self.store.counts()
        except StoreError as error:  # a bad day is told, not refused
            told = (HealthItem(code=error.code, ok=False), *(item for item in items if item.code != "STORE_OK"))
            return Health(version=self.version, ready=False, items=told, counts={})
        told = (*items, *order_items(counts))
        return Health(version=self.version, ready=self.is_ready(), items=told, counts=counts)
