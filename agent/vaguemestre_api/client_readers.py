"""The client's calls about readers, cards and codes."""

from __future__ import annotations

from vaguemestre_api import wire, wire_readers
from vaguemestre_api.client_calls import Calls
from vaguemestre_api.jsontypes import Json, dump_json
from vaguemestre_api.multipart import Part, write_form


class ReaderCalls(Calls):
    """Part of ``Client``, with its errors."""

    async def readers(self) -> wire_readers.Readers:
        """Return the readers, and what prevents seeing them."""
        return await self._read("listReaders", wire_readers.Readers)

    async def cards(self) -> tuple[wire_readers.Card, ...]:
        """Return the cards now in the readers."""
        return (await self._read("listCards", wire_readers.CardList)).cards

    async def log_in_card(self, card_id: str, *, actor: wire.Actor | None = None) -> wire_readers.CardLogin:
        """Have the PIN asked for on the workstation; the event ``card`` with this attempt tells how it ends."""
        return await self._read("logInCard", wire_readers.CardLogin, path={"card_id": card_id}, actor=actor)

    async def log_out_card(self, card_id: str, *, actor: wire.Actor | None = None) -> None:
        """Close a card's session."""
        await self._call("logOutCard", path={"card_id": card_id}, actor=actor)

    async def beneficiaries(self, card_id: str, *, actor: wire.Actor | None = None) -> wire_readers.Beneficiaries:
        """Read the carte Vitale whose stay that is, now."""
        return await self._read("readBeneficiaries", wire_readers.Beneficiaries, path={"card_id": card_id}, actor=actor)

    async def confirm_beneficiary(
        self, card_id: str, reading: str, position: int, *, actor: wire.Actor | None = None
    ) -> wire_readers.Beneficiary:
        """Return the person chosen on a reading, when the card now in is that one with the same content."""
        body: Json = {"reading": reading, "position": position}
        path = {"card_id": card_id}
        return await self._read("confirmBeneficiary", wire_readers.Beneficiary, path=path, body=body, actor=actor)

    async def scan(self, content: bytes, media_type: str, *, expected: str | None = None) -> wire_readers.Scan:
        """Return the codes of an image, a PDF, or a code given as text."""
        metadata = dump_json({} if expected is None else {"expected": expected})
        parts = [
            Part(name="metadata", content=metadata, media_type="application/json"),
            Part(name="body", content=content, media_type=media_type, is_file=True),
        ]
        return await self._read("scan", wire_readers.Scan, form=write_form(parts))
