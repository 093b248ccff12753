"""The cards that a tester can put in a reader by their name; fictitious persons only.

A card's own module says what it answers; here it gets its name on the command line and on the inspection port.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vaguemestre_sandbox.cards.card import MuteCard, PulledCard, ScriptedCard, VirtualCard
from vaguemestre_sandbox.cards.cps import TRIES, Generation, VirtualCps
from vaguemestre_sandbox.cards.cpspki import DOCTOR, DOCTOR_CPS4, NURSE, SECRETARY, CardPerson
from vaguemestre_sandbox.cards.hostile import HOSTILE
from vaguemestre_sandbox.cards.vitale import OTHER_FAMILY, Vitale1Card, Vitale2Card, written_files

STRANGER_ATR: Final = bytes.fromhex("3B0A53414E44424F5843415244")
"""No French health card: T=0, ten historical bytes of text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardOffer:
    """One card: its name, what it is in French, and how to make a fresh one."""

    name: str
    title: str
    make: Callable[[], VirtualCard]


def _stranger() -> VirtualCard:
    return ScriptedCard(STRANGER_ATR, {})


def _other_family() -> VirtualCard:
    return Vitale2Card(written_files(OTHER_FAMILY))


def _cps(name: str, title: str, person: CardPerson, generation: Generation, *, tries: int = TRIES) -> CardOffer:
    def made() -> VirtualCard:
        return VirtualCps(person=person, generation=generation, tries=tries)

    return CardOffer(name=name, title=title, make=made)


OFFERS: Final[tuple[CardOffer, ...]] = (
    _cps("cps3", "CPS3 d'un médecin (code 1234)", DOCTOR, Generation.CPS3),
    _cps("cps4", "CPS4 d'un médecin (code 1234)", DOCTOR_CPS4, Generation.CPS4),
    _cps("cps3-infirmier", "CPS3 d'un infirmier (code 1234)", NURSE, Generation.CPS3),
    _cps("cpe", "CPE d'un secrétariat (code 1234)", SECRETARY, Generation.CPS3),
    _cps("cps3-sans-contact", "CPS3 posée sur un lecteur sans contact", DOCTOR, Generation.CPS3_CONTACTLESS),
    _cps("cps3-bloquee", "CPS3 dont le code est bloqué", DOCTOR, Generation.CPS3, tries=0),
    CardOffer(name="vitale2", title="carte Vitale 2 : une famille", make=Vitale2Card),
    CardOffer(name="vitale2-autre", title="carte Vitale 2 : une autre famille", make=_other_family),
    CardOffer(name="vitale1", title="carte Vitale 1, ou de test", make=Vitale1Card),
    CardOffer(name="unknown", title="carte inconnue", make=_stranger),
    CardOffer(name="mute", title="carte muette (à l'envers)", make=MuteCard),
)


def offers() -> dict[str, CardOffer]:
    """Return the cards by name; the hostile ones are named `hostile-…`."""
    named = {offer.name: offer for offer in OFFERS}
    for name, maker in HOSTILE.items():
        offer = CardOffer(name=f"hostile-{name}", title="carte qui répond n'importe quoi", make=maker)
        named[offer.name] = offer
    return named


def make(name: str, *, pulled_at: int | None = None) -> VirtualCard:
    """Return a fresh card, pulled out at its n-th command when `pulled_at` says so. Raises KeyError."""
    card = offers()[name].make()
    return card if pulled_at is None else PulledCard(card, at_command=pulled_at)
