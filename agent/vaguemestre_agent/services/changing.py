"""The exchanges of an order without a body: what it sends, and what a lookup says of it when it is in doubt.

Owns how a deletion and a change of visibility speak to the DMP of the version they name. Source: docs/dmp.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from vaguemestre_agent.services.kept_documents import KeptDocuments
from vaguemestre_core.changes import visibility_of
from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderKind
from vaguemestre_core.outcomes import Certainty, Outcome, Presence, ReferenceAnswer
from vaguemestre_core.ports import DmpPort, SendingContext
from vaguemestre_core.records import Order

_LOST = frozenset({"BODY_GONE", "BODY_UNREADABLE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeExchanges:
    """Sends changes and looks up what became of them."""

    documents: KeptDocuments
    dmp: DmpPort

    async def send(
        self, order: Order, context: SendingContext, before_first_byte: Callable[[], Awaitable[None]]
    ) -> Outcome:
        """Send a claimed change. Raises StoreError when the store is in trouble; nothing left then."""
        try:
            prepared = await self._changed(order)
        except StoreError as error:
            if error.code in _LOST:
                # What the change needs of the document is no longer kept: no try will be different.
                return Outcome(certainty=Certainty.REFUSED, code="CHANGED_DOCUMENT_UNREADABLE")
            raise
        assert order.frozen_ids is not None
        if order.kind is OrderKind.DMP_DELETE:
            return await self.dmp.delete(prepared, order.frozen_ids, context, before_first_byte)
        visibility = visibility_of(order.guard_facts)
        return await self.dmp.set_visibility(prepared, visibility, order.frozen_ids, context, before_first_byte)

    async def look_up(self, order: Order, context: SendingContext) -> ReferenceAnswer:
        """Look up the version a change names: SAME when the change is done there, ABSENT when it is not.

        One doubted before it named a version (a restored store) has nothing to look up: once nothing of ours can be on
        its way any more it is prepared again, names what is there, and is sent only where it is not done already.
        """
        if order.predecessor is None and order.frozen_ids is None:
            return ReferenceAnswer(presence=Presence.ABSENT)
        answer = await self.dmp.look_up(await self._changed(order), context)
        if answer.presence is Presence.UNKNOWN:
            return answer
        is_gone = answer.presence is Presence.ABSENT or answer.is_deleted
        if order.kind is OrderKind.DMP_DELETE:
            is_done = is_gone
        else:
            is_done = not is_gone and answer.visibility == visibility_of(order.guard_facts)
        return replace(answer, presence=Presence.SAME if is_done else Presence.ABSENT)

    async def _changed(self, order: Order) -> bytes:
        """Open the version that a change names. Raises StoreError BODY_GONE, BODY_UNREADABLE."""
        if order.predecessor is None:
            raise StoreError("BODY_GONE")  # of a restored store: it was never linked
        return await self.documents.of(order.predecessor)
