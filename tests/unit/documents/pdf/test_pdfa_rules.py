"""PDF/A-1: each rule sees the one change that breaks it, and what can be mended is mended."""

from __future__ import annotations

import io
import shutil
import zlib

import pikepdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pikepdf import Array, Dictionary, Name, String

from vaguemestre_api.messages import catalogue
from vaguemestre_documents.cda.read import parse_cda, read_n1_body
from vaguemestre_documents.pdf.conformity import Converted, convert, pdfa_faults
from vaguemestre_documents.pdf.decoding import lzw
from vaguemestre_documents.pdf.faults import SENTENCES, Fault
from vaguemestre_documents.pdf.icc import components, srgb_profile
from vaguemestre_documents.pdf.metadata import parse_date
from vaguemestre_documents.pdf.policy import PdfaMode, PdfPolicy
from vaguemestre_documents.pdf.values import PdfRefused
from vaguemestre_documents.preparation import PreparationFailure, PreparationRequest, PreparationResult, prepare
from vaguemestre_testkit import cda_samples, metadata_samples, pdf_samples
from vaguemestre_testkit.pdf_samples import annotation, changed, open_action, page_content, resources

GHOSTSCRIPT = shutil.which("gs") or ""
# LZW of ISO 32000-1, 7.4.4.2: the example of the standard.
LZW_EXAMPLE = bytes.fromhex("800B6050220C0C8501")
LZW_CONTENT = bytes((45, 45, 45, 45, 45, 65, 45, 45, 45, 66))


def _embed(pdf: pikepdf.Pdf) -> None:
    pdf.attachments["lettre.txt"] = b"bonjour"


def _group(pdf: pikepdf.Pdf) -> None:
    pdf.pages[0].obj.Group = Dictionary(S=Name.Transparency)


def _layers(pdf: pikepdf.Pdf) -> None:
    pdf.Root.OCProperties = Dictionary(OCGs=Array([]), D=Dictionary())


def _xfa(pdf: pikepdf.Pdf) -> None:
    pdf.Root.AcroForm = Dictionary(Fields=Array([]), XFA=pdf.make_stream(b"<xdp/>"))


def _needy_form(pdf: pikepdf.Pdf) -> None:
    pdf.Root.AcroForm = Dictionary(Fields=Array([]), NeedAppearances=True)


def _bare_widget(pdf: pikepdf.Pdf) -> None:
    annotation("Widget", F=4, FT=Name.Tx, T=String("champ"))(pdf)
    pdf.Root.AcroForm = Dictionary(Fields=pdf.pages[0].obj.Annots)


def _no_metadata(pdf: pikepdf.Pdf) -> None:
    del pdf.Root.Metadata


def _other_title(pdf: pikepdf.Pdf) -> None:
    pdf.trailer.Info.Title = String("Autre titre")


def _no_intent(pdf: pikepdf.Pdf) -> None:
    del pdf.Root.OutputIntents


def _lzw(pdf: pikepdf.Pdf) -> None:
    pdf.pages[0].obj.Extra = pdf.make_stream(LZW_EXAMPLE, Filter=Name.LZWDecode)


def _long_array(pdf: pikepdf.Pdf) -> None:
    pdf.pages[0].obj.Extra = Array([0] * 8192)


BROKEN = [
    (pdf_samples.font, Fault.FONT_NOT_EMBEDDED),
    (_embed, Fault.EMBEDDED_FILE),
    (_group, Fault.TRANSPARENCY),
    (resources(ExtGState=Dictionary(G1=Dictionary(ca=0.5))), Fault.TRANSPARENCY),
    (resources(ExtGState=Dictionary(G1=Dictionary(BM=Name.Multiply))), Fault.TRANSPARENCY),
    (resources(ExtGState=Dictionary(G1=Dictionary(TR=Name.Identity))), Fault.CONTENT),
    (_layers, Fault.OPTIONAL_CONTENT),
    (_xfa, Fault.DYNAMIC_FORM),
    (_needy_form, Fault.FORM),
    (_no_metadata, Fault.NOT_CLAIMED),
    (_other_title, Fault.METADATA),
    (_no_intent, Fault.COLOUR),
    (page_content(b"0 0 0 1 k 1 1 5 5 re f"), Fault.COLOUR),
    (page_content(b"1 1 5 5 re f wobble"), Fault.CONTENT),
    (page_content(b"(not ended"), Fault.CONTENT),
    (page_content(b"q " * 29 + b"Q " * 29), Fault.LIMIT),
    (page_content(b"BI /W 1 /H 1 /CS /G /F /LZW ID \x80\x0b\nEI"), Fault.FILTER),
    (_lzw, Fault.FILTER),
    (_long_array, Fault.LIMIT),
    (open_action("JavaScript", JS=String("app.alert(1)")), Fault.JAVASCRIPT),
    (open_action("Launch", F=String("calc.exe")), Fault.ACTION),
    (open_action("Named", N=Name.Print), Fault.ACTION),
    (annotation("Link"), Fault.ANNOTATION),
    (annotation("Movie", F=4), Fault.ANNOTATION),
    (annotation("Text", F=4 | 2), Fault.ANNOTATION),
    (_bare_widget, Fault.FORM),
]


