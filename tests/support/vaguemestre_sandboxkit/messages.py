"""Hand-written CDA, ebRIM and SOAP texts that the simulated DMP accepts, with one place to spoil each fact."""

from __future__ import annotations

import base64
import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from lxml import etree

PATIENT = "226027505612368"
OID = "1.2.250.1.213.1.4.10"
DOCTOR = "899700000012"
STRUCTURE = "499700000012003"
_RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
_WSA = "http://www.w3.org/2005/08/addressing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The facts of one document; `replace` one to spoil it."""

    unique_id: str
    lot_id: str = ""
    set_id: str = "1.2.250.1.999.1.1.20.1"
    version: str = "1"
    matricule: str = PATIENT
    oid: str = OID
    title: str = "CR d'examen de l'enfant"
    effective_time: str = "20261123101500+0100"
    creation_time: str = "20261123091500"
    service_start: str = "20261123090000"
    family: str = "EXEMPLE"
    given: str = "LINA"
    sex: str = "F"
    birth: str = "20260218"
    replaces: str = ""
    replaces_entry: str = ""
    masks: tuple[str, ...] = ()

    @property
    def submission_id(self) -> str:
        return self.lot_id or self.unique_id + ".1"

    @property
    def signature_id(self) -> str:
        return self.unique_id + ".2"


def cda(sample: Sample) -> bytes:
    """Return a level 1 CDA."""
    person = (
        "<assignedPerson><name><prefix>MME</prefix><given>Alix</given><family>ESSAI</family>"
        "<suffix>DR</suffix></name></assignedPerson>"
    )
    setting = (
        '<standardIndustryClassCode code="AMBULATOIRE" displayName="Ambulatoire" codeSystem="1.2.250.1.213.1.1.4.9"/>'
    )
    identity = (
        f'<id root="1.2.250.1.71.4.2.1" extension="{DOCTOR}"/><code code="G15_10/SM26" '
        'displayName="Médecin - Qualifié en Médecine Générale (SM)" codeSystem="1.2.250.1.213.1.1.4.5"/>'
        '<addr nullFlavor="NAV"/><telecom value="tel:+33100000001" use="WP"/>'
    )
    organisation = f'<id root="1.2.250.1.71.4.2.2" extension="{STRUCTURE}"/><name>CABINET MEDICAL DR ESSAI</name>'
    related = (
        f'<relatedDocument typeCode="RPLC"><parentDocument><id root="{sample.replaces}"/></parentDocument>'
        "</relatedDocument>"
        if sample.replaces
        else ""
    )
    pdf = base64.b64encode(b"%PDF-1.4 " + sample.unique_id.encode()).decode()
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3"><realmCode code="FR"/>
<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
<templateId root="2.16.840.1.113883.2.8.2.1"/><templateId root="1.2.250.1.213.1.1.1.1"/>
<templateId root="1.3.6.1.4.1.19376.1.2.20"/><id root="{sample.unique_id}"/>
<code code="59283-2" displayName="CR d'examen de l'enfant" codeSystem="2.16.840.1.113883.6.1"/>
<title>{escape(sample.title)}</title><effectiveTime value="{sample.effective_time}"/>
<confidentialityCode code="N" displayName="Normal" codeSystem="2.16.840.1.113883.5.25"/>
<languageCode code="fr-FR"/><setId root="{sample.set_id}"/><versionNumber value="{sample.version}"/>
<recordTarget><patientRole classCode="PAT"><id root="{sample.oid}" extension="{sample.matricule}"/>
<id root="1.2.250.1.999.1.1.1" extension="P-000042"/><addr nullFlavor="NASK"/><telecom nullFlavor="NASK"/>
<patient classCode="PSN"><name><family qualifier="BR">{sample.family}</family>
<given>{sample.given} MARIE</given><given qualifier="BR">{sample.given}</given></name>
<administrativeGenderCode code="{sample.sex}" codeSystem="2.16.840.1.113883.5.1"/>
<birthTime value="{sample.birth}"/></patient></patientRole></recordTarget>
<author><time value="{sample.effective_time}"/><assignedAuthor>{identity}{person}
<representedOrganization>{organisation}{setting}</representedOrganization></assignedAuthor></author>
<custodian><assignedCustodian><representedCustodianOrganization>{organisation}
</representedCustodianOrganization></assignedCustodian></custodian>
<legalAuthenticator><time value="{sample.effective_time}"/><signatureCode code="S"/><assignedEntity>{identity}{person}
<representedOrganization>{organisation}</representedOrganization></assignedEntity></legalAuthenticator>
<documentationOf><serviceEvent><effectiveTime><low value="20261123100000+0100"/></effectiveTime>
<performer typeCode="PRF"><assignedEntity>{identity}{person}<representedOrganization>{organisation}{setting}
</representedOrganization></assignedEntity></performer></serviceEvent></documentationOf>{related}
<componentOf><encompassingEncounter><effectiveTime><low value="20261123100000+0100"/></effectiveTime>
<location><healthCareFacility><code code="SA07" displayName="Cabinet individuel"
 codeSystem="1.2.250.1.71.4.2.4"/></healthCareFacility></location></encompassingEncounter></componentOf>
