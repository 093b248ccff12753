"""Build a CDA R2 level 1 document from a request: pure, and the same bytes for the same request.

Owns the order and the shape of the elements; never converts a body, never draws an identifier, never lets an INS
out of an identity that is not qualifiée (INS/va1.53).
Source: CI-SIS Structuration minimale 1.16.8, HL7 CDA R2.
"""

from __future__ import annotations

import base64
from typing import Final, cast

from lxml import etree

from vaguemestre_core.contacts import CodedConcept, PostalAddress, Telecom
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import PatientIdentity, Sex
from vaguemestre_core.professionals import OID_PS_IDNAT, OID_STRUCT_IDNAT, Professional, Structure
from vaguemestre_documents.cda.request import CdaRequest, Encounter, Participation, Recipient
from vaguemestre_documents.codes import (
    CONFIDENTIALITY,
    GENDERS,
    TEMPLATE_CI_SIS,
    TEMPLATE_HL7_FRANCE,
    TEMPLATE_XDS_SD,
)
from vaguemestre_documents.hl7time import Hl7Time

CDA_NS: Final = "urn:hl7-org:v3"
# MSSanté mailbox of a patient: its local part is the matricule, so it follows the rule of the INS.
_PATIENT_MAILBOX_DOMAIN: Final = "@patient.mssante.fr"


def build_cda_n1(request: CdaRequest) -> bytes:
    """Return the document as UTF-8 XML; the body is in it byte for byte, in base64.

    Raises:
        InvalidInput: ``INS_WOULD_LEAK`` when a field of an identity that is not qualifiée holds its matricule
            (a telecom, a local number, the title).
    """
    # The stubs do not know that None names the default namespace.
    root = etree.Element(_name("ClinicalDocument"), nsmap=cast("dict[str, str]", {None: CDA_NS}))
    _identification(root, request)
    _record_target(root, request.patient)
    _author(root, request)
    _custodian(root, request.custodian)
    for recipient in request.recipients:
        _recipient(root, recipient)
    _legal_authenticator(root, request)
    _documentation_of(root, request)
    _related_document(root, request)
    _component_of(root, request.encounter)
    _refuse_ins_leak(root, request.patient)
    _body(root, request)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _name(tag: str) -> str:
    return f"{{{CDA_NS}}}{tag}"


def _child(parent: etree._Element, tag: str, text: str | None = None, **attributes: str) -> etree._Element:
    element = etree.SubElement(parent, _name(tag), attributes)
    element.text = text
    return element


def _identification(root: etree._Element, request: CdaRequest) -> None:
    _child(root, "realmCode", code="FR")
    _child(root, "typeId", root="2.16.840.1.113883.1.3", extension="POCD_HD000040")
    for template in (TEMPLATE_HL7_FRANCE, TEMPLATE_CI_SIS, TEMPLATE_XDS_SD):
        _child(root, "templateId", root=template)
    _child(root, "id", root=request.document_id)
    _code(root, "code", request.document_type)
    _child(root, "title", request.title)
    _time(root, "effectiveTime", request.created_at)
    _code(root, "confidentialityCode", CONFIDENTIALITY[request.confidentiality])
    _child(root, "languageCode", code="fr-FR")
    _child(root, "setId", root=request.set_id)
    _child(root, "versionNumber", value=str(request.version_number))


def _record_target(root: etree._Element, patient: PatientIdentity) -> None:
    role = _child(_child(root, "recordTarget"), "patientRole", classCode="PAT")
    ins = patient.transmissible_ins()
    if ins is not None:
        _child(role, "id", root=ins.oid, extension=ins.matricule)
    if patient.local_id is not None:
        _child(role, "id", root=patient.local_id.oid, extension=patient.local_id.value)
    _address(role, patient.address)
    _telecoms(role, patient.telecoms)
    person = _child(role, "patient", classCode="PSN")
    name = _child(person, "name")
    _child(name, "family", patient.birth_name, qualifier="BR")
    _child(name, "given", patient.given_names)
    _child(name, "given", patient.first_given_name, qualifier="BR")
    if patient.used_name is not None:
        _child(name, "family", patient.used_name, qualifier="CL")
    if patient.used_given_name is not None:
        _child(name, "given", patient.used_given_name, qualifier="CL")
    gender = "UN" if patient.sex is Sex.INDETERMINE else patient.sex.value
    _code(person, "administrativeGenderCode", GENDERS[gender])
    _time(person, "birthTime", Hl7Time.from_day(patient.birth_date.value))
    if patient.birth_place_cog is not None:
        place = _child(_child(person, "birthplace"), "place")
        _child(_child(place, "addr"), "county", patient.birth_place_cog)


def _author(root: etree._Element, request: CdaRequest) -> None:
    author = _child(root, "author")
    _time(author, "time", request.authored_at)
    assigned = _child(author, "assignedAuthor")
    _professional(assigned, request.author.professional)
    _organization(assigned, request.author.structure, has_setting=True)


def _custodian(root: etree._Element, custodian: Structure) -> None:
    assigned = _child(_child(root, "custodian"), "assignedCustodian")
    organization = _child(assigned, "representedCustodianOrganization")
    _child(organization, "id", root=OID_STRUCT_IDNAT, extension=custodian.struct_idnat)
    _child(organization, "name", custodian.name)
    _telecoms(organization, custodian.telecoms[:1])  # the CDA allows one here
    _address(organization, custodian.address)


