"""The contract of `PcscPort`, the watch and the card verb, over virtual readers and over a real PC/SC service."""

from __future__ import annotations

import threading

import pytest

from vaguemestre_core.cards import CardEventKind, CardKind, CardTrouble, Insertion, ReaderState, Situation
from vaguemestre_drivers.apdu import MAX_ROUNDS, CardAnswerInvalid, decode_command, exchange
from vaguemestre_drivers.pcsc.connection import Patience
from vaguemestre_drivers.pcsc.port import CardTransport, Leaving
from vaguemestre_sandbox.cards.card import MuteCard, PulledCard, ScriptedCard, SilentCard
from vaguemestre_testkit.card_rig import Rig

VITALE = bytes.fromhex("3B751300004709EA9000")
CPS3 = bytes.fromhex("3BAC00402A001225006480000310009000")
SELECT = bytes.fromhex("00A40000023F00")
READ = bytes.fromhex("00B0000000")
OK = b"\x90\x00"
QUICK = Patience(held_s=0.5, pause_s=0.01)


def card(atr: bytes = VITALE) -> ScriptedCard:
    return ScriptedCard(atr, {SELECT: OK, READ: b"abc" + OK})


def test_cards_and_readers_are_seen_as_they_come_and_go(rig: Rig) -> None:
    watch, events = rig.watch(first_insertion=7)
    events.wait_kind(CardEventKind.READER_ADDED, rig.readers[1])
    assert [reader.state for reader in watch.readers()] == [ReaderState.EMPTY, ReaderState.EMPTY]

    first = rig.insert(card())
    inserted = events.wait_kind(CardEventKind.CARD_INSERTED, rig.readers[0])
    rig.insert(card(CPS3), slot=1)
    second = events.wait_kind(CardEventKind.CARD_INSERTED, rig.readers[1])
    first.remove()
    removed = events.wait_kind(CardEventKind.CARD_REMOVED, rig.readers[0])

    assert (inserted.card, inserted.insertion) == (CardKind.VITALE_2, Insertion(7))
    assert (second.card, second.insertion) == (CardKind.CPS3, Insertion(8))
    assert (removed.card, removed.insertion) == (CardKind.VITALE_2, Insertion(7))
    assert watch.stay(Insertion(7)) is None
    assert [(reader.state, reader.card) for reader in watch.readers()] == [
        (ReaderState.EMPTY, None),
        (ReaderState.CARD, CardKind.CPS3),
    ]
    assert events.seen[0].kind is CardEventKind.SERVICE_UP


def test_a_card_already_in_is_told_at_the_start(rig: Rig) -> None:
    rig.insert(card())
    _, before = rig.watch()
    before.wait_kind(CardEventKind.CARD_INSERTED)
    _, events = rig.watch()

    assert events.wait_kind(CardEventKind.CARD_INSERTED, rig.readers[0]).card is CardKind.VITALE_2


def test_a_watch_begun_again_gives_no_number_of_before(rig: Rig) -> None:
    rig.insert(card())
    _, before = rig.watch()
    first = before.wait_kind(CardEventKind.CARD_INSERTED).insertion
    again, after = rig.watch()
    second = after.wait_kind(CardEventKind.CARD_INSERTED).insertion

    assert first is not None
    assert second is not None
    assert second > first
    assert again.stay(first) is None


def test_a_work_talks_to_the_card_and_gives_it_back(rig: Rig) -> None:
    watch, events = rig.watch()
    rig.insert(card())
    stay = events.wait_kind(CardEventKind.CARD_INSERTED).insertion
    sessions: list[CardTransport] = []

    def work(session: CardTransport) -> bytes:
        sessions.append(session)
        assert session.transmit(SELECT) == (b"", 0x9000)
        return exchange(session.transmit, decode_command(READ))[0]

    access = rig.access(watch)
    assert access.using_card(rig.readers[0], work, is_repeatable=True, insertion=stay) == b"abc"
    assert access.using_card(rig.readers[0], work, is_repeatable=True, leaving=Leaving.RESET) == b"abc"
    assert sessions[0].atr == VITALE
    with pytest.raises(CardTrouble) as after:
        sessions[0].transmit(READ)
    assert after.value.situation is Situation.CARD_REMOVED


