"""What keeps a PDF from being PDF/A-1, by code, each with its French sentence.

Owns the codes and sentences; finds nothing itself. Source: ISO 19005-1 (clause beside each code), ISO 32000-1.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final


@unique
class Fault(StrEnum):
    """One kind of fault. Order: that in which they are shown."""

    UNREADABLE = "PDF_UNREADABLE"
    TOO_COMPLEX = "PDF_TOO_COMPLEX"
    ENCRYPTED = "BODY_ENCRYPTED"  # 6.1.3
    DYNAMIC_FORM = "PDFA_DYNAMIC_FORM"  # 6.9: XFA, whose pages are drawn by the reader
    JAVASCRIPT = "PDFA_JAVASCRIPT"  # 6.6.1
    ACTION = "PDFA_ACTION"  # 6.6.1, 6.6.2
    EMBEDDED_FILE = "PDFA_EMBEDDED_FILE"  # 6.1.11
    FONT = "PDFA_FONT"  # 6.3.3, 6.3.5, 6.3.7
    FONT_NOT_EMBEDDED = "PDFA_FONT_NOT_EMBEDDED"  # 6.3.4
    TRANSPARENCY = "PDFA_TRANSPARENCY"  # 6.4
    OPTIONAL_CONTENT = "PDFA_OPTIONAL_CONTENT"  # 6.1.13
    CONTENT = "PDFA_CONTENT"  # 6.2.4 to 6.2.10: PostScript, alternates, transfer functions, unknown operators
    FILTER = "PDFA_FILTER"  # 6.1.10: LZW, JPEG 2000, and others that PDF 1.4 has not
    FORM = "PDFA_FORM"  # 6.9
    ANNOTATION = "PDFA_ANNOTATION"  # 6.5
    LIMIT = "PDFA_LIMIT"  # 6.1.12
    COLOUR = "PDFA_COLOUR"  # 6.2.2, 6.2.3
    METADATA = "PDFA_METADATA"  # 6.7
    NOT_CLAIMED = "PDFA_NOT_CLAIMED"  # 6.7.11
    STRUCTURE = "PDFA_STRUCTURE"  # 6.1.2 to 6.1.8


SENTENCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "FOOTER_LEFT_OUT": "Le bas de page du cabinet n'est pas sur ce document : il est signé, ou n'est pas un PDF.",
        "FOOTER_NOT_POSSIBLE": "Le bas de page que le cabinet demande ne peut pas être ajouté à ce PDF.",
        "INS_CODE_NOT_POSSIBLE": "Le Datamatrix INS ne peut pas être ajouté à ce document.",
        "PDFA_ACTION": "Le PDF contient une action interdite : lancement d'un programme, son, vidéo ou envoi.",
        "PDFA_ANNOTATION": "Le PDF contient une annotation que le format PDF/A-1 n'admet pas.",
        "PDFA_COLOUR": "Le PDF emploie des couleurs sans dire sur quel profil elles reposent.",
        "PDFA_CONTENT": "Le contenu d'une page emploie des instructions que le format PDF/A-1 n'admet pas.",
        "PDFA_CONVERTED": "Le PDF a été converti en PDF/A-1 avant d'être mis dans le document.",
        "PDFA_DYNAMIC_FORM": "Le PDF est un formulaire dynamique (XFA), que tous les lecteurs n'affichent pas.",
        "PDFA_EMBEDDED_FILE": "Le PDF contient un fichier joint.",
        "PDFA_FILTER": "Le PDF emploie une compression que le format PDF/A-1 n'admet pas.",
        "PDFA_FONT": "Une police du PDF est incomplète ou mal décrite.",
        "PDFA_FONT_NOT_EMBEDDED": "Une police du PDF n'est pas incorporée au fichier.",
        "PDFA_FORM": "Le PDF contient un formulaire à remplir.",
        "PDFA_JAVASCRIPT": "Le PDF contient un programme JavaScript.",
        "PDFA_LIMIT": "Le PDF dépasse une limite du format PDF 1.4.",
        "PDFA_METADATA": "Les métadonnées du PDF manquent, sont illisibles ou se contredisent.",
        "PDFA_NOT_CLAIMED": "Le PDF ne se déclare pas PDF/A-1, le format que le CI-SIS demande.",
        "PDFA_NOT_POSSIBLE": "Le PDF n'est pas au format PDF/A-1 et ne peut pas y être converti sur ce poste.",
        "PDFA_OPTIONAL_CONTENT": "Le PDF contient des calques que l'on peut masquer.",
        "PDFA_REQUIRED": "Le PDF n'est pas au format PDF/A-1, que le réglage du cabinet exige.",
        "PDFA_STRUCTURE": "L'organisation interne du PDF ne suit pas le format PDF/A-1.",
        "PDFA_TRANSPARENCY": "Le PDF emploie des transparences.",
        "PDF_TOO_COMPLEX": "Le PDF est trop complexe pour être examiné sans risque.",
        "PDF_UNREADABLE": "Le PDF est abîmé : il ne se lit pas.",
        "BODY_ENCRYPTED": "Le PDF est protégé par un mot de passe ou chiffré.",
    }
)

ORDER: Final = tuple(Fault)
# No conversion is tried: it would lose something, or what is shown depends on a program or on the reader.
NEVER_CONVERTED: Final = frozenset(
    {
        Fault.UNREADABLE,
        Fault.TOO_COMPLEX,
        Fault.ENCRYPTED,
        Fault.DYNAMIC_FORM,
        Fault.JAVASCRIPT,
        Fault.ACTION,
        Fault.EMBEDDED_FILE,
        Fault.OPTIONAL_CONTENT,
    }
)


def in_order(faults: frozenset[Fault]) -> tuple[Fault, ...]:
    """Return faults in the order in which they are shown."""
    return tuple(fault for fault in ORDER if fault in faults)
