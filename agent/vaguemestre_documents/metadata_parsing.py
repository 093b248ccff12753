"""Parse the metadata that an LGC sends: JSON value to typed values, each error with its JSON pointer.

Owns the mapping of the fields of ``metadata_schema.json`` to the domain; never reads a file nor a clock.
Errors say where and why in French, never what was written there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeVar

from vaguemestre_core.contacts import AddressUse, CodedConcept, PostalAddress, Telecom, TelecomUse
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import (
    BirthDate,
    IdentityAttribute,
    IdentityStatus,
    Ins,
    InsSource,
    LocalPatientId,
    PatientIdentity,
    Sex,
    normalise_trait,
)
from vaguemestre_core.professionals import Civility, Professional, Rpps, Structure, Title
from vaguemestre_documents.cda.request import (
    Encounter,
    Recipient,
    RecipientKind,
    ReplacedVersion,
    require_act_order,
)
from vaguemestre_documents.codes import (
    CLASSES,
    DOCUMENT_TYPES,
    ENCOUNTERS,
    PRACTICE_SETTINGS,
    SECTOR,
    SECTORS,
    Confidentiality,
    Visibility,
    format_concept,
)
from vaguemestre_documents.document_metadata import (
    DeclaredType,
    DocumentMetadata,
    MetadataInvalid,
    ReadyMetadata,
)
from vaguemestre_documents.hl7time import Hl7Time
from vaguemestre_documents.metadata_schema import MetadataFinding, child_pointer, validate
from vaguemestre_documents.sentences import SENTENCES
from vaguemestre_documents.xds.metadata import require_visibility

T = TypeVar("T")


def parse_document_metadata(value: Mapping[str, object]) -> DocumentMetadata:
    """Return the metadata of a document to build.

    Raises:
        MetadataInvalid: with every structural fault, or the first fault of meaning, and its JSON pointer.
    """
    _require_schema(value, "document")
    return _document(_Reader(value, ""))


def parse_ready_metadata(value: Mapping[str, object]) -> ReadyMetadata:
    """Return the metadata of a ready CDA. Raises like ``parse_document_metadata``."""
    _require_schema(value, "ready_document")
    return _ready(_Reader(value, ""))


def _require_schema(value: object, definition: str) -> None:
    findings = validate(value, definition)
    if findings:
        raise MetadataInvalid(findings)


class _Reader:
    """A JSON object already known to follow the schema, with its pointer."""

    def __init__(self, value: Mapping[str, object], pointer: str) -> None:
        self._value = value
        self.pointer = pointer

    def text(self, name: str) -> str:
        found = self._value[name]
        assert isinstance(found, str)
        return found

    def optional(self, name: str) -> str | None:
        return self.text(name) if name in self._value else None

    def integer(self, name: str) -> int | None:
        found = self._value.get(name)
        assert found is None or isinstance(found, int | float)
        return None if found is None else int(found)

    def flag(self, name: str) -> bool:
        return self._value.get(name) is True

    def member(self, name: str) -> _Reader:
        found = self._value[name]
        assert isinstance(found, dict)
        return _Reader(found, child_pointer(self.pointer, name))

    def optional_member(self, name: str) -> _Reader | None:
        return self.member(name) if name in self._value else None

    def members(self, name: str) -> tuple[_Reader, ...]:
        found = self._value.get(name, [])
        assert isinstance(found, list)
        base = child_pointer(self.pointer, name)
        return tuple(_Reader(item, child_pointer(base, i)) for i, item in enumerate(found))

    def texts(self, name: str) -> tuple[str, ...]:
        found = self._value.get(name, [])
        assert isinstance(found, list)
        return tuple(str(item) for item in found)

    def map(self, name: str, parse: Callable[[_Reader], T]) -> T | None:
        """Return the parsed member, or None when it is absent."""
        member = self.optional_member(name)
        return None if member is None else parse(member)


@contextmanager
def _at(pointer: str) -> Iterator[None]:
    """Give the pointer of the field to an error of the domain."""
    try:
        yield
    except MetadataInvalid:
        raise
    except InvalidInput as error:
        sentence = SENTENCES[error.code]
        raise MetadataInvalid((MetadataFinding(code=error.code, pointer=pointer, sentence=sentence),)) from None


def _fault(code: str, pointer: str) -> MetadataInvalid:
    return MetadataInvalid((MetadataFinding(code=code, pointer=pointer, sentence=SENTENCES[code]),))


def _document(reader: _Reader) -> DocumentMetadata:
    author = _professional(reader.member("author"))
    structure = _structure(reader.member("structure"))
    act = reader.member("act")
    act_start, act_end = _time(act, "date"), _optional_time(act, "end")
    with _at(child_pointer(act.pointer, "end")):
        require_act_order(act_start, act_end)
    patient = _patient(reader.member("patient"))
    return DocumentMetadata(
        document_type=_declared_type(reader),
        title=_title(reader),
        patient=patient,
        author=author,
        legal_authenticator=reader.map("legal_authenticator", _professional) or author,
        performer=reader.map("performer", _professional) or author,
        structure=structure,
        custodian=reader.map("custodian", _structure) or structure,
        act_start=act_start,
        act_end=act_end,
        act_code=act.map("code", _code),
        encounter=_encounter(reader.optional_member("encounter"), structure, act_start, act_end),
        created_at=_optional_time(reader, "created_at"),
        authored_at=_optional_time(reader, "authored_at"),
        signed_at=_optional_time(reader, "signed_at"),
        confidentiality=Confidentiality(reader.optional("confidentiality") or "N"),
        visibility=_visibility(reader),
        recipients=tuple(_recipient(item) for item in reader.members("recipients")),
        set_id=reader.optional("set_id"),
        replaces=reader.map("replaces", _replaces),
        episode=reader.optional("episode"),
        with_ins_code=reader.flag("ins_code"),
    )


def parse_patient(value: Mapping[str, object]) -> PatientIdentity:
    """Return the identity of a patient given alone, in the shape that a document's metadata give it.

    Raises:
        MetadataInvalid: with its findings.
    """
    _require_schema(value, "patient")
    return _patient(_Reader(value, ""))


def _ready(reader: _Reader) -> ReadyMetadata:
    patient = reader.member("patient")
    status = IdentityStatus(patient.text("identity_status"))
    ins = patient.map("ins", _ins)
    local_id = patient.map("local_id", _local_id)
    if ins is None and status is IdentityStatus.QUALIFIEE:
        raise _fault("IDENTITY_INCOMPLETE", child_pointer(patient.pointer, "ins"))
    if ins is None and local_id is None:
        raise _fault("PATIENT_ID_MISSING", child_pointer(patient.pointer, "local_id"))
    given_format = reader.optional_member("format_code")
    return ReadyMetadata(
        document_type=_declared_type(reader),
        title=_title(reader),
        identity_status=status,
        ins=ins,
        local_id=local_id,
        attributes=frozenset(IdentityAttribute(item) for item in patient.texts("attributes")),
        rpps=Rpps(value=reader.member("author").text("rpps")),
        visibility=_visibility(reader),
        episode=reader.optional("episode"),
        format_code=None
        if given_format is None
        else format_concept(given_format.text("code"), given_format.text("label")),
    )


def _declared_type(reader: _Reader) -> DeclaredType:
    code = reader.text("type_code")
    detail = reader.optional_member("type_detail")
    known = DOCUMENT_TYPES.get(code)
    if detail is None:
        if known is None:
            raise _fault("TYPE_UNKNOWN", child_pointer(reader.pointer, "type_code"))
        return DeclaredType(concept=known.concept, class_code=CLASSES[known.class_code])
    with _at(detail.pointer):
        concept = CodedConcept(code=code, code_system=detail.text("code_system"), label=detail.text("label"))
    return DeclaredType(concept=concept, class_code=CLASSES[detail.text("class_code")])


def _title(reader: _Reader) -> str:
    title = " ".join(reader.text("title").split())
    if not title or not title.isprintable():
        raise _fault("TEXT_INVALID", child_pointer(reader.pointer, "title"))
    return title


def _visibility(reader: _Reader) -> frozenset[Visibility]:
    masks = frozenset(Visibility(item) for item in reader.texts("visibility"))
    with _at(child_pointer(reader.pointer, "visibility")):
        require_visibility(masks)
    return masks


def _time(reader: _Reader, name: str) -> Hl7Time:
    written = reader.text(name)
    pointer = child_pointer(reader.pointer, name)
    with _at(pointer):
        try:
            if "T" in written:
                return Hl7Time.from_instant(dt.datetime.fromisoformat(written))
            return Hl7Time.from_day(dt.date.fromisoformat(written))
        except ValueError:
            raise _fault("HL7_TIME_INVALID", pointer) from None


def _optional_time(reader: _Reader, name: str) -> Hl7Time | None:
    return None if reader.optional(name) is None else _time(reader, name)


def _code(reader: _Reader) -> CodedConcept:
    with _at(reader.pointer):
        return CodedConcept(
            code=reader.text("code"), code_system=reader.text("code_system"), label=reader.text("label")
        )


def _ins(reader: _Reader) -> Ins:
    with _at(child_pointer(reader.pointer, "matricule")):
        source = InsSource(reader.optional("source") or InsSource.DECLARED.value)
        return Ins(matricule=reader.text("matricule"), oid=reader.text("oid"), source=source)


def _local_id(reader: _Reader) -> LocalPatientId:
    with _at(reader.pointer):
        return LocalPatientId(value=reader.text("value"), oid=reader.text("oid"))


# Which field each trait of the domain is, for the pointer.
_TRAITS: Final = frozenset(
    {"birth_name", "given_names", "first_given_name", "birth_date", "birth_place_cog", "ins", "sex"}
)


def _patient(reader: _Reader) -> PatientIdentity:
    status = IdentityStatus(reader.text("identity_status"))
    local_id = reader.map("local_id", _local_id)
    if status is not IdentityStatus.QUALIFIEE and local_id is None:
        raise _fault("PATIENT_ID_MISSING", child_pointer(reader.pointer, "local_id"))
    ins = reader.map("ins", _ins)
    # What INSi gave is written as it gave it; a local identity is written the same way, by equivalence only.
    write: Callable[[str], str] = str if ins is not None else normalise_trait
    birth_date = _birth_date(reader)
    attributes = frozenset(IdentityAttribute(item) for item in reader.texts("attributes"))
    address, telecoms = reader.map("address", _address), _telecoms(reader)
    try:
        return PatientIdentity(
            birth_name=write(reader.text("birth_name")),
            given_names=write(reader.text("given_names")),
            first_given_name=write(reader.text("first_given_name")),
            birth_date=birth_date,
            sex=Sex(reader.text("sex")),
            status=status,
            birth_place_cog=reader.optional("birth_place_cog"),
            ins=ins,
            used_name=reader.optional("used_name"),
            used_given_name=reader.optional("used_given_name"),
            local_id=local_id,
            attributes=attributes,
            address=address,
            telecoms=telecoms,
        )
    except InvalidInput as error:
        field = error.params.get("trait") or error.params.get("missing")
        pointer = child_pointer(reader.pointer, str(field)) if field in _TRAITS else reader.pointer
        raise _fault(error.code, pointer) from None


def _birth_date(reader: _Reader) -> BirthDate:
    pointer = child_pointer(reader.pointer, "birth_date")
    with _at(pointer):
        try:
            value = dt.date.fromisoformat(reader.text("birth_date"))
        except ValueError:
            raise _fault("TRAIT_INVALID", pointer) from None
        return BirthDate(value=value, is_interpreted=reader.flag("is_birth_date_interpreted"))


def _telecom(reader: _Reader) -> Telecom:
    use = reader.optional("use")
    with _at(child_pointer(reader.pointer, "value")):
        return Telecom(value=reader.text("value"), use=None if use is None else TelecomUse(use))


def _telecoms(reader: _Reader) -> tuple[Telecom, ...]:
    return tuple(_telecom(item) for item in reader.members("telecoms"))


def _address(reader: _Reader) -> PostalAddress:
    use = reader.optional("use")
    with _at(reader.pointer):
        return PostalAddress(
            house_number=reader.optional("house_number"),
            street_name=reader.optional("street_name"),
            additional_locator=reader.optional("additional_locator"),
            unit_id=reader.optional("unit_id"),
            post_box=reader.optional("post_box"),
            precinct=reader.optional("precinct"),
            postal_code=reader.optional("postal_code"),
            city=reader.optional("city"),
            country=reader.optional("country"),
            lines=reader.texts("lines"),
            use=None if use is None else AddressUse(use),
        )


def _professional(reader: _Reader) -> Professional:
    civility, title = reader.optional("civility"), reader.optional("title")
    address, telecoms = reader.map("address", _address), _telecoms(reader)
    profession = _code(reader.member("profession"))
    with _at(child_pointer(reader.pointer, "rpps")):
        rpps = Rpps(value=reader.text("rpps"))
    with _at(reader.pointer):
        return Professional(
            rpps=rpps,
            family_name=reader.text("family_name"),
            given_name=reader.optional("given_name"),
            civility=None if civility is None else Civility(civility),
            title=None if title is None else Title(title),
            profession=profession,
            telecoms=telecoms,
            address=address,
        )


def _structure(reader: _Reader) -> Structure:
    code, label = reader.text("sector"), reader.optional("sector_label")
    address, telecoms = reader.map("address", _address), _telecoms(reader)
    sector = SECTORS.get(code)
    if sector is None:
        if label is None:
            raise _fault("SECTOR_UNKNOWN", child_pointer(reader.pointer, "sector_label"))
        with _at(child_pointer(reader.pointer, "sector_label")):
            sector = CodedConcept(code=code, code_system=SECTOR, label=label)
    with _at(reader.pointer):
        return Structure(
            struct_idnat=reader.text("id"),
            name=reader.text("name"),
            sector=sector,
            practice_setting=PRACTICE_SETTINGS[reader.text("practice_setting")],
            telecoms=telecoms,
            address=address,
        )


def _encounter(reader: _Reader | None, structure: Structure, act_start: Hl7Time, act_end: Hl7Time | None) -> Encounter:
    if reader is None:
        return Encounter(kind=ENCOUNTERS["AMB"], facility=structure.sector, start=act_start, end=act_end)
    start = _optional_time(reader, "start")
    return Encounter(
        kind=ENCOUNTERS[reader.optional("type") or "AMB"],
        facility=structure.sector,
        start=act_start if start is None else start,
        end=_optional_time(reader, "end"),
    )


def _recipient(reader: _Reader) -> Recipient:
    telecoms = _telecoms(reader)
    with _at(reader.pointer):
        return Recipient(
            kind=RecipientKind(reader.text("kind")),
            family_name=reader.optional("family_name"),
            given_name=reader.optional("given_name"),
            ps_idnat=reader.optional("ps_id"),
            struct_idnat=reader.optional("structure_id"),
            structure_name=reader.optional("structure_name"),
            telecoms=telecoms,
        )


def _replaces(reader: _Reader) -> ReplacedVersion:
    with _at(reader.pointer):
        return ReplacedVersion(document_id=reader.text("document_id"), version_number=reader.integer("version"))
