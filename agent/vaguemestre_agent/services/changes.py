"""Deletions and changes of visibility that a client asks: checked, scheduled and made durable before they are answered.

Owns when such an order may leave: after the doctor's undo minutes and no later, whatever deferral documents have.
Sources: SC.DMP/CONF.03, SC.DMP/UX.14.BIS, SC.DMP/UX.51.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from vaguemestre_agent.services.authorities import Authorities
from vaguemestre_core.changes import ChangeAccepted, ChangeRequest, DeletionMotive
from vaguemestre_core.deferral import DeferralMode, DeferralPolicy, schedule
from vaguemestre_core.errors import Forbidden, InvalidInput, NotFound
from vaguemestre_core.guards import GuardInput, examine
from vaguemestre_core.ids import oid_under
from vaguemestre_core.orders import OrderId, OrderKind
from vaguemestre_core.ports import ClockPort, RandomPort, StorePort
from vaguemestre_core.records import Actor, Client, OrderFilter
from vaguemestre_documents.codes import Visibility


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeService:
    """Accepts deletions and changes of visibility."""

    store: StorePort
    authorities: Authorities
    clock: ClockPort
    random: RandomPort
    policy: DeferralPolicy

    async def delete(
        self, client: Client, client_ref: str, motive: DeletionMotive, actor: Actor, idempotency_key: str | None
    ) -> ChangeAccepted:
        """Delete a document: stop what has not left, and have deleted what is, or may be, there.

        Raises:
            Forbidden: PRODUCT_PROFILE_MISSING.
            NotFound, Conflict, StoreError: see ``StorePort.accept_change``.
        """
        return await self._accept(client, client_ref, OrderKind.DMP_DELETE, frozenset(), motive, actor, idempotency_key)

    async def set_visibility(
        self,
        client: Client,
        client_ref: str,
        visibility: frozenset[str],
        actor: Actor,
        idempotency_key: str | None,
    ) -> ChangeAccepted:
        """Give a document exactly these visibility codes, before it leaves or after.

        Raises:
            InvalidInput: VISIBILITY_UNKNOWN, VISIBILITY_COMBINATION_FORBIDDEN.
            Forbidden: PRODUCT_PROFILE_MISSING.
            NotFound, Conflict, StoreError: see ``StorePort.accept_change``.
        """
        if not visibility <= {code.value for code in Visibility}:
            raise InvalidInput("VISIBILITY_UNKNOWN", pointer="/visibility")
        kind = OrderKind.DMP_VISIBILITY
        for answer in examine(GuardInput(kind=kind, identity_status="qualifiée", has_ins=True, visibility=visibility)):
            if answer.refuses and not answer.passed:
                raise InvalidInput(answer.code, pointer="/visibility")
        return await self._accept(client, client_ref, kind, visibility, None, actor, idempotency_key)

    async def _accept(
        self,
        client: Client,
        client_ref: str,
        kind: OrderKind,
        visibility: frozenset[str],
        motive: DeletionMotive | None,
        actor: Actor,
        idempotency_key: str | None,
    ) -> ChangeAccepted:
        if client.product is None:
            raise Forbidden("PRODUCT_PROFILE_MISSING")
        found = await self.store.orders(OrderFilter(client_id=client.client_id, client_ref=client_ref, limit=1))
        if not found:
            raise NotFound("DOCUMENT_UNKNOWN")
        now = self.clock.now()
        until = self.authorities.until(found[0].professional, client)
        at_once = replace(self.policy, mode=DeferralMode.DELAY, delay_s=0.0)
        return await self.store.accept_change(
            ChangeRequest(
                client_id=client.client_id,
                client_ref=client_ref,
                actor=actor,
                idempotency_key=idempotency_key,
                request_digest=_digest(client_ref, kind, visibility, motive),
                kind=kind,
                order_id=OrderId(f"o-{self.random.bits(96):024x}"),
                unique_id=oid_under(client.product.oid_root, self.random.bits(100)),
                visibility=visibility,
                motive=motive,
                schedule=schedule(at_once, now),
                correction_schedule=schedule(self.policy, now, until),
                accepted_at=now,
                boot_s=self.clock.boot_s(),
                boot_id=self.clock.boot_id(),
            )
        )


def _digest(client_ref: str, kind: OrderKind, visibility: frozenset[str], motive: DeletionMotive | None) -> str:
    canonical = json.dumps([client_ref, kind, sorted(visibility), motive], separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