<component><nonXMLBody><text mediaType="application/pdf" representation="B64">{pdf}</text></nonXMLBody></component>
</ClinicalDocument>""".encode()


def slot(name: str, *values: str) -> str:
    """Return one ebRIM Slot."""
    texts = "".join(f"<Value>{escape(value, quote=False)}</Value>" for value in values)
    return f'<Slot name="{name}"><ValueList>{texts}</ValueList></Slot>'


def _coded(owner: str, scheme: str, code: str, system: str, label: str) -> str:
    return (
        f'<Classification classificationScheme="urn:uuid:{scheme}" classifiedObject="{owner}" id="{uuid.uuid4()}" '
        f'nodeRepresentation="{code}">{slot("codingScheme", system)}<Name><LocalizedString charset="UTF8" '
        f'value="{escape(label)}" xml:lang="FR"/></Name></Classification>'
    )


def _author(owner: str, scheme: str) -> str:
    return (
        f'<Classification classificationScheme="urn:uuid:{scheme}" classifiedObject="{owner}" id="{uuid.uuid4()}">'
        + slot("authorInstitution", f"CABINET MEDICAL DR ESSAI^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^{STRUCTURE}")
        + slot("authorPerson", f"{DOCTOR}^ESSAI^Alix^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS")
        + slot(
            "authorSpecialty",
            "G15_10/SM26^Médecin - Qualifié en Médecine Générale (SM)^1.2.250.1.213.1.1.4.5",
        )
        + "</Classification>"
    )


def _external(owner: str, scheme: str, value: str, name: str) -> str:
    return (
        f'<ExternalIdentifier id="{uuid.uuid4()}" identificationScheme="urn:uuid:{scheme}" '
        f'registryObject="{owner}" value="{escape(value)}"><Name><LocalizedString charset="UTF8" value="{name}" '
        'xml:lang="FR"/></Name></ExternalIdentifier>'
    )


def _cx(sample: Sample) -> str:
    return f"{sample.matricule}^^^&{sample.oid}&ISO^NH"


def _name(text: str) -> str:
    return f'<Name><LocalizedString charset="UTF8" value="{escape(text)}" xml:lang="FR"/></Name>'


def entry(sample: Sample) -> str:
    """Return the ExtrinsicObject of the document."""
    me = "Document01"
    masks = "".join(
        _coded(me, "f4f85eac-e6cb-4883-b524-f2705394840f", mask, "1.2.250.1.213.1.1.4.13", mask)
        for mask in sample.masks
    )
    return (
        f'<ExtrinsicObject id="{me}" mimeType="text/xml" objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">'
        + slot("creationTime", sample.creation_time)
        + slot("languageCode", "fr-FR")
        + slot("legalAuthenticator", f"{DOCTOR}^ESSAI^Alix^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS")
        + slot("serviceStartTime", sample.service_start)
        + slot("sourcePatientId", "P-000042^^^&1.2.250.1.999.1.1.1&ISO^PI")
        + slot(
            "sourcePatientInfo",
            f"PID-5|{sample.family}^{sample.given}^^^^^L",
            f"PID-7|{sample.birth}",
            f"PID-8|{sample.sex}",
        )
        + _name(sample.title)
        + _author(me, "93606bcf-9494-43ec-9b4e-a7748d1a838d")
        + _coded(me, "41a5887f-8865-4c09-adf7-e362475b143a", "10", "1.2.250.1.213.1.1.4.1", "Compte rendu")
        + _coded(me, "f0306f51-975f-434e-a61c-c59651d33983", "59283-2", "2.16.840.1.113883.6.1", "CR d'examen")
        + _coded(me, "f4f85eac-e6cb-4883-b524-f2705394840f", "N", "2.16.840.1.113883.5.25", "Normal")
        + masks
        + _coded(
            me,
            "a09d5840-386c-46f2-b5ad-9c3699a4309d",
            "urn:ihe:iti:xds-sd:pdf:2008",
            "1.3.6.1.4.1.19376.1.2.3",
            "PDF",
        )
        + _coded(me, "f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "SA07", "1.2.250.1.71.4.2.4", "Cabinet individuel")
        + _coded(me, "cccf5598-8b07-4b77-a05e-ae952c785ead", "AMBULATOIRE", "1.2.250.1.213.1.1.4.9", "Ambulatoire")
        + _external(me, "58a6f841-87b3-4a3e-92fd-a8ffeff98427", _cx(sample), "XDSDocumentEntry.patientId")
        + _external(me, "2e82c1f6-a085-4c72-9da3-8640a32e42ab", sample.unique_id, "XDSDocumentEntry.uniqueId")
        + "</ExtrinsicObject>"
    )


def signature_entry(sample: Sample) -> str:
    """Return the ExtrinsicObject of the lot's signature."""
    me = "Signature01"
    return (
        f'<ExtrinsicObject id="{me}" mimeType="text/xml" objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">'
        + slot("creationTime", sample.creation_time)
        + slot("languageCode", "art")
        + _name("Source")
        + _author(me, "93606bcf-9494-43ec-9b4e-a7748d1a838d")
        + _coded(me, "a09d5840-386c-46f2-b5ad-9c3699a4309d", "http://www.w3.org/2000/09/xmldsig#", "URN", "Default")
        + _external(me, "58a6f841-87b3-4a3e-92fd-a8ffeff98427", _cx(sample), "XDSDocumentEntry.patientId")
        + _external(me, "2e82c1f6-a085-4c72-9da3-8640a32e42ab", sample.signature_id, "XDSDocumentEntry.uniqueId")
        + "</ExtrinsicObject>"
    )


