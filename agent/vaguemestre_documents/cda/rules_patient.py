"""Rules on the patient: INS, traits, names, and what may not be written.

Owns one rule per fault; a finding never repeats what the document says of the patient.
Source: CI-SIS Structuration minimale 1.16.8; DSR-MDV-LGC-Va2 (INS qualifiée for the DMP); RNIV EXI ID 29.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lxml import etree

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import INS_OIDS, OID_INS_C, ins_key
from vaguemestre_documents.cda.findings import Finding, Rule, Severity
from vaguemestre_documents.cda.read import NS
from vaguemestre_documents.cda.structure import local_name
from vaguemestre_documents.codes import GENDERS

_SM: Final = "CI-SIS Structuration minimale 1.16.8"
NO_INS: Final = Rule(
    code="CDA-PAT-01",
    sentence="Le document ne porte pas de matricule INS : le DMP demande une INS qualifiée.",
    source="DSR-MDV-LGC-Va2",
)
INS_NOT_ALLOWED: Final = Rule(
    code="CDA-PAT-02",
    sentence="Le document porte un matricule INS alors que l'identité n'est pas qualifiée.",
    source="INS/va1.53, RNIV EXI ID 29",
)
INS_SHAPE: Final = Rule(
    code="CDA-PAT-03", sentence="Le matricule INS n'a pas ses quinze caractères.", source="GIE SEL-MP-043"
)
INS_KEY: Final = Rule(
    code="CDA-PAT-04",
    sentence="La clé du matricule INS ne correspond pas au numéro.",
    source="GIE SEL-MP-043",
    severity=Severity.WARNING,
)
INS_TRAITS: Final = Rule(
    code="CDA-PAT-05",
    sentence="Avec un matricule INS, les cinq traits stricts et la liste des prénoms sont obligatoires.",
    source=_SM,
)
SEVERAL_INS: Final = Rule(code="CDA-PAT-06", sentence="Le document porte plusieurs matricules INS.", source=_SM)
INS_C: Final = Rule(code="CDA-PAT-07", sentence="Le document porte un ancien INS-C, qui ne s'utilise plus.", source=_SM)
INS_FIRST: Final = Rule(
    code="CDA-PAT-08",
    sentence="Le matricule INS n'est pas le premier identifiant du patient.",
    source=_SM,
    severity=Severity.WARNING,
)
PATIENT_ID: Final = Rule(
    code="CDA-PAT-09", sentence="Un identifiant du patient n'a pas de valeur (extension).", source=_SM
)
NAMES: Final = Rule(code="CDA-PAT-10", sentence="Le nom du patient n'a pas au moins un nom et un prénom.", source=_SM)
FAMILY: Final = Rule(
    code="CDA-PAT-11",
    sentence="Un nom de famille du patient n'est pas qualifié BR (naissance) ou CL (utilisé).",
    source=_SM,
)
GIVEN: Final = Rule(code="CDA-PAT-12", sentence="Un prénom du patient est qualifié autrement que BR ou CL.", source=_SM)
GENDER: Final = Rule(code="CDA-PAT-13", sentence="Le sexe du patient n'est pas F, M ou UN.", source="NOS JDV_J143")
FORBIDDEN: Final = Rule(
    code="CDA-PAT-14",
    sentence="Le document porte une donnée interdite : origine, groupe ethnique ou religion.",
    source=_SM,
)
COG: Final = Rule(
    code="CDA-PAT-15", sentence="Le lieu de naissance n'est pas un code COG à cinq caractères.", source=_SM
)
RULES: Final = (
    NO_INS,
    INS_NOT_ALLOWED,
    INS_SHAPE,
    INS_KEY,
    INS_TRAITS,
    SEVERAL_INS,
    INS_C,
    INS_FIRST,
    PATIENT_ID,
    NAMES,
    FAMILY,
    GIVEN,
    GENDER,
    FORBIDDEN,
    COG,
)

_MATRICULE: Final = re.compile(r"[0-9]{6}[0-9AB][0-9]{6}[0-9]{2}")
_COG: Final = re.compile(r"[0-9A-Z]{5}")
_PATH: Final = "/recordTarget/patientRole"
_FORBIDDEN_NAMES: Final = frozenset(
    {"raceCode", "ethnicGroupCode", "religiousAffiliationCode", "sdtc:raceCode", "sdtc:ethnicGroupCode"}
)


def check_patient(root: etree._Element, *, for_dmp: bool, is_ins_allowed: bool) -> Iterator[Finding]:
    """Yield the findings on the patient.

    ``is_ins_allowed`` is whether the sender says that the identity is qualifiée: if not, no INS may be there,
    in the record target or anywhere else in the document.
    """
    role = root.find("h:recordTarget/h:patientRole", NS)
    if role is None:
        return
    yield from _ids(role, for_dmp=for_dmp)
    yield from _names(role)
    yield from _traits(role)
    if not is_ins_allowed and any(item.get("root") in INS_OIDS for item in root.iter()):
        yield INS_NOT_ALLOWED.at(_PATH)


def _ids(role: etree._Element, *, for_dmp: bool) -> Iterator[Finding]:
    path = f"{_PATH}/id"
    ids = [item for item in role.findall("h:id", NS) if item.get("nullFlavor") is None]
    found = [item for item in ids if item.get("root") in INS_OIDS]
    if any(not item.get("extension") for item in ids):
        yield PATIENT_ID.at(path)
        return
    if any(item.get("root") == OID_INS_C for item in ids):
        yield INS_C.at(path)
    if not found:
        if for_dmp:
            yield NO_INS.at(path)
        return
    if len(found) > 1:
        yield SEVERAL_INS.at(path)
    if ids[0].get("root") not in INS_OIDS:
        yield INS_FIRST.at(path)
    for item in found:
        yield from _matricule(item.get("extension", ""), path)
    if not _has_strict_traits(role):
        yield INS_TRAITS.at(_PATH)


def _matricule(matricule: str, path: str) -> Iterator[Finding]:
    if _MATRICULE.fullmatch(matricule) is None:
        yield INS_SHAPE.at(path)
        return
    try:
        key = ins_key(matricule[:13])
    except InvalidInput:
        yield INS_SHAPE.at(path)
        return
    if key != int(matricule[13:]):
        yield INS_KEY.at(path)


def _has_strict_traits(role: etree._Element) -> bool:
    name = "h:patient/h:name"
    paths = (
        f"{name}/h:family[@qualifier='BR']",
        f"{name}/h:given[@qualifier='BR']",
        "h:patient/h:birthTime[@value]",
        "h:patient/h:birthplace/h:place/h:addr/h:county",
        "h:patient/h:administrativeGenderCode[@code]",
    )
    has_list = any(item.get("qualifier") is None for item in role.findall(f"{name}/h:given", NS))
    return has_list and all(role.find(path, NS) is not None for path in paths)


def _names(role: etree._Element) -> Iterator[Finding]:
    path = f"{_PATH}/patient/name"
    for name in role.findall("h:patient/h:name", NS):
        families, givens = name.findall("h:family", NS), name.findall("h:given", NS)
        if not families or not givens:
            yield NAMES.at(path)
        if any(item.get("qualifier") not in ("BR", "CL") for item in families):
            yield FAMILY.at(path)
        if any(item.get("qualifier") not in (None, "BR", "CL") for item in givens):
            yield GIVEN.at(path)


def _traits(role: etree._Element) -> Iterator[Finding]:
    patient = role.find("h:patient", NS)
    if patient is None:
        return
    for item in patient.findall("h:administrativeGenderCode", NS):
        if item.get("code") is not None and item.get("code") not in GENDERS:
            yield GENDER.at(f"{_PATH}/patient/administrativeGenderCode")
    for item in patient.findall("h:birthplace/h:place/h:addr/h:county", NS):
        if _COG.fullmatch((item.text or "").strip()) is None:
            yield COG.at(f"{_PATH}/patient/birthplace")
    if any(local_name(item) in _FORBIDDEN_NAMES for item in patient):
        yield FORBIDDEN.at(f"{_PATH}/patient")
