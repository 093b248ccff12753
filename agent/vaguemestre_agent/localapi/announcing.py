"""The route of the documents to announce. No rule lives here."""

from __future__ import annotations

from vaguemestre_agent.localapi import mapping
from vaguemestre_agent.localapi.calls import Answer, Call
from vaguemestre_api import wire_documents
from vaguemestre_core.announcements import Announcement


async def list_announcements(call: Call) -> Answer:
    """Show them, the oldest first."""
    found = await call.backend.announcements.to_announce(call.caller)
    documents = tuple(_to_wire(item) for item in found.documents)
    return Answer(
        content=wire_documents.Announcements(
            documents=documents,
            count=len(documents),
            announce_due_count=sum(item.is_announce_due for item in documents),
            has_more=found.has_more,
        )
    )


def _to_wire(item: Announcement) -> wire_documents.Announcement:
    return wire_documents.Announcement(
        client_id=item.order.client_id,
        client_ref=item.order.client_ref,
        order_id=item.order.order_id,
        unique_id=item.order.unique_id,
        version=item.order.version,
        type_code=item.order.type_code,
        professional=item.order.professional,
        since=item.since,
        age_days=item.age_days,
        announce_due=item.announce_due.isoformat(),
        is_announce_due=item.is_announce_due,
        visible_due=item.visible_due.isoformat(),
        is_visible_due=item.is_visible_due,
        under_way=mapping.under_way_to_wire(item.under_way),
    )
