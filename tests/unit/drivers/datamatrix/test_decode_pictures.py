"""Pictures are read at least as often as by each reader alone, with the same content, identifier, place and turn."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from vaguemestre_drivers.datamatrix import libdmtx, zxing
from vaguemestre_drivers.datamatrix.decoding import NativeDecoder
from vaguemestre_drivers.datamatrix.native import DecoderMissing
from vaguemestre_drivers.datamatrix.plan import STILL, Engine, Kinds, Pass, Wish
from vaguemestre_drivers.datamatrix.symbols import FoundSymbol, Reader

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FAMILIES = (
    "clean",
    "rotated",
    "blurred",
    "low_contrast",
    "small_720p",
    "damaged",
    "glare",
    "perspective",
    "inverse",
    "rectangular",
)
COUNT = 4
SEED = 1
DMTX_LIMIT_MS = 200


@pytest.fixture
def second() -> None:
    if not libdmtx.available():
        pytest.skip("libdmtx is not installed")


def bare_zxing(image: NDArray[np.uint8]) -> list[bytes]:
    import zxingcpp

    return [
        one.bytes
        for one in zxingcpp.read_barcodes(image, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.DataMatrix))
    ]


def bare_dmtx(image: NDArray[np.uint8]) -> list[bytes]:
    from pylibdmtx import pylibdmtx

    return [one.data for one in pylibdmtx.decode(image, timeout=DMTX_LIMIT_MS, max_count=1)]


def contents(image: NDArray[np.uint8]) -> list[bytes]:
    return [one.content.reveal() for one in NativeDecoder().decode(image, budget_s=6.0).symbols]


@pytest.mark.parametrize("family", FAMILIES)
def test_ours_reads_at_least_as_often_as_the_best(families: ModuleType, second: None, family: str) -> None:
    assert tuple(families.FAMILIES) == FAMILIES
    samples = families.samples(family, count=COUNT, seed=SEED)
    ours = sum(one.content in contents(one.image) for one in samples)
    with_zxing = sum(one.content in bare_zxing(one.image) for one in samples)
    # Bare, it loses FNC1: read is read, even without the separators.
    with_dmtx = sum(one.content.replace(b"\x1d", b"") in [c.replace(b"\x1d", b"") for c in bare_dmtx(one.image)]
                    for one in samples)  # fmt: skip
    assert ours >= max(with_zxing, with_dmtx)
    assert ours > 0


def test_nothing_that_is_not_there_is_read(families: ModuleType) -> None:
    import numpy as np

    rng = np.random.default_rng(9)
    pictures = [
        rng.integers(0, 256, (160, 160)).astype(np.uint8),
        np.clip(families.clutter(rng, (300, 300), lines=12), 0, 255).astype(np.uint8),
        np.full((64, 64), 255, np.uint8),
    ]
    for picture in pictures:
        assert contents(picture) == []


def scene(families: ModuleType) -> tuple[NDArray[np.uint8], list[bytes]]:
    """Three symbols on one page, one of them turned by a quarter."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(4)
    page = np.full((400, 800), 240, np.uint8)
    held = []
    for index in range(3):
        symbol = families.square(rng, index)
        look = families.Look(module=4.0, angle=90.0 if index == 1 else 0.0, light=240)
        drawn = families.draw(rng, symbol.modules, look).astype(np.uint8)
        y, x = 30, 30 + 260 * index
        page[y : y + drawn.shape[0], x : x + drawn.shape[1]] = drawn
        held.append(symbol.content)
    cv2.putText(page, "INS", (30, 380), cv2.FONT_HERSHEY_SIMPLEX, 1, 0, 2)
    return page, held


def test_several_symbols_of_one_picture_are_read(families: ModuleType) -> None:
    page, held = scene(families)
    decoding = NativeDecoder().decode(page, wish=Wish.ALL)
    assert {one.content.reveal() for one in decoding.symbols} == set(held)
    assert len(decoding.symbols) == 3


