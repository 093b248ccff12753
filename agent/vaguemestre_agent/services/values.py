"""What goes in and out of the services: uploads, explanations, offers, health. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vaguemestre_core.guards import GuardAnswer
from vaguemestre_core.records import Actor, Client, Order
from vaguemestre_core.redaction import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptIds:
    """Identifiers already told to the client, of a document accepted while the keys were out of reach."""

    order_id: str
    document_id: str
    set_id: str
    unique_id: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentUpload:
    """One document as a client gave it.

    Attributes:
        client_ref: the LGC's own reference, 1 to 128 printable characters.
        metadata: JSON object (schema of ``vaguemestre_documents``), raw bytes as received.
        body: the document's bytes.
        media_type: declared media type of the body.
        hold: a person asked to hold it from the start (SC.DMP/ALI/PROG.03).
        send_now: a person wants it out without deferral (undo minutes kept).
        idempotency_key: the client's key, or None.
        kept: set when it was already accepted under these identifiers.
    """

    client_ref: str
    metadata: bytes = field(repr=False)
    body: bytes = field(repr=False)
    media_type: str
    actor: Actor
    hold: bool = False
    send_now: bool = False
    idempotency_key: str | None = None
    kept: KeptIds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why an order has not left: each guard's answer and the one thing that would let it leave.

    Attributes:
        order: the order now.
        guards: every guard's answer.
        blocking: code of what holds it back first, or ``NOTHING``.
        would_let_it_leave: code of the one thing that would let it leave.
        next_try_at: when it is tried again by itself, as far as it is known.
    """

    order: Order
    guards: tuple[GuardAnswer, ...]
    blocking: str
    would_let_it_leave: str
    next_try_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOffer:
    """What the person must do to open a session.

    Attributes:
        session_request: id of the request; an event tells how it ended.
        binding_code: the two digits to compare on the phone or the card tool (ciba), else None.
        url: the page to open (browser), else None.
        expires_in_s: how long it may take.
    """

    session_request: str
    binding_code: str | None
    url: str | None
    expires_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthItem:
    """One thing that is not as it should be, or is.

    Attributes:
        code: stable code of the catalogue.
        ok: nothing to do.
        params: non-personal facts for the sentence.
    """

    code: str
    ok: bool
    params: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """State of the agent, without anything about patients."""

    version: str
    ready: bool
    items: tuple[HealthItem, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClient:
    """A client just paired; the secret is shown once."""

    client: Client
    secret: Secret
