"""Rewrite a PDF so that it follows PDF/A-1, its pages untouched.

Owns what can be mended without drawing anything anew: structure, identifiers, metadata, output intent, LZW, the
printing flag of links. The result is examined again by the caller. Deterministic: same bytes in, same bytes out.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from typing import Final

import pikepdf

from vaguemestre_documents.pdf import icc
from vaguemestre_documents.pdf.content import CMYK
from vaguemestre_documents.pdf.decoding import lzw
from vaguemestre_documents.pdf.faults import Fault
from vaguemestre_documents.pdf.metadata import DATES, described, packet, pdf_date
from vaguemestre_documents.pdf.reading import open_pdf
from vaguemestre_documents.pdf.rules import HIDING, PRINT, Examination
from vaguemestre_documents.pdf.values import MAX_INFLATED_BYTES, PdfRefused


def rewrite(content: bytes, examination: Examination) -> bytes:
    """Return the rewritten PDF. Raises PdfRefused when it cannot be read or written within bounds."""
    snapshot = examination.snapshot
    if snapshot is None:
        raise PdfRefused(Fault.UNREADABLE)
    with open_pdf(content) as pdf:
        _describe(pdf, described(snapshot))
        if Fault.COLOUR in examination.faults and CMYK not in examination.spaces:
            name_srgb(pdf)
        if Fault.FILTER in examination.faults:
            _replace_lzw(pdf)
        if Fault.ANNOTATION in examination.faults:
            _let_links_print(pdf)
        if "Version" in pdf.Root:
            del pdf.Root.Version
        return written(pdf, pikepdf.ObjectStreamMode.disable, force_version="1.4")


def written(pdf: pikepdf.Pdf, object_streams: pikepdf.ObjectStreamMode, *, force_version: str = "") -> bytes:
    """Return a PDF as bytes, its streams as they are and the same for the same content; empty: of its own version."""
    out = io.BytesIO()
    pdf.save(
        out,
        preserve_pdfa=True,
        force_version=force_version,
        fix_metadata_version=False,
        compress_streams=False,
        stream_decode_level=pikepdf.StreamDecodeLevel.none,
        object_stream_mode=object_streams,
        deterministic_id=True,
    )
    return out.getvalue()


def _describe(pdf: pikepdf.Pdf, values: Mapping[str, str]) -> None:
    stream = pdf.make_stream(packet(values))
    stream.Type, stream.Subtype = pikepdf.Name.Metadata, pikepdf.Name.XML
    pdf.Root.Metadata = stream
    information = {key: pdf_date(value) if key in DATES else value for key, value in values.items()}
    if information:
        pdf.trailer.Info = pdf.make_indirect(
            pikepdf.Dictionary({f"/{key}": pikepdf.String(value) for key, value in information.items()})
        )
    elif "/Info" in pdf.trailer:
        del pdf.trailer.Info


def name_srgb(pdf: pikepdf.Pdf) -> None:
    """Say that device colours are those of sRGB."""
    profile = pdf.make_stream(zlib.compress(icc.srgb_profile(), 9))
    profile.Filter, profile.N = pikepdf.Name.FlateDecode, 3
    intent = pikepdf.Dictionary(
        Type=pikepdf.Name.OutputIntent,
        S=pikepdf.Name.GTS_PDFA1,
        OutputConditionIdentifier=pikepdf.String(icc.CONDITION),
        Info=pikepdf.String(icc.CONDITION),
        DestOutputProfile=profile,
    )
    pdf.Root.OutputIntents = pikepdf.Array([pdf.make_indirect(intent)])


def _replace_lzw(pdf: pikepdf.Pdf) -> None:
    """Pack anew, without loss, each stream whose only filter is LZW; a predictor stays as it is."""
    left = MAX_INFLATED_BYTES
    for item in pdf.objects:
        if not isinstance(item, pikepdf.Stream) or item.get("/Filter") not in (pikepdf.Name.LZWDecode, _ONLY_LZW):
            continue
        parameters = item.get("/DecodeParms")
        if isinstance(parameters, pikepdf.Array):
            parameters = parameters[0] if len(parameters) == 1 else None
        early = 1
        if isinstance(parameters, pikepdf.Dictionary):
            early = int(parameters.get("/EarlyChange", 1))
            if "/EarlyChange" in parameters:
                del parameters["/EarlyChange"]
        data = lzw(item.read_raw_bytes(), left, early=early)
        left -= len(data)
        item.write(
            zlib.compress(data),
            filter=pikepdf.Name.FlateDecode,
            decode_parms=parameters if isinstance(parameters, pikepdf.Dictionary) else None,
        )


_ONLY_LZW: Final = pikepdf.Array([pikepdf.Name.LZWDecode])


def _let_links_print(pdf: pikepdf.Pdf) -> None:
    """Set the printing flag of links, which many writers leave out; a hidden link stays a fault."""
    for page in pdf.pages:
        for annotation in page.obj.get("/Annots", ()):
            if isinstance(annotation, pikepdf.Dictionary) and annotation.get("/Subtype") == pikepdf.Name.Link:
                flags = int(annotation.get("/F", 0))
                if not flags & HIDING:
                    annotation.F = flags | PRINT
