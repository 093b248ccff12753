#!/usr/bin/env python3
"""The table of docs/doctor.md, made from the rules and sentences; ``generate.py`` writes it, a test compares."""

from __future__ import annotations

from pathlib import Path

from vaguemestre_agent.doctor.codes import Weight, sentences
from vaguemestre_agent.doctor.rules import RULES

PAGE = Path(__file__).with_name("doctor.md")
BEGIN, END = "<!-- generated: doctor-rules -->", "<!-- end -->"
WEIGHTS = {Weight.FAULT: "anomalie", Weight.NOTICE: "remarque"}


def table() -> str:
    """Return one row a rule, in the order in which they are told."""
    rows = ["| Code | Poids | Au médecin | Au technicien | À faire |", "|---|---|---|---|---|"]
    for rule in RULES:
        said = sentences()[rule.code]
        cells = (f"`{rule.code}`", WEIGHTS[rule.weight], said.doctor, said.technician, said.action)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows)


def rendered(page: str) -> str:
    """Return the page with its table made anew.

    Raises:
        ValueError: the markers are missing.
    """
    before, found, rest = page.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise ValueError("doctor-rules")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text("utf-8")), "utf-8")
