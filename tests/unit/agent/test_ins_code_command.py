"""The command that makes a Datamatrix INS: picture or PDF, from a document's metadata or from its patient alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vaguemestre_agent.cli.main import main
from vaguemestre_testkit import metadata_samples, pdf_samples

pytestmark = pytest.mark.req("SC.CDA/VISU.04")


@pytest.mark.parametrize("alone", [True, False])
def test_a_picture_and_a_pdf_are_written(tmp_path: Path, alone: bool, capsys: pytest.CaptureFixture[str]) -> None:
    metadata, given = tmp_path / "m.json", tmp_path / "in.pdf"
    value = metadata_samples.metadata("qualifiée")
    metadata.write_text(json.dumps(value["patient"] if alone else value), "utf-8")
    given.write_bytes(pdf_samples.conforming())
    picture, page = tmp_path / "code.png", tmp_path / "out.pdf"
    assert main(["ins-code", "--metadata", str(metadata), "--out", str(picture)]) == 0
    assert main(["ins-code", "--metadata", str(metadata), "--out", str(page), "--pdf", str(given), "--json"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert page.read_bytes().startswith(b"%PDF")
    assert len(page.read_bytes()) > len(given.read_bytes())
    patient = value["patient"]
    assert isinstance(patient, dict)
    assert str(patient["birth_name"]) not in capsys.readouterr().out


def test_an_identity_that_is_not_qualified_writes_nothing(tmp_path: Path) -> None:
    metadata, out = tmp_path / "m.json", tmp_path / "code.png"
    metadata.write_text(json.dumps(metadata_samples.metadata("validée")), "utf-8")
    assert main(["ins-code", "--metadata", str(metadata), "--out", str(out)]) != 0
    assert not out.exists()


@pytest.mark.parametrize("text", ["no json", "[1]", '{"patient": 3}'])
def test_what_is_no_metadata_is_refused(tmp_path: Path, text: str) -> None:
    metadata = tmp_path / "m.json"
    metadata.write_text(text, "utf-8")
    assert main(["ins-code", "--metadata", str(metadata), "--out", str(tmp_path / "x.png")]) != 0
