"""Following an answer ends whatever a card says, and a command goes over T=0 as T=0 carries it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_drivers.pcsc.exchange import LONGEST_DATA_BYTES, MOST_STEPS, exchange
from vaguemestre_drivers.pcsc.winscard import without_expected_length

READ = bytes.fromhex("00B0820000")


class Says:
    """A transport that says what a list says, then its last answer for ever."""

    atr = b""

    def __init__(self, answers: list[tuple[bytes, int]]) -> None:
        self.answers = answers
        self.commands: list[bytes] = []

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        self.commands.append(apdu)
        return self.answers[min(len(self.commands), len(self.answers)) - 1]


def test_an_answer_in_parts_is_gathered_with_the_class_of_its_command() -> None:
    said = Says([(b"a", 0x6102), (b"bc", 0x9000)])

    assert exchange(said, b"\xbc" + READ[1:]) == (b"abc", 0x9000)
    assert said.commands[1] == bytes.fromhex("BCC0000002")


def test_more_data_in_class_a0_is_9f() -> None:
    assert exchange(Says([(b"", 0x9F03), (b"abc", 0x9000)]), b"\xa0" + READ[1:]) == (b"abc", 0x9000)
    assert exchange(Says([(b"", 0x9F03)]), READ) == (b"", 0x9F03)


def test_a_wrong_expected_length_is_corrected_once() -> None:
    said = Says([(b"", 0x6C04), (b"abcd", 0x9000)])
    assert exchange(said, READ) == (b"abcd", 0x9000)
    assert said.commands[1] == READ[:-1] + b"\x04"
    with pytest.raises(CardTrouble):
        exchange(Says([(b"", 0x6C04)]), READ)


@pytest.mark.parametrize("part", [b"", b"x", b"x" * 255])
@pytest.mark.parametrize("status", [0x6100, 0x6110, 0x61FF])
def test_an_answer_without_end_ends(part: bytes, status: int) -> None:
    said = Says([(part, status)])
    with pytest.raises(CardTrouble) as trouble:
        exchange(said, READ)
    assert trouble.value.situation is Situation.CARD_UNREADABLE
    assert len(said.commands) <= MOST_STEPS + 2


@given(
    st.lists(st.tuples(st.binary(max_size=256), st.integers(0, 0xFFFF)), min_size=1, max_size=20),
    st.binary(min_size=4, max_size=40),
)
def test_whatever_a_card_says_ends_in_bounds(answers: list[tuple[bytes, int]], apdu: bytes) -> None:
    said = Says(answers)
    try:
        data, status = exchange(said, apdu)
    except CardTrouble:
        pass
    else:
        assert len(data) <= LONGEST_DATA_BYTES + 512
        assert 0 <= status <= 0xFFFF
    assert len(said.commands) <= 2 * MOST_STEPS + 2


@pytest.mark.parametrize(
    ("apdu", "carried"),
    [
        ("00A40400 02 3F00 00", "00A40400 02 3F00"),  # data and expected length: GET RESPONSE gives the answer
        ("00A40400 02 3F00", "00A40400 02 3F00"),
        ("00B0820000", "00B0820000"),
        ("00B08200", "00B08200"),
        ("00B0000000 0100", "00B0000000 0100"),  # extended expected length: left to the reader
    ],
)
def test_a_command_over_t0(apdu: str, carried: str) -> None:
    assert without_expected_length(bytes.fromhex(apdu)) == bytes.fromhex(carried)
