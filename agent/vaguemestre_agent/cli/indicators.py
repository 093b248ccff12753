"""``vaguemestre indicators``: what fed the DMP, by type, professional and structure; as a table, JSON or CSV.

The CSV is made for a French Excel: semicolons, CRLF, UTF-8 with its mark, identifiers as texts (``="010000024"``) so
that no leading zero is lost.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from vaguemestre_agent.cli.connection import ask
from vaguemestre_agent.cli.console import Console, Exit
from vaguemestre_api import wire
from vaguemestre_core.errors import InvalidInput

_A_MOMENT: Final = timedelta(seconds=1)  # before the midnight that ends a period: its last day
DIMENSIONS: Final = ("type_code", "professional", "structure")
_PERIODS: Final[Mapping[str, str]] = {
    "current_month": "mois courant",
    "current_year": "année courante",
    "previous_year": "année précédente",
    "asked": "période demandée",
}
_OPERATIONS: Final[Mapping[str, str]] = {
    "submit": "alimentation",
    "replace": "remplacement",
    "delete": "suppression",
    "visibility": "visibilité",
    "unknown": "non renseignée",
}
HEADER: Final = (
    "Période", "Du", "Au", "Opération", "Type de document", "RPPS", "FINESS géographique",
    "Réussites", "dont INS qualifiée", "dont INS non qualifiée",
    "Échecs", "dont INS qualifiée (échecs)", "dont INS non qualifiée (échecs)",
)  # fmt: skip


def configure(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--from", dest="first", metavar="AAAA-MM-JJ", help="premier jour (défaut : mois et années)")
    parser.add_argument("--to", dest="last", metavar="AAAA-MM-JJ", help="dernier jour, compris")
    parser.add_argument(
        "--group", action="append", choices=DIMENSIONS, help="distinguer par (répétable ; défaut : tout)"
    )
    parser.add_argument("--csv", action="store_true", help="CSV pour un tableur français")
    parser.add_argument("--output", type=Path, metavar="FICHIER", help="du CSV ; défaut : sortie standard")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Count and show."""
    found = ask(arguments, lambda client: client.indicators(arguments.first, arguments.last, arguments.group))
    if arguments.csv or arguments.output is not None:
        content = csv_bytes(found)
        if arguments.output is None:
            sys.stdout.buffer.write(content)
        else:
            try:
                arguments.output.write_bytes(content)
            except OSError:
                raise InvalidInput("FILE_UNWRITABLE") from None
        return Exit.OK
    rows = [[str(cell) for cell in cells] for cells in _cells(found)]
    console.give_table(found, HEADER, rows, "Aucune opération.")
    return Exit.OK


def csv_bytes(found: wire.Indicators) -> bytes:
    """Return the counts as a French spreadsheet reads them."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(HEADER)
    for cells in _cells(found):
        writer.writerow([*cells[:4], *(_as_text(str(cell)) for cell in cells[4:7]), *cells[7:]])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")


def _as_text(value: str) -> str:
    """Return an identifier that a spreadsheet must not take for a number, nor for a formula of somebody else."""
    safe = "".join(char for char in value if char.isalnum() or char in "-._/ ")
    return f'="{safe}"' if safe else ""


def _cells(found: wire.Indicators) -> list[tuple[str | int, ...]]:
    return [
        (
            _PERIODS.get(period.name, period.name),
            f"{period.start:%d/%m/%Y}",
            f"{period.end - _A_MOMENT:%d/%m/%Y}",
            _OPERATIONS.get(row.operation, row.operation),
            row.type_code or "",
            _without("8", 12, row.professional),
            _without("1", 10, row.structure),
            row.successes,
            row.successes_qualified,
            row.successes_not_qualified,
            row.failures,
            row.failures_qualified,
            row.failures_not_qualified,
        )
        for period in found.periods
        for row in period.rows
    ]


def _without(prefix: str, length: int, identifier: str | None) -> str:
    """Return an RPPS or a FINESS without the digit that says which it is; another identifier as it is."""
    text = identifier or ""
    return text[1:] if len(text) == length and text.startswith(prefix) else text