def association(kind: str, source: str, target: str) -> str:
    """Return one Association."""
    return (
        f'<Association associationType="{kind}" id="{uuid.uuid4()}" sourceObject="{source}" targetObject="{target}">'
        + slot("SubmissionSetStatus", "Original")
        + "</Association>"
    )


HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
SIGNS = "urn:ihe:iti:2007:AssociationType:signs"
RPLC = "urn:ihe:iti:2007:AssociationType:RPLC"


def submission_set(sample: Sample, lot_id: str) -> str:
    """Return the RegistryPackage of a lot."""
    me = "SubmissionSet01"
    return (
        f'<RegistryPackage id="{me}">'
        + slot("submissionTime", "20261123120000")
        + _name("Lot")
        + _author(me, "a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d")
        + _coded(me, "aa543740-bdda-424e-8c96-df4873be8500", "04", "1.2.250.1.213.2.2", "Hospitalisation de jour")
        + f'<Classification classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd" '
        f'classifiedObject="{me}" id="{uuid.uuid4()}"/>'
        + _external(me, "6b5aea1a-874d-4603-a4bc-96a0a7b38446", _cx(sample), "XDSSubmissionSet.patientId")
        + _external(me, "554ac39e-e3fe-47fe-b233-965d2a147832", "1.2.250.1.999.1.1", "XDSSubmissionSet.sourceId")
        + _external(me, "96fdda7c-d067-4183-912e-bf5ee74998a8", lot_id, "XDSSubmissionSet.uniqueId")
        + "</RegistryPackage>"
    )


def lot(sample: Sample, *, signed: bool = True) -> str:
    """Return the ProvideAndRegisterDocumentSetRequest; parts are cid:doc and cid:sig."""
    me = "SubmissionSet01"
    package = submission_set(sample, sample.submission_id)
    links = association(HAS_MEMBER, me, "Document01")
    if sample.replaces_entry:
        links += association(RPLC, "Document01", sample.replaces_entry)
    if signed:
        links += association(HAS_MEMBER, me, "Signature01") + association(SIGNS, "Signature01", me)
    include = '<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:{}"/>'
    documents = f'<xds:Document id="Document01">{include.format("doc")}</xds:Document>'
    if signed:
        documents += f'<xds:Document id="Signature01">{include.format("sig")}</xds:Document>'
    return (
        '<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds="urn:ihe:iti:xds-b:2007" '
        'xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0" '
        'xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"><lcm:SubmitObjectsRequest><RegistryObjectList>'
        + package
        + entry(sample)
        + (signature_entry(sample) if signed else "")
        + links
        + f"</RegistryObjectList></lcm:SubmitObjectsRequest>{documents}</xds:ProvideAndRegisterDocumentSetRequest>"
    )


def _change(objects: str) -> str:
    return (
        '<lcm:SubmitObjectsRequest xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0" '
        f'xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"><RegistryObjectList>{objects}'
        "</RegistryObjectList></lcm:SubmitObjectsRequest>"
    )


