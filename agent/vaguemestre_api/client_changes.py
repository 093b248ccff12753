"""The client's calls that delete a document or say who sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vaguemestre_api import wire, wire_documents
from vaguemestre_api.client_calls import Calls


class ChangeCalls(Calls):
    """Part of ``Client``, with its errors."""

    async def delete_document(
        self, client_ref: str, motive: str, *, idempotency_key: str | None = None, actor: wire.Actor | None = None
    ) -> wire.ChangeAccepted:
        """Delete a document: stop what has not left, have deleted what is, or may be, at the DMP.

        Args:
            client_ref: the document's reference.
            motive: ``feeding_error`` or ``patient_request``.
            idempotency_key: key of this request.
            actor: who acts.
        """
        return await self._read(
            "deleteDocument",
            wire.ChangeAccepted,
            path={"client_ref": client_ref},
            query=[("motive", motive)],
            headers=_key(idempotency_key),
            actor=actor,
        )

    async def to_announce(self) -> wire_documents.Announcements:
        """Return the documents hidden from the patient that are to announce, the oldest first."""
        return await self._read("listAnnouncements", wire_documents.Announcements)

    async def set_visibility(
        self,
        client_ref: str,
        visibility: Sequence[str],
        *,
        idempotency_key: str | None = None,
        actor: wire.Actor | None = None,
    ) -> wire.ChangeAccepted:
        """Give a document exactly these visibility codes, before it leaves or after; none: visible to all."""
        return await self._read(
            "setVisibility",
            wire.ChangeAccepted,
            path={"client_ref": client_ref},
            body={"visibility": list(visibility)},
            headers=_key(idempotency_key),
            actor=actor,
        )


def _key(idempotency_key: str | None) -> Mapping[str, str]:
    return {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
