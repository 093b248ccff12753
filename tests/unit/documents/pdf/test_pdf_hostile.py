"""Hostile PDF in the real worker: each ends in a code, in time, within the memory allowed, and the worker goes on."""

from __future__ import annotations

import datetime as dt
import io
import shutil
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import pikepdf
import pytest

from vaguemestre_core.frames import Frame, read_frame
from vaguemestre_documents.pdf.policy import PdfaMode, PdfPolicy
from vaguemestre_documents.worker import encode_request
from vaguemestre_testkit import metadata_samples, pdf_samples

resource = pytest.importorskip("resource", reason="the memory of the worker is bounded on POSIX systems only")
MEMORY = 1_073_741_824
DEADLINE_S = 50
BOMB = zlib.compress(bytes(400_000_000), 9)


def _file(objects: list[bytes], trailer: bytes = b"/Root 1 0 R", *, size: int | None = None) -> bytes:
    content = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, item in enumerate(objects, 1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, item)
    start = len(content)
    count = len(objects) + 1
    content += b"xref\n0 %d\n0000000000 65535 f \n" % count
    content += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return bytes(content + b"trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (size or count, trailer, start))


def _stream(entries: bytes, data: bytes) -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(data), data)


PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>"
CATALOGUE = b"<< /Type /Catalog /Pages 2 0 R >>"
PAGES = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"


def _bomb() -> bytes:
    return _file([CATALOGUE, PAGES, PAGE, _stream(b"/Filter /FlateDecode", BOMB)])


def _double_bomb() -> bytes:
    packed = zlib.compress(BOMB, 9)
    return _file([CATALOGUE, PAGES, PAGE, _stream(b"/Filter [/FlateDecode /FlateDecode]", packed)])


def _object_stream_bomb() -> bytes:
    """An object stream that grows to 400 MB, read by the library itself."""
    content = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
    at = len(content)
    content += b"1 0 obj\n" + _stream(b"/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode", BOMB) + b"\nendobj\n"
    start = len(content)
    rows = b"".join(
        kind.to_bytes(1, "big") + a.to_bytes(4, "big") + b.to_bytes(1, "big")
        for kind, a, b in ((0, 0, 0), (1, at, 0), (2, 1, 0), (1, start, 0))
    )
    content += b"3 0 obj\n" + _stream(b"/Type /XRef /Size 4 /W [1 4 1] /Root 2 0 R", rows) + b"\nendobj\n"
    return bytes(content + b"startxref\n%d\n%%%%EOF\n" % start)


def _many_objects() -> bytes:
    """More objects than are examined."""
    one = [b"null"] * 400_000
    return _file([CATALOGUE, PAGES, PAGE, _stream(b"", b""), *one])


