"""Our documents and our check against the official material, when it is on this machine.

``VAGUEMESTRE_CDA_KIT`` names a work tree of ansforge/TestContenuCDA-3-0 and ``VAGUEMESTRE_CDA_VALIDATOR`` a command
that takes it and documents, and ends with status 0 when XSD and generic schematrons find no error.
``VAGUEMESTRE_CDA_EXAMPLES`` names a folder of official examples, ``VAGUEMESTRE_JDV`` one of value sets (IHE SVS).
"""

from __future__ import annotations

import datetime as dt
import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from vaguemestre_core.contacts import CodedConcept, PostalAddress
from vaguemestre_core.identities import IdentityStatus
from vaguemestre_core.professionals import Civility, Title
from vaguemestre_documents.cda.build import build_cda_n1
from vaguemestre_documents.cda.check import check_cda
from vaguemestre_documents.cda.request import CdaRequest, Recipient, RecipientKind, ReplacedVersion
from vaguemestre_documents.codes import (
    DOCUMENT_TYPES,
    ENCOUNTERS,
    GENDERS,
    PRACTICE_SETTINGS,
    SECTORS,
    VISIBILITY,
    MediaType,
)
from vaguemestre_documents.hl7time import Hl7Time
from vaguemestre_testkit import cda_samples


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value or not Path(value).is_dir():
        pytest.skip(f"{variable} names no folder")
    return Path(value)


def _documents() -> Mapping[str, CdaRequest]:
    base = cda_samples.request()
    day = Hl7Time.from_day(dt.date(2021, 3, 4))
    recipients = (
        Recipient(kind=RecipientKind.PROFESSIONAL, family_name="DURÈVE", given_name="Zoé", ps_idnat="899700000020"),
        Recipient(kind=RecipientKind.STRUCTURE, structure_name="Clinique d'Essai", struct_idnat="499700000020001"),
        Recipient(kind=RecipientKind.PERSON, family_name="EXEMPLE"),
    )
    return {
        "qualified": base,
        "not-qualified": cda_samples.request(IdentityStatus.VALIDEE),
        "historical": replace(base, act=replace(base.act, start=day), encounter=replace(base.encounter, start=day)),
        "replacement": replace(
            base,
            document_id=cda_samples.DOCUMENT_ID + ".2",
            version_number=2,
            replaces=ReplacedVersion(document_id=cda_samples.DOCUMENT_ID, version_number=1),
        ),
        "image": cda_samples.with_body(MediaType.JPEG, cda_samples.jpeg()),
        "text": cda_samples.with_body(MediaType.TEXT, "Été".encode()),
        "accents": replace(
            base,
            title='L\'été « œuvré » <&> à 50 % — n° 3 / "essai"',
            recipients=recipients,
            act=replace(
                base.act,
                end=Hl7Time.from_instant(cda_samples.NOW),
                code=CodedConcept(code="MED-1232", code_system="1.2.250.1.213.1.1.4.322", label="9e mois"),
            ),
            patient=replace(
                base.patient,
                used_name="D'Été",
                used_given_name="Léa",
                address=PostalAddress(lines=("1 rue des Œillets", "75010 PARIS")),
            ),
        ),
    }


@pytest.mark.kit
@pytest.mark.slow
@pytest.mark.req("LGC.MDV.03")
def test_the_official_rules_find_no_error_in_our_documents(tmp_path: Path) -> None:
    kit = _folder("VAGUEMESTRE_CDA_KIT")
    command = os.environ.get("VAGUEMESTRE_CDA_VALIDATOR")
    if not command:
        pytest.skip("VAGUEMESTRE_CDA_VALIDATOR names no command")
    paths = []
    for name, request in _documents().items():
        path = tmp_path / f"{name}.xml"
        path.write_bytes(build_cda_n1(request))
        paths.append(str(path))
    done = subprocess.run(
        [*shlex.split(command), str(kit), *paths], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("0 error(s), 0 warning(s)") == len(paths)


@pytest.mark.parametrize("name", list(_documents()))
def test_our_check_finds_nothing_in_our_documents(name: str) -> None:
    request = _documents()[name]
    is_qualified = request.patient.status is IdentityStatus.QUALIFIEE
    assert check_cda(build_cda_n1(request), for_dmp=is_qualified, is_ins_allowed=is_qualified) == ()


# The three certificates of the kit carry matricules whose key is wrong.
_KNOWN_SLIPS: Mapping[str, set[str]] = {
    "CSE-CS24_2025.01.xml": {"CDA-PAT-04"},
    "CSE-CS9_2025.01.xml": {"CDA-PAT-04"},
    "CSE-MDE_2023.01.xml": {"CDA-PAT-04"},
}


@pytest.mark.kit
def test_our_check_has_no_false_finding_on_the_official_examples() -> None:
    examples = sorted(_folder("VAGUEMESTRE_CDA_EXAMPLES").glob("*.xml"))
    assert examples
    for example in examples:
        findings = check_cda(example.read_bytes(), for_dmp=True, is_ins_allowed=True)
        assert {item.rule.code for item in findings} == _KNOWN_SLIPS.get(example.name, set()), example.name


def _value_set(folder: Path, pattern: str) -> dict[str, tuple[str, str]]:
    (path,) = folder.glob(pattern)
    concepts = etree.parse(path).getroot().iter("{urn:ihe:iti:svs:2008}Concept")
    return {
        str(item.get("code")): (str(item.get("codeSystem")), str(item.get("displayName")))
        for item in concepts
        if not item.get("dateFin")
    }


@pytest.mark.kit
@pytest.mark.parametrize(
    ("pattern", "table"),
    [
        ("JDV_J07_*.xml", {code: item.concept for code, item in DOCUMENT_TYPES.items()}),
        ("JDV_J02_*.xml", SECTORS),
        ("JDV_J04_*.xml", PRACTICE_SETTINGS),
        ("JDV_J142_*.xml", ENCOUNTERS),
        ("JDV_J143_*.xml", GENDERS),
        ("JDV_J08_*.xml", {mask.value: concept for mask, concept in VISIBILITY.items()}),
    ],
    ids=["types", "sectors", "settings", "encounters", "genders", "visibility"],
)
def test_our_codes_and_labels_are_those_of_the_value_sets(pattern: str, table: Mapping[str, CodedConcept]) -> None:
    official = _value_set(_folder("VAGUEMESTRE_JDV"), pattern)
    assert {code: (item.code_system, item.label) for code, item in table.items()} == {
        code: official.get(code) for code in table
    }


@pytest.mark.kit
def test_civilities_and_titles_are_those_of_the_value_sets() -> None:
    folder = _folder("VAGUEMESTRE_JDV")
    assert {item.value for item in Civility} == set(_value_set(folder, "JDV_J245_*.xml"))
    assert {item.value for item in Title} == set(_value_set(folder, "JDV_J246_*.xml"))
