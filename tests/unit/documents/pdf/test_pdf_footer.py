"""The footer: below the last page, upright on a turned page, nothing covered, PDF/A-1 kept, its text read back."""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import replace

import pikepdf
import pytest
from pikepdf import Array, Dictionary

from vaguemestre_core.errors import InvalidInput
from vaguemestre_documents.cda.read import parse_cda, read_header, read_n1_body
from vaguemestre_documents.pdf.conformity import pdfa_faults
from vaguemestre_documents.pdf.footer import FooterLeftOut, with_footer
from vaguemestre_documents.pdf.policy import FooterPolicy, PdfaMode, PdfPolicy
from vaguemestre_documents.pdf.values import PdfRefused
from vaguemestre_documents.preparation import PreparationFailure, PreparationResult, prepare
from vaguemestre_testkit import metadata_samples, pdf_samples

MENTION = "Mention : « les données de santé… » — l'œuvre du cabinet, 10 €."


def form_of(pdf: pikepdf.Pdf) -> pikepdf.Object:
    drawings = pdf.pages[-1].obj.Resources.XObject
    return drawings[next(iter(drawings.keys()))]


def read_back(content: bytes) -> str:
    """The text of the footer, through the font's own table of letters."""
    with pikepdf.open(io.BytesIO(content)) as pdf:
        return _decoded(form_of(pdf))


def _decoded(form: pikepdf.Object) -> str:
    letters: dict[str, dict[int, str]] = {}
    for name, font in form.Resources.Font.items():
        table = font.ToUnicode.read_bytes().decode("latin-1")
        pairs = re.findall(r"^<(\w{2})> <(\w{4})>$", table, re.MULTILINE)
        letters[name] = {int(code, 16): chr(int(letter, 16)) for code, letter in pairs}
    said, font_name = "", ""
    for instruction in pikepdf.parse_content_stream(form):
        operands, operator = instruction.operands, instruction.operator
        if str(operator) == "Tf":
            font_name = str(operands[0])
        elif str(operator) in ("Tj", "'"):
            said += "".join(letters[font_name][code] for code in bytes(operands[0]))
        elif str(operator) in ("T*", "ET"):
            said += "\n"
    return said


@pytest.mark.req("DOC/va1.05")
def test_the_mention_is_below_the_last_page_and_a_pdfa_stays_one() -> None:
    given = pdf_samples.conforming()
    made = with_footer(given, [MENTION, "Destinataires : Dr Zoë Ő'Brien."], claims_pdfa=True)
    assert pdfa_faults(made) == ()
    assert made == with_footer(given, [MENTION, "Destinataires : Dr Zoë Ő'Brien."], claims_pdfa=True)
    assert read_back(made).replace("\n", " ").split() == f"{MENTION} Destinataires : Dr Zoë O'Brien.".split()
    with pikepdf.open(io.BytesIO(made)) as pdf:
        left, bottom, right, top = (float(side) for side in pdf.pages[0].obj.MediaBox)
        assert (left, right, top) == (0, 595, 842)
        assert -60 < bottom < -20


