"""Commands and answers: the bytes, the rule for 61xx and 6Cxx, and no card that keeps a reader busy for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.errors import InvalidInput
from vaguemestre_drivers import apdu
from vaguemestre_drivers.apdu import (
    MAX_ANSWER_BYTES,
    MAX_ROUNDS,
    CardAnswerInvalid,
    Command,
    decode_command,
    exchange,
    split_answer,
)

BYTE = st.integers(0, 255)
COMMANDS = st.builds(
    Command,
    cla=BYTE,
    ins=BYTE,
    p1=BYTE,
    p2=BYTE,
    data=st.binary(max_size=255),
    le=st.none() | st.integers(1, 256),
)


class Script:
    """Gives answers in turn, the last one for ever, and keeps what it was sent."""

    def __init__(self, *answers: tuple[bytes, int]) -> None:
        self.answers = list(answers)
        self.sent: list[bytes] = []

    def __call__(self, command: bytes) -> tuple[bytes, int]:
        self.sent.append(command)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@given(COMMANDS)
def test_a_command_is_read_back(command: Command) -> None:
    assert decode_command(command.encode()) == command


@given(st.binary(max_size=270))
def test_any_bytes_give_a_command_or_the_error(raw: bytes) -> None:
    try:
        command = decode_command(raw)
    except InvalidInput as error:
        code = error.code
    else:
        code = "APDU_INVALID"
        assert command.encode() == raw
    assert code == "APDU_INVALID"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (apdu.select_file(0x3F00), "00 A4 00 00 02 3F 00"),
        (apdu.read_short_file(2), "00 B0 82 00 00"),
        (apdu.select_application(bytes.fromhex("D250000002") + b"VITALE"), "00A404000BD250000002564954414C45"),
        (apdu.read_current_file(0x1234), "00 B0 12 34 00"),
        (apdu.get_response(0x00, 0x20), "00 C0 00 00 20"),
    ],
)
def test_commands_are_those_of_the_public_read(command: Command, expected: str) -> None:
    assert command.encode() == bytes.fromhex(expected)


@pytest.mark.parametrize(
    "wrong", [{"cla": 256}, {"ins": -1}, {"p1": 256}, {"p2": 256}, {"data": bytes(256)}, {"le": 0}, {"le": 257}]
)
def test_a_command_out_of_range_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidInput):
        Command(**{"cla": 0, "ins": 0, "p1": 0, "p2": 0} | wrong)  # type: ignore[arg-type]


def test_more_data_is_fetched_and_joined() -> None:
    script = Script((b"", 0x6105), (b"hello", 0x6103), (b"you", 0x9000))

    assert exchange(script, apdu.read_short_file(2)) == (b"helloyou", 0x9000)
    assert script.sent[1:] == [bytes.fromhex("00C0000005"), bytes.fromhex("00C0000003")]


def test_a_wrong_length_is_asked_again_with_the_right_one() -> None:
    script = Script((b"", 0x6C20), (b"x" * 32, 0x9000))

    assert exchange(script, apdu.read_short_file(2)) == (b"x" * 32, 0x9000)
    assert script.sent[1] == bytes.fromhex("00B0820020")


def test_get_response_may_itself_be_corrected() -> None:
    script = Script((b"", 0x6100), (b"", 0x6C02), (b"ok", 0x9000))

    assert exchange(script, apdu.select_file(0x3F00)) == (b"ok", 0x9000)
    assert script.sent[2] == bytes.fromhex("00C0000002")


@pytest.mark.parametrize("status", [0x6A82, 0x6982, 0x6282, 0x6B00, 0x6700, 0x9000, 0x63C2])
def test_any_other_status_ends_the_exchange(status: int) -> None:
    assert exchange(Script((b"d", status)), apdu.read_short_file(2)) == (b"d", status)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [((b"", 0x61FF), "endless"), ((b"x" * 256, 0x6100), "too_long"), ((b"", 0x6C10), "endless"), ((b"", 7), "status")],
)
def test_endless_cards_are_left(answer: tuple[bytes, int], reason: str) -> None:
    script = Script(answer)

    with pytest.raises(CardAnswerInvalid) as refused:
        exchange(script, apdu.read_short_file(2))

    assert refused.value.reason == reason
    assert len(script.sent) <= MAX_ROUNDS


@given(st.lists(st.tuples(st.binary(max_size=256), st.integers(0, 0xFFFF)), min_size=1, max_size=80))
def test_whatever_a_card_answers_the_exchange_is_bounded(answers: list[tuple[bytes, int]]) -> None:
    script = Script(*answers)
    reason, data, status = "", b"", 0x9000
    try:
        data, status = exchange(script, apdu.read_short_file(2))
    except CardAnswerInvalid as error:
        reason = error.reason
    assert reason in {"", "endless", "too_long", "status"}
    assert len(data) <= MAX_ANSWER_BYTES
    assert status >> 8 not in (0x61, 0x6C)
    assert len(script.sent) <= MAX_ROUNDS


@given(st.binary(max_size=300))
def test_an_answer_is_split_or_refused(raw: bytes) -> None:
    reason = ""
    try:
        data, status = split_answer(raw)
        assert data + status.to_bytes(2, "big") == raw
    except CardAnswerInvalid as error:
        reason = error.reason
    assert reason in {"", "short", "long", "status"}


def test_a_command_does_not_print_its_data() -> None:
    assert "1234" not in repr(Command(cla=0, ins=0x20, p1=0, p2=1, data=b"1234"))
