"""The demonstration's documents are what they say: made by their script, fictitious, and of the announced kind."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from types import ModuleType

import jsonschema
import pikepdf
import pytest
from lxml import etree

from vaguemestre_testkit.loading import loaded

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "docs" / "demo"
HL7 = {"c": "urn:hl7-org:v3"}


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """Load docs/demo/make_documents.py."""
    return loaded(DEMO / "make_documents.py")


def certificate() -> bytes:
    return (DEMO / "certificat.cda.xml").read_bytes()


def body_of(cda: bytes) -> bytes:
    text = etree.fromstring(cda).findtext("c:component/c:nonXMLBody/c:text", namespaces=HL7)
    assert text is not None
    return base64.b64decode(text)


def images_of(pdf: bytes) -> list[str]:
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        page = opened.pages[0]
        assert len(opened.pages) == 1
        assert "/Font" not in page.Resources
        return [str(image.Subtype) for image in page.Resources.XObject.values()]


def test_the_text_pdf_is_what_its_script_makes(maker: ModuleType) -> None:
    kept = (DEMO / "consultation.pdf").read_bytes()
    assert maker.consultation_pdf() == kept
    with pikepdf.open(io.BytesIO(kept)) as opened:
        assert len(opened.pages) > 1
        assert opened.check_pdf_syntax() == []


def test_the_scanned_letter_is_an_image_only() -> None:
    assert images_of((DEMO / "lettre-scannee.pdf").read_bytes()) == ["/Image"]


def test_the_ready_cda_is_what_its_script_makes_around_its_body(maker: ModuleType) -> None:
    kept = certificate()
    assert maker.certificate_cda(body_of(kept)) == kept
    assert images_of(body_of(kept)) == ["/Image"]


@pytest.mark.parametrize("data", [b"", b"\x00", b"aab", b"abcabcabc", bytes(1000), bytes(range(256)) * 3])
def test_run_lengths_are_read_back(maker: ModuleType, data: bytes) -> None:
    encoded = maker.run_lengths(data)
    decoded = bytearray()
    position = 0
    while encoded[position] != 128:
        length = encoded[position]
        if length < 128:
            decoded += encoded[position + 1 : position + 2 + length]
            position += 2 + length
        else:
            decoded += encoded[position + 1 : position + 2] * (257 - length)
            position += 2
    assert bytes(decoded) == data


@pytest.mark.parametrize(
    ("name", "definition"),
    [("consultation", "document"), ("lettre-scannee", "document"), ("certificat.cda", "ready_document")],
)
def test_the_metadata_follow_the_schema_and_name_fictitious_persons(name: str, definition: str) -> None:
    schema = json.loads((ROOT / "agent" / "vaguemestre_documents" / "metadata_schema.json").read_text("utf-8"))
    metadata = json.loads((DEMO / f"{name}.json").read_text("utf-8"))
    jsonschema.validate(metadata, {**schema, "$ref": f"#/$defs/{definition}"})
    assert metadata["patient"]["ins"]["oid"] == "1.2.250.1.213.1.4.10", "the test OID"
    assert metadata["author"]["rpps"].startswith("997"), "a test RPPS"


def test_the_metadata_of_the_ready_cda_are_its_own() -> None:
    metadata = json.loads((DEMO / "certificat.cda.json").read_text("utf-8"))
    document = etree.fromstring(certificate())
    assert document.findtext("c:title", namespaces=HL7) == metadata["title"]
    assert document.xpath("string(c:code/@code)", namespaces=HL7) == metadata["type_code"]
    matricule = document.xpath("string(c:recordTarget/c:patientRole/c:id[1]/@extension)", namespaces=HL7)
    assert matricule == metadata["patient"]["ins"]["matricule"]
