"""Pages of a PDF become pictures in bounded time and size, and their codes are read."""

from __future__ import annotations

import io
from types import ModuleType

import pytest
from pikepdf import Encryption, Pdf

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.scans import ScanSource
from vaguemestre_drivers.datamatrix.decoding import NativeDecoder
from vaguemestre_drivers.datamatrix.files import FileReader
from vaguemestre_drivers.datamatrix.pages import PageLimits, is_pdf, opened
from vaguemestre_drivers.datamatrix.plan import Wish


@pytest.fixture(scope="module", autouse=True)
def _pdfium(native: None) -> None:
    pytest.importorskip("pypdfium2", reason="pypdfium2 is not installed (extra readers)")


def saved(pdf: Pdf, encryption: Encryption | None = None) -> bytes:
    held = io.BytesIO()
    pdf.save(held, encryption=encryption or False)
    return held.getvalue()


def pdf_of(contents: list[bytes], size: tuple[float, float] = (595, 842)) -> bytes:
    pdf = Pdf.new()
    for content in contents:
        pdf.add_blank_page(page_size=size).obj.Contents = pdf.make_stream(content)
    return saved(pdf)


def drawn(symbol: object, *, module: float = 1.2, at: tuple[float, float] = (60, 700)) -> bytes:
    """Return the page content that draws a symbol with squares of ``module`` points (1.2 = 0.42 mm)."""
    rows = symbol.modules  # type: ignore[attr-defined]
    squares = [
        f"{at[0] + x * module:.2f} {at[1] - y * module:.2f} {module + 0.02:.2f} {module + 0.02:.2f} re"
        for y, row in enumerate(rows)
        for x, dark in enumerate(row)
        if dark
    ]
    return (" ".join(squares) + " f").encode()


class Clock:
    """Each look at it takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def symbols(families: ModuleType) -> list[object]:
    rng = families.np.random.default_rng(5)
    return [families.square(rng, index) for index in range(2)]


def test_codes_of_a_page_are_read(families: ModuleType) -> None:
    box, identity = symbols(families)
    page = drawn(box) + b" " + drawn(identity, at=(300, 400))
    reading = FileReader(NativeDecoder()).read_file(pdf_of([page]))
    assert {(one.symbol.content.reveal(), one.symbol.symbology) for one in reading.found} == {
        (box.content, "]d2"),  # type: ignore[attr-defined]
        (identity.content, "]d1"),  # type: ignore[attr-defined]
    }
    assert {one.source for one in reading.found} == {ScanSource.PDF}
    assert (reading.pages_read, reading.pages_left) == (1, 0)


def test_the_first_wish_stops_at_its_page(families: ModuleType) -> None:
    box, identity = symbols(families)
    data = pdf_of([drawn(identity), drawn(box)])
    reader = FileReader(NativeDecoder())
    first = reader.read_file(data, wish=Wish.FIRST)
    assert [(one.page, one.symbol.content.reveal()) for one in first.found] == [(0, identity.content)]  # type: ignore[attr-defined]
    assert [one.page for one in reader.read_file(data).found] == [0, 1]
    assert [one.page for one in reader.read_file(data, page=1).found] == [1]


def test_pages_are_of_bounded_size(native: None) -> None:
    limits = PageLimits(max_pixels=500_000)
    with opened(pdf_of([b""], size=(14_000, 14_000)), limits) as document:
        assert document.page(0, budget_s=5).size <= 500_000
    with opened(pdf_of([b""]), PageLimits(dpi=72)) as document:
        page = document.page(0, budget_s=5)
        assert page.shape == (842, 595)
        assert page.min() == 255


def test_only_the_first_pages_are_looked_at() -> None:
    with opened(pdf_of([b""] * 9), PageLimits(max_pages=3, dpi=40)) as document:
        assert document.count == 3
        with pytest.raises(InvalidInput, match="PDF_PAGE_UNREADABLE"):
            document.page(3, budget_s=5)
        with pytest.raises(InvalidInput, match="PDF_PAGE_UNREADABLE"):
            document.page(-1, budget_s=5)


def test_a_page_that_takes_too_long_is_given_up() -> None:
    slow = b" ".join(b"%d %d 300 300 re f" % (x % 500, x % 700) for x in range(20_000))
    with opened(pdf_of([slow]), clock=Clock()) as document, pytest.raises(InvalidInput, match="PICTURE_TOO_SLOW"):
        document.page(0, budget_s=1.5)


def test_a_password_is_told_apart_from_damage() -> None:
    pdf = Pdf.new()
    pdf.add_blank_page()
    locked = saved(pdf, encryption=Encryption(owner="o", user="u"))
    for data, expected in ((locked, "PDF_LOCKED"), (b"%PDF-1.7 nothing of it", "PDF_UNREADABLE")):
        with pytest.raises(InvalidInput) as refused, opened(data):
            pass
        assert refused.value.code == expected


def test_a_page_smaller_than_a_symbol_cannot_be_drawn() -> None:
    with (
        opened(pdf_of([b""], size=(3, 842)), PageLimits(dpi=20)) as document,
        pytest.raises(InvalidInput, match="PDF_PAGE_UNREADABLE"),
    ):
        document.page(0, budget_s=5)


def test_too_many_bytes_are_refused() -> None:
    with (
        pytest.raises(InvalidInput, match="PICTURE_TOO_LARGE"),
        opened(b"%PDF-1.4" + bytes(100), PageLimits(max_bytes=50)),
    ):
        pass


def test_an_image_has_one_page() -> None:
    import cv2
    import numpy as np

    data = cv2.imencode(".png", np.full((50, 50), 255, np.uint8))[1].tobytes()
    reader = FileReader(NativeDecoder())
    assert reader.read_file(data, budget_s=0.2).found == ()
    with pytest.raises(InvalidInput, match="PDF_PAGE_UNREADABLE"):
        reader.read_file(data, page=1)
    assert not is_pdf(data)
