"""The verbs about professionals' cards: holder, login, logout, signature, TLS; and the event that tells open cards.

Owns how they travel. The PIN has its own lane: while a person types, cards are read and signatures are made. No verb
carries a PIN. What a card says of its holder goes to the parent through the pipe, and nowhere else.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

from vaguemestre_core.cardholders import OpenedCard
from vaguemestre_core.cards import Insertion
from vaguemestre_core.cpspin import PinState
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.signing import SignatureAlgorithm, SignaturePurpose
from vaguemestre_drivers.cardtls.forwarder import CardTls
from vaguemestre_drivers.cps.token import CardReading
from vaguemestre_drivers.process.cpsdesk import CpsDesk
from vaguemestre_drivers.process.verbs import Asked, Reply, Verb


def cps_verbs(desk: CpsDesk, tls: Callable[[], CardTls] | None) -> Mapping[str, Verb]:
    """Return the verbs; ``tls`` gives the forwarder, None when no way to a service is for cards."""

    def holder(asked: Asked) -> Reply:
        reading, pin = desk.read(_stay(asked))
        return Reply(values=holder_to_json(reading, pin))

    def login(asked: Asked) -> Reply:
        return Reply(values=opened_to_json(desk.open(_stay(asked), asked.text("asker"))))

    def logout(asked: Asked) -> Reply:
        return Reply(values={"was_open": desk.close(_stay(asked))})

    def sign(asked: Asked) -> Reply:
        try:
            purpose = SignaturePurpose(asked.text("purpose"))
            algorithm = SignatureAlgorithm(asked.text("algorithm"))
        except ValueError:
            raise InvalidInput("READERS_REQUEST_INVALID") from None
        return Reply(content=desk.sign(asked.text("key"), purpose, asked.content, algorithm))

    def open_tls(asked: Asked) -> Reply:
        if tls is None:
            raise InvalidInput("CARD_TLS_HOST_FORBIDDEN")
        host, port = asked.text("host"), asked.number("port")
        within_s = asked.arguments.get("within_s")
        if not isinstance(within_s, int | float):
            raise InvalidInput("READERS_REQUEST_INVALID", pointer="/within_s")
        return Reply(values={"address": tls().open(desk.tls_key(asked.text("key")), host, port, float(within_s))})

    return {
        "cps_holder": Verb(lane="cps", act=holder),
        "cps_login": Verb(lane="pin", act=login),
        "cps_logout": Verb(lane="cps", act=logout),
        "cps_sign": Verb(lane="cps", act=sign),
        "cps_tls": Verb(lane="tls", act=open_tls),
    }


def _stay(asked: Asked) -> Insertion:
    return Insertion(asked.number("insertion"))


def holder_to_json(reading: CardReading, pin: PinState) -> Mapping[str, object]:
    """Return whose card it is, without the card's number."""
    holder = reading.holder
    return {
        "national_id": holder.identifier.value,
        "family_name": holder.family_name.reveal(),
        "given_name": None if holder.given_name is None else holder.given_name.reveal(),
        "title": None if holder.title is None else holder.title.reveal(),
        "profession": holder.profession,
        "specialty": holder.specialty,
        "category": holder.category.value,
        "is_test": holder.is_test,
        "begins_at": holder.validity.begins_at.isoformat(),
        "ends_at": holder.validity.ends_at.isoformat(),
        "pin": pin.value,
    }


def opened_to_json(opened: OpenedCard) -> Mapping[str, object]:
    """Return an open card as it travels."""
    return {
        "insertion": opened.stay,
        "key": opened.key,
        "category": opened.category.value,
        "holder": opened.holder,
        "structure": opened.structure,
        "until": opened.until.isoformat(),
        "certificate": base64.b64encode(opened.certificate).decode("ascii"),
    }
