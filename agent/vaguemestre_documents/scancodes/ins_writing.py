"""Write the Datamatrix INS of a qualified identity: its text, its symbol.

Owns the one place where traits become a code, and its refusals: only an identité qualifiée has one (EXI ID 29,
SC.CDA/VISU.04), and what the format cannot hold is refused, never shortened. Draws nothing. Source: ANS, Format
datamatrix INS v2.2.20230926.
"""

from __future__ import annotations

from typing import Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import PatientIdentity, Sex
from vaguemestre_core.redaction import Personal
from vaguemestre_documents.scancodes.datamatrix import Symbol, symbol
from vaguemestre_documents.scancodes.encodation import encoded
from vaguemestre_documents.scancodes.ins import FIXED_LENGTHS, HEADER, HEADER_LENGTH, MAX_LENGTHS
from vaguemestre_documents.scancodes.text import GS

QUIET_ZONE_MODULES: Final = 2  # the format wants at least one


def ins_text(patient: PatientIdentity) -> Personal:
    """Return the text of the code: header, S1 to S7, GS after a variable value that neither fills its field nor ends.

    Raises:
        InvalidInput: ``INS_CODE_REFUSED`` with reason not_qualified, sex, or length and the field.
    """
    ins = patient.transmissible_ins()
    if ins is None:
        raise InvalidInput("INS_CODE_REFUSED", reason="not_qualified")
    if patient.sex is Sex.INDETERMINE:
        raise InvalidInput("INS_CODE_REFUSED", reason="sex")
    fields = [
        ("S1", ins.matricule),
        ("S2", ins.oid),
        ("S3", patient.given_names),
        ("S4", patient.birth_name),
        ("S5", patient.sex.value),
        ("S6", f"{patient.birth_date.value:%d-%m-}{patient.birth_date.value.year:04}"),
    ]
    if patient.birth_place_cog is not None:
        fields.append(("S7", patient.birth_place_cog))
    text = HEADER
    for name, value in fields:
        if len(value) != FIXED_LENGTHS.get(name, len(value)) or len(value) > MAX_LENGTHS.get(name, len(value)):
            raise InvalidInput("INS_CODE_REFUSED", reason="length", field=name)
        is_short = len(value) < MAX_LENGTHS.get(name, 0)
        text += name + value + (GS if is_short and name != fields[-1][0] else "")
    return Personal(text)


def ins_symbol(patient: PatientIdentity) -> Symbol:
    """Return the square symbol of the code, its header in C40.

    Raises:
        InvalidInput: as ``ins_text``.
    """
    return symbol(encoded(ins_text(patient).reveal(), in_c40=HEADER_LENGTH))
