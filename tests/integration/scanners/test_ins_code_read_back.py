"""A made INS code is read by decoders that are not ours, from its picture and from the page that carries it."""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import replace
from types import ModuleType

import pytest

from vaguemestre_core.identities import PatientIdentity
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_core.scans import InsScan, RawScan, ScanSource
from vaguemestre_documents.pdf.ins_stamp import with_ins_code
from vaguemestre_documents.scancodes.ins_writing import ins_symbol, ins_text
from vaguemestre_documents.scancodes.picture import png
from vaguemestre_documents.scancodes.recognise import recognise
from vaguemestre_testkit import pdf_samples
from vaguemestre_testkit.code_samples import ZOE

pytestmark = pytest.mark.req("SC.CDA/VISU.04")

LONG = "MARIE-ANGELIQUE D'ARC " * 4 + "ANNE"
PATIENTS = [
    ZOE,
    replace(ZOE, given_names="PIERRE-ALAIN MURIEL FLORIANT", first_given_name="PIERRE-ALAIN", birth_name="D'ARTAGNAN"),
    replace(ZOE, given_names=LONG, first_given_name="MARIE-ANGELIQUE", birth_name=LONG),
]


@pytest.fixture(scope="module")
def zxing() -> ModuleType:
    module: ModuleType = pytest.importorskip("zxingcpp", reason="zxing-cpp is not installed")
    return module


@pytest.fixture(scope="module")
def image() -> ModuleType:
    module: ModuleType = pytest.importorskip("PIL.Image", reason="pillow is not installed")
    return module


@pytest.mark.parametrize("patient", PATIENTS, ids=["short", "compound", "long"])
@pytest.mark.parametrize("module_px", [2, 6, 11])
def test_zxing_reads_the_picture(
    zxing: ModuleType, image: ModuleType, patient: PatientIdentity, module_px: int
) -> None:
    picture = image.open(io.BytesIO(png(ins_symbol(patient), module_px=module_px))).convert("L")
    found = zxing.read_barcodes(picture, formats=zxing.BarcodeFormat.DataMatrix)
    assert [(each.bytes, each.symbology_identifier) for each in found] == [(ins_text(patient).reveal().encode(), "]d1")]
    scan = recognise(
        RawScan(content=SecretBytes(found[0].bytes), source=ScanSource.IMAGE, symbology=found[0].symbology_identifier),
        today=dt.date(2026, 11, 24),
    )
    assert isinstance(scan, InsScan)
    assert (scan.ins, scan.given_names, scan.hints) == (patient.ins, patient.given_names, frozenset())


@pytest.mark.parametrize("patient", PATIENTS, ids=["short", "compound", "long"])
def test_libdmtx_reads_the_picture(image: ModuleType, patient: PatientIdentity) -> None:
    dmtx = pytest.importorskip("pylibdmtx.pylibdmtx", reason="libdmtx is not installed", exc_type=ImportError)
    picture = image.open(io.BytesIO(png(ins_symbol(patient), module_px=6))).convert("L")
    found = dmtx.decode(picture, timeout=5000, max_count=1)
    assert [each.data for each in found] == [ins_text(patient).reveal().encode()]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("patient", PATIENTS, ids=["short", "compound", "long"])
def test_the_page_that_carries_it_is_read_upright_at_200_dpi(
    zxing: ModuleType, patient: PatientIdentity, turn: int
) -> None:
    pdfium = pytest.importorskip("pypdfium2", reason="pypdfium2 is not installed")
    given = pdf_samples.plain(lambda pdf: setattr(pdf.pages[0].obj, "Rotate", turn))
    document = pdfium.PdfDocument(with_ins_code(given, ins_symbol(patient), claims_pdfa=False))
    page = document[0]
    picture = page.render(scale=200 / 72, grayscale=True).to_numpy().squeeze()
    page.close()
    document.close()
    found = zxing.read_barcodes(picture, formats=zxing.BarcodeFormat.DataMatrix, try_rotate=False)
    assert [each.bytes for each in found] == [ins_text(patient).reveal().encode()]