@pytest.mark.req("LGC.MDV.03")
@pytest.mark.parametrize(("change", "fault"), BROKEN, ids=[f"{i}-{f}" for i, (_, f) in enumerate(BROKEN)])
def test_one_change_is_seen_as_its_own_fault(change: pdf_samples.Change, fault: Fault) -> None:
    faults = pdfa_faults(changed(change))
    assert fault in faults
    assert len(faults) == 1 or (fault, len(faults)) in {(Fault.NOT_CLAIMED, 2), (Fault.FORM, 2)}


@pytest.mark.req("LGC.MDV.03")
def test_a_plain_pdf_becomes_pdfa_and_stays_so_byte_for_byte() -> None:
    given_pdf = pdf_samples.plain()
    assert set(pdfa_faults(given_pdf)) == {Fault.COLOUR, Fault.METADATA, Fault.NOT_CLAIMED}
    content = pdf_samples.conforming()
    assert pdfa_faults(content) == ()
    assert content == pdf_samples.conforming()
    with pikepdf.open(io.BytesIO(content)) as pdf:
        assert str(pdf.docinfo["/Title"]) == "Compte rendu (été)"
        assert pdf.pages[0].Contents.read_bytes() == b"0.5 g 10 10 100 100 re f"


@pytest.mark.parametrize("change", [annotation("Link"), _lzw, _other_title, _no_metadata, _no_intent])
def test_what_a_rewriting_mends_needs_no_ghostscript(change: pdf_samples.Change) -> None:
    assert isinstance(convert(changed(change), pdf_samples.POLICY), Converted)


@pytest.mark.parametrize(
    "change", [_embed, _layers, _xfa, open_action("JavaScript", JS=String("x")), open_action("Launch")]
)
def test_what_would_lose_something_is_never_converted(change: pdf_samples.Change) -> None:
    policy = PdfPolicy(mode=PdfaMode.CONVERT, ghostscript=GHOSTSCRIPT)
    assert not isinstance(convert(changed(change), policy), Converted)


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda pdf: b"garbage\n" + pdf, Fault.STRUCTURE),
        (lambda pdf: pdf[: len(pdf) // 2], Fault.UNREADABLE),
        (lambda pdf: pdf.replace(b"endobj", b"endxxx"), Fault.UNREADABLE),
        (lambda pdf: pdf + b"more\n", Fault.STRUCTURE),
        (lambda pdf: pdf.replace(b"%PDF-1.4", b"%PDF-2.0"), Fault.STRUCTURE),
        (lambda _: b"%PDF-1.4", Fault.UNREADABLE),
    ],
)
def test_a_damaged_file_is_never_repaired_in_silence(damage: object, fault: Fault) -> None:
    assert callable(damage)
    assert fault in pdfa_faults(damage(pdf_samples.conforming()))


def test_an_encrypted_file_and_packed_objects_are_seen() -> None:
    with pikepdf.open(io.BytesIO(pdf_samples.conforming())) as pdf:
        locked, packed = io.BytesIO(), io.BytesIO()
        pdf.save(packed, object_stream_mode=pikepdf.ObjectStreamMode.generate)
        pdf.save(locked, encryption=pikepdf.Encryption(owner="a", user="b"))
    assert pdfa_faults(locked.getvalue()) == (Fault.ENCRYPTED,)
    assert Fault.STRUCTURE in pdfa_faults(packed.getvalue())
    assert isinstance(convert(packed.getvalue(), pdf_samples.POLICY), Converted)


@given(st.data())
def test_any_damage_ends_in_an_answer(data: st.DataObject) -> None:
    content = bytearray(cda_samples.pdf())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    outcome = convert(bytes(content), pdf_samples.POLICY)
    assert isinstance(outcome, Converted) or all(fault in SENTENCES for fault in outcome)


def test_a_long_comment_is_read_at_once() -> None:
    assert pdfa_faults(changed(page_content(b"%" * 100_000))) == ()


