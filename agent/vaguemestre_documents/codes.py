"""Codes that our documents and their XDS metadata carry, as data with their source.

Owns the short tables we emit; a code missing here is given by the caller with its system and its label, never
guessed. Labels are those of the nomenclatures (NOS, Agence du Numérique en Santé); each table cites its identifier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from vaguemestre_core.contacts import CodedConcept

# --- code systems -------------------------------------------------------------------------------------------------
LOINC: Final = "2.16.840.1.113883.6.1"
ANS_TYPES: Final = "1.2.250.1.213.1.1.4.12"  # TRE_A05
ANS_CLASSES: Final = "1.2.250.1.213.1.1.4.1"  # TRE_A03
ANS_FORMATS: Final = "1.2.250.1.213.1.1.4.2.282"  # TRE_A06
IHE_FORMATS: Final = "1.3.6.1.4.1.19376.1.2.3"
ANS_VISIBILITY: Final = "1.2.250.1.213.1.1.4.13"  # TRE_A07
HL7_CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"
HL7_ACT_CODE: Final = "2.16.840.1.113883.5.4"
HL7_GENDER: Final = "2.16.840.1.113883.5.1"
AUTHOR_SPECIALTY: Final = "1.2.250.1.213.1.1.4.5"  # JDV_J01
SECTOR: Final = "1.2.250.1.71.4.2.4"  # JDV_J02
PRACTICE_SETTING: Final = "1.2.250.1.213.1.1.4.9"  # JDV_J04
ENCOUNTER_ANS: Final = "1.2.250.1.213.1.1.4.2.291"

# --- templates (CI-SIS Structuration minimale 1.16.8) ---------------------------------------------------------------
TEMPLATE_HL7_FRANCE: Final = "2.16.840.1.113883.2.8.2.1"
TEMPLATE_CI_SIS: Final = "1.2.250.1.213.1.1.1.1"
TEMPLATE_XDS_SD: Final = "1.3.6.1.4.1.19376.1.2.20"

OID_DMP_CUSTODIAN: Final = "1.2.250.1.213.4.1"  # the DMP host, custodian of the documents a patient makes


# --- document types: typeCode, label (JDV_J07) and class (ASS_X04) ----------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentType:
    """A document type with the XDS class that goes with it."""

    concept: CodedConcept
    class_code: str


def _loinc(code: str, label: str, class_code: str) -> DocumentType:
    return DocumentType(concept=CodedConcept(code=code, code_system=LOINC, label=label), class_code=class_code)


def _ans(code: str, label: str, class_code: str) -> DocumentType:
    concept = CodedConcept(code=code, code_system=ANS_TYPES, label=label)
    return DocumentType(concept=concept, class_code=class_code)


# Types that a practice produces or receives: JDV_J07 (1.2.250.1.213.1.1.5.471, edition of 2024-09-27) and
# ASS_X04 (editions 2024-02-23 and 2025-04-15).
_TYPES: Final = (
    _loinc("11369-6", "Historique des vaccinations", "52"),
    _loinc("11488-4", "CR ou fiche de consultation ou de visite", "10"),
    _loinc("11490-0", "Lettre de liaison à la sortie d'un établissement de soins", "10"),
    _loinc("11502-2", "CR d'examens biologiques", "10"),
    _loinc("11505-5", "CR d'acte thérapeutique (autre)", "10"),
    _loinc("11506-3", "CR ou fiche de suivi de soins par auxiliaire médical", "10"),
    _loinc("18748-4", "CR d'imagerie médicale", "31"),
    _loinc(
        "18761-7",
        "Note de transfert (dont lettre de liaison à l'entrée en établissement de soins)",
        "11",
    ),
    _loinc("18776-5", "Plan personnalisé de soins", "44"),
    _loinc("29274-8", "Mesures de signes vitaux", "10"),
    _loinc("34112-3", "CR hospitalier (séjour)", "10"),
    _loinc("34133-9", "Synthèse d'épisode de soins", "11"),
    _loinc("34874-8", "CR opératoire", "10"),
    _loinc("47420-5", "CR de bilan fonctionnel", "10"),
    _loinc("51851-4", "Document administratif", "95"),
    _loinc("52040-3", "Document encapsulant une image d'illustration non DICOM", "31"),
    _loinc("55115-0", "Demande d'actes d'imagerie", "42"),
    _loinc("56446-8", "Notification de rendez-vous", "95"),
    _loinc("57828-6", "Prescription (autre)", "42"),
    _loinc("57832-8", "Prescription de soins", "42"),
    _loinc("57833-6", "Prescription de produits de santé", "42"),
    _loinc("59283-2", "CR d'examen de l'enfant", "10"),
    _loinc("59284-0", "Attestation de consentement", "95"),
    _loinc("60591-5", "Synthèse médicale", "11"),
    _loinc("60593-1", "Dispensation médicamenteuse", "43"),
    _loinc("70004-7", "CR d'acte diagnostique (autre)", "10"),
    _loinc("74207-2", "Document de liaison d'urgence", "11"),
    _loinc("75496-0", "Demande d'acte de télémédecine", "10"),
    _loinc("85208-7", "CR de télémédecine", "10"),
    _loinc("87273-9", "Note de vaccination", "52"),
    _loinc("89601-9", "Certificat médical", "52"),
    _loinc("96173-0", "Test rapide d'orientation diagnostique", "52"),
    _loinc("96349-6", "Lettre d'adressage", "10"),
    _ans("CERT_DECL", "Certificat, déclaration", "52"),
    _ans("PRESC-AAT", "Prescription arrêt de travail", "42"),
    _ans("PRESC-BIO", "Prescription d'actes de biologie médicale", "42"),
    _ans("PRESC-INF", "Prescription d'actes infirmiers", "42"),
    _ans("PRESC-KINE", "Prescription d'actes de kinésithérapie", "42"),
    _ans("PRESC-ORTHOPHO", "Prescription d'actes d'orthophonie", "42"),
    _ans("PRESC-ORTHOPTIE", "Prescription d'actes d'orthoptie", "42"),
    _ans("PRESC-PEDI", "Prescription d'actes de pédicurie", "42"),
    _ans("PROT_ALD", "Protocole de soins ALD", "44"),
    _ans("SYNTH", "Synthèse", "11"),
)
DOCUMENT_TYPES: Final[Mapping[str, DocumentType]] = {item.concept.code: item for item in _TYPES}

# XDS classCode, TRE_A03 (1.2.250.1.213.1.1.4.1).
_CLASS_LABELS: Final[Mapping[str, str]] = {
    "10": "Compte rendu",
    "11": "Synthèse",
    "31": "Imagerie médicale",
    "42": "Prescription",
    "43": "Dispensation",
    "44": "Plan de soins, protocole de soins",
    "45": "Traitement administré",
    "52": "Certificat, déclaration",
    "60": "Remboursement",
    "90": "Autre document patient",
    "95": "Document de gestion",
    "99": "Document technique",
}
CLASSES: Final[Mapping[str, CodedConcept]] = {
    code: CodedConcept(code=code, code_system=ANS_CLASSES, label=label) for code, label in _CLASS_LABELS.items()
}


# --- body of a level 1 document ---------------------------------------------------------------------------------------
class MediaType(Enum):
    """What a nonXMLBody may hold (CI-SIS Structuration minimale 1.16.8)."""

    PDF = "application/pdf"
    RTF = "text/rtf"
    TEXT = "text/plain"
    JPEG = "image/jpeg"
    TIFF = "image/tiff"


# XDS formatCode of a level 1 document by media type: ASS_A11 (edition 2024-01-26), template XDS-SD.
_N1_FORMATS: Final[Mapping[MediaType, tuple[str, str]]] = {
    MediaType.PDF: ("urn:ihe:iti:xds-sd:pdf:2008", "Document à corps non structuré en PDF/A-1"),
    MediaType.TEXT: ("urn:ihe:iti:xds-sd:text:2008", "Document à corps non structuré en texte brut"),
    MediaType.JPEG: ("urn:ihe:iti-fr:xds-sd:jpeg:2010", "Document à corps non structuré en image JPEG"),
    MediaType.TIFF: ("urn:ihe:iti-fr:xds-sd:tiff:2010", "Document à corps non structuré en image TIFF"),
    MediaType.RTF: ("urn:ihe:iti-fr:xds-sd:rtf:2010", "Document à corps non structuré en RTF"),
}
N1_FORMATS: Final[Mapping[MediaType, CodedConcept]] = {
    media: CodedConcept(code=code, code_system=IHE_FORMATS, label=label) for media, (code, label) in _N1_FORMATS.items()
}

# XDS formatCode of a structured document by templateId: ASS_A11 (edition 2024-01-26), the models of LGC vague 2 and
# those that a practice receives. The most specific template of a document is tried first (longest OID).
_N3_FORMATS: Final[Mapping[str, tuple[str, str]]] = {
    "1.2.250.1.213.1.1.1.5.1": ("urn:asip:ci-sis:cse-cs8:2017", "Certificat de santé du 8e jour"),
    "1.2.250.1.213.1.1.1.5.2": ("urn:asip:ci-sis:cse-cs9:2017", "Certificat de santé du 9e mois"),
    "1.2.250.1.213.1.1.1.5.3": ("urn:asip:ci-sis:cse-cs24:2017", "Certificat de santé du 24e mois"),
    "1.2.250.1.213.1.1.1.5.4": ("urn:ans:ci-sis:cse-mde:2023", "Mesures de l'enfant"),
    "1.2.250.1.213.1.1.1.13": ("urn:asip:ci-sis:vsm:2012", "Volet de synthèse médicale"),
    "1.2.250.1.213.1.1.1.22": ("urn:asip:ci-sis:dlu:2015", "Document de liaison d'urgence"),
    "1.2.250.1.213.1.1.1.37": ("urn:asip:ci-sis:vac:2019", "Historique des vaccinations"),
    "1.2.250.1.213.1.1.1.39": ("urn:ihe:pharm:pre:2010", "Prescription de produits de santé"),
    "1.2.250.1.213.1.1.1.45": (
        "urn:ihe:rad:CDA:ImagingReportStructuredHeadings:2013",
        "Compte rendu d'imagerie",
    ),
    "1.2.250.1.213.1.1.1.46": ("urn:asip:ci-sis:vac-note:2021", "Note de vaccination"),
    "1.2.250.1.213.1.1.1.51": ("urn:ihe:pcc:ips:2020", "Synthèse médicale conforme à l'IPS"),
    "1.2.250.1.213.1.1.1.54": ("urn:ihe:pharm:dis:2010", "Dispensation de médicaments"),
    "1.2.250.1.213.1.1.1.55": ("urn:ihe:lab:xd-lab:2008", "Compte rendu d'examens biologiques"),
    "1.3.6.1.4.1.19376.1.3.3": ("urn:ihe:lab:xd-lab:2008", "Compte rendu d'examens biologiques"),
}


def format_concept(code: str, label: str) -> CodedConcept:
    """Return a formatCode with its system: IHE for ``urn:ihe:``, TRE_A06 for the French ones."""
    system = IHE_FORMATS if code.startswith("urn:ihe:") else ANS_FORMATS
    return CodedConcept(code=code, code_system=system, label=label)


N3_FORMATS: Final[Mapping[str, CodedConcept]] = {
    template: format_concept(code, label) for template, (code, label) in _N3_FORMATS.items()
}


# --- confidentiality and visibility (JDV_J08, 1.2.250.1.213.1.1.5.463) -----------------------------------------------
class Confidentiality(Enum):
    """confidentialityCode of the CDA, and first one of the XDS entry."""

    NORMAL = "N"
    RESTRICTED = "R"
    VERY_RESTRICTED = "V"


CONFIDENTIALITY: Final[Mapping[Confidentiality, CodedConcept]] = {
    item: CodedConcept(code=item.value, code_system=HL7_CONFIDENTIALITY, label=label)
    for item, label in (
        (Confidentiality.NORMAL, "Normal"),
        (Confidentiality.RESTRICTED, "Restreint"),
        (Confidentiality.VERY_RESTRICTED, "Très restreint"),
    )
}


class Visibility(Enum):
    """Masks of the DMP: they exist only in XDS metadata, never in the CDA."""

    INVISIBLE_PATIENT = "INVISIBLE_PATIENT"
    INVISIBLE_REPRESENTANTS_LEGAUX = "INVISIBLE_REPRESENTANTS_LEGAUX"
    MASQUE_PS = "MASQUE_PS"


VISIBILITY: Final[Mapping[Visibility, CodedConcept]] = {
    item: CodedConcept(code=item.value, code_system=ANS_VISIBILITY, label=label)
    for item, label in (
        (Visibility.INVISIBLE_PATIENT, "Non visible par le patient"),
        (Visibility.INVISIBLE_REPRESENTANTS_LEGAUX, "Non visible par les représentants légaux du patient"),
        (Visibility.MASQUE_PS, "Masqué aux professionnels de santé"),
    )
}

# --- where and how care happens ---------------------------------------------------------------------------------------
# healthcareFacilityTypeCode, JDV_J02 (1.2.250.1.213.1.1.5.466, edition of 2024-12-13): those of ambulatory care.
_SECTOR_LABELS: Final[Mapping[str, str]] = {
    "SA01": "Etablissement public de santé",
    "SA04": "Etablissement privé non PSPH",
    "SA05": "Centre de santé",
    "SA07": "Cabinet individuel",
    "SA08": "Cabinet de groupe",
    "SA09": "Exercice en société",
    "SA15": "PMI et Planification familiale",
    "SA25": "Laboratoire de biologie médicale",
    "SA33": "Pharmacie d'officine",
    "SA50": "Permanence des soins ambulatoires hors cabinet",
    "SA51": "Structure de coopération avec autorisation de soins",
    "SA52": "Maison de santé ou Pôle de santé",
    "SA57": "Structure de coopération avec mission de coordination de soins",
    "SA63": "Communauté professionnelle territoriale de santé et équipe de soins spécialisés",
    "SA64": "Société de téléconsultation",
    "SA66": "Services de Prévention et de Santé au Travail (SPST)",
    "SA67": "Maisons médicales de garde (MMG)",
}
SECTORS: Final[Mapping[str, CodedConcept]] = {
    code: CodedConcept(code=code, code_system=SECTOR, label=label) for code, label in _SECTOR_LABELS.items()
}

# practiceSettingCode, JDV_J04 (1.2.250.1.213.1.1.5.467, edition of 2024-09-27): those of professionals.
_PRACTICE_LABELS: Final[Mapping[str, str]] = {
    "AMBULATOIRE": "Ambulatoire",
    "DEPISTAGE": "Dépistage",
    "ESSMS": "Etablissement ou Service Social ou Médico-Social",
    "ETABLISSEMENT": "Etablissement de santé",
    "HAD": "Hospitalisation à domicile",
    "MAD": "Maintien à domicile",
    "PALLIATIF": "Soins palliatifs",
    "SAD": "Soins à domicile",
    "SAMU_SMUR": "SAMU/SMUR",
}
PRACTICE_SETTINGS: Final[Mapping[str, CodedConcept]] = {
    code: CodedConcept(code=code, code_system=PRACTICE_SETTING, label=label) for code, label in _PRACTICE_LABELS.items()
}

# Encounter type, JDV_J142 (1.2.250.1.213.1.1.5.589, edition of 2021-03-26).
ENCOUNTERS: Final[Mapping[str, CodedConcept]] = {
    code: CodedConcept(code=code, code_system=system, label=label)
    for code, system, label in (
        ("AMB", HL7_ACT_CODE, "Ambulatoire (hors établissement)"),
        ("EMER", HL7_ACT_CODE, "Passage aux urgences (établissement)"),
        ("EXTERNE", ENCOUNTER_ANS, "Acte et consultation externe (établissement)"),
        ("FLD", HL7_ACT_CODE, "Terrain (voie publique, hélicoptère, ambulance, etc.)"),
        ("HH", HL7_ACT_CODE, "Soins à domicile (hors établissement)"),
        ("IMP", HL7_ACT_CODE, "Hospitalisation (établissement, y compris HAD)"),
        ("SEANCE", ENCOUNTER_ANS, "Séance (établissement ou libéral)"),
        ("VR", HL7_ACT_CODE, "Virtuelle (exemple : RCP en l'absence du patient)"),
    )
}
# JDV_J143 (1.2.250.1.213.1.1.5.590): sex of a person.
GENDERS: Final[Mapping[str, CodedConcept]] = {
    code: CodedConcept(code=code, code_system=HL7_GENDER, label=label)
    for code, label in (("F", "Féminin"), ("M", "Masculin"), ("UN", "Inconnu"))
}
