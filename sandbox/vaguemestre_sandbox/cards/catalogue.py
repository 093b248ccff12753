"""The cards that a tester can put in a reader by their name; fictitious persons only.

A card's own module says what it answers; here it gets its name on the command line and on the inspection port.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vaguemestre_sandbox.cards.card import MuteCard, PulledCard, ScriptedCard, VirtualCard

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


OFFERS: Final[tuple[CardOffer, ...]] = (
    CardOffer(name="unknown", title="carte inconnue", make=_stranger),
    CardOffer(name="mute", title="carte muette (à l'envers)", make=MuteCard),
)


def offers() -> dict[str, CardOffer]:
    """Return the cards by name."""
    return {offer.name: offer for offer in OFFERS}


def make(name: str, *, pulled_at: int | None = None) -> VirtualCard:
    """Return a fresh card, pulled out at its n-th command when `pulled_at` says so. Raises KeyError."""
    card = offers()[name].make()
    return card if pulled_at is None else PulledCard(card, at_command=pulled_at)
