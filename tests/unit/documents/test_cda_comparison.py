"""Two CDA are compared by what they say; the report says where they differ and never what is written there."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from vaguemestre_documents.cda.comparison import DifferenceKind, compare
from vaguemestre_documents.cda.parse import parse_xml

OURS = """<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 classCode="DOCCLIN">
<templateId root="1.1"/><templateId root="1.2"/><id root="1.2.3"/>
<code code="11488-4" codeSystem="2.16.840.1.113883.6.1" displayName="Compte rendu"/><title>Compte  rendu</title>
<recordTarget><patientRole classCode="PAT"><id extension="185037505604240" root="1.8"/>
<patient><name><family qualifier="BR">ESSAI</family><given>MARC</given></name></patient></patientRole></recordTarget>
<component><nonXMLBody><text mediaType="application/pdf" representation="B64">aGVs
bG8=</text></nonXMLBody></component></ClinicalDocument>"""


def differences(ours: str, theirs: str) -> dict[str, tuple[str, bool]]:
    found = compare(parse_xml(ours.encode()), parse_xml(theirs.encode()))
    return {item.path: (item.kind.value, item.expected) for item in found}


def test_the_same_said_otherwise_is_the_same() -> None:
    theirs = (
        OURS.replace(
            '<templateId root="1.1"/><templateId root="1.2"/>', '<templateId root="1.2"/><templateId root="1.1"/>'
        )
        .replace(' classCode="PAT"', "")
        .replace("aGVs\nbG8=", "aGVsbG8=")
        .replace("Compte  rendu", "\n Compte rendu ")
        .replace('xmlns="urn:hl7-org:v3"', 'xmlns:h="urn:hl7-org:v3"')
    )
    theirs = re.sub(r"<(/?)(\w)", r"<\1h:\2", theirs)
    assert differences(OURS, theirs) == {}


@pytest.mark.parametrize(
    ("before", "after", "path", "kind", "expected"),
    [
        ("MARC", "MARK", "/ClinicalDocument/recordTarget/patientRole/patient/name/given/text()", "value", False),
        (
            'qualifier="BR"',
            "",
            "/ClinicalDocument/recordTarget/patientRole/patient/name/family/@qualifier",
            "first_only",
            False,
        ),
        ('classCode="PAT"', 'classCode="X"', "/ClinicalDocument/recordTarget/patientRole/@classCode", "value", False),
        ("aGVs\nbG8=", "aGVsbG9v", "/ClinicalDocument/component/nonXMLBody/text/text()", "value", False),
        ("1.2.3", "1.2.4", "/ClinicalDocument/id/@root", "value", True),
        ('displayName="Compte rendu"', 'displayName="CR"', "/ClinicalDocument/code/@displayName", "label", True),
        ('<templateId root="1.2"/>', "", "/ClinicalDocument/templateId[2]", "first_only", False),
        ("</title>", '</title><languageCode code="fr-FR"/>', "/ClinicalDocument/languageCode", "second_only", False),
        (
            'root="1.8"',
            'root="1.8" nullFlavor="UNK"',
            "/ClinicalDocument/recordTarget/patientRole/id/@nullFlavor",
            "second_only",
            False,
        ),
    ],
)
def test_each_kind_of_difference_is_found_where_it_is(
    before: str, after: str, path: str, kind: str, expected: bool
) -> None:
    assert before in OURS
    assert differences(OURS, OURS.replace(before, after, 1)) == {path: (kind, expected)}


def test_a_default_attribute_that_differs_among_brothers_is_seen() -> None:
    ours = '<a xmlns="urn:hl7-org:v3"><b classCode="X" c="1"/><b c="2"/></a>'
    assert differences(ours, ours.replace('"X"', '"Y"')) == {"/a/b[1]/@classCode": ("value", False)}


def test_brothers_are_counted() -> None:
    ours = '<a xmlns="urn:hl7-org:v3"><p><b c="1"/><b c="1"/><b c="2"/></p><p/></a>'
    theirs = '<a xmlns="urn:hl7-org:v3"><p><b c="1"/><b c="2"/><b c="2"/></p><p/></a>'
    assert differences(ours, theirs) == {"/a/p[1]/b[2]/@c": ("value", False)}


def test_no_value_is_in_the_report() -> None:
    theirs = OURS.replace("MARC", "LINA").replace("ESSAI", "EXEMPLE").replace("185037505604240", "226027505612368")
    report = repr(compare(parse_xml(OURS.encode()), parse_xml(theirs.encode())))
    for value in ("MARC", "LINA", "ESSAI", "EXEMPLE", "185037505604240", "226027505612368"):
        assert value not in report
    assert "patient" in report


def test_two_other_documents_are_told_at_once() -> None:
    assert differences(OURS, "<x/>") == {"/ClinicalDocument": ("value", False)}


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> etree._Element:
    element = etree.Element("{urn:hl7-org:v3}" + draw(st.sampled_from("abc")))
    for name in draw(st.lists(st.sampled_from(["code", "root", "classCode"]), unique=True, max_size=2)):
        element.set(name, draw(st.sampled_from("12")))
    element.text = draw(st.sampled_from([None, "x", " x "]))
    if depth:
        for child in draw(st.lists(trees(depth - 1), max_size=3)):
            element.append(child)
    return element


@settings(max_examples=60, deadline=None)
@given(trees())
def test_a_document_is_the_same_as_itself(tree: etree._Element) -> None:
    assert compare(tree, tree) == ()


@settings(max_examples=60, deadline=None)
@given(trees(), trees())
def test_who_is_first_changes_only_the_side(first: etree._Element, second: etree._Element) -> None:
    sides = {
        DifferenceKind.FIRST_ONLY: DifferenceKind.SECOND_ONLY,
        DifferenceKind.SECOND_ONLY: DifferenceKind.FIRST_ONLY,
    }
    there = sorted(item.kind.value for item in compare(first, second))
    back = sorted(sides.get(item.kind, item.kind).value for item in compare(second, first))
    assert there == back
