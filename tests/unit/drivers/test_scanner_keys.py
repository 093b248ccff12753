"""A scanner that types: its keys, in its own layout, give back the code; its speed tells it from a person."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_drivers.scanners import layouts
from vaguemestre_drivers.scanners.attaching import DeviceLost
from vaguemestre_drivers.scanners.bursts import GAP_S, Burst, BurstGuard, Typed, TypedKey
from vaguemestre_drivers.scanners.keyboard import (
    KeyboardChoice,
    KeyboardFound,
    KeyboardScanner,
    chosen,
    open_keyboard,
)
from vaguemestre_drivers.scanners.keys import KeyEvent, KeyReader, Move, as_bytes
from vaguemestre_drivers.scanners.layouts import LAYOUTS, Layout
from vaguemestre_testkit.scanner_doubles import RecordedKeys, all_of, typed

INS = (
    "]d1IS010000000000000000000000S1275126322074974S21.2.250.1.213.1.4.8\x1d"
    "S3SARAH-LOU ANNA\x1dS4D'ARTAGNAN\x1dS5FS631-12-1975S763220"
)
BOX = ']d201034009300000211727120010aB12C!"%&()*+,-./:;<=>?_\x1d210A1B2C3D4E'


def read(events: list[KeyEvent], layout: Layout) -> str:
    reader = KeyReader(layout)
    return "".join(reader.read(event) for event in events)


@pytest.mark.parametrize("gs", ["ctrl", "alt", "f8"])
@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("code", [INS, BOX], ids=["ins", "box"])
def test_a_code_is_read_in_the_scanners_layout_however_it_types_gs(code: str, layout: Layout, gs: str) -> None:
    assert read(typed(code, layout, gs=gs), layout) == code + "\r"


def test_another_layout_gives_another_text() -> None:
    assert read(typed("IS01", Layout.US), Layout.FR) == "ISà&\r"
    assert read(typed("IS01", Layout.FR), Layout.US) == "IS)!\r"


def test_the_layouts_say_what_keys_say() -> None:
    us, french = LAYOUTS[Layout.US], LAYOUTS[Layout.FR]
    assert [us.plain[key] for key in (2, 11, 16, 27, 30, 40, 43, 44, 53)] == list("10q]a'\\z/")
    assert [us.shifted[key] for key in (2, 12, 26, 39, 51)] == list("!_{:<")
    assert [french.plain[key] for key in (2, 16, 30, 39, 44, 50, 53, 86)] == list("&aqmw,!<")
    assert [french.shifted[key] for key in (2, 11, 50, 51, 52, 86)] == list("10?./>")
    assert [french.third[key] for key in (3, 5, 6, 7, 9, 10, 11, 12, 13)] == list("~{[|\\^@]}")


def pressed(*keys: int) -> list[KeyEvent]:
    down = [KeyEvent(key=key, move=Move.DOWN, at=0) for key in keys]
    return down + [KeyEvent(key=key, move=Move.UP, at=0) for key in reversed(keys)]


@pytest.mark.parametrize(
    ("keys", "layout", "text"),
    [
        ((layouts.KEY_LEFTCTRL, layouts.KEY_RIGHTBRACE), Layout.FR, "\x1d"),
        ((layouts.KEY_RIGHTCTRL, layouts.KEY_RIGHTALT, 12), Layout.FR, "\x1d"),  # Ctrl and the French ]
        ((layouts.KEY_LEFTCTRL, layouts.KEY_LEFTSHIFT, 12), Layout.US, "\x1f"),  # US, before a 2D-Doc's signature
        ((layouts.KEY_LEFTCTRL, layouts.KEY_LEFTSHIFT, 7), Layout.US, "\x1e"),
        ((layouts.KEY_LEFTCTRL, 3), Layout.US, ""),  # Ctrl+2 writes nothing
        ((layouts.KEY_LEFTALT, 82, 79, 77, 73), Layout.US, "©"),  # Alt+0169
        ((layouts.KEY_LEFTALT, 79, 80, 82), Layout.US, "x"),  # Alt+120
        ((layouts.KEY_LEFTALT, 73, 73, 73), Layout.US, ""),
        ((layouts.KEY_KPENTER,), Layout.US, "\r"),
        ((layouts.KEY_TAB,), Layout.US, "\t"),
        ((79, 80, 81), Layout.FR, "123"),
        ((9999,), Layout.US, ""),
    ],
)
def test_separators_and_other_keys(keys: tuple[int, ...], layout: Layout, text: str) -> None:
    assert read(pressed(*keys), layout) == text


def test_caps_lock_swaps_letters_and_nothing_else() -> None:
    caps = pressed(layouts.KEY_CAPSLOCK)
    assert read([*caps, *typed("aB1-", Layout.US), *caps, *typed("aB1-", Layout.US)], Layout.US) == "Ab1-\raB1-\r"


def test_held_keys_write_once() -> None:
    held = [KeyEvent(key=30, move=move, at=0) for move in (Move.DOWN, Move.REPEAT, Move.REPEAT, Move.UP)]
    assert read(held, Layout.US) == "a"


def test_octets_typed_as_letters_are_octets() -> None:
    assert as_bytes("é\x1d") == b"\xe9\x1d"
    assert as_bytes("€") == "€".encode()


@given(st.lists(st.tuples(st.integers(0, 255), st.sampled_from(Move)), max_size=60), st.sampled_from(Layout))
def test_any_keys_are_read_without_a_fault(moves: list[tuple[int, Move]], layout: Layout) -> None:
    reader = KeyReader(layout)
    for key, move in moves:
        assert len(reader.read(KeyEvent(key=key, move=move, at=0.0))) <= 1


ASCII = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=40)


@given(ASCII, st.sampled_from(Layout), st.sampled_from(["ctrl", "alt", "f8"]))
def test_what_is_typed_is_read(text: str, layout: Layout, gs: str) -> None:
    writable = "".join(
        character
        for character in text
        if any(character in level.values() for level in (LAYOUTS[layout].plain, LAYOUTS[layout].shifted))
    )
    code = writable[:20] + "\x1d" + writable[20:]
    assert read(typed(code, layout, gs=gs), layout) == code + "\r"


# The held keyboard.


def test_codes_end_at_enter_or_after_a_silence() -> None:
    now = itertools.chain([0.5, 0.9], itertools.repeat(99.0))
    first, second = typed("CODE1", Layout.FR), typed("CODE2", Layout.FR, at=1.0)[:-2]
    scanner = KeyboardScanner(RecordedKeys([first, [], second, []]), KeyboardChoice(), clock=lambda: next(now))
    assert all_of(scanner, 4) == [b"CODE1"]
    assert all_of(scanner, 1) == [b"CODE2"]


def test_a_lost_keyboard_is_given_back() -> None:
    source = RecordedKeys([typed("AB", Layout.FR)], is_lost_after=True)
    scanner = KeyboardScanner(source, KeyboardChoice())
    assert all_of(scanner, 1) == [b"AB"]
    with pytest.raises(DeviceLost):
        scanner.step()
    scanner.close()
    assert source.is_closed


OWN = KeyboardFound(path="/dev/input/event0", vendor_id=1, product_id=1, types=True)
SCANNER = KeyboardFound(path="/dev/input/event5", vendor_id=0x05E0, product_id=0x1200, types=True)
BUTTONS = KeyboardFound(path="/dev/input/event4", vendor_id=0x05E0, product_id=0x1200, types=False)


def test_only_a_keyboard_that_was_named_is_taken() -> None:
    found = [SCANNER, BUTTONS, OWN]
    assert chosen(found, KeyboardChoice()) is None
    assert chosen(found, KeyboardChoice(vendor_id=0x05E0)) is None
    assert chosen(found, KeyboardChoice(vendor_id=0x05E0, product_id=0x1200)) == SCANNER.path
    assert chosen(found, KeyboardChoice(vendor_id=7, product_id=7)) is None
    assert chosen(found, KeyboardChoice(path="/dev/input/by-id/x")) == "/dev/input/by-id/x"


def test_a_keyboard_that_is_not_there_is_a_situation() -> None:
    with pytest.raises(CardTrouble) as trouble:
        open_keyboard(KeyboardChoice(path="/dev/input/no-such-scanner"))
    assert trouble.value.situation is Situation.SCANNER_ABSENT


# Told by its speed.


def keys(text: str, *, gap_s: float, at: float = 0.0) -> list[TypedKey]:
    return [TypedKey(character=letter, at=at + place * gap_s) for place, letter in enumerate(text)]


def test_fast_keys_and_enter_are_a_code() -> None:
    guard = BurstGuard()
    verdicts = [verdict for key in keys(INS + "\r", gap_s=0.004) for verdict in guard.feed(key)]
    assert [type(verdict) for verdict in verdicts] == [Burst]
    assert isinstance(verdicts[0], Burst)
    assert verdicts[0].raw.content.reveal() == INS.encode()
    assert "ARTAGNAN" not in repr(verdicts)


@pytest.mark.parametrize(
    ("text", "gap_s"),
    [("Bonjour docteur\r", 0.12), ("azerty\r", 0.01), ("oui\r", 0.005), ("\r", 0.0), ("sans fin de ligne", 0.005)],
)
def test_a_persons_keys_are_passed_on(text: str, gap_s: float) -> None:
    guard = BurstGuard()
    given_keys = keys(text, gap_s=gap_s)
    verdicts = [verdict for key in given_keys for verdict in guard.feed(key)] + list(guard.rest(1e9))
    assert all(isinstance(verdict, Typed) for verdict in verdicts)
    assert [key for verdict in verdicts for key in verdict.keys] == given_keys


def test_a_scan_after_a_persons_keys_is_told_apart() -> None:
    guard = BurstGuard()
    given_keys = [*keys("nom", gap_s=0.2), *keys("3400930000021\r", gap_s=0.003, at=5.0)]
    verdicts = [verdict for key in given_keys for verdict in guard.feed(key)]
    assert [type(verdict).__name__ for verdict in verdicts] == ["Typed", "Typed", "Typed", "Burst"]


EVENTS = st.lists(st.tuples(st.text(min_size=1, max_size=1), st.floats(-0.05, 1.0)), max_size=80)


@given(EVENTS, st.lists(st.integers(0, 79), max_size=10))
def test_every_key_comes_out_once_and_in_order(events: list[tuple[str, float]], looks: list[int]) -> None:
    guard, at = BurstGuard(least_keys=2), 0.0
    given_keys: list[TypedKey] = []
    out: list[TypedKey] = []
    for place, (character, gap) in enumerate(events):
        at += gap
        key = TypedKey(character="\r" if character < "9" else character, at=at)
        given_keys.append(key)
        for verdict in guard.feed(key):
            out += verdict.keys
            if isinstance(verdict, Burst):
                gaps = [after.at - before.at for before, after in itertools.pairwise(verdict.keys)]
                assert all(0 <= each <= GAP_S + 1e-9 for each in gaps)
        if place in looks:
            out += [key for verdict in guard.rest(at + 1) for key in verdict.keys]
    out += [key for verdict in guard.rest(at + 1) for key in verdict.keys]
    assert out == given_keys