@pytest.mark.parametrize(
    ("turn", "side"),
    [(0, 1), (90, 2), (180, 3), (270, 0), (-90, 0), (450, 2)],
)
def test_a_turned_page_grows_where_the_reader_sees_its_bottom(turn: int, side: int) -> None:
    shown = [50, 60, 500, 700]

    def change(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj.Rotate = turn
        pdf.pages[0].obj.CropBox = Array(shown)

    made = with_footer(pdf_samples.changed(change), [MENTION], claims_pdfa=True)
    assert pdfa_faults(made) == ()
    with pikepdf.open(io.BytesIO(made)) as pdf:
        box = [float(edge) for edge in pdf.pages[0].mediabox]
        assert [edge for edge in range(4) if box[edge] != shown[edge]] == [side]
        assert [float(edge) for edge in pdf.pages[0].cropbox] == box
        # The drawing's own corners fall into the strip that was added, and fill it.
        height = float(form_of(pdf).BBox[3])
        width = float(form_of(pdf).BBox[2])
        content = pdf.pages[0].Contents
        last = content[-1].read_bytes().decode()
        a, b, c, d, e, f = (float(part) for part in re.search(r"q (.*) cm", last).group(1).split())  # type: ignore[union-attr]
        corners = [(a * x + c * y + e, b * x + d * y + f) for x, y in ((0, 0), (width, height))]
        strip = list(box)
        strip[(side + 2) % 4] = shown[side]
        xs, ys = sorted(x for x, _ in corners), sorted(y for _, y in corners)
        assert [xs[0], ys[0], xs[1], ys[1]] == pytest.approx(strip, abs=0.01)


def test_what_was_cut_off_and_what_other_pages_share_stay_as_they_were() -> None:
    def change(pdf: pikepdf.Pdf) -> None:
        first = pdf.pages[0]
        shared = pdf.make_indirect(Dictionary(XObject=Dictionary()))
        first.obj.Resources = shared
        pdf.pages.append(first)
        pdf.pages[1].obj.Resources = shared
        pdf.pages[1].obj.Contents = pdf.make_stream(b"q q 2 0 0 2 0 0 cm 0.5 g 10 10 20 20 re f Q")

    given = pdf_samples.changed(change)
    made = with_footer(given, [MENTION], claims_pdfa=True)
    assert pdfa_faults(made) == ()
    with pikepdf.open(io.BytesIO(made)) as pdf:
        assert len(pdf.pages) == 2
        assert list(pdf.pages[0].obj.Resources.XObject.keys()) == []
        assert list(pdf.pages[1].obj.Resources.XObject.keys()) == ["/Band0"]
        parts = [part.read_bytes() for part in pdf.pages[1].Contents]
        assert parts[0].startswith(b"q 0 0 595 842 re W n q")
        # Two of ours and one that the page left open.
        assert parts[-1].strip().startswith(b"Q Q Q q 1 0 0 1 0 ")


def test_a_signed_pdf_is_left_alone_and_a_strange_one_refused() -> None:
    def sign(pdf: pikepdf.Pdf) -> None:
        pdf.Root.AcroForm = Dictionary(SigFlags=3, Fields=Array([]))

    with pytest.raises(FooterLeftOut):
        with_footer(pdf_samples.changed(sign), [MENTION], claims_pdfa=True)

    def narrow(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj.MediaBox = Array([0, 0, 80, 842])

    for content in (pdf_samples.changed(narrow), b"%PDF-1.4\nnothing", b"", zlib.compress(b"x")):
        with pytest.raises(PdfRefused):
            with_footer(content, [MENTION], claims_pdfa=False)


def request_of(body: bytes, footer: FooterPolicy, **changes: object) -> PreparationResult | PreparationFailure:
    value = metadata_samples.metadata() | {
        "recipients": [
            {
                "kind": "professional",
                "family_name": "LEFEVRE",
                "given_name": "Anne",
                "structure_name": "Clinique Bleue",
            },
            {"kind": "structure", "structure_name": "Hôpital Saint-Œuf"},
        ]
    }
    request = metadata_samples.preparation(body, value=value)
    return prepare(replace(request, footer=footer, **changes))  # type: ignore[arg-type]


@pytest.mark.req("DOC/va1.05", "DOC/va1.09", "DOC/va1.10")
def test_recipients_and_ins_are_in_the_pdf_and_in_the_header() -> None:
    footer = FooterPolicy(mention=MENTION, recipients=True, ins=True)
    result = request_of(pdf_samples.conforming(), footer, pdf=PdfPolicy(mode=PdfaMode.REQUIRE))
    assert isinstance(result, PreparationResult)
    root = parse_cda(result.document.cda)
    said = read_back(read_n1_body(root)).replace("\n", " ")
    assert "Destinataires : Anne LEFEVRE (Clinique Bleue) ; Hôpital Saint-Œuf." in said
    header = read_header(root)
    assert header.patient is not None
    matricules = [item.extension for item in header.patient.ids if (item.root or "").endswith(".4.10")]
    assert f"Matricule INS : {matricules[0]} (NIR de test)." in said
    assert said.rstrip().endswith("10 €.")
    text = result.document.cda.decode()
    assert "LEFEVRE" in text
    assert "Hôpital Saint-Œuf" in text


@pytest.mark.req("DOC/va1.10")
def test_no_ins_on_the_page_of_an_identity_that_is_not_qualified() -> None:
    value = metadata_samples.metadata("validée")
    request = metadata_samples.preparation(pdf_samples.conforming(), value=value, for_dmp=False)
    result = prepare(replace(request, footer=FooterPolicy(mention=MENTION, ins=True)))
    assert isinstance(result, PreparationResult)
    assert "Matricule" not in read_back(read_n1_body(parse_cda(result.document.cda)))


def test_only_the_types_named_get_a_footer_and_only_pdf() -> None:
    given = pdf_samples.conforming()
    result = request_of(given, FooterPolicy(mention=MENTION, types="nothing-like-it other"))
    assert isinstance(result, PreparationResult)
    assert read_n1_body(parse_cda(result.document.cda)) == given
    image = replace(
        metadata_samples.preparation("Été".encode(), media_type="text/plain"), footer=FooterPolicy(mention=MENTION)
    )
    left = prepare(image)
    assert isinstance(left, PreparationResult)
    assert [item.code for item in left.warnings] == ["FOOTER_LEFT_OUT"]


def test_a_pdf_that_cannot_be_opened_is_refused_with_its_fault() -> None:
    encrypted = pdf_samples.conforming().replace(b"/Root", b"/Rxxt")
    refused = request_of(encrypted, FooterPolicy(mention=MENTION))
    assert isinstance(refused, PreparationFailure)
    assert [item.code for item in refused.findings] == ["FOOTER_NOT_POSSIBLE", "PDF_UNREADABLE"]


def test_a_mention_has_a_length() -> None:
    with pytest.raises(InvalidInput, match="MENTION_TOO_LONG"):
        FooterPolicy(mention="x" * 2001)