@pytest.mark.parametrize("reader", list(Reader))
@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 200.0])
def test_both_readers_agree_on_content_identifier_place_and_turn(
    families: ModuleType, second: None, reader: Reader, angle: float
) -> None:
    import numpy as np

    rng = np.random.default_rng(4)
    for index in range(2):
        symbol = families.square(rng, index)
        image = families.plain(rng, symbol, families.Look(module=6.0, angle=angle))
        found: tuple[FoundSymbol, ...] = (
            zxing.decode(image, engine=Engine.ZXING_FULL, kinds=Kinds.DATA_MATRIX, found_by="t")
            if reader is Reader.ZXING
            else libdmtx.decode(image, limit_s=1.0, found_by="t")
        )
        (one,) = found
        assert one.content.reveal() == symbol.content
        assert one.symbology == ("]d2" if symbol.gs1 else "]d1")
        assert one.reader is reader
        assert abs((one.rotation_deg - angle + 180) % 360 - 180) < 3
        middle = (image.shape[1] / 2, image.shape[0] / 2)
        assert one.place.centre() == pytest.approx(middle, abs=6)
        side = symbol.modules.shape[0] * 6.0
        assert one.place.extent() == pytest.approx(side / 2 * 2**0.5, rel=0.1)


def test_a_content_goes_past_a_zero_byte(families: ModuleType, second: None) -> None:
    import numpy as np

    rng = np.random.default_rng(4)
    content = b"before\x00after"
    modules = families.by_libdmtx(content, gs1=False, scheme="Base256", size="SquareAuto")
    symbol = families.Symbol(modules=modules, content=content, gs1=False)
    image = families.plain(rng, symbol, families.Look())
    (one,) = libdmtx.decode(image, limit_s=1.0, found_by="t")
    assert one.content.reveal() == content


def test_other_symbologies_are_read(families: ModuleType) -> None:
    import numpy as np
    import zxingcpp

    for name, content, symbology in (
        ("QRCode", b"DC04FR000001\x1fSIGNATURE", "]Q"),
        ("EAN13", b"3400930000021", "]E0"),
        ("Code128", b"LOT42-A", "]C0"),
    ):
        made = zxingcpp.create_barcode(content.decode(), getattr(zxingcpp.BarcodeFormat, name))
        image = np.array(made.to_image(scale=4))
        (one,) = NativeDecoder().decode(image).symbols
        assert one.content.reveal() == content
        assert one.symbology.startswith(symbology)


class Clock:
    """Each look at it takes as long as told."""

    def __init__(self, step_s: float) -> None:
        self._step = step_s
        self._now = 0.0

    def __call__(self) -> float:
        self._now += self._step
        return self._now


def test_no_pass_starts_when_the_budget_is_over(native: None) -> None:
    import numpy as np

    empty = np.full((200, 200), 255, np.uint8)
    decoding = NativeDecoder(clock=Clock(0.5)).decode(empty, budget_s=2.2)
    assert decoding.passes == ("direct", "inverted")
    assert decoding.skipped == tuple(one.name for one in STILL[2:])


def test_a_missing_second_chance_is_skipped_and_said(native: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    monkeypatch.setattr(libdmtx, "_library", lambda: None)
    assert not libdmtx.available()
    decoding = NativeDecoder().decode(np.full((200, 200), 255, np.uint8), budget_s=1.0)
    assert set(decoding.skipped) == {one.name for one in STILL if one.engine is Engine.LIBDMTX}
    plan = [Pass(name="second", engine=Engine.LIBDMTX, at_most_s=0.1)]
    assert NativeDecoder().decode(np.full((64, 64), 255, np.uint8), plan=plan).skipped == ("second",)


def test_a_missing_second_chance_is_searched_for_once(native: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    searches = []
    monkeypatch.setattr(libdmtx, "_path", lambda: searches.append("search"))
    libdmtx._library.cache_clear()
    try:
        assert not libdmtx.available()
        for _ in range(2):
            with pytest.raises(DecoderMissing, match="DECODER_MISSING"):
                libdmtx.decode(np.full((64, 64), 255, np.uint8), limit_s=0.1, found_by="t")
        assert searches == ["search"]
    finally:
        libdmtx._library.cache_clear()


def test_the_second_chance_imports_nothing_of_pylibdmtx(native: None, second: None) -> None:
    import sys

    before = set(sys.modules)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        libdmtx._library.cache_clear()
        assert libdmtx.available()
    assert not {name for name in set(sys.modules) - before if "distutils" in name or "pylibdmtx" in name}
