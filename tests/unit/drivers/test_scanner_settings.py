"""The settings of scanners: each kind, what is refused, and that no device is taken that nobody named."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.errors import InvalidInput
from vaguemestre_drivers.scanners.camera import CameraChoice
from vaguemestre_drivers.scanners.keyboard import KeyboardChoice, open_keyboard
from vaguemestre_drivers.scanners.layouts import Layout
from vaguemestre_drivers.scanners.serialscanner import SerialChoice, open_serial
from vaguemestre_drivers.scanners.starting import NamedScanner, scanners_of


def test_each_kind_is_read() -> None:
    assert scanners_of(
        [
            {"name": "accueil", "kind": "serial", "port": "COM3"},
            {"name": "soins", "kind": "serial", "vendor_id": 3118, "serial_number": "S1", "baud": 19200},
            {"name": "clavier", "kind": "keyboard", "vendor_id": 1, "product_id": 2, "layout": "us"},
            {"name": "caméra", "kind": "camera"},
        ]
    ) == (
        NamedScanner(name="accueil", choice=SerialChoice(port="COM3")),
        NamedScanner(name="soins", choice=SerialChoice(vendor_id=3118, serial_number="S1", baud=19200)),
        NamedScanner(name="clavier", choice=KeyboardChoice(vendor_id=1, product_id=2, layout=Layout.US)),
        NamedScanner(name="caméra", choice=CameraChoice()),
    )


@pytest.mark.parametrize(
    ("settings", "pointer"),
    [
        ({}, ""),
        ("x", ""),
        ([3], "/0"),
        ([{"kind": "serial"}], "/0/name"),
        ([{"name": "a", "kind": "pigeon"}], "/0/kind"),
        ([{"name": "a", "kind": "serial"}], "/0"),
        ([{"name": "a", "kind": "keyboard"}], "/0"),
        ([{"name": "a", "kind": "keyboard", "vendor_id": 1}], "/0"),
        ([{"name": "a", "kind": "camera", "number": True}], "/0/number"),
        ([{"name": "a", "kind": "camera", "number": -1}], "/0/number"),
        ([{"name": "a", "kind": "keyboard", "path": "/x", "layout": "dvorak"}], "/0/layout"),
        ([{"name": "a", "kind": "camera", "colour": 1}], "/0/colour"),
        ([{"name": "", "kind": "camera"}], "/0"),
        ([{"name": "a", "kind": "camera"}, {"name": "a", "kind": "camera"}], "/1/name"),
    ],
)
def test_what_is_wrong_is_pointed_at(settings: object, pointer: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        scanners_of(settings)
    assert (refused.value.code, refused.value.params["pointer"]) == ("SCANNER_SETTINGS_INVALID", pointer)


VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=3)
MEMBERS = st.sampled_from(["name", "kind", "port", "vendor_id", "product_id", "layout", "number", "path", "baud"])
KINDS = st.sampled_from(["serial", "keyboard", "camera"])


@given(st.lists(st.dictionaries(MEMBERS, VALUES | KINDS, max_size=6), max_size=3))
def test_any_settings_are_read_or_refused(settings: list[dict[str, object]]) -> None:
    refused = None
    try:
        found = scanners_of(settings)
    except InvalidInput as error:
        refused, found = error.code, ()
    assert refused in (None, "SCANNER_SETTINGS_INVALID")
    assert refused is not None or len(found) == len(settings)


@pytest.mark.parametrize(
    ("library", "open_it"),
    [
        ("serial", lambda: open_serial(SerialChoice(port="COM3"))),
        ("serial", lambda: open_serial(SerialChoice(vendor_id=1))),
        ("evdev", lambda: open_keyboard(KeyboardChoice(path="/dev/input/event0"))),
        ("evdev", lambda: open_keyboard(KeyboardChoice(vendor_id=1, product_id=2))),
    ],
)
def test_a_library_that_is_not_installed_is_a_situation(
    library: str, open_it: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(CardTrouble) as trouble:
        open_it()
    assert trouble.value.situation is Situation.SCANNER_ABSENT
