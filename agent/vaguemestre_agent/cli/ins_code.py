"""``vaguemestre ins-code``: the Datamatrix INS of a document's patient, as a picture or below the first page of a PDF.

Works whether the agent runs or not. Reads the metadata of a document, or the member ``patient`` alone; keeps nothing.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Final

from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_core.errors import InvalidInput
from vaguemestre_documents.metadata_parsing import parse_patient
from vaguemestre_documents.scancodes.ins_writing import ins_symbol
from vaguemestre_documents.scancodes.picture import DEFAULT_MODULE_PX, MAX_MODULE_PX, MIN_MODULE_PX, png

_PIXELS: Final = range(MIN_MODULE_PX, MAX_MODULE_PX + 1)


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--metadata", type=Path, required=True, metavar="FICHIER", help="métadonnées, ou patient seul")
    parser.add_argument("--out", type=Path, required=True, metavar="FICHIER", help="image PNG, ou PDF avec --pdf")
    parser.add_argument("--pdf", type=Path, metavar="FICHIER", help="ajouter le code sous la première page de ce PDF")
    parser.add_argument(
        "--module-px", type=int, choices=_PIXELS, default=DEFAULT_MODULE_PX, metavar="PIXELS", help="côté d'un module"
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Write the picture or the PDF."""
    made = ins_symbol(parse_patient(_patient(arguments.metadata)))
    if arguments.pdf is None:
        content = png(made, module_px=arguments.module_px)
    else:
        # Loaded only by who asks for it: it reads a PDF, here a file of the person's own.
        from vaguemestre_documents.pdf.conformity import pdfa_faults
        from vaguemestre_documents.pdf.ins_stamp import StampLeftOut, with_ins_code
        from vaguemestre_documents.pdf.values import PdfRefused

        given = arguments.pdf.read_bytes()
        try:
            content = with_ins_code(given, made, claims_pdfa=not pdfa_faults(given))
        except (StampLeftOut, PdfRefused):
            raise InvalidInput("INS_CODE_NOT_POSSIBLE") from None
    arguments.out.write_bytes(content)
    console.give({"modules": made.side, "bytes": len(content)}, f"Datamatrix INS écrit ({made.side} modules).")
    return Exit.OK


def _patient(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        raise InvalidInput("METADATA_NOT_JSON") from None
    patient = value.get("patient", value) if isinstance(value, dict) else None
    if not isinstance(patient, dict):
        raise InvalidInput("METADATA_NOT_JSON")
    return patient