def test_another_card_than_the_chosen_one_is_refused(rig: Rig) -> None:
    watch, events = rig.watch()
    first = rig.insert(card())
    chosen = events.wait_kind(CardEventKind.CARD_INSERTED).insertion
    first.remove()
    events.wait_kind(CardEventKind.CARD_REMOVED)
    other = card()
    rig.insert(other)
    events.wait_for(lambda e: e.kind is CardEventKind.CARD_INSERTED and e.insertion != chosen)

    with pytest.raises(CardTrouble) as refused:
        rig.access(watch).using_card(rig.readers[0], lambda s: s.transmit(READ), is_repeatable=True, insertion=chosen)
    assert refused.value.situation is Situation.CARD_CHANGED
    assert other.asked == 0


@pytest.mark.parametrize("at", [1, 2])
def test_a_card_pulled_in_the_middle_is_told_and_the_next_one_serves(rig: Rig, at: int) -> None:
    watch, events = rig.watch()
    rig.insert(PulledCard(card(), at_command=at))
    events.wait_kind(CardEventKind.CARD_INSERTED)
    access = rig.access(watch)

    def work(session: CardTransport) -> bytes:
        session.transmit(SELECT)
        return session.transmit(READ)[0]

    with pytest.raises(CardTrouble) as pulled:
        access.using_card(rig.readers[0], work, is_repeatable=False)
    assert pulled.value.situation in (Situation.CARD_REMOVED, Situation.CARD_UNREADABLE)
    events.wait_kind(CardEventKind.CARD_REMOVED)
    seen = len(events.seen)
    rig.insert(card())
    events.wait_kind(CardEventKind.CARD_INSERTED, after=seen)
    assert access.using_card(rig.readers[0], work, is_repeatable=True) == b"abc"


def test_an_empty_reader_and_an_unknown_one_have_their_own_words(rig: Rig) -> None:
    watch, events = rig.watch()
    events.wait_kind(CardEventKind.READER_ADDED)
    for reader, situation in ((rig.readers[0], Situation.CARD_ABSENT), ("Autre lecteur", Situation.READER_UNKNOWN)):
        with pytest.raises(CardTrouble) as trouble:
            rig.access(watch).using_card(reader, lambda s: s.transmit(READ), is_repeatable=True)
        assert trouble.value.situation is situation


def test_a_card_that_announces_data_for_ever_is_bounded(rig: Rig) -> None:
    watch, events = rig.watch()
    endless = ScriptedCard(VITALE, lambda _: b"\x00" * 16 + b"\x61\x10")
    rig.insert(endless)
    events.wait_kind(CardEventKind.CARD_INSERTED)

    with pytest.raises(CardAnswerInvalid):
        rig.access(watch).using_card(
            rig.readers[0], lambda s: exchange(s.transmit, decode_command(READ)), is_repeatable=False
        )
    assert endless.asked <= MAX_ROUNDS
    with pytest.raises(CardAnswerInvalid):  # and the reader was given back
        rig.access(watch).using_card(
            rig.readers[0], lambda s: exchange(s.transmit, decode_command(READ)), is_repeatable=False
        )


def test_a_long_answer_is_gathered_and_a_wrong_length_corrected(rig: Rig) -> None:
    watch, events = rig.watch()
    parts = {READ: b"\x6c\x05", bytes.fromhex("00B0000005"): b"12\x61\x03", bytes.fromhex("00C0000003"): b"345" + OK}
    rig.insert(ScriptedCard(VITALE, parts))
    events.wait_kind(CardEventKind.CARD_INSERTED)

    got = rig.access(watch).using_card(
        rig.readers[0], lambda s: exchange(s.transmit, decode_command(READ)), is_repeatable=True
    )

    assert got == (b"12345", 0x9000)