def test_lzw_is_that_of_the_standard_and_bounded() -> None:
    assert lzw(LZW_EXAMPLE, 100) == LZW_CONTENT
    with pytest.raises(PdfRefused):
        lzw(LZW_EXAMPLE, 5)


def test_our_profile_is_one_that_pdfa_accepts() -> None:
    profile = srgb_profile()
    assert components(profile) == 3
    assert int.from_bytes(profile[:4], "big") == len(profile)
    assert len(zlib.compress(profile)) < 4000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("D:20261123101500+01'00'", "2026-11-23T10:15:00+01:00"),
        ("D:20261123101500-0330", "2026-11-23T10:15:00-03:30"),
        ("D:2026", "2026-01-01T00:00:00+00:00"),
        ("D:20261123101500Z", "2026-11-23T10:15:00+00:00"),
        ("hier", None),
        ("D:20261399", None),
    ],
)
def test_dates_are_read_or_left(text: str, expected: str | None) -> None:
    date = parse_date(text)
    assert (None if date is None else date.isoformat()) == expected


def _request(body: bytes, mode: PdfaMode, *, ghostscript: str = "") -> PreparationRequest:
    sample = metadata_samples.preparation(body)
    return PreparationRequest(
        media_type=sample.media_type,
        body=body,
        metadata=sample.metadata,
        identifiers=sample.identifiers,
        now=sample.now,
        for_dmp=True,
        pdf=PdfPolicy(mode=mode, ghostscript=ghostscript),
    )


@pytest.mark.req("LGC.MDV.03")
@pytest.mark.parametrize("mode", list(PdfaMode))
def test_a_pdfa_is_embedded_byte_for_byte_in_every_mode(mode: PdfaMode) -> None:
    body = pdf_samples.conforming()
    outcome = prepare(_request(body, mode))
    assert isinstance(outcome, PreparationResult)
    assert read_n1_body(parse_cda(outcome.document.cda)) == body
    assert outcome.warnings == ()


@pytest.mark.req("LGC.MDV.03")
def test_the_mode_decides_of_a_plain_pdf() -> None:
    body = pdf_samples.plain()
    kept = prepare(_request(body, PdfaMode.ACCEPT))
    assert isinstance(kept, PreparationResult)
    assert [item.code for item in kept.warnings] == ["PDFA_NOT_CLAIMED"]
    refused = prepare(_request(body, PdfaMode.REQUIRE))
    assert isinstance(refused, PreparationFailure)
    assert [item.code for item in refused.findings][:2] == ["PDFA_REQUIRED", "PDFA_COLOUR"]
    converted = prepare(_request(body, PdfaMode.CONVERT))
    assert isinstance(converted, PreparationResult)
    assert [item.code for item in converted.warnings] == ["PDFA_CONVERTED"]
    assert pdfa_faults(read_n1_body(parse_cda(converted.document.cda))) == ()
    impossible = prepare(_request(pdf_samples.plain(pdf_samples.font), PdfaMode.CONVERT))
    assert isinstance(impossible, PreparationFailure)
    codes = [item.code for item in impossible.findings]
    assert codes[0] == "PDFA_NOT_POSSIBLE"
    assert "PDFA_FONT_NOT_EMBEDDED" in codes


def test_a_ready_cda_leaves_byte_for_byte_or_not_at_all() -> None:
    built = prepare(metadata_samples.preparation(pdf_samples.plain()))
    assert isinstance(built, PreparationResult)
    sample = metadata_samples.preparation(
        built.document.cda, media_type="application/xml", value=metadata_samples.ready_metadata()
    )
    outcomes = []
    for mode in PdfaMode:
        request = PreparationRequest(
            media_type=sample.media_type,
            body=sample.body,
            metadata=sample.metadata,
            identifiers=sample.identifiers,
            now=sample.now,
            for_dmp=True,
            pdf=PdfPolicy(mode=mode),
        )
        outcomes.append(type(prepare(request)))
    assert outcomes == [PreparationResult, PreparationFailure, PreparationFailure]


def test_every_fault_has_its_sentence_and_its_action() -> None:
    assert {fault.value for fault in Fault} <= set(SENTENCES)
    assert set(SENTENCES) <= set(catalogue())
    assert all(catalogue()[code].title == sentence for code, sentence in SENTENCES.items())


def test_an_absent_or_failing_converter_is_a_refusal() -> None:
    body = pdf_samples.plain(pdf_samples.font)
    for program in ("/nonexistent/gs", shutil.which("false") or "/nonexistent"):
        policy = PdfPolicy(mode=PdfaMode.CONVERT, ghostscript=program)
        assert Fault.FONT_NOT_EMBEDDED in tuple(convert(body, policy))  # type: ignore[arg-type]