def status_change(sample: Sample, target: str, *, lot_id: str, old: str, new: str) -> str:
    """Return the ITI-57 that changes the availability status of an entry."""
    kind = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"
    return _change(
        submission_set(sample, lot_id)
        + f'<Association associationType="{kind}" id="a1" sourceObject="SubmissionSet01" targetObject="{target}">'
        + slot("OriginalStatus", old)
        + slot("NewStatus", new)
        + "</Association>"
    )


def resubmitted(entry: etree._Element, masks: tuple[str, ...]) -> str:
    """Return an entry as the registry gave it, ready to be resubmitted with these visibility codes only."""
    copied = etree.fromstring(etree.tostring(entry))
    copied.tail = None
    copied.set("id", "Document01")
    scheme = "f4f85eac-e6cb-4883-b524-f2705394840f"
    level = None
    for found in copied.findall(f"{{{_RIM}}}Classification"):
        if found.get("classificationScheme") == f"urn:uuid:{scheme}":
            if found.get("nodeRepresentation") in ("N", "R", "V"):
                level = found
            else:
                copied.remove(found)
    assert level is not None
    for mask in masks:
        text = _coded("Document01", scheme, mask, "1.2.250.1.213.1.1.4.13", mask)
        level.addnext(etree.fromstring(f'<x xmlns="{_RIM}">{text}</x>')[0])
    return etree.tostring(copied, encoding="unicode")


def metadata_change(sample: Sample, entry_text: str, *, lot_id: str, version: str) -> str:
    """Return the ITI-57 that resubmits an entry as the successor of a version."""
    return _change(
        submission_set(sample, lot_id)
        + entry_text
        + f'<Association associationType="{HAS_MEMBER}" id="a1" sourceObject="SubmissionSet01" '
        'targetObject="Document01">'
        + slot("SubmissionSetStatus", "Original")
        + slot("PreviousVersion", version)
        + "</Association>"
    )


def existence_query(matricule: str = PATIENT, oid: str = OID) -> str:
    """Return a PRPA_IN201307UV02."""
    return f"""<PRPA_IN201307UV02 ITSVersion="XML_1.0" xmlns="urn:hl7-org:v3">
<id root="1.2.250.1.999.1" extension="{uuid.uuid4()}"/><creationTime value="20261123101500"/>
<interactionId root="2.16.840.1.113883.1.6" extension="PRPA_IN201307UV02"/><processingCode code="D"/>
<processingModeCode code="T"/><acceptAckCode code="AL"/>
<receiver typeCode="RCV"><device classCode="DEV" determinerCode="INSTANCE"><id root="1.2.250.1.213.4.1.1.1"/>
<softwareName>DMP</softwareName></device></receiver>
<sender typeCode="SND"><device classCode="DEV" determinerCode="INSTANCE"><id root="1.2.250.1.999.1"/>
<softwareName>ESSAI</softwareName></device></sender>
<controlActProcess classCode="CACT" moodCode="EVN">
<reasonCode code="TEST_EXST" codeSystem="1.2.250.1.213.1.1.4.11"/><queryByParameter>
<queryId root="1.2.250.1.999.2" extension="q-1"/><statusCode code="new"/><parameterList><patientIdentifier>
<value root="{oid}" extension="{matricule}"/><semanticsText>Patient.id</semanticsText></patientIdentifier>
</parameterList></queryByParameter></controlActProcess></PRPA_IN201307UV02>"""


def stored_query(query_id: str, parameters: dict[str, str], *, return_type: str = "LeafClass") -> str:
    """Return an AdhocQueryRequest; values carry their own quotes."""
    slots = "".join(slot(name, value) for name, value in parameters.items())
    return (
        '<q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0" '
        'xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0">'
        f'<q:ResponseOption returnComposedObjects="true" returnType="{return_type}"/>'
        f'<AdhocQuery id="{query_id}">{slots}</AdhocQuery></q:AdhocQueryRequest>'
    )


FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
FIND_SUBMISSION_SETS = "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9"


def retrieve(unique_id: str, repository: str = "1.2.250.1.213.4.1.1.1.2") -> str:
    """Return a RetrieveDocumentSetRequest."""
    return (
        '<RetrieveDocumentSetRequest xmlns="urn:ihe:iti:xds-b:2007"><DocumentRequest>'
        f"<RepositoryUniqueId>{repository}</RepositoryUniqueId><DocumentUniqueId>{unique_id}</DocumentUniqueId>"
        "</DocumentRequest></RetrieveDocumentSetRequest>"
    )


