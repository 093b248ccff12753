"""The cards that a tester can put in a reader by their name; fictitious persons only.

A card's own module says what it answers; here it gets its name on the command line and on the inspection port.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vaguemestre_sandbox.cards.card import MuteCard, PulledCard, ScriptedCard, VirtualCard
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


OFFERS: Final[tuple[CardOffer, ...]] = (
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
