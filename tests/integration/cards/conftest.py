"""Soft cards shared by the tests of this folder: made once, counters and incidents reset for each test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from vaguemestre_cardkit.soft_cards import CardBench, make_bench


@pytest.fixture(scope="session")
def soft_cards(tmp_path_factory: pytest.TempPathFactory) -> CardBench:
    """Every kind of card, in one SoftHSM2."""
    return make_bench(tmp_path_factory.mktemp("cards"))


@pytest.fixture(scope="session")
def present_soft_cards(tmp_path_factory: pytest.TempPathFactory) -> CardBench:
    """The same, valid today: for processes that ask their own clock."""
    return make_bench(tmp_path_factory.mktemp("cards"), datetime.now(UTC))


@pytest.fixture
def bench(soft_cards: CardBench, monkeypatch: pytest.MonkeyPatch) -> Iterator[CardBench]:
    """The cards, every PIN counter full and nothing happening to them."""
    yield from _fresh(soft_cards, monkeypatch)


@pytest.fixture
def present_bench(present_soft_cards: CardBench, monkeypatch: pytest.MonkeyPatch) -> Iterator[CardBench]:
    """The same with the cards that are valid today."""
    yield from _fresh(present_soft_cards, monkeypatch)


def _fresh(cards: CardBench, monkeypatch: pytest.MonkeyPatch) -> Iterator[CardBench]:
    for name, value in cards.soft.environment.items():
        monkeypatch.setenv(name, value)
    for left in cards.soft.state.iterdir():
        left.unlink()
    yield cards
    for left in cards.soft.state.iterdir():
        left.unlink()