def _page_loop() -> bytes:
    return _file(
        [CATALOGUE, b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"]
    )


def _deep() -> bytes:
    return _file([CATALOGUE, PAGES, PAGE, _stream(b"", b""), b"[" * 100_000 + b"]" * 100_000])


def _many_tokens() -> bytes:
    return _file([CATALOGUE, PAGES, PAGE, _stream(b"/Filter /FlateDecode", zlib.compress(b"q Q " * 10_000_000))])


def _parentheses() -> bytes:
    return _file([CATALOGUE, PAGES, PAGE, _stream(b"/Filter /FlateDecode", zlib.compress(b"(" * 20_000_000))])


def _hex_strings() -> bytes:
    return _file([CATALOGUE, PAGES, PAGE, _stream(b"/Filter /FlateDecode", zlib.compress(b"<a" * 3_000_000))])


def _script() -> bytes:
    return pdf_samples.changed(pdf_samples.open_action("JavaScript", JS=pikepdf.String("while(1);")))


def _huge_table() -> bytes:
    return _file([CATALOGUE, PAGES, PAGE, _stream(b"", b"")]).replace(b"xref\n0 5\n", b"xref\n0 2000000000\n")


HOSTILE = {
    "bomb": (_bomb, {"PDF_TOO_COMPLEX"}),
    "double_bomb": (_double_bomb, {"PDF_TOO_COMPLEX"}),
    "object_stream_bomb": (_object_stream_bomb, {"PDF_TOO_COMPLEX", "PDF_UNREADABLE"}),
    "many_objects": (_many_objects, {"PDF_TOO_COMPLEX"}),
    "page_loop": (_page_loop, {"PDF_UNREADABLE"}),
    "deep": (_deep, {"PDF_UNREADABLE", "PDF_TOO_COMPLEX"}),
    "many_tokens": (_many_tokens, {"PDF_TOO_COMPLEX"}),
    "parentheses": (_parentheses, {"PDF_TOO_COMPLEX"}),
    "hex_strings": (_hex_strings, {"PDFA_CONTENT"}),
    "script": (_script, {"PDFA_JAVASCRIPT"}),
    "huge_table": (_huge_table, {"PDF_UNREADABLE"}),
}


def _worker(bodies: list[bytes], policy: PdfPolicy) -> tuple[list[Frame], str]:
    """Return the answers of one worker with 1 GiB of address space, and what it said on standard error."""
    frames = b"".join(
        encode_request(replace(metadata_samples.preparation(body), pdf=policy, max_body_bytes=25_000_000))
        for body in bodies
    )
    run = subprocess.run(
        (sys.executable, "-m", "vaguemestre_documents.worker", "--memory-bytes", str(MEMORY)),
        input=frames,
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )
    out, answers = io.BytesIO(run.stdout), []
    while (frame := read_frame(out)) is not None:
        answers.append(frame)
    return answers, run.stderr.decode()


def _codes(answer: Frame) -> list[str]:
    findings = answer.header.get("findings")
    assert isinstance(findings, list), answer.header
    return [item["code"] for item in findings]


@pytest.mark.alone
@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_pdf_ends_in_a_code_and_the_worker_goes_on(name: str) -> None:
    make, expected = HOSTILE[name]
    start = dt.datetime.now(dt.UTC)
    answers, errors = _worker([make(), pdf_samples.conforming()], PdfPolicy(mode=PdfaMode.CONVERT))
    assert dt.datetime.now(dt.UTC) - start < dt.timedelta(seconds=30)
    assert errors == ""
    codes = _codes(answers[0])
    assert codes[0] == "PDFA_NOT_POSSIBLE"
    assert expected & set(codes)
    assert answers[1].header["outcome"] == "prepared"
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak_kib * 1024 < MEMORY


def test_a_converter_that_hangs_is_ended_and_its_folder_left_empty(tmp_path: Path) -> None:
    program = tmp_path / "gs"
    program.write_text('#!/bin/sh\ncat > "$TMPDIR/kept"\nexec sleep 60\n')
    program.chmod(0o700)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    policy = PdfPolicy(mode=PdfaMode.CONVERT, ghostscript=str(program), ghostscript_s=1, scratch=str(scratch))
    answers, _ = _worker([pdf_samples.plain(pdf_samples.font)], policy)
    assert _codes(answers[0])[0] == "PDFA_NOT_POSSIBLE"
    assert list(scratch.iterdir()) == []


def test_the_converter_is_told_nothing_of_the_document(tmp_path: Path) -> None:
    program, seen = tmp_path / "gs", tmp_path / "seen"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {seen}\nenv >> {seen}\nls "$TMPDIR" >> {seen}\ncat > /dev/null\nexit 1\n'
    )
    program.chmod(0o700)
    answers, _ = _worker(
        [pdf_samples.plain(pdf_samples.font)], PdfPolicy(mode=PdfaMode.CONVERT, ghostscript=str(program))
    )
    text = seen.read_text()
    assert _codes(answers[0])[0] == "PDFA_NOT_POSSIBLE"
    assert "-dSAFER" in text
    for personal in ("EXEMPLE", "LINA", "226027505612368", "rendu"):
        assert personal not in text


@pytest.mark.skipif(shutil.which("gs") is None, reason="Ghostscript is not installed")
def test_ghostscript_embeds_the_fonts_within_the_worker() -> None:
    policy = PdfPolicy(mode=PdfaMode.CONVERT, ghostscript=shutil.which("gs") or "")
    answers, errors = _worker([pdf_samples.plain(pdf_samples.font)], policy)
    assert errors == ""
    assert answers[0].header["outcome"] == "prepared"
    assert "PDFA_CONVERTED" in str(answers[0].header["warnings"])
