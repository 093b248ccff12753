"""The PIN's buffer, what goes through the pipes, and the sentences: wiped, redacted, bounded, in French."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.cpspin import PIN_LENGTH, PinRequest, PinState, PinUse, Requester
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.redaction import Personal
from vaguemestre_drivers.pin import words
from vaguemestre_drivers.pin.typing_buffer import TypedDigits
from vaguemestre_drivers.pin.values import Pin, PinNotGiven, wipe
from vaguemestre_drivers.pin.wire import (
    GIVEN,
    LENGTH_BYTES,
    MARKS,
    decode_answer,
    decode_request,
    encode_request,
)

REQUESTS = st.builds(
    PinRequest,
    asker=st.text(min_size=1, max_size=100).filter(lambda text: bool(text.strip())),
    use=st.sampled_from(PinUse),
    requester=st.sampled_from(Requester),
    state=st.sampled_from(PinState),
    holder=st.none() | st.builds(Personal, st.text(max_size=80)),
)


def request(state: PinState = PinState.OK, holder: str | None = "Dr Camille FICTIF") -> PinRequest:
    return PinRequest(
        asker="Logiciel Exemple",
        use=PinUse.OPEN_SESSION,
        requester=Requester.PERSON,
        state=state,
        holder=None if holder is None else Personal(holder),
    )


def test_a_pin_is_wiped_after_use() -> None:
    buffer = bytearray(b"4711")
    with Pin(buffer) as pin:
        assert bytes(pin.reveal()) == b"4711"
    assert buffer == bytes(4)


@pytest.mark.parametrize("wrong", [b"", b"12a4", b"1" * 13, "١٢٣٤".encode()])
def test_what_is_no_pin_is_wiped_and_refused(wrong: bytes) -> None:
    buffer = bytearray(wrong)
    with pytest.raises(ValueError, match="digits"):
        Pin(buffer)
    assert buffer == bytes(len(wrong))


def test_a_pin_neither_prints_nor_travels() -> None:
    pin = Pin(bytearray(b"4711"))

    for text in (repr(pin), str(pin), f"{pin}", f"{pin!r:>30}"):
        assert "4711" not in text
    for travel in (copy.copy, copy.deepcopy, Pin.__reduce__):
        with pytest.raises(TypeError):
            travel(pin)


@given(st.lists(st.integers(0, 0x10FFFF) | st.integers(0x30, 0x39) | st.just(-1), max_size=20))
def test_typing_keeps_digits_only_and_never_grows(keys: list[int]) -> None:
    typed, expected = TypedDigits(), ""
    for key in keys:
        if key < 0:
            typed.erase_last()
            expected = expected[:-1]
        else:
            typed.add(key)
            expected += chr(key) if 0x30 <= key <= 0x39 and len(expected) < PIN_LENGTH else ""
        assert typed.count == len(expected)
        assert typed.is_complete is (len(expected) == PIN_LENGTH)
    assert "".join(expected) not in repr(typed) or not expected
    answer = typed.answer(GIVEN)
    assert bytes(answer) == b"P" + expected.encode().ljust(PIN_LENGTH, b"\x00")
    assert typed.count == 0


@given(REQUESTS, st.floats(0, 1000))
def test_a_request_is_read_back(asked: PinRequest, deadline_s: float) -> None:
    frame = encode_request(asked, deadline_s=deadline_s)

    assert int.from_bytes(frame[:LENGTH_BYTES], "big") == len(frame) - LENGTH_BYTES
    assert decode_request(frame[LENGTH_BYTES:]) == (asked, deadline_s)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text(), st.lists, max_leaves=5).map(lambda x: repr(x).encode())
)
def test_any_bytes_are_refused_as_a_request(body: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode_request(body)
    assert refused.value.code == "PIN_REQUEST_INVALID"


@given(st.binary(max_size=32))
def test_any_answer_is_a_verdict_and_is_wiped(raw: bytes) -> None:
    answer = bytearray(raw)
    verdict = decode_answer(answer)

    assert answer == bytes(len(raw))
    is_pin = raw.removeprefix(b"T")[:1] == b"P" and raw.removeprefix(b"T")[1:].isdigit() and len(raw) in (5, 6)
    assert isinstance(verdict, Pin) is is_pin


def test_every_verdict_has_its_mark() -> None:
    for verdict, mark in MARKS.items():
        assert decode_answer(bytearray(mark)) is verdict
        assert decode_answer(bytearray(b"T" + mark)) is verdict
    pin = decode_answer(bytearray(b"T" + b"P4711"))
    assert isinstance(pin, Pin)
    assert pin.reveal() == b"4711"
    assert decode_answer(bytearray(b"T")) is PinNotGiven.LOST


def test_wiping_is_in_place() -> None:
    buffer = bytearray(b"abc")
    wipe(buffer)
    assert buffer == bytes(3)


def test_every_case_has_its_sentence() -> None:
    assert set(words.USES) == set(PinUse)
    assert set(words.REQUESTERS) == set(Requester)
    assert set(words.TRIES) == set(PinState)


def test_the_window_says_who_asks_what_for_and_what_it_costs() -> None:
    lines = "\n".join(words.wording(request(PinState.LAST_TRY)).lines())

    for said in ("Logiciel Exemple", "en votre nom", "Dr Camille FICTIF", "DERNIER ESSAI", "à l'instant"):
        assert said in lines
    assert words.wording(request(PinState.LAST_TRY)).tries_urgent
    assert not words.wording(request()).tries_urgent
    assert "Carte de" not in "\n".join(words.wording(request(holder=None)).lines())
    assert "FICTIF" not in repr(words.wording(request()))


@given(st.text(max_size=300))
def test_text_of_others_stays_on_its_line(text: str) -> None:
    shown = words.shown(text)

    assert len(shown) <= 60
    assert shown.isprintable()
    assert words.counted(1) == "1 chiffre sur 4"
