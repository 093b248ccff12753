"""The desk at the wire: turns complete TD2.1 bodies into ledger rows, once per body whatever the route.

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
from vaguemestre_sandbox.clock import SandboxClock, iso
from vaguemestre_sandbox.ledger import Outcome, WireLedger
from vaguemestre_sandbox.soap import SoapFaultError, read_request
from vaguemestre_sandbox.store import SandboxStore
from vaguemestre_sandbox.xdslot import MalformedLotError, read_lot

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
        message_id, documents = _peek(content_type, body)
        orders = tuple(
            self.ledger.receive(
                at=iso(self._clock.now()),
                unique_id=unique_id,
                patient=patient,
                sha256=sha256,
                message_id=message_id,
            )
            for unique_id, patient, sha256 in documents
        )
        if self._keep_bodies:
            self._store.save_raw_body(orders[0], content_type, body)
        return Received(orders=orders, unique_ids=tuple(entry[0] for entry in documents))

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


def _peek(content_type: str, body: bytes) -> tuple[str, tuple[tuple[str, str, str], ...]]:
    """Return (message id, (uniqueId, patient, sha256) per document), as far as the body can be read."""
    try:
        request = read_request(content_type, body)
        lot = read_lot(request.payload, request.package)
    except (SoapFaultError, MalformedLotError):
        found = [_VALUE.search(match[0]) for match in _ENTRY_UNIQUE_ID.finditer(body)]
        texts = [match[1].decode("ascii", "replace") for match in found if match is not None]
        return "", ((texts[0] if texts else "", "", hashlib.sha256(body).hexdigest()),)
    documents = tuple(
        (
            entry.unique_id,
            patient_key(entry.patient_id),
            hashlib.sha256(lot.content_of(entry) or b"").hexdigest(),
        )
        for entry in lot.documents
    )
    return request.message_id, documents or (("", "", hashlib.sha256(body).hexdigest()),)