def assertion(
    *,
    issuer: str,
    now: datetime | None = None,
    name_id: str = DOCTOR,
    patient: str = f"{PATIENT}^^^&{OID}&ISO^NH",
    version: str = "3.0",
    without: str = "",
    mode: str = "INDIRECTE_RENFORCEE",
    assertion_id: str = "",
    structure: str = STRUCTURE,
) -> str:
    """Return an unsigned VIHF assertion."""
    instant = (now or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    role = (
        '<h:Role xmlns:h="urn:hl7-org:v3" code="10" codeSystem="1.2.250.1.71.1.2.7" displayName="Médecin"/>',
        '<h:Role xmlns:h="urn:hl7-org:v3" code="SM26" codeSystem="1.2.250.1.71.4.2.5" displayName="MG"/>',
    )
    purpose = (
        '<h:PurposeOfUse xmlns:h="urn:hl7-org:v3" code="normal" codeSystem="1.2.250.1.213.1.1.4.248" '
        'displayName="Accès normal"/>'
    )
    attributes: dict[str, tuple[str, ...]] = {
        "Identifiant_Structure": (structure,),
        "Secteur_Activite": ("SA07^1.2.250.1.71.4.2.4",),
        "urn:oasis:names:tc:xspa:1.0:subject:subject-id": ("ESSAI Alix",),
        "urn:oasis:names:tc:xacml:2.0:subject:role": role,
        "VIHF_Version": (version,),
        "Authentification_mode": (mode,),
        "urn:oasis:names:tc:xacml:2.0:resource:resource-id": (escape(patient),),
        "Ressource_URN": ("urn:dmp",),
        "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse": (purpose,),
        "LPS_ID": ("01",),
        "LPS_Nom": ("ESSAI",),
        "LPS_Version": ("1",),
        "LPS_ID_HOMOLOGATION_DMP": ("ESSAI-1",),
    }
    statements = "".join(
        f'<s:Attribute Name="{name}">'
        + "".join(f"<s:AttributeValue>{value}</s:AttributeValue>" for value in values)
        + "</s:Attribute>"
        for name, values in attributes.items()
        if name != without
    )
    return (
        f'<s:Assertion xmlns:s="urn:oasis:names:tc:SAML:2.0:assertion" ID="{assertion_id or f"_{uuid.uuid4()}"}" '
        f'IssueInstant="{instant}" Version="2.0">'
        f'<s:Issuer Format="urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName">{escape(issuer)}</s:Issuer>'
        f"<s:Subject><s:NameID>{name_id}</s:NameID></s:Subject>"
        f'<s:AuthnStatement AuthnInstant="{instant}"><s:AuthnContext><s:AuthnContextClassRef>'
        "urn:oasis:names:tc:SAML:2.0:ac:classes:TLSClient</s:AuthnContextClassRef></s:AuthnContext></s:AuthnStatement>"
        f"<s:AttributeStatement>{statements}</s:AttributeStatement></s:Assertion>"
    )


def envelope(action: str, security: str, body: str, *, message_id: str = "") -> bytes:
    """Return a SOAP 1.2 envelope; an empty `security` leaves wsse:Security out."""
    wsse = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
    header = f'<w:Security xmlns:w="{wsse}">{security}</w:Security>' if security else ""
    return (
        '<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Header>'
        f'<a:MessageID xmlns:a="{_WSA}">{message_id or f"urn:uuid:{uuid.uuid4()}"}</a:MessageID>'
        f'<a:To xmlns:a="{_WSA}"/><a:ReplyTo xmlns:a="{_WSA}"><a:Address>{_WSA}/anonymous</a:Address></a:ReplyTo>'
        f'<a:Action xmlns:a="{_WSA}">{action}</a:Action>{header}</soap:Header>'
        f"<soap:Body>{body}</soap:Body></soap:Envelope>"
    ).encode()


def package(root: bytes, parts: dict[str, bytes]) -> tuple[str, bytes]:
    """Return (Content-Type, body) of an MTOM message."""
    boundary = "essai_" + hashlib.sha256(root).hexdigest()[:16]
    chunks = [
        f'--{boundary}\r\nContent-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'
        "Content-Transfer-Encoding: 8bit\r\nContent-ID: <root@essai>\r\n\r\n".encode(),
        root,
    ]
    for name, content in parts.items():
        chunks += [
            f"\r\n--{boundary}\r\nContent-Type: text/xml\r\nContent-Transfer-Encoding: binary\r\n"
            f"Content-ID: <{name}>\r\n\r\n".encode(),
            content,
        ]
    chunks.append(f"\r\n--{boundary}--\r\n".encode())
    content_type = (
        'multipart/related; type="application/xop+xml"; start="<root@essai>"; '
        f'start-info="application/soap+xml"; boundary="{boundary}"'
    )
    return content_type, b"".join(chunks)
