"""Cards as values: a stay belongs to a card in a reader, and every situation has a French sentence."""

from __future__ import annotations

import pytest

from vaguemestre_api.messages import catalogue
from vaguemestre_core.cards import (
    RECOVERIES,
    CardEvent,
    CardEventKind,
    CardKind,
    CardReader,
    CardTrouble,
    Insertion,
    ReaderState,
    Situation,
)
from vaguemestre_core.errors import Recovery


@pytest.mark.parametrize("situation", Situation)
def test_every_situation_has_a_title_and_something_to_do(situation: Situation) -> None:
    entry = catalogue()[situation.value]

    assert entry.title
    assert entry.action


def test_a_trouble_carries_its_code_its_recovery_and_its_facts() -> None:
    trouble = CardTrouble(Situation.READER_HELD, holder="facturation")

    assert (trouble.code, trouble.recovery) == ("READER_HELD", Recovery.BACKOFF)
    assert trouble.params == {"holder": "facturation"}
    assert CardTrouble(Situation.CARD_REMOVED).recovery is Recovery.USER_ACTION
    assert set(RECOVERIES) < set(Situation)


@pytest.mark.parametrize("state", [ReaderState.EMPTY, ReaderState.FAILING])
def test_a_reader_without_a_card_has_no_stay(state: ReaderState) -> None:
    CardReader(name="a", state=state)
    with pytest.raises(ValueError, match="stay"):
        CardReader(name="a", state=state, insertion=Insertion(1))
    with pytest.raises(ValueError, match="card"):
        CardReader(name="a", state=state, card=CardKind.CPS3)


def test_an_event_is_about_the_service_or_about_a_reader() -> None:
    reader = CardReader(name="a", state=ReaderState.EMPTY)
    CardEvent(kind=CardEventKind.SERVICE_DOWN)
    CardEvent(kind=CardEventKind.READER_ADDED, reader=reader)
    with pytest.raises(ValueError, match="service"):
        CardEvent(kind=CardEventKind.READER_ADDED)
    with pytest.raises(ValueError, match="service"):
        CardEvent(kind=CardEventKind.SERVICE_UP, reader=reader)


def test_kinds_say_whose_card_it_is() -> None:
    assert [kind for kind in CardKind if kind.is_cps] == [CardKind.CPS3, CardKind.CPS3_CONTACTLESS, CardKind.CPS4]
    assert [kind for kind in CardKind if kind.is_vitale] == [CardKind.VITALE_1, CardKind.VITALE_2]
