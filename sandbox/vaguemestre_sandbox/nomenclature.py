"""Code tables the registry checks against, and the fictitious people and software it knows.

Owns the sandbox's copies (NOS ASS_X04 of 2024-02-23 and ASS_A11 of 2024-01-26 as CSV in `data/`); everybody named
here is invented and every matricule bears the test OID.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

INS_TEST_OID: Final = "1.2.250.1.213.1.4.10"
CLIENT_ID: Final = "vaguemestre-sandbox-client"
CONFIDENTIALITY_SYSTEM: Final = "2.16.840.1.113883.5.25"
VISIBILITY_SYSTEM: Final = "1.2.250.1.213.1.1.4.13"
VISIBILITY_CODES: Final = frozenset({"INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX", "MASQUE_PS"})
CLASS_SYSTEM: Final = "1.2.250.1.213.1.1.4.1"
FACILITY_SYSTEM: Final = "1.2.250.1.71.4.2.4"
PRACTICE_SYSTEM: Final = "1.2.250.1.213.1.1.4.9"
SPECIALTY_SYSTEM: Final = "1.2.250.1.213.1.1.4.5"
CONTENT_TYPE_SYSTEM: Final = "1.2.250.1.213.2.2"
IHE_FORMAT_SYSTEM: Final = "1.3.6.1.4.1.19376.1.2.3"

N1_FORMATS: Final[dict[str, str]] = {
    "application/pdf": "urn:ihe:iti:xds-sd:pdf:2008",
    "text/plain": "urn:ihe:iti:xds-sd:text:2008",
    "text/rtf": "urn:ihe:iti-fr:xds-sd:rtf:2010",
    "image/jpeg": "urn:ihe:iti-fr:xds-sd:jpeg:2010",
    "image/tiff": "urn:ihe:iti-fr:xds-sd:tiff:2010",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FictitiousPatient:
    """One invented patient and the state of the DMP at the first start.

    `dmp`: open, closed or none. `authorization`: AUTORISATION code for every professional.
    """

    matricule: str
    family: str
    given: str
    sex: str
    birth: str
    dmp: str
    authorization: str = "VALIDE"
    internet_account: bool = True
    ens: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FictitiousDoctor:
    """One invented professional. `national_id` is 8 + RPPS; `structure` a Struct_IdNat."""

    national_id: str
    family: str
    given: str
    specialty: str
    structure: str
    is_treating_doctor: bool


PATIENTS: Final = (
    FictitiousPatient(
        matricule="226027505612368", family="EXEMPLE", given="LINA", sex="F", birth="20260218", dmp="open"
    ),
    FictitiousPatient(matricule="185037505604240", family="ESSAI", given="MARC", sex="M", birth="19850314", dmp="open"),
    FictitiousPatient(
        matricule="279036912305770",
        family="D'ARTIFICE",
        given="MARIE-ROSE",
        sex="F",
        birth="19790302",
        dmp="open",
        authorization="INEXISTANTE",
        internet_account=False,
        ens=False,
    ),
    FictitiousPatient(
        matricule="155061305510102", family="CLOS", given="JEAN", sex="M", birth="19550621", dmp="closed"
    ),
    FictitiousPatient(
        matricule="212129201200847", family="SANSDOSSIER", given="ZOE", sex="F", birth="20121224", dmp="none"
    ),
)
DOCTORS: Final = (
    FictitiousDoctor(
        national_id="899700000012",
        family="ESSAI",
        given="Alix",
        specialty="SM26",
        structure="499700000012003",
        is_treating_doctor=True,
    ),
    FictitiousDoctor(
        national_id="899700000020",
        family="MODELE",
        given="Camille",
        specialty="SM26",
        structure="499700000012003",
        is_treating_doctor=False,
    ),
    FictitiousDoctor(
        national_id="899700000038",
        family="TEMOIN",
        given="Sacha",
        specialty="SM04",
        structure="499700000038001",
        is_treating_doctor=False,
    ),
)


@cache
def class_of_type() -> dict[tuple[str, str], frozenset[str]]:
    """(typeCode, codeSystem) → class codes that the table gives to it."""
    table: dict[tuple[str, str], set[str]] = {}
    for row in _rows("type_to_class.csv"):
        table.setdefault((row["typeCode"], row["typeCodeSystem"]), set()).add(row["classCode"])
    return {key: frozenset(values) for key, values in table.items()}


@cache
def format_of_template() -> dict[str, frozenset[tuple[str, str]]]:
    """TemplateId → (formatCode, codeSystem) pairs that the table gives to it (structured documents)."""
    table: dict[str, set[tuple[str, str]]] = {}
    for row in _rows("template_to_format.csv"):
        table.setdefault(row["templateId"], set()).add((row["formatCode"], row["formatCodeSystem"]))
    return {key: frozenset(values) for key, values in table.items()}


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("vaguemestre_sandbox") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def ins_key_is_right(matricule: str) -> bool:
    """Tell whether the two-digit key of a 15-character matricule is right (Corsica: 2A as 19, 2B as 18)."""
    number = matricule[:13].replace("2A", "19", 1) if "A" in matricule else matricule[:13]
    number = number.replace("2B", "18", 1)
    if len(matricule) != 15 or not (number + matricule[13:]).isdigit():
        return False
    return 97 - int(number) % 97 == int(matricule[13:])
