"""Metadata of an LGC: schema and parser agree, and each fault is found where it is."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import IdentityStatus
from vaguemestre_documents.document_metadata import MetadataInvalid
from vaguemestre_documents.metadata_parsing import parse_document_metadata, parse_ready_metadata
from vaguemestre_documents.metadata_schema import KEYWORDS, metadata_schema, validate
from vaguemestre_testkit import cda_samples, metadata_samples

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 200) | st.sampled_from([1.0, 1.5, -3.0]) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
REFERENCE = {
    name: jsonschema.Draft202012Validator({**metadata_schema(), "$ref": f"#/$defs/{name}"})
    for name in ("document", "ready_document")
}


def _places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _places(member, (*path, name))
    elif isinstance(value, list):
        for position, member in enumerate(value):
            yield from _places(member, (*path, position))


def _changed(value: object, path: tuple[str | int, ...], data: st.DataObject) -> object:
    """One place replaced, removed, or given one more member."""
    value = copy.deepcopy(value)
    if not path:
        return data.draw(JSON)
    parent: object = value
    for step in path[:-1]:
        parent = parent[step]  # type: ignore[index]  # any JSON value
    match data.draw(st.sampled_from(["replace", "remove", "add"])):
        case "replace":
            parent[path[-1]] = data.draw(JSON)  # type: ignore[index]
        case "remove":
            del parent[path[-1]]  # type: ignore[attr-defined]
        case _ if isinstance(parent, dict):
            parent[data.draw(st.text(max_size=5))] = data.draw(JSON)
        case _:
            parent.append(data.draw(JSON))  # type: ignore[attr-defined]
    return value


def test_the_schema_is_one_and_uses_only_what_our_validator_knows() -> None:
    jsonschema.Draft202012Validator.check_schema(metadata_schema())

    def walk(schema: object, *, is_map: bool) -> None:
        assert isinstance(schema, dict)
        for name, member in schema.items():
            if is_map:
                walk(member, is_map=False)
            else:
                assert name in KEYWORDS
                if name in ("properties", "$defs"):
                    walk(member, is_map=True)
                elif name == "items":
                    walk(member, is_map=False)

    walk(dict(metadata_schema()), is_map=False)


@given(st.data(), st.sampled_from(["document", "ready_document"]))
@settings(max_examples=300)
def test_our_validator_agrees_with_the_reference_one(data: st.DataObject, name: str) -> None:
    base = metadata_samples.metadata() if name == "document" else metadata_samples.ready_metadata()
    base["replaces" if name == "document" else "format_code"] = {"document_id": "1.2.3", "version": 2}
    value: object = base
    for _ in range(data.draw(st.integers(0, 3))):
        value = _changed(value, data.draw(st.sampled_from(list(_places(value)))), data)
    assert (not validate(value, name)) == REFERENCE[name].is_valid(value)


@given(st.data())
def test_what_the_parser_accepts_the_schema_accepts_and_errors_point_somewhere(data: st.DataObject) -> None:
    value = _changed(
        metadata_samples.metadata(),
        data.draw(st.sampled_from(list(_places(metadata_samples.metadata())))),
        data,
    )
    try:
        parse_document_metadata(value)  # type: ignore[arg-type]  # any JSON value
    except MetadataInvalid as refused:
        for finding in refused.findings:
            assert finding.sentence.endswith(".")
            assert finding.pointer == "" or finding.pointer.startswith("/")
    else:
        assert REFERENCE["document"].is_valid(value)


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("patient", "ins", "matricule"), "226027505612369", "INS_INVALID"),
        (("patient", "birth_date"), "2026-02-30", "TRAIT_INVALID"),
        (("patient", "birth_name"), "Exemple", "TRAIT_INVALID"),
        (("patient", "first_given_name"), "MARIE", "TRAIT_INVALID"),
        (("act", "date"), "2026-02-30", "HL7_TIME_INVALID"),
        (("act", "end"), "2025-01-01", "ACT_DATES_INVALID"),
        (("type_code",), "101881-1", "TYPE_UNKNOWN"),
        (("title",), "  ", "TEXT_INVALID"),
        (("visibility",), ["MASQUE_PS", "INVISIBLE_PATIENT"], "VISIBILITY_COMBINATION_FORBIDDEN"),
        (("recipients", 0), {"kind": "structure"}, "RECIPIENT_INVALID"),
        (("structure", "sector_label"), None, "METADATA_TYPE"),
        (("patient", "telecoms", 0, "value"), "0102", "METADATA_SHAPE"),
        (("patient", "sex"), "X", "METADATA_VALUE"),
        (("author", "rpps"), 99700000012, "METADATA_TYPE"),
    ],
)
def test_each_error_has_its_pointer(path: tuple[str | int, ...], value: object, code: str) -> None:
    metadata: object = metadata_samples.metadata()
    parent = metadata
    for step in path[:-1]:
        parent = parent[step]  # type: ignore[index]
    parent[path[-1]] = value  # type: ignore[index]
    with pytest.raises(MetadataInvalid) as refused:
        parse_document_metadata(metadata)  # type: ignore[arg-type]
    assert [(item.code, item.pointer) for item in refused.value.findings] == [(code, "/" + "/".join(map(str, path)))]


def test_errors_repeat_no_value() -> None:
    metadata = metadata_samples.metadata()
    patient = metadata["patient"]
    assert isinstance(patient, dict)
    patient.update({"birth_name": "SECRET1", "surprise SECRET": 1, "sex": "SECRET2"})
    with pytest.raises(MetadataInvalid) as refused:
        parse_document_metadata(metadata)
    shown = f"{refused.value} {refused.value!r} {refused.value.findings}"
    assert "SECRET" not in shown


def test_a_local_identity_is_written_like_the_traits() -> None:
    metadata = metadata_samples.metadata("provisoire")
    patient = metadata["patient"]
    assert isinstance(patient, dict)
    del patient["ins"]
    patient.update({"birth_name": "D’Éxemple", "given_names": "Léna", "first_given_name": "Léna"})
    parsed = parse_document_metadata(metadata).patient
    assert (parsed.birth_name, parsed.first_given_name) == ("D'EXEMPLE", "LENA")


def test_an_unknown_type_or_sector_can_be_described() -> None:
    metadata = metadata_samples.metadata()
    metadata["type_code"] = "101881-1"
    metadata["type_detail"] = {
        "code_system": "2.16.840.1.113883.6.1",
        "label": "Carte d'implant",
        "class_code": "90",
    }
    structure = metadata["structure"]
    assert isinstance(structure, dict)
    structure.update({"sector": "SA42", "sector_label": "Appareillage médical"})
    parsed = parse_document_metadata(metadata)
    assert (parsed.document_type.class_code.code, parsed.structure.sector.code) == ("90", "SA42")


def test_the_summary_is_the_same_for_a_document_and_its_ready_form() -> None:
    built = parse_document_metadata(metadata_samples.metadata()).summary()
    ready = parse_ready_metadata(metadata_samples.ready_metadata()).summary()
    assert built.patient_keys[0] == ready.patient_keys[0]
    assert (built.ps_idnat, ready.ps_idnat) == ("899700000012", "899700000012")
    assert built.identity_status is ready.identity_status is IdentityStatus.QUALIFIEE
    assert built.has_ins
    assert cda_samples.MATRICULE not in repr(built)
    assert "Compte" not in repr(built)


def test_a_ready_document_needs_a_patient_identifier() -> None:
    metadata = metadata_samples.ready_metadata()
    metadata["patient"] = {"identity_status": "provisoire"}
    with pytest.raises(InvalidInput) as refused:
        parse_ready_metadata(metadata)
    assert refused.value.params["pointer"] == "/patient/local_id"
