"""Each rule of our own check: one changed document on which this rule, and no other, fires."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import IdentityStatus
from vaguemestre_documents.cda.build import build_cda_n1
from vaguemestre_documents.cda.check import ALL_RULES, check_cda, check_tree
from vaguemestre_documents.cda.parse import parse_xml
from vaguemestre_documents.cda.request import ReplacedVersion
from vaguemestre_testkit import cda_samples

NS = {"h": "urn:hl7-org:v3"}
Change = Callable[[etree._Element], None]


def _root() -> etree._Element:
    replaced = ReplacedVersion(document_id=cda_samples.DOCUMENT_ID, version_number=1)
    request = replace(
        cda_samples.request(), document_id=cda_samples.DOCUMENT_ID + ".2", version_number=2, replaces=replaced
    )
    return etree.fromstring(build_cda_n1(request))


def _find(root: etree._Element, path: str) -> etree._Element:
    found = root.find("/".join(f"h:{step}" if step.isalpha() or "[" in step else step for step in path.split("/")), NS)
    assert found is not None, path
    return found


def put(path: str, **attributes: str) -> Change:
    def change(root: etree._Element) -> None:
        for name, value in attributes.items():
            _find(root, path).set(name, value)

    return change


def drop_attribute(path: str, name: str) -> Change:
    def change(root: etree._Element) -> None:
        del _find(root, path).attrib[name]

    return change


def text(path: str, value: str) -> Change:
    def change(root: etree._Element) -> None:
        _find(root, path).text = value

    return change


def drop(path: str) -> Change:
    def change(root: etree._Element) -> None:
        element = _find(root, path)
        parent = element.getparent()
        assert parent is not None
        parent.remove(element)

    return change


def add(path: str, tag: str, *, at: int | None = None, value: str | None = None, **attributes: str) -> Change:
    def change(root: etree._Element) -> None:
        parent = root if path == "" else _find(root, path)
        element = etree.Element(f"{{{NS['h']}}}{tag}", attributes)
        element.text = value
        parent.insert(len(parent) if at is None else at, element)

    return change


def rename(path: str, tag: str) -> Change:
    def change(root: etree._Element) -> None:
        _find(root, path).tag = f"{{{NS['h']}}}{tag}"

    return change


def fresh_ins(root: etree._Element) -> None:
    """Give the patient a second matricule, a right one."""
    first = _find(root, INS_ID)
    second = etree.fromstring(etree.tostring(first))
    second.set("extension", "275126322074974")
    first.addnext(second)


def swap(path: str) -> Change:
    """Move an element after its next brother."""

    def change(root: etree._Element) -> None:
        element = _find(root, path)
        following = element.getnext()
        assert following is not None
        following.addnext(element)

    return change


def repeat(path: str) -> Change:
    def change(root: etree._Element) -> None:
        element = _find(root, path)
        element.addnext(etree.fromstring(etree.tostring(element)))

    return change


def all_of(*changes: Change) -> Change:
    def change(root: etree._Element) -> None:
        for item in changes:
            item(root)

    return change


INS_ID = "recordTarget/patientRole/id"
ROLE = "recordTarget/patientRole"
NAME = f"{ROLE}/patient/name"
EVENT = "documentationOf/serviceEvent"
BODY = "component/nonXMLBody/text"

MUTATIONS: list[tuple[str, Change]] = [
    ("CDA-STR-01", add("author", "unknown")),
    ("CDA-STR-02", swap("title")),
    ("CDA-STR-03", drop("title")),
    ("CDA-STR-03", drop("custodian")),
    ("CDA-STR-03", drop("componentOf/encompassingEncounter/location")),
    ("CDA-STR-04", repeat("title")),
    ("CDA-STR-05", drop_attribute("relatedDocument", "typeCode")),
    ("CDA-STR-06", text("author", "texte")),
    ("CDA-STR-07", put(ROLE, classCode="EMP")),
    ("CDA-STR-07", put("relatedDocument", typeCode="APND")),
    ("CDA-STR-03", drop("author/assignedAuthor/assignedPerson/name")),
    ("CDA-DT-11", repeat(f"{ROLE}/telecom")),
    ("CDA-DT-11", repeat("author/assignedAuthor/id")),
    ("CDA-DT-12", put("relatedDocument/parentDocument/versionNumber", value="x")),
    ("CDA-DT-13", drop_attribute("author/assignedAuthor/representedOrganization/id", "extension")),
    ("CDA-DT-14", put(f"{EVENT}/performer", nullFlavor="UNK")),
    ("CDA-DT-02", drop("componentOf/encompassingEncounter/effectiveTime/low")),
    ("CDA-DT-06", drop_attribute("author/assignedAuthor/addr", "nullFlavor")),
    ("CDA-ENC-01", put("componentOf/encompassingEncounter/code", code="XXX")),
    ("CDA-HDR-13", put("author/time", nullFlavor="UNK")),
    ("CDA-HDR-13", put("componentOf/encompassingEncounter/location/healthCareFacility/code", nullFlavor="UNK")),
    ("CDA-DT-01", add(f"{ROLE}", "telecom", at=3, nullFlavor="NP")),
    ("CDA-DT-02", put("author/time", value="200909")),
    ("CDA-DT-03", put(f"{ROLE}/telecom", value="0102030405")),
    ("CDA-DT-04", put(f"{ROLE}/telecom", use="XX")),
    ("CDA-DT-05", put(f"{ROLE}/addr", use="XX")),
    ("CDA-DT-06", add(f"{ROLE}/addr", "city", value="LYON")),
    ("CDA-DT-06", add(f"{ROLE}/addr", "streetAddressLine", value="1 rue X")),
    ("CDA-DT-07", drop_attribute("code", "displayName")),
    ("CDA-DT-07", put("code", codeSystem="LOINC")),
    ("CDA-DT-08", put("setId", root="1.02.3")),
    ("CDA-DT-09", drop("author/assignedAuthor/assignedPerson/name/family")),
    ("CDA-DT-10", text("author/assignedAuthor/assignedPerson/name/prefix", "Dr.")),
    ("CDA-HDR-01", put("realmCode", code="BE")),
    ("CDA-HDR-02", put("typeId", extension="POCD_HD000041")),
    ("CDA-HDR-03", put("templateId", root="1.2.3")),
    ("CDA-HDR-04", add("", "templateId", at=4, root="1.2.3")),
    ("CDA-HDR-06", put("id", extension="1")),
    ("CDA-HDR-07", text("title", "x" * 129)),
    ("CDA-HDR-08", put("effectiveTime", value="20261123")),
    ("CDA-HDR-09", put("confidentialityCode", code="U")),
    ("CDA-HDR-10", put("confidentialityCode", code="MASQUE_PS", codeSystem="1.2.250.1.213.1.1.4.13")),
    ("CDA-HDR-11", put("languageCode", code="fr")),
    ("CDA-HDR-12", put("versionNumber", value="0")),
    ("CDA-HDR-13", put("languageCode", nullFlavor="UNK")),
    (
        "CDA-ORG-01",
        put("custodian/assignedCustodian/representedCustodianOrganization/id", root="1.2.3"),
    ),
    ("CDA-PRO-01", drop_attribute("author/assignedAuthor/id", "extension")),
    ("CDA-PRO-02", put("legalAuthenticator/signatureCode", code="X")),
    ("CDA-ACT-01", rename(f"{EVENT}/effectiveTime/low", "high")),
    ("CDA-ACT-02", repeat(f"{EVENT}/performer")),
    (
        "CDA-ACT-03",
        drop(f"{EVENT}/performer/assignedEntity/representedOrganization/standardIndustryClassCode"),
    ),
    ("CDA-REL-01", put("relatedDocument/parentDocument/id", root=cda_samples.DOCUMENT_ID + ".2")),
    ("CDA-REL-01", repeat("relatedDocument")),
    ("CDA-BOD-01", put(BODY, mediaType="image/png")),
    ("CDA-BOD-02", text(BODY, "JVBE*")),
    ("CDA-BOD-02", drop_attribute(BODY, "representation")),
    ("CDA-PAT-01", drop(INS_ID)),
    ("CDA-PAT-03", put(INS_ID, extension="22602750561236")),
    ("CDA-PAT-04", put(INS_ID, extension="226027505612369")),
    ("CDA-PAT-05", drop(f"{ROLE}/patient/birthplace")),
    ("CDA-PAT-05", drop_attribute(f"{NAME}/given[@qualifier='BR']", "qualifier")),
    ("CDA-PAT-06", fresh_ins),
    ("CDA-PAT-07", put(f"{ROLE}/id[2]", root="1.2.250.1.213.1.4.2")),
    ("CDA-PAT-08", swap(INS_ID)),
    ("CDA-PAT-09", drop_attribute(f"{ROLE}/id[2]", "extension")),
    ("CDA-PAT-11", add(NAME, "family", value="AUTRE", qualifier="SP")),
    ("CDA-PAT-12", add(NAME, "given", value="AUTRE", qualifier="SP")),
    ("CDA-PAT-13", put(f"{ROLE}/patient/administrativeGenderCode", code="X")),
    (
        "CDA-PAT-14",
        add(f"{ROLE}/patient", "raceCode", at=3, code="1", codeSystem="1.2.3", displayName="x"),
    ),
    ("CDA-PAT-15", text(f"{ROLE}/patient/birthplace/place/addr/county", "PARIS 10")),
]


def test_the_base_document_is_clean() -> None:
    assert check_tree(_root(), for_dmp=True, is_ins_allowed=True) == ()


@pytest.mark.parametrize(("code", "change"), MUTATIONS, ids=[f"{code}-{i}" for i, (code, _) in enumerate(MUTATIONS)])
def test_one_fault_fires_one_rule(code: str, change: Change) -> None:
    root = _root()
    change(root)
    findings = check_tree(root, for_dmp=True, is_ins_allowed=True)
    assert {finding.rule.code for finding in findings} == {code}


def _as_n3(root: etree._Element) -> None:
    body = _find(root, "component/nonXMLBody")
    body.tag = f"{{{NS['h']}}}structuredBody"
    body.clear()


OTHERS: list[tuple[str, Change, bool]] = [
    ("CDA-HDR-05", _as_n3, True),
    ("CDA-PAT-02", lambda root: None, False),
    (
        "CDA-PAT-10",
        all_of(drop(INS_ID), drop(f"{NAME}/family")),
        False,
    ),
]


@pytest.mark.parametrize(("code", "change", "is_ins_allowed"), OTHERS, ids=[item[0] for item in OTHERS])
def test_rules_that_need_another_setting(code: str, change: Change, is_ins_allowed: bool) -> None:
    root = _root()
    change(root)
    findings = check_tree(root, for_dmp=False, is_ins_allowed=is_ins_allowed)
    assert {finding.rule.code for finding in findings} == {code}


def test_every_rule_has_its_document_and_its_own_code() -> None:
    codes = [rule.code for rule in ALL_RULES]
    assert len(codes) == len(set(codes))
    assert set(codes) == {code for code, _ in MUTATIONS} | {code for code, _, _ in OTHERS}
    for rule in ALL_RULES:
        assert rule.sentence.endswith(".")
        assert rule.source


def test_only_the_dmp_refuses_an_extension_and_the_absence_of_ins() -> None:
    root = _root()
    _find(root, "id").set("extension", "1")
    assert check_tree(root, for_dmp=False, is_ins_allowed=True) == ()
    cda = build_cda_n1(cda_samples.request(IdentityStatus.VALIDEE))
    assert check_cda(cda, for_dmp=False, is_ins_allowed=False) == ()
    assert [item.rule.code for item in check_cda(cda, for_dmp=True, is_ins_allowed=False)] == ["CDA-PAT-01"]


def test_findings_repeat_nothing_of_the_patient() -> None:
    root = _root()
    for element in root.iter():
        element.set("extension", "EXEMPLE")
    shown = repr(check_tree(root, for_dmp=True, is_ins_allowed=False))
    assert "EXEMPLE" not in shown
    assert cda_samples.MATRICULE not in shown


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "XML_MALFORMED"),
        (b"<a>", "XML_MALFORMED"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "XML_DTD_REFUSED"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "XML_DTD_REFUSED"),
        ('<?xml version="1.0" encoding="UTF-16"?><a/>'.encode("utf-16"), "XML_ENCODING_REFUSED"),
        (b'<?xml version="1.0" encoding="UTF-7"?><a/>', "XML_ENCODING_REFUSED"),
        (b"<a>&x;</a>", "XML_MALFORMED"),
        (b"<a>" * 210 + b"</a>" * 210, "XML_TOO_DEEP"),
        (b"<a/>" + b" " * 2000, "XML_TOO_LARGE"),
    ],
)
def test_hostile_xml_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_xml(content, max_bytes=1900)
    assert refused.value.code == code


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(content: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_cda(content, for_dmp=True, is_ins_allowed=True)
    assert refused.value.code.startswith(("XML_", "CDA_"))


@given(st.data())
def test_a_damaged_document_never_breaks_the_check(data: st.DataObject) -> None:
    root = _root()
    elements = [element for element in root.iter() if element is not root]
    for _ in range(data.draw(st.integers(1, 4))):
        element = data.draw(st.sampled_from(elements))
        parent = element.getparent()
        if parent is not None and data.draw(st.booleans()):
            parent.remove(element)
        else:
            for name in list(element.attrib):
                element.set(name, data.draw(st.sampled_from(["", "x", "1.2.3", "-1"])))
    check_tree(root, for_dmp=True, is_ins_allowed=False)
