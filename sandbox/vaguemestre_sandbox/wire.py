"""The desk at the wire: turns complete TD2.1 and ITI-57 bodies into ledger rows, once per body whatever the route.

Owns the hand-over between the simulated proxy (which sees a body first) and the simulated DMP (which knows what
became of it). It never refuses anything: an unreadable body is counted too.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final

from vaguemestre_sandbox.agreement import patient_key
from vaguemestre_sandbox.changing import UNREADABLE_CHANGE, transaction_of
from vaguemestre_sandbox.clock import SandboxClock, iso
from vaguemestre_sandbox.ledger import FEEDING, REPLACING, Outcome, WireLedger
from vaguemestre_sandbox.soap import SoapFaultError, read_request
from vaguemestre_sandbox.store import SandboxStore
from vaguemestre_sandbox.xdslot import REPLACES, UPDATE_STATUS, Lot, MalformedLotError, read_change, read_lot
from vaguemestre_sandbox.xmlsafe import LCM, q

RELAY_HEADER: Final = "X-Sandbox-Relay"
ANSWER_HEADER: Final = "X-Sandbox-Answers"
_ENTRY_UNIQUE_ID: Final = re.compile(rb"<[^<>]*ExternalIdentifier[^<>]*2e82c1f6-a085-4c72-9da3-8640a32e42ab[^<>]*>")
_VALUE: Final = re.compile(rb'value="([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """The ledger rows of one complete body: one per document, at least one."""

    orders: tuple[int, ...]
    unique_ids: tuple[str, ...]


class WireDesk:
    """Counts bodies; keeps those on their way from the proxy to the DMP."""

    def __init__(self, ledger: WireLedger, store: SandboxStore, clock: SandboxClock, *, keep_bodies: bool) -> None:
        self.ledger = ledger
        self._store = store
        self._clock = clock
        self._keep_bodies = keep_bodies
        self._in_transit: dict[str, Received] = {}

    def receive(self, content_type: str, body: bytes) -> Received:
        """Count one complete body."""
        seen = _peek(content_type, body)
        orders = tuple(
            self.ledger.receive(
                at=iso(self._clock.now()),
                unique_id=found.unique_id or self._held_unique_id(found.target),
                patient=found.patient,
                sha256=found.sha256,
                message_id=seen.message_id,
                transaction=seen.transaction,
                lot_id=seen.lot_id,
            )
            for found in seen.documents
        )
        if self._keep_bodies:
            self._store.save_raw_body(orders[0], content_type, body)
        unique_ids = tuple(found.unique_id or self._held_unique_id(found.target) for found in seen.documents)
        return Received(orders=orders, unique_ids=unique_ids)

    def _held_unique_id(self, entry_uuid: str) -> str:
        """Return the uniqueId of the entry that a change of status names, empty when nobody knows it."""
        if not entry_uuid:
            return ""
        row = self._store.document_by_uuid(entry_uuid)
        return row.unique_id if row is not None else self._store.unique_id_of_former(entry_uuid) or ""

    def hand_over(self, received: Received) -> str:
        """Return a ticket by which the DMP will adopt this body."""
        ticket = secrets.token_hex(16)
        self._in_transit[ticket] = received
        return ticket

    def adopt(self, ticket: str, content_type: str, body: bytes) -> Received:
        """Return the rows of a complete body arrived at the DMP, counted already or not."""
        received = self._in_transit.pop(ticket, None)
        return received if received is not None else self.receive(content_type, body)

    def give_up(self, ticket: str) -> bool:
        """Take back a body that the DMP did not adopt; False when it did."""
        return self._in_transit.pop(ticket, None) is not None

    def finish(self, received: Received, outcome: Outcome, code: str = "") -> None:
        """End the processing of every row of a body."""
        for order in received.orders:
            self.ledger.finish(order, outcome, code)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SeenDocument:
    """What a body says of one document; `target` is the entryUUID when it names no uniqueId."""

    unique_id: str
    patient: str
    sha256: str
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _SeenBody:
    message_id: str
    transaction: str
    lot_id: str
    documents: tuple[_SeenDocument, ...]


def _peek(content_type: str, body: bytes) -> _SeenBody:
    """Return what a body says, as far as it can be read; at least one document."""
    sha256 = hashlib.sha256(body).hexdigest()
    try:
        request = read_request(content_type, body)
        if request.payload.tag == q(LCM, "SubmitObjectsRequest"):
            return _peek_change(request.message_id, read_change(request.payload), sha256)
        lot = read_lot(request.payload, request.package)
    except (SoapFaultError, MalformedLotError):
        found = [_VALUE.search(match[0]) for match in _ENTRY_UNIQUE_ID.finditer(body)]
        texts = [match[1].decode("ascii", "replace") for match in found if match is not None]
        is_feeding = b"ProvideAndRegisterDocumentSetRequest" in body or b"SubmitObjectsRequest" not in body
        return _SeenBody(
            message_id="",
            transaction=FEEDING if is_feeding else UNREADABLE_CHANGE,
            lot_id="",
            documents=(_SeenDocument(unique_id=texts[0] if texts else "", patient="", sha256=sha256),),
        )
    documents = tuple(
        _SeenDocument(
            unique_id=entry.unique_id,
            patient=patient_key(entry.patient_id),
            sha256=hashlib.sha256(lot.content_of(entry) or b"").hexdigest(),
        )
        for entry in lot.documents
    )
    return _SeenBody(
        message_id=request.message_id,
        transaction=REPLACING if any(link.kind == REPLACES for link in lot.links) else FEEDING,
        lot_id=lot.submission.unique_id,
        documents=documents or (_SeenDocument(unique_id="", patient="", sha256=sha256),),
    )


def _peek_change(message_id: str, lot: Lot, sha256: str) -> _SeenBody:
    patient = patient_key(lot.submission.patient_id)
    entries = tuple(_SeenDocument(unique_id=entry.unique_id, patient=patient, sha256=sha256) for entry in lot.documents)
    statuses = tuple(
        _SeenDocument(unique_id="", patient=patient, sha256=sha256, target=link.target)
        for link in lot.links
        if link.kind == UPDATE_STATUS
    )
    return _SeenBody(
        message_id=message_id,
        transaction=transaction_of(lot),
        lot_id=lot.submission.unique_id,
        documents=entries or statuses or (_SeenDocument(unique_id="", patient=patient, sha256=sha256),),
    )