def _recipient(root: etree._Element, recipient: Recipient) -> None:
    intended = _child(_child(root, "informationRecipient"), "intendedRecipient")
    if recipient.ps_idnat is not None:
        _child(intended, "id", root=OID_PS_IDNAT, extension=recipient.ps_idnat)
    _telecoms(intended, recipient.telecoms)
    if recipient.family_name is not None:
        name = _child(_child(intended, "informationRecipient"), "name")
        if recipient.given_name is not None:
            _child(name, "given", recipient.given_name)
        _child(name, "family", recipient.family_name)
    if recipient.struct_idnat is not None or recipient.structure_name is not None:
        organization = _child(intended, "receivedOrganization")
        if recipient.struct_idnat is not None:
            _child(organization, "id", root=OID_STRUCT_IDNAT, extension=recipient.struct_idnat)
        if recipient.structure_name is not None:
            _child(organization, "name", recipient.structure_name)


def _legal_authenticator(root: etree._Element, request: CdaRequest) -> None:
    authenticator = _child(root, "legalAuthenticator")
    _time(authenticator, "time", request.signed_at)
    _child(authenticator, "signatureCode", code="S")
    _assigned_entity(authenticator, request.legal_authenticator, has_setting=False)


def _documentation_of(root: etree._Element, request: CdaRequest) -> None:
    event = _child(_child(root, "documentationOf"), "serviceEvent")
    if request.act.code is not None:
        _code(event, "code", request.act.code)
    _interval(event, request.act.start, request.act.end)
    performer = _child(event, "performer", typeCode="PRF")
    _assigned_entity(performer, request.act.performer, has_setting=True)


def _related_document(root: etree._Element, request: CdaRequest) -> None:
    if request.replaces is None:
        return
    parent = _child(_child(root, "relatedDocument", typeCode="RPLC"), "parentDocument")
    _child(parent, "id", root=request.replaces.document_id)
    if request.replaces.version_number is not None:
        _child(parent, "versionNumber", value=str(request.replaces.version_number))


def _component_of(root: etree._Element, encounter: Encounter) -> None:
    encompassing = _child(_child(root, "componentOf"), "encompassingEncounter")
    _code(encompassing, "code", encounter.kind)
    _interval(encompassing, encounter.start, encounter.end)
    facility = _child(_child(encompassing, "location"), "healthCareFacility")
    _code(facility, "code", encounter.facility)


def _body(root: etree._Element, request: CdaRequest) -> None:
    non_xml = _child(_child(root, "component"), "nonXMLBody")
    encoded = base64.encodebytes(request.body.content).decode("ascii")
    _child(non_xml, "text", "\n" + encoded, mediaType=request.body.media_type.value, representation="B64")


# --- parts ---------------------------------------------------------------------------------------------------------


def _code(parent: etree._Element, tag: str, concept: CodedConcept) -> None:
    attributes = {"code": concept.code, "displayName": concept.label, "codeSystem": concept.code_system}
    _child(parent, tag, **attributes)


def _time(parent: etree._Element, tag: str, moment: Hl7Time) -> None:
    _child(parent, tag, value=moment.to_cda())


def _interval(parent: etree._Element, start: Hl7Time, end: Hl7Time | None) -> None:
    interval = _child(parent, "effectiveTime")
    _time(interval, "low", start)
    if end is not None:
        _time(interval, "high", end)


def _address(parent: etree._Element, address: PostalAddress | None) -> None:
    if address is None:
        _child(parent, "addr", nullFlavor="NAV")
        return
    element = _child(parent, "addr", **({} if address.use is None else {"use": address.use.value}))
    for tag, text in address.parts():
        _child(element, tag, text)
    for line in address.lines:
        _child(element, "streetAddressLine", line)


def _telecoms(parent: etree._Element, telecoms: tuple[Telecom, ...]) -> None:
    if not telecoms:
        _child(parent, "telecom", nullFlavor="NAV")
    for telecom in telecoms:
        attributes = {"value": telecom.value}
        if telecom.use is not None:
            attributes["use"] = telecom.use.value
        _child(parent, "telecom", **attributes)


def _professional(parent: etree._Element, professional: Professional) -> None:
    _child(parent, "id", root=OID_PS_IDNAT, extension=professional.rpps.ps_idnat)
    _code(parent, "code", professional.profession)
    _address(parent, professional.address)
    _telecoms(parent, professional.telecoms)
    name = _child(_child(parent, "assignedPerson"), "name")
    if professional.civility is not None:
        _child(name, "prefix", professional.civility.value)
    if professional.given_name is not None:
        _child(name, "given", professional.given_name)
    _child(name, "family", professional.family_name)
    if professional.title is not None:
        _child(name, "suffix", professional.title.value)


def _organization(parent: etree._Element, structure: Structure, *, has_setting: bool) -> None:
    organization = _child(parent, "representedOrganization")
    _child(organization, "id", root=OID_STRUCT_IDNAT, extension=structure.struct_idnat)
    _child(organization, "name", structure.name)
    if structure.telecoms:
        _telecoms(organization, structure.telecoms)
    if structure.address is not None:
        _address(organization, structure.address)
    if has_setting:
        _code(organization, "standardIndustryClassCode", structure.practice_setting)


def _assigned_entity(parent: etree._Element, participation: Participation, *, has_setting: bool) -> None:
    entity = _child(parent, "assignedEntity")
    _professional(entity, participation.professional)
    _organization(entity, participation.structure, has_setting=has_setting)


def _refuse_ins_leak(root: etree._Element, patient: PatientIdentity) -> None:
    """Refuse a header that says the matricule, or names a patient mailbox, of an identity not qualifiée."""
    if patient.transmissible_ins() is not None:
        return
    forbidden = [_PATIENT_MAILBOX_DOMAIN]
    if patient.ins is not None:
        forbidden.append(patient.ins.matricule[:13])
    for element in root.iter():
        texts = [element.text or "", *(str(value) for value in element.attrib.values())]
        if any(needle in text.replace(" ", "") for text in texts for needle in forbidden):
            raise InvalidInput("INS_WOULD_LEAK")
