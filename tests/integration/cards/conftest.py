"""Soft cards shared by the tests of this folder: made once, counters and incidents reset for each test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from vaguemestre_cardkit.soft_cards import CardBench, make_bench


@pytest.fixture(scope="session")
def soft_cards(tmp_path_factory: pytest.TempPathFactory) -> CardBench:
    """Every kind of card, in one SoftHSM2, used today: whole processes ask their own clock."""
    return make_bench(tmp_path_factory.mktemp("cards"), datetime.now(UTC))


@pytest.fixture
def bench(soft_cards: CardBench, monkeypatch: pytest.MonkeyPatch) -> Iterator[CardBench]:
    """The cards, every PIN counter full and nothing happening to them."""
    for name, value in soft_cards.soft.environment.items():
        monkeypatch.setenv(name, value)
    for left in soft_cards.soft.state.iterdir():
        left.unlink()
    yield soft_cards
    for left in soft_cards.soft.state.iterdir():
        left.unlink()
