"""The number and the tries of a virtual card, without middleware and without using a try."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.cards import CardKind, CardTrouble, Situation
from vaguemestre_core.cpspin import PinState
from vaguemestre_drivers.cps.holder import number_from_label
from vaguemestre_drivers.cps.volet import read_number, state_of, tries_left
from vaguemestre_drivers.pcsc.atr import kind_of
from vaguemestre_sandbox.cards.cps import Generation, VirtualCps, update_file
from vaguemestre_sandbox.cards.cpspki import DOCTOR, DOCTOR_CPS4

PIN_COMMAND = bytes.fromhex("0020000104") + b"0000"


class Direct:
    """A transport to a card in software."""

    def __init__(self, card: VirtualCps) -> None:
        self.card = card
        self.sent: list[bytes] = []

    @property
    def atr(self) -> bytes:
        return self.card.atr

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        self.sent.append(apdu)
        answer = self.card.respond(apdu)
        return answer[:-2], int.from_bytes(answer[-2:], "big")


def card(generation: Generation, **changes: object) -> VirtualCps:
    person = DOCTOR_CPS4 if generation is Generation.CPS4 else DOCTOR
    return VirtualCps(person=person, generation=generation, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("generation", Generation)
def test_the_number_says_which_slot_is_the_card_s(generation: Generation) -> None:
    one = card(generation)
    transport = Direct(one)
    found = read_number(transport)
    label = number_from_label(f"CPS-{one.person.number}")
    assert label is not None
    assert found.is_same_card(label)
    assert len(transport.sent) <= 4
    assert kind_of(one.atr).value == generation.value


def test_a_cps4_left_in_the_middle_is_woken() -> None:
    one = card(Generation.CPS4, asleep=True)
    assert read_number(Direct(one)).digits == DOCTOR_CPS4.number
    assert not one.asleep


@pytest.mark.parametrize("generation", [Generation.CPS3, Generation.CPS4])
@pytest.mark.parametrize(
    ("left", "state"), [(3, PinState.OK), (2, PinState.LOW), (1, PinState.LAST_TRY), (0, PinState.BLOCKED)]
)
def test_tries_are_asked_without_using_one(generation: Generation, left: int, state: PinState) -> None:
    one = card(generation, tries=left)
    kind = CardKind(generation.value)
    assert tries_left(Direct(one), kind, 1) is state
    assert one.tries == left
    assert tries_left(Direct(one), kind, 2) is PinState.UNKNOWN


@pytest.mark.parametrize("generation", [Generation.CPS3, Generation.CPS4])
def test_three_wrong_pins_block_the_virtual_card(generation: Generation) -> None:
    one = card(generation)
    kind = CardKind(generation.value)
    states = []
    for _ in range(3):
        one.respond(PIN_COMMAND)
        states.append(tries_left(Direct(one), kind, 1))
    assert states == [PinState.LOW, PinState.LAST_TRY, PinState.BLOCKED]
    assert one.respond(bytes.fromhex("0020000104") + b"1234") == b"\x69\x83"


def test_situations_are_for_after_the_pin_and_contactless_hides_more() -> None:
    one, air = card(Generation.CPS3, updated=update_file("20240101", "20260101")), card(Generation.CPS3_CONTACTLESS)
    situation, probe = bytes.fromhex("00a4090c063f000001d120"), bytes.fromhex("00a4090c063f0000017001")
    assert one.respond(situation) == b"\x90\x00"
    assert one.respond(bytes.fromhex("00b0000010")) == b"\x69\x82"
    assert one.respond(bytes.fromhex("0020000104") + b"1234") == b"\x90\x00"
    assert one.respond(situation) == b"\x90\x00"
    assert one.respond(bytes.fromhex("00b0000010"))[-2:] == b"\x90\x00"
    assert one.respond(probe) == b"\x90\x00"
    assert one.respond(bytes.fromhex("00a4090c043f00d010")) == b"\x90\x00"
    assert air.respond(probe) == b"\x6a\x82"
    assert air.respond(bytes.fromhex("00a4090c043f00d010")) == b"\x6a\x82"
    assert air.respond(PIN_COMMAND) == b"\x6d\x00"
    assert tries_left(Direct(air), CardKind.CPS3_CONTACTLESS, 1) is PinState.UNKNOWN


@given(st.lists(st.binary(max_size=40), max_size=20), st.sampled_from(Generation))
def test_the_virtual_card_answers_anything_with_a_status(commands: list[bytes], generation: Generation) -> None:
    one = card(generation)
    for command in commands:
        assert 2 <= len(one.respond(command)) <= 258


class Garbage:
    """A card that answers what hypothesis wants."""

    atr = b""

    def __init__(self, answers: list[tuple[bytes, int]]) -> None:
        self.answers = answers
        self.sent: list[bytes] = []

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        self.sent.append(apdu)
        return self.answers[len(self.sent) % len(self.answers)]


ANSWERS = st.lists(
    st.tuples(st.binary(max_size=30), st.sampled_from([0x9000, 0x6985, 0x6A82, 0x6100, 0x6C00, 0x63C2, 0x6983])),
    min_size=1,
    max_size=5,
)


@given(ANSWERS)
def test_whatever_a_card_says_the_reads_end(answers: list[tuple[bytes, int]]) -> None:
    for kind in (CardKind.CPS3, CardKind.CPS4, CardKind.UNKNOWN):
        transport = Garbage(answers)
        try:
            tries_left(transport, kind, 1)
            read_number(transport)
        except CardTrouble as trouble:
            said = trouble.situation
        else:
            continue
        assert said is Situation.CARD_UNREADABLE
        assert len(transport.sent) < 4000
        assert not any(apdu[1] == 0x20 and len(apdu) > 5 for apdu in transport.sent)


def test_numbers_of_tries() -> None:
    assert [state_of(left) for left in (0, 1, 2, 3, 15)] == [
        PinState.BLOCKED,
        PinState.LAST_TRY,
        PinState.LOW,
        PinState.OK,
        PinState.UNKNOWN,
    ]
