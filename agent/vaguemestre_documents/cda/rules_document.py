"""Rules on the document itself: identification, templates, version, people, act, encounter, body.

Owns one rule per fault, each on elements that are present: absence is the business of the structure table.
Source: CI-SIS Structuration minimale 1.16.8 and its schematron; DMP rules where said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lxml import etree

from vaguemestre_core.contacts import is_oid
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.professionals import OID_STRUCT_IDNAT
from vaguemestre_documents.cda.findings import Finding, Rule
from vaguemestre_documents.cda.read import NS, read_n1_body
from vaguemestre_documents.cda.request import SUPPORTED_MEDIA_TYPES, TITLE_MAX_LENGTH
from vaguemestre_documents.codes import (
    ANS_VISIBILITY,
    ENCOUNTERS,
    HL7_CONFIDENTIALITY,
    OID_DMP_CUSTODIAN,
    TEMPLATE_CI_SIS,
    TEMPLATE_HL7_FRANCE,
    TEMPLATE_XDS_SD,
    Confidentiality,
    Visibility,
)

_SM: Final = "CI-SIS Structuration minimale 1.16.8"
REALM: Final = Rule(code="CDA-HDR-01", sentence="Le pays du document (realmCode) n'est pas FR.", source=_SM)
TYPE_ID: Final = Rule(code="CDA-HDR-02", sentence="Le typeId n'est pas celui d'un CDA R2.", source=_SM)
TEMPLATES: Final = Rule(
    code="CDA-HDR-03",
    sentence="Les déclarations HL7 France et CI-SIS (templateId) ne sont pas chacune là une fois.",
    source=_SM,
)
N1_TEMPLATES: Final = Rule(
    code="CDA-HDR-04",
    sentence="Un document non structuré ne déclare pas exactement les trois templateId attendus.",
    source=_SM,
)
N3_TEMPLATES: Final = Rule(
    code="CDA-HDR-05",
    sentence="Un document structuré ne déclare pas son modèle, ou se déclare non structuré.",
    source=_SM,
)
ID_EXTENSION: Final = Rule(
    code="CDA-HDR-06",
    sentence="L'identifiant du document doit être un OID seul, sans extension : le DMP refuse l'extension.",
    source=_SM + ", DMP",
)
TITLE: Final = Rule(code="CDA-HDR-07", sentence="Le titre est vide ou dépasse 128 caractères.", source=_SM)
CREATION: Final = Rule(
    code="CDA-HDR-08", sentence="La date de création n'est pas à la seconde avec décalage horaire.", source=_SM
)
CONFIDENTIALITY: Final = Rule(
    code="CDA-HDR-09", sentence="Le niveau de confidentialité n'est pas N, R ou V.", source=_SM
)
VISIBILITY_IN_CDA: Final = Rule(
    code="CDA-HDR-10",
    sentence="Un code de visibilité du DMP est écrit dans le document : il va seulement dans les métadonnées.",
    source="NOS JDV_J08",
)
LANGUAGE: Final = Rule(code="CDA-HDR-11", sentence="La langue n'a pas la forme fr-FR.", source=_SM)
VERSION: Final = Rule(code="CDA-HDR-12", sentence="Le numéro de version n'est pas un entier à partir de 1.", source=_SM)
MANDATORY_NULL: Final = Rule(
    code="CDA-HDR-13", sentence="Un élément obligatoire de l'en-tête est déclaré absent (nullFlavor).", source=_SM
)
ENCOUNTER_KIND: Final = Rule(
    code="CDA-ENC-01",
    sentence="Le type de prise en charge n'est pas dans la liste JDV_J142.",
    source="NOS JDV_J142",
)
CUSTODIAN: Final = Rule(
    code="CDA-ORG-01", sentence="La structure qui conserve n'est pas identifiée par un Struct_IdNat.", source=_SM
)
PERSON_ID: Final = Rule(
    code="CDA-PRO-01", sentence="L'auteur ou le responsable n'a pas un identifiant complet.", source=_SM
)
SIGNATURE: Final = Rule(code="CDA-PRO-02", sentence="Le responsable n'a pas le code de signature S.", source=_SM)
ACT_TIME: Final = Rule(
    code="CDA-ACT-01", sentence="L'acte principal n'a pas de date de début.", source=_SM + ", SC.DMP/HISTO.03"
)
ACT_PERFORMER: Final = Rule(
    code="CDA-ACT-02", sentence="L'acte principal n'a pas exactement un exécutant (PRF).", source=_SM
)
ACT_SETTING: Final = Rule(code="CDA-ACT-03", sentence="L'exécutant n'a pas de cadre d'exercice (JDV_J04).", source=_SM)
REPLACED: Final = Rule(
    code="CDA-REL-01",
    sentence="Le document remplacé est le document lui-même, ou plus d'un est remplacé.",
    source=_SM,
)
MEDIA: Final = Rule(code="CDA-BOD-01", sentence="Le format du corps n'est pas dans la liste.", source=_SM)
BASE64: Final = Rule(code="CDA-BOD-02", sentence="Le corps n'est pas en base64 lisible, ou est vide.", source=_SM)
RULES: Final = (
    REALM,
    TYPE_ID,
    TEMPLATES,
    N1_TEMPLATES,
    N3_TEMPLATES,
    ID_EXTENSION,
    TITLE,
    CREATION,
    CONFIDENTIALITY,
    VISIBILITY_IN_CDA,
    LANGUAGE,
    VERSION,
    MANDATORY_NULL,
    ENCOUNTER_KIND,
    CUSTODIAN,
    PERSON_ID,
    SIGNATURE,
    ACT_TIME,
    ACT_PERFORMER,
    ACT_SETTING,
    REPLACED,
    MEDIA,
    BASE64,
)

_NEVER_NULL: Final = (
    "realmCode",
    "typeId",
    "author/h:time",
    "author/h:assignedAuthor/h:id",
    "author/h:assignedAuthor/h:code",
    "author/h:assignedAuthor/h:assignedPerson/h:name",
    "custodian/h:assignedCustodian/h:representedCustodianOrganization/h:id",
    "legalAuthenticator/h:time",
    "legalAuthenticator/h:signatureCode",
    "legalAuthenticator/h:assignedEntity/h:id",
    "legalAuthenticator/h:assignedEntity/h:assignedPerson/h:name",
    "relatedDocument",
    "relatedDocument/h:parentDocument/h:id",
    "componentOf/h:encompassingEncounter/h:code",
    "componentOf/h:encompassingEncounter/h:location/h:healthCareFacility/h:code",
    "component",
    "id",
    "code",
    "title",
    "effectiveTime",
    "confidentialityCode",
    "languageCode",
    "setId",
    "versionNumber",
    "recordTarget",
    "author",
    "custodian",
    "legalAuthenticator",
    "documentationOf",
    "componentOf",
)
_LEVELS: Final = frozenset(level.value for level in Confidentiality)
_MASKS: Final = frozenset(mask.value for mask in Visibility)
_SECONDS: Final = re.compile(r"[0-9]{14}[+-][0-9]{4}")
_LESS_PRECISE: Final = re.compile(r"[0-9]{4}|[0-9]{8}|[0-9]{12}[+-][0-9]{4}")
_LANGUAGE: Final = re.compile(r"[a-z]{2}-[A-Z]{2}")
_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")


def check_document(root: etree._Element, *, for_dmp: bool) -> Iterator[Finding]:
    """Yield the findings on the document; ``for_dmp`` adds what only the DMP refuses."""
    yield from _identification(root, for_dmp=for_dmp)
    yield from _templates(root)
    yield from _visibility(root)
    yield from _versions(root)
    yield from _people(root)
    yield from _act(root)
    yield from _body(root)


def _present(root: etree._Element, path: str) -> Iterator[etree._Element]:
    return (item for item in root.findall(path, NS) if item.get("nullFlavor") is None)


def _identification(root: etree._Element, *, for_dmp: bool) -> Iterator[Finding]:
    for name in _NEVER_NULL:
        if any(item.get("nullFlavor") is not None for item in root.findall(f"h:{name}", NS)):
            yield MANDATORY_NULL.at(f"/{name.replace('h:', '')}")
    for item in _present(root, "h:realmCode"):
        if item.get("code") != "FR":
            yield REALM.at("/realmCode")
    for item in _present(root, "h:typeId"):
        if (item.get("root"), item.get("extension")) != ("2.16.840.1.113883.1.3", "POCD_HD000040"):
            yield TYPE_ID.at("/typeId")
    yield from _id_and_title(root, for_dmp=for_dmp)
    for item in _present(root, "h:confidentialityCode"):
        is_known = item.get("code") in _LEVELS and item.get("codeSystem") == HL7_CONFIDENTIALITY
        if not is_known and not _is_mask(item):
            yield CONFIDENTIALITY.at("/confidentialityCode")
    for item in _present(root, "h:languageCode"):
        if _LANGUAGE.fullmatch(item.get("code", "")) is None:
            yield LANGUAGE.at("/languageCode")


def _id_and_title(root: etree._Element, *, for_dmp: bool) -> Iterator[Finding]:
    for item in _present(root, "h:id"):
        if for_dmp and (item.get("extension") is not None or not is_oid(item.get("root", "0"))):
            yield ID_EXTENSION.at("/id")
    for item in _present(root, "h:title"):
        if not 0 < len((item.text or "").strip()) <= TITLE_MAX_LENGTH:
            yield TITLE.at("/title")
    for item in _present(root, "h:effectiveTime"):
        # A shape that is no time at all is the data type rule's business.
        value = item.get("value", "")
        if _SECONDS.fullmatch(value) is None and _LESS_PRECISE.fullmatch(value) is not None:
            yield CREATION.at("/effectiveTime")


def _is_mask(item: etree._Element) -> bool:
    return item.get("code") in _MASKS or item.get("codeSystem") == ANS_VISIBILITY


def _templates(root: etree._Element) -> Iterator[Finding]:
    templates = [item.get("root") for item in root.findall("h:templateId", NS)]
    if any(templates.count(template) != 1 for template in (TEMPLATE_HL7_FRANCE, TEMPLATE_CI_SIS)):
        yield TEMPLATES.at("/templateId")
        return
    if root.find("h:component/h:nonXMLBody", NS) is not None:
        if len(templates) != 3 or TEMPLATE_XDS_SD not in templates:
            yield N1_TEMPLATES.at("/templateId")
    elif root.find("h:component/h:structuredBody", NS) is not None and (
        len(templates) < 3 or TEMPLATE_XDS_SD in templates
    ):
        yield N3_TEMPLATES.at("/templateId")


def _visibility(root: etree._Element) -> Iterator[Finding]:
    for item in root.iter("{urn:hl7-org:v3}confidentialityCode"):
        if _is_mask(item):
            yield VISIBILITY_IN_CDA.at("//confidentialityCode")


def _versions(root: etree._Element) -> Iterator[Finding]:
    for item in _present(root, "h:versionNumber"):
        if _VERSION.fullmatch(item.get("value", "")) is None:
            yield VERSION.at("/versionNumber")
    document = root.find("h:id", NS)
    own = (None, None) if document is None else (document.get("root"), document.get("extension"))
    replaced = root.findall("h:relatedDocument[@typeCode='RPLC']/h:parentDocument/h:id", NS)
    if len(replaced) > 1 or any((item.get("root"), item.get("extension")) == own for item in replaced):
        yield REPLACED.at("/relatedDocument")


def _people(root: etree._Element) -> Iterator[Finding]:
    for path in ("h:author/h:assignedAuthor/h:id", "h:legalAuthenticator/h:assignedEntity/h:id"):
        if any(not item.get("extension") for item in _present(root, path)):
            yield PERSON_ID.at(path.replace("h:", "/").replace("//", "/"))
    for item in _present(root, "h:legalAuthenticator/h:signatureCode"):
        if item.get("code") != "S":
            yield SIGNATURE.at("/legalAuthenticator/signatureCode")
    base = "h:custodian/h:assignedCustodian/h:representedCustodianOrganization/h:id"
    for item in _present(root, base):
        if item.get("root") not in (OID_STRUCT_IDNAT, OID_DMP_CUSTODIAN):
            yield CUSTODIAN.at("/custodian")


def _act(root: etree._Element) -> Iterator[Finding]:
    for item in _present(root, "h:componentOf/h:encompassingEncounter/h:code"):
        if item.get("code") is not None and item.get("code") not in ENCOUNTERS:
            yield ENCOUNTER_KIND.at("/componentOf/encompassingEncounter/code")
    event = root.find("h:documentationOf/h:serviceEvent", NS)
    if event is None:
        return
    path = "/documentationOf[1]/serviceEvent"
    low = event.find("h:effectiveTime/h:low", NS)
    if low is None or low.get("value") is None:
        yield ACT_TIME.at(path)
    performers = event.findall("h:performer", NS)
    if len(performers) != 1 or performers[0].get("typeCode", "PRF") != "PRF":
        yield ACT_PERFORMER.at(path)
        return
    setting = performers[0].find("h:assignedEntity/h:representedOrganization/h:standardIndustryClassCode", NS)
    if setting is None or setting.get("nullFlavor") is not None:
        yield ACT_SETTING.at(path)


def _body(root: etree._Element) -> Iterator[Finding]:
    text = root.find("h:component/h:nonXMLBody/h:text", NS)
    if text is None or text.get("nullFlavor") is not None:
        if text is not None:
            yield BASE64.at("/component/nonXMLBody/text")
        return
    if text.get("mediaType") not in SUPPORTED_MEDIA_TYPES:
        yield MEDIA.at("/component/nonXMLBody/text")
    try:
        read_n1_body(root)
    except InvalidInput:
        yield BASE64.at("/component/nonXMLBody/text")
    else:
        if text.get("representation") != "B64":
            yield BASE64.at("/component/nonXMLBody/text")
