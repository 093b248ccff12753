"""The keys are back: what was kept meanwhile is authenticated, accepted and removed, in order of arrival.

An entry is removed after its order is durable; one met twice (a crash in between) is a replay. One that nobody vouches
for is set aside and told, never accepted.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from vaguemestre_agent.services.clients import ClientService
from vaguemestre_agent.services.intake import IntakeService
from vaguemestre_agent.services.values import DocumentUpload, HealthItem, KeptIds
from vaguemestre_core.errors import Conflict, Forbidden, InvalidInput, StoreError
from vaguemestre_core.orders import ClientId
from vaguemestre_core.ports import StorePort
from vaguemestre_core.records import AGENT_ACTOR
from vaguemestre_queue import rows
from vaguemestre_queue.sealing import Sealer
from vaguemestre_queue.spool import KeptHead, Spool

_log = logging.getLogger(__name__)
# What is wrong with one entry, or with the document it is about: the others, and the agent, go on.
_OF_ITS_OWN: Final = frozenset({"BODY_UNREADABLE", "ROW_NOT_AUTHENTIC", "DOCUMENT_NOT_AUTHENTIC"})


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockingService:
    """Turns what was kept into orders."""

    spool: Spool
    sealer: Sealer
    store: StorePort
    clients: ClientService
    intake: IntakeService

    async def accept_kept(self) -> int:
        """Accept all that was kept; return how many became orders. Raises StoreError: the rest stays kept."""
        done = 0
        for head in await asyncio.to_thread(self.spool.heads):
            try:
                await self._accept(head)
            except (Conflict, Forbidden, InvalidInput) as error:
                await self._set_aside(head, error.code)
                continue
            except StoreError as error:
                if error.code not in _OF_ITS_OWN:
                    raise
                await self._set_aside(head, error.code)
                continue
            await asyncio.to_thread(self.spool.remove, head)
            done += 1
        for _ in range(await asyncio.to_thread(self.spool.set_aside_rest)):
            await self._told_aside("BODY_UNREADABLE")
        return done

    async def _accept(self, head: KeptHead) -> None:
        kept = await asyncio.to_thread(self.spool.open, head, self.sealer)
        client = await self.clients.authenticate(ClientId(head.client_id), kept.secret, kept.os_identity)
        upload = DocumentUpload(
            client_ref=head.client_ref,
            metadata=kept.metadata,
            body=kept.body,
            media_type=kept.media_type,
            actor=kept.actor,
            hold=head.hold,
            send_now=head.send_now,
            idempotency_key=head.idempotency_key,
            kept=KeptIds(
                order_id=head.order_id,
                document_id=head.document_id,
                set_id=head.set_id,
                unique_id=head.unique_id,
                received_at=rows.from_us(head.received_at_us),
            ),
        )
        await self.intake.put_document(client, upload)

    async def _set_aside(self, head: KeptHead, code: str) -> None:
        await self._told_aside(code)
        await asyncio.to_thread(self.spool.set_aside, head)

    async def _told_aside(self, code: str) -> None:
        _log.error("unlocking.set_aside", extra={"code": code})
        await self.store.note("intake.set_aside", AGENT_ACTOR, detail=(("code", code),))

    def health_items(self) -> tuple[HealthItem, ...]:
        """Return an item when something kept could not become an order."""
        aside = self.spool.count_aside()
        return (HealthItem(code="KEPT_SET_ASIDE", ok=False, params={"count": aside}),) if aside else ()