def test_a_reader_held_by_another_is_waited_for_then_told(rig: Rig) -> None:
    watch, events = rig.watch()
    rig.insert(card())
    events.wait_kind(CardEventKind.CARD_INSERTED)
    access = rig.access(watch)
    with rig.port.connect(rig.readers[0]) as other:
        other.begin()
        with pytest.raises(CardTrouble) as held:
            access.using_card(rig.readers[0], lambda s: s.transmit(READ), is_repeatable=True, patience=QUICK)
        assert held.value.situation is Situation.READER_HELD
        released = threading.Timer(0.2, lambda: other.end(Leaving.LEAVE))
        released.start()
        data, _ = access.using_card(
            rig.readers[0], lambda s: s.transmit(READ), is_repeatable=True, patience=Patience(held_s=10.0)
        )
        released.join()
    assert data == b"abc"


def test_a_card_that_hangs_is_given_up_and_others_go_on(rig: Rig) -> None:
    watch, events = rig.watch()
    silent = SilentCard(card(), at_command=1)
    rig.stack.callback(silent.released.set)
    rig.insert(silent)
    rig.insert(card(CPS3), slot=1)
    events.wait_kind(CardEventKind.CARD_INSERTED, rig.readers[0])
    events.wait_kind(CardEventKind.CARD_INSERTED, rig.readers[1])
    access = rig.access(watch)

    with pytest.raises(CardTrouble) as slow:
        access.using_card(rig.readers[0], lambda s: s.transmit(READ), is_repeatable=False)
    assert slow.value.situation is Situation.CARD_SLOW
    with pytest.raises(CardTrouble):  # still hanging there, or already dropped: never a second hang
        access.using_card(rig.readers[0], lambda s: s.transmit(READ), is_repeatable=False, patience=QUICK)
    assert access.using_card(rig.readers[1], lambda s: s.transmit(READ)[0], is_repeatable=True) == b"abc"
    silent.released.set()


def test_flaky_exchanges_are_repeated_only_when_the_work_allows_it(rig: Rig) -> None:
    watch, events = rig.watch()
    flaky = ScriptedCard(VITALE, lambda _: b"" if flaky.asked < 3 else b"abc" + OK)
    rig.insert(flaky)
    events.wait_kind(CardEventKind.CARD_INSERTED)
    access = rig.access(watch)
    if rig.service is not None:
        pytest.skip("pcscd takes an empty answer for a lost card")

    with pytest.raises(CardTrouble) as once:
        access.using_card(rig.readers[0], lambda s: s.transmit(READ), is_repeatable=False, patience=QUICK)
    assert (once.value.situation, flaky.asked) == (Situation.CARD_UNREADABLE, 1)
    assert (
        access.using_card(rig.readers[0], lambda s: s.transmit(READ), is_repeatable=True, patience=QUICK)[0] == b"abc"
    )
    assert flaky.asked == 3


def test_a_transaction_has_an_end_in_commands(rig: Rig) -> None:
    watch, events = rig.watch()
    busy = card()
    rig.insert(busy)
    events.wait_kind(CardEventKind.CARD_INSERTED)

    def for_ever(session: CardTransport) -> None:
        while True:
            session.transmit(READ)

    with pytest.raises(CardTrouble) as trouble:
        rig.access(watch).using_card(rig.readers[0], for_ever, is_repeatable=False, patience=Patience(most_commands=25))
    assert (trouble.value.situation, busy.asked) == (Situation.CARD_UNREADABLE, 25)


def test_a_mute_card_is_seen_and_told_or_not_seen_at_all(rig: Rig) -> None:
    watch, events = rig.watch()
    if rig.service is None:
        rig.insert(MuteCard())
    else:
        rig.insert(card(b"\x3b" * 40))  # vpcd sees no card without an ATR: one too long cannot be powered up
    shown = events.wait_kind(CardEventKind.CARD_INSERTED)
    assert shown.reader is not None
    assert (shown.reader.state, shown.card) == (ReaderState.MUTE, None)

    with pytest.raises(CardTrouble) as mute:
        rig.access(watch).using_card(rig.readers[0], lambda s: s.transmit(READ), is_repeatable=False)
    assert mute.value.situation is Situation.CARD_MUTE
