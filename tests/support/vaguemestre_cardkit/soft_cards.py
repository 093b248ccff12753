"""Soft cards for tests: every kind of professional card in one SoftHSM2, or the reason why there is none here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from vaguemestre_drivers.cps.token import CpsModule
from vaguemestre_sandbox.cards.cpspki import DOCTOR, DOCTOR_CPS4, NURSE, SECRETARY, CardAuthority, CardPerson
from vaguemestre_sandbox.cards.softhsm import SoftCards, SoftCardsUnavailable, open_soft_cards

VALID_FOR = timedelta(days=400)
EXPIRED = replace(DOCTOR, number="2600000019", identifier="899700000038", given="ANCIEN")
CARDS: tuple[CardPerson, ...] = (DOCTOR, DOCTOR_CPS4, NURSE, SECRETARY)


@dataclass(frozen=True)
class CardBench:
    """Cards, and the module that shows them.

    Attributes:
        soft: the token of each card.
        authority: who issued them.
        now: when they are used: all but the expired one are valid.
        later: when those end.
    """

    soft: SoftCards
    authority: CardAuthority
    now: datetime
    later: datetime

    def module(self) -> CpsModule:
        """Return the module, started anew: the library is one a process."""
        module = CpsModule(str(self.soft.module))
        module.restart()
        return module


def make_bench(folder: Path, now: datetime) -> CardBench:
    """Make every kind of card below ``folder``; skips, with the reason, where something is missing.

    Args:
        folder: everything is below it.
        now: when the cards are used.
    """
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
    try:
        soft = open_soft_cards(folder)
    except SoftCardsUnavailable as missing:
        pytest.skip(f"{missing} is not installed")
    if not soft.locks:
        pytest.skip("no C compiler: SoftHSM2 alone does not behave like a card")
    begin, later = now - timedelta(days=700), now + VALID_FOR
    authority = CardAuthority(begin, ends_at=later)
    for person in CARDS:
        soft.insert(person, authority, begins_at=begin, ends_at=later)
    soft.insert(EXPIRED, authority, begins_at=begin, ends_at=now - timedelta(days=1))
    soft.insert_contactless(DOCTOR, authority, begins_at=begin, ends_at=later)
    return CardBench(soft=soft, authority=authority, now=now, later=later)
