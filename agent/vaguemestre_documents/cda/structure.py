"""The header of a CDA as a table: which children, in which order, how many, and of which data type.

Owns the content models (HL7 CDA R2, tightened by the CI-SIS where it says 1 and HL7 says 0..1) and the walk that
compares a document with them; never looks at values. Replaces the XSD, which we may not ship, for the header.
Source: HL7 CDA R2 (POCD_MT000040), CI-SIS Structuration minimale 1.16.8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from lxml import etree

from vaguemestre_documents.cda.findings import Finding, Rule

_HL7: Final = "urn:hl7-org:v3"
_PREFIXES: Final[Mapping[str, str]] = {
    "urn:hl7-org:v3": "",
    "urn:hl7-org:sdtc": "sdtc:",
    "urn:oid:1.3.6.1.4.1.19376.1.3.2": "lab:",
    "urn:dicom-org:ps3-20": "ps3-20:",
}

_SOURCE: Final = "HL7 CDA R2, CI-SIS Structuration minimale 1.16.8"
UNKNOWN: Final = Rule(
    code="CDA-STR-01", sentence="Un élément n'est pas prévu à cet endroit de l'en-tête.", source=_SOURCE
)
ORDER: Final = Rule(
    code="CDA-STR-02", sentence="Un élément de l'en-tête n'est pas à sa place dans l'ordre.", source=_SOURCE
)
MISSING: Final = Rule(code="CDA-STR-03", sentence="Un élément obligatoire de l'en-tête est absent.", source=_SOURCE)
TOO_MANY: Final = Rule(
    code="CDA-STR-04", sentence="Un élément de l'en-tête est répété plus que permis.", source=_SOURCE
)
ATTRIBUTE: Final = Rule(code="CDA-STR-05", sentence="Un attribut obligatoire de l'en-tête est absent.", source=_SOURCE)
TEXT: Final = Rule(
    code="CDA-STR-06", sentence="Du texte se trouve là où seuls des éléments sont permis.", source=_SOURCE
)
FIXED: Final = Rule(code="CDA-STR-07", sentence="Un attribut de l'en-tête n'a pas sa valeur fixe.", source=_SOURCE)
RULES: Final = (UNKNOWN, ORDER, MISSING, TOO_MANY, ATTRIBUTE, TEXT, FIXED)

# One line per class: name, cardinality mark (none = 1, ? = 0..1, + = 1..*, * = 0..*, {n} = 0..n), =type.
# A choice is (a=A|b=B) with its own mark. realmCode, typeId and templateId begin every class (infrastructure root).
_MODELS: Final[Mapping[str, str]] = {
    "ClinicalDocument": (
        "realmCode=CS typeId=II templateId+=II id=II code=CE title=ST effectiveTime=TS confidentialityCode=CE"
        " languageCode=CS setId=II versionNumber=INT copyTime?=TS recordTarget=RecordTarget author+=Author"
        " dataEnterer?=DataEnterer informant*=Informant custodian=Custodian"
        " informationRecipient*=InformationRecipient legalAuthenticator=LegalAuthenticator"
        " authenticator*=Authenticator participant*=Participant inFulfillmentOf*=InFulfillmentOf"
        " documentationOf+=DocumentationOf relatedDocument*=RelatedDocument authorization*=Authorization"
        " componentOf=ComponentOf component=Component sdtc:statusCode?=CS"
    ),
    "RecordTarget": "patientRole=PatientRole",
    "PatientRole": "id+=II addr*=AD telecom*=TEL patient=Patient providerOrganization?=Organization",
    "Patient": (
        "id?=II name=PatientName sdtc:desc?=ANY administrativeGenderCode=CE birthTime=TS sdtc:deceasedInd?=ANY"
        " sdtc:deceasedTime?=TS sdtc:multipleBirthInd?=ANY sdtc:multipleBirthOrderNumber?=ANY"
        " maritalStatusCode?=CE religiousAffiliationCode?=CE raceCode?=CE sdtc:raceCode*=CE"
        " ethnicGroupCode?=CE sdtc:ethnicGroupCode*=CE guardian*=Guardian birthplace?=Birthplace"
        " languageCommunication*=LanguageCommunication"
    ),
    "Guardian": (
        "id*=II code?=CE addr*=AD telecom*=TEL (guardianPerson=GuardianPerson|guardianOrganization=Organization)"
    ),
    "GuardianPerson": "name=ANY sdtc:desc?=ANY sdtc:asPatientRelationship?=ANY",
    "NamedPerson": "name=PN sdtc:desc?=ANY sdtc:asPatientRelationship?=ANY",
    "Person": "name?=PN sdtc:desc?=ANY sdtc:asPatientRelationship?=ANY",
    "Organization": (
        "id*=II name?=ON telecom*=TEL addr*=AD standardIndustryClassCode?=CE asOrganizationPartOf?=PartOf"
    ),
    "PartOf": "id*=II code?=CE statusCode?=CS effectiveTime?=IVL_TS wholeOrganization?=Organization",
    "Birthplace": "place=Place",
    "Place": "name?=ON addr?=AD",
    "LanguageCommunication": "languageCode?=CS modeCode?=CE proficiencyLevelCode?=CE preferenceInd?=ANY",
    "Author": "functionCode?=CE time=TS assignedAuthor=AssignedAuthor",
    "AssignedAuthor": (
        "id+=II code?=CE addr*=AD telecom*=TEL (assignedPerson?=NamedPerson|assignedAuthoringDevice?=Device)"
        " representedOrganization?=Organization"
    ),
    "Device": "code?=CE manufacturerModelName=ANY softwareName=ANY asMaintainedEntity*=Maintained",
    "Maintained": "effectiveTime?=IVL_TS maintainingPerson=Person",
    "DataEnterer": "time?=TS assignedEntity=AssignedEntity",
    "AssignedEntity": (
        "id+=II code?=CE addr*=AD telecom*=TEL assignedPerson?=NamedPerson representedOrganization?=Organization"
        " sdtc:patient?=ANY"
    ),
    "Informant": "(assignedEntity=AssignedEntity|relatedEntity=RelatedEntity)",
    "RelatedEntity": "@classCode code?=CE addr*=AD telecom*=TEL effectiveTime?=IVL_TS relatedPerson?=Person",
    "Custodian": "assignedCustodian=AssignedCustodian",
    "AssignedCustodian": "representedCustodianOrganization=CustodianOrganization",
    "CustodianOrganization": "id=II name?=ON telecom?=TEL addr?=AD",
    "InformationRecipient": "intendedRecipient=IntendedRecipient",
    "IntendedRecipient": (
        "id*=II addr*=AD telecom*=TEL informationRecipient?=Person receivedOrganization?=Organization"
    ),
    "LegalAuthenticator": "time=TS signatureCode=CS sdtc:signatureText?=ANY assignedEntity=SignatoryEntity",
    "SignatoryEntity": (
        "id=II code?=CE addr*=AD telecom*=TEL assignedPerson?=NamedPerson representedOrganization?=Organization"
        " sdtc:patient?=ANY"
    ),
    "PerformerEntity": (
        "id=II code?=CE addr*=AD telecom*=TEL assignedPerson?=Person representedOrganization?=Organization"
        " sdtc:patient?=ANY"
    ),
    "Authenticator": "time=TS signatureCode=CS assignedEntity=AssignedEntity sdtc:signatureText?=ANY",
    "Participant": "@typeCode functionCode?=CE time=IVL_TS associatedEntity=AssociatedEntity",
    "AssociatedEntity": (
        "@classCode id?=II code?=CE addr*=AD telecom*=TEL associatedPerson?=Person scopingOrganization?=Organization"
    ),
    "InFulfillmentOf": "order=Order",
    "Order": "id=II code?=CE priorityCode?=CE ps3-20:accessionNumber?=ANY",
    "DocumentationOf": "serviceEvent=ServiceEvent",
    "ServiceEvent": "id*=II code?=CE lab:statusCode?=CS effectiveTime?=IVL_TS performer*=Performer",
    "Performer": "@typeCode functionCode?=CE time?=IVL_TS assignedEntity=PerformerEntity",
    "RelatedDocument": "@typeCode parentDocument=ParentDocument",
    "ParentDocument": "id+=II code?=CE text?=ANY setId?=II versionNumber?=INT",
    "Authorization": "consent=Consent",
    "Consent": "id*=II code=CE statusCode=CS",
    "ComponentOf": "encompassingEncounter=Encounter",
    "Encounter": (
        "id*=II code?=CE effectiveTime=IVL_TS dischargeDispositionCode?=CE responsibleParty?=ResponsibleParty"
        " encounterParticipant*=EncounterParticipant location=Location"
    ),
    "ResponsibleParty": "assignedEntity=AssignedEntity",
    "EncounterParticipant": "@typeCode time?=IVL_TS assignedEntity=AssignedEntity",
    "Location": "healthCareFacility=Facility",
    "Facility": "id*=II code=CE location?=Place serviceProviderOrganization?=Organization",
    "Component": "(nonXMLBody=NonXmlBody|structuredBody=StructuredBody)",
    "NonXmlBody": "text=ED confidentialityCode?=CE languageCode?=CS",
    "IVL_TS": "low?=TS center?=TS width?=ANY high?=TS",
}
# Attributes that have one value when they are written.
_FIXED: Final[Mapping[str, Mapping[str, str]]] = {
    "ClinicalDocument": {"classCode": "DOCCLIN", "moodCode": "EVN"},
    "RecordTarget": {"typeCode": "RCT"},
    "PatientRole": {"classCode": "PAT"},
    "Patient": {"classCode": "PSN", "determinerCode": "INSTANCE"},
    "NamedPerson": {"classCode": "PSN", "determinerCode": "INSTANCE"},
    "Person": {"classCode": "PSN", "determinerCode": "INSTANCE"},
    "Organization": {"classCode": "ORG", "determinerCode": "INSTANCE"},
    "Author": {"typeCode": "AUT"},
    "AssignedAuthor": {"classCode": "ASSIGNED"},
    "AssignedEntity": {"classCode": "ASSIGNED"},
    "SignatoryEntity": {"classCode": "ASSIGNED"},
    "PerformerEntity": {"classCode": "ASSIGNED"},
    "Custodian": {"typeCode": "CST"},
    "LegalAuthenticator": {"typeCode": "LA"},
    "Authenticator": {"typeCode": "AUTHEN"},
    "DocumentationOf": {"typeCode": "DOC"},
    "ServiceEvent": {"moodCode": "EVN"},
    "RelatedDocument": {"typeCode": "RPLC"},
    "ComponentOf": {"typeCode": "COMP"},
    "Encounter": {"classCode": "ENC", "moodCode": "EVN"},
    "Location": {"typeCode": "LOC"},
    "NonXmlBody": {"classCode": "DOCBODY", "moodCode": "EVN"},
}
_INFRASTRUCTURE: Final = "realmCode*=CS typeId?=II templateId*=II"
_NO_INFRASTRUCTURE: Final = frozenset({"ClinicalDocument", "IVL_TS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Particle:
    """One place of a content model: the names that fit, their type, and how many."""

    types: Mapping[str, str]
    minimum: int
    maximum: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentModel:
    """The children of a class in order, and its mandatory attributes."""

    particles: tuple[Particle, ...]
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """An element of the header with its data type or class, and its path."""

    element: etree._Element
    type_name: str
    path: str


_MARKS: Final[Mapping[str, tuple[int, int | None]]] = {"": (1, 1), "?": (0, 1), "+": (1, None), "*": (0, None)}
_PARTICLE: Final = re.compile(r"(?P<name>[A-Za-z0-9:\-]+)(?P<mark>[?+*]?)=(?P<type>[A-Za-z_]+)")


@cache
def content_model(type_name: str) -> ContentModel | None:
    """Return the content model of a class, or None for a data type."""
    written = _MODELS.get(type_name)
    if written is None:
        return None
    prefix = "" if type_name in _NO_INFRASTRUCTURE else _INFRASTRUCTURE + " "
    attributes: list[str] = []
    particles: list[Particle] = []
    for token in (prefix + written).split():
        if token.startswith("@"):
            attributes.append(token[1:])
            continue
        branches = [_PARTICLE.fullmatch(part) for part in token.strip("()").split("|")]
        found = [branch for branch in branches if branch is not None]
        minimum, maximum = _MARKS[found[0]["mark"]]
        types = {branch["name"]: branch["type"] for branch in found}
        particles.append(Particle(types=types, minimum=minimum, maximum=maximum))
    return ContentModel(particles=tuple(particles), attributes=tuple(attributes))


def local_name(element: etree._Element) -> str:
    """Return the name as the table writes it; a foreign one keeps its namespace in braces."""
    tag = str(element.tag)
    namespace, _, name = tag.removeprefix("{").rpartition("}")
    prefix = _PREFIXES.get(namespace)
    return tag if prefix is None else prefix + name


def walk_header(root: etree._Element, *, findings: list[Finding]) -> Iterator[Typed]:
    """Yield every element of the header with its type, and add what breaks the content models to ``findings``.

    The structured body is one element of type StructuredBody: its inside is not walked.
    """
    yield from _walk(Typed(element=root, type_name="ClinicalDocument", path=""), findings)


def _walk(typed: Typed, findings: list[Finding]) -> Iterator[Typed]:
    yield typed
    model = content_model(typed.type_name)
    if model is None or typed.element.get("nullFlavor") is not None:
        return
    findings.extend(
        ATTRIBUTE.at(f"{typed.path}/@{name}") for name in model.attributes if typed.element.get(name) is None
    )
    for name, value in _FIXED.get(typed.type_name, {}).items():
        if typed.element.get(name, value) != value:
            findings.append(FIXED.at(f"{typed.path}/@{name}"))
    if _has_text(typed.element):
        findings.append(TEXT.at(typed.path or "/"))
    for child in _match(typed, model, findings):
        yield from _walk(child, findings)


def _has_text(element: etree._Element) -> bool:
    pieces = [element.text, *(child.tail for child in element)]
    return any(piece is not None and piece.strip() for piece in pieces)


def _match(typed: Typed, model: ContentModel, findings: list[Finding]) -> Iterator[Typed]:
    counts = [0] * len(model.particles)
    position = 0
    seen: dict[str, int] = {}
    for child in typed.element:
        name = local_name(child)
        seen[name] = seen.get(name, 0) + 1
        path = f"{typed.path}/{name}[{seen[name]}]"
        place = next((i for i, particle in enumerate(model.particles) if name in particle.types), None)
        if place is None:
            findings.append(UNKNOWN.at(f"{typed.path}/*"))
            continue
        if place < position:
            findings.append(ORDER.at(path))
        position = max(place, position)
        particle = model.particles[place]
        counts[place] += 1
        if particle.maximum is not None and counts[place] > particle.maximum:
            findings.append(TOO_MANY.at(path))
        yield Typed(element=child, type_name=particle.types[name], path=path)
    for count, particle in zip(counts, model.particles, strict=True):
        if count < particle.minimum:
            findings.append(MISSING.at(f"{typed.path}/{'|'.join(particle.types)}"))
