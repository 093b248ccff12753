"""A checker that is not ours, Apache PDFBox preflight, judges what we call PDF/A-1b; opt-in: needs Java and jars.

Set VAGUEMESTRE_PREFLIGHT=1 to demand it (a missing jar then fails), docs/pdfa.md says how to install it.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path

import pikepdf
import pytest
from pikepdf import String

from vaguemestre_documents.pdf.conformity import Converted, convert, pdfa_faults
from vaguemestre_documents.pdf.footer import with_footer
from vaguemestre_documents.pdf.ins_stamp import with_ins_code
from vaguemestre_documents.pdf.policy import PdfaMode, PdfPolicy
from vaguemestre_documents.scancodes.datamatrix import symbol
from vaguemestre_testkit import pdf_samples

JARS = [
    Path(os.environ.get("VAGUEMESTRE_PREFLIGHT_JARS", "/usr/share/java")) / f"{name}.jar"
    for name in ("preflight", "pdfbox2", "fontbox2", "xmpbox", "commons-logging", "javax.activation", "jaxb-api")
]
DEMO = Path(__file__).resolve().parents[3] / "docs" / "demo"
GHOSTSCRIPT = shutil.which("gs") or ""

pytestmark = [
    pytest.mark.req("LGC.MDV.03"),
    pytest.mark.skipif(os.environ.get("VAGUEMESTRE_PREFLIGHT") != "1", reason="VAGUEMESTRE_PREFLIGHT is not 1"),
]


def preflight(content: bytes, folder: Path) -> str:
    """Return what the checker says; empty when the file is valid."""
    assert all(jar.exists() for jar in JARS), "a jar is missing"
    path = folder / "checked.pdf"
    path.write_bytes(content)
    classes = os.pathsep.join(str(jar) for jar in JARS)
    command = ("java", "-cp", classes, "org.apache.pdfbox.preflight.Validator_A1b", str(path))
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return "" if run.returncode == 0 else run.stdout[:2000]


def converted(content: bytes) -> bytes:
    outcome = convert(content, PdfPolicy(mode=PdfaMode.CONVERT, ghostscript=GHOSTSCRIPT))
    assert isinstance(outcome, Converted), outcome
    return outcome.content


def _everything_described(pdf: pikepdf.Pdf) -> None:
    for key in ("Author", "Subject", "Keywords", "Creator", "Producer"):
        pdf.docinfo[f"/{key}"] = String(f"{key} & <été> (1)")
    pdf.docinfo["/ModDate"] = String("D:20261124")


@pytest.mark.parametrize(
    "change",
    [
        None,
        _everything_described,
        pdf_samples.annotation("Link"),
        pdf_samples.page_content(b"1 0 0 rg 1 1 50 50 re f 0 0 1 RG 1 1 9 9 re S"),
    ],
    ids=["grey", "described", "link", "rgb"],
)
def test_what_we_rewrite_is_valid(change: pdf_samples.Change | None, tmp_path: Path) -> None:
    assert preflight(converted(pdf_samples.plain(change)), tmp_path) == ""


def test_a_footer_leaves_it_valid(tmp_path: Path) -> None:
    said = ["Destinataires : Dr Zoë Œuvrard ; Hôpital Bleu.", "Mention : « données » — 10 €. " * 40]
    assert preflight(with_footer(pdf_samples.conforming(), said, claims_pdfa=True), tmp_path) == ""


def test_an_ins_code_leaves_it_valid(tmp_path: Path) -> None:
    stamped = with_ins_code(pdf_samples.conforming(), symbol(bytes(range(1, 74))), claims_pdfa=True)
    assert preflight(stamped, tmp_path) == ""


@pytest.mark.skipif(not GHOSTSCRIPT, reason="Ghostscript is not installed")
@pytest.mark.parametrize(
    "change",
    [pdf_samples.font, pdf_samples.resources(ExtGState=pikepdf.Dictionary(G1=pikepdf.Dictionary(ca=0.5)))],
    ids=["font", "transparency"],
)
def test_what_ghostscript_draws_and_we_rewrite_is_valid(change: pdf_samples.Change, tmp_path: Path) -> None:
    assert preflight(converted(pdf_samples.plain(change)), tmp_path) == ""


def test_the_documents_of_the_demonstration(tmp_path: Path) -> None:
    scan, text = (DEMO / name for name in ("lettre-scannee.pdf", "consultation.pdf"))
    assert (pdfa_faults(scan.read_bytes()), preflight(scan.read_bytes(), tmp_path)) == ((), "")
    assert "FontFile entry is missing" in preflight(text.read_bytes(), tmp_path)
    if GHOSTSCRIPT:
        content = converted(text.read_bytes())
        assert preflight(content, tmp_path) == ""
        with pikepdf.open(io.BytesIO(content)) as pdf:
            assert len(pdf.pages) == 2
