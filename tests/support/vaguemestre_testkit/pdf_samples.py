"""PDF/A-1b files made with pikepdf, and what a test changes in them to break one rule."""

from __future__ import annotations

import io
from collections.abc import Callable

import pikepdf
from pikepdf import Array, Dictionary, Name

from vaguemestre_documents.pdf.conformity import Converted, convert
from vaguemestre_documents.pdf.policy import PdfaMode, PdfPolicy

Change = Callable[[pikepdf.Pdf], None]
POLICY = PdfPolicy(mode=PdfaMode.CONVERT)


def plain(change: Change | None = None, *, content: bytes = b"0.5 g 10 10 100 100 re f") -> bytes:
    """A PDF of one page with a grey square and a title: no claim, no profile."""
    pdf = pikepdf.new()
    page = pdf.add_blank_page(page_size=(595, 842))
    page.obj.Contents = pdf.make_stream(content)
    pdf.docinfo["/Title"] = "Compte rendu (été)"
    pdf.docinfo["/CreationDate"] = "D:20261123101500+01'00'"
    if change is not None:
        change(pdf)
    return saved(pdf)


def conforming() -> bytes:
    """The same as PDF/A-1b."""
    outcome = convert(plain(), POLICY)
    assert isinstance(outcome, Converted), outcome
    return outcome.content


def changed(change: Change) -> bytes:
    """A PDF/A-1b with one change."""
    with pikepdf.open(io.BytesIO(conforming())) as pdf:
        change(pdf)
        return saved(pdf)


def saved(pdf: pikepdf.Pdf) -> bytes:
    """The bytes of a PDF, packed as little as PDF/A-1 wants."""
    out = io.BytesIO()
    pdf.save(
        out,
        preserve_pdfa=True,
        fix_metadata_version=False,
        compress_streams=False,
        stream_decode_level=pikepdf.StreamDecodeLevel.none,
        object_stream_mode=pikepdf.ObjectStreamMode.disable,
        deterministic_id=True,
    )
    return out.getvalue()


def font(pdf: pikepdf.Pdf) -> None:
    """Write in Helvetica without embedding it, as many practice programs do."""
    page = pdf.pages[0].obj
    helvetica = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica, Encoding=Name.WinAnsiEncoding)
    page.Resources = Dictionary(Font=Dictionary(F1=pdf.make_indirect(helvetica)))
    page.Contents = pdf.make_stream(b"BT /F1 14 Tf 60 700 Td (Compte rendu de consultation) Tj ET")


def annotation(kind: str, **entries: object) -> Change:
    """Put an annotation on the first page."""

    def change(pdf: pikepdf.Pdf) -> None:
        item = Dictionary(Type=Name.Annot, Subtype=Name(f"/{kind}"), Rect=Array([10, 10, 50, 50]))
        for key, value in entries.items():
            item[f"/{key}"] = value
        pdf.pages[0].obj.Annots = Array([pdf.make_indirect(item)])

    return change


def open_action(kind: str, **entries: object) -> Change:
    """Give the document an action at its opening."""

    def change(pdf: pikepdf.Pdf) -> None:
        pdf.Root.OpenAction = Dictionary(Type=Name.Action, S=Name(f"/{kind}"))
        for key, value in entries.items():
            pdf.Root.OpenAction[f"/{key}"] = value

    return change


def page_content(content: bytes) -> Change:
    """Replace the content of the page."""

    def change(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj.Contents = pdf.make_stream(content)

    return change


def resources(**entries: object) -> Change:
    """Replace the resources of the page."""

    def change(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj.Resources = Dictionary({f"/{key}": value for key, value in entries.items()})

    return change
