"""Compare two CDA documents by their meaning: where they differ, never what they say.

Owns the rules of what counts as a difference. Neither judges nor repairs; a report holds paths and kinds only, so that
it can leave the practice. Source: HL7 CDA R2 (default attributes), CI-SIS Structuration minimale.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from lxml import etree

_HL7: Final = "{urn:hl7-org:v3}"
_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
MAX_DIFFERENCES: Final = 500

# Attributes that the schema of CDA R2 fixes or defaults: written or not, they say the same.
_DEFAULTED: Final = frozenset(
    {
        "classCode",
        "typeCode",
        "moodCode",
        "determinerCode",
        "contextControlCode",
        "contextConductionInd",
        "independentInd",
    }
)
# What whoever makes the document chooses: these differ between two makers of the same document.
_EXPECTED: Final = re.compile(
    r"/ClinicalDocument/(id|setId|versionNumber|effectiveTime|relatedDocument)(\[\d+\])?(/|$)"
)
_LABELS: Final = re.compile(r"@(displayName|codeSystemName|codeSystemVersion|assigningAuthorityName)$")
_NAMES: Final = (
    ("/ClinicalDocument/recordTarget", "patient"),
    ("/ClinicalDocument/author", "auteur"),
    ("/ClinicalDocument/dataEnterer", "opérateur de saisie"),
    ("/ClinicalDocument/informant", "informateur"),
    ("/ClinicalDocument/custodian", "structure qui conserve"),
    ("/ClinicalDocument/informationRecipient", "destinataire"),
    ("/ClinicalDocument/legalAuthenticator", "responsable"),
    ("/ClinicalDocument/authenticator", "signataire"),
    ("/ClinicalDocument/participant", "participant"),
    ("/ClinicalDocument/documentationOf", "acte"),
    ("/ClinicalDocument/componentOf", "prise en charge"),
    ("/ClinicalDocument/inFulfillmentOf", "prescription"),
    ("/ClinicalDocument/authorization", "consentement"),
    ("/ClinicalDocument/component", "contenu"),
    ("/ClinicalDocument/relatedDocument", "version remplacée"),
    ("/ClinicalDocument/templateId", "conformité"),
    ("/ClinicalDocument/title", "titre"),
    ("/ClinicalDocument/code", "type de document"),
    ("/ClinicalDocument/confidentialityCode", "confidentialité"),
    ("/ClinicalDocument/languageCode", "langue"),
)


@unique
class DifferenceKind(StrEnum):
    """How two documents differ at a place."""

    VALUE = "value"  # both say something, not the same
    LABEL = "label"  # the same code under another display name
    FIRST_ONLY = "first_only"
    SECOND_ONLY = "second_only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference.

    Attributes:
        path: XPath without prefixes, in the document that has the place.
        name: the part of the document, French.
        kind: how they differ.
        expected: two makers of one document differ there.
    """

    path: str
    name: str
    kind: DifferenceKind
    expected: bool


def compare(first: etree._Element, second: etree._Element) -> tuple[Difference, ...]:
    """Return the differences in document order, at most ``MAX_DIFFERENCES``."""
    found: list[Difference] = []
    for path, kind in _roots(first, second):
        if len(found) == MAX_DIFFERENCES:
            break
        expected = kind is DifferenceKind.LABEL or _EXPECTED.match(path) is not None
        found.append(Difference(path=path, name=_name(path), kind=kind, expected=expected))
    return tuple(found)


def _name(path: str) -> str:
    for start, name in _NAMES:
        if path.startswith(start) and path[len(start) : len(start) + 1] in {"", "/", "["}:
            return name
    return "en-tête"


def _tag(element: etree._Element) -> str:
    return str(element.tag).removeprefix(_HL7)


def _roots(first: etree._Element, second: etree._Element) -> Iterator[tuple[str, DifferenceKind]]:
    path = f"/{_tag(first)}"
    if _tag(first) != _tag(second):
        yield path, DifferenceKind.VALUE
        return
    yield from _elements(path, first, second)


def _elements(path: str, first: etree._Element, second: etree._Element) -> Iterator[tuple[str, DifferenceKind]]:
    yield from _attributes(path, _attributes_of(first), _attributes_of(second))
    if _text(first) != _text(second):
        yield f"{path}/text()", DifferenceKind.VALUE
    ours, theirs = _by_tag(first), _by_tag(second)
    for tag in [*ours, *(tag for tag in theirs if tag not in ours)]:
        yield from _group(f"{path}/{tag}", ours.get(tag, []), theirs.get(tag, []))


def _attributes(path: str, first: dict[str, str], second: dict[str, str]) -> Iterator[tuple[str, DifferenceKind]]:
    for name in sorted({*first, *second}):
        if first.get(name) == second.get(name):
            continue
        place = f"{path}/@{name}"
        if name in first and name in second:
            yield place, DifferenceKind.LABEL if _LABELS.search(place) else DifferenceKind.VALUE
        elif name in _DEFAULTED:
            continue
        elif _LABELS.search(place):
            yield place, DifferenceKind.LABEL
        else:
            yield place, DifferenceKind.FIRST_ONLY if name in first else DifferenceKind.SECOND_ONLY


def _group(
    path: str, first: list[etree._Element], second: list[etree._Element]
) -> Iterator[tuple[str, DifferenceKind]]:
    """Compare brothers of one name: those that say the same are paired wherever they are, the others in their order."""
    numbered = len(first) > 1 or len(second) > 1
    left = [(number, element, _canonical(element)) for number, element in enumerate(first, 1)]
    right = [(number, element, _canonical(element)) for number, element in enumerate(second, 1)]
    for item in list(left):
        same = next((other for other in right if other[2] == item[2]), None)
        if same is not None:
            left.remove(item)
            right.remove(same)
            yield from _elements(f"{path}[{item[0]}]" if numbered else path, item[1], same[1])
    for (number, ours, _), (_, theirs, _) in zip(left, right, strict=False):
        yield from _elements(f"{path}[{number}]" if numbered else path, ours, theirs)
    for rest, kind in (
        (left[len(right) :], DifferenceKind.FIRST_ONLY),
        (right[len(left) :], DifferenceKind.SECOND_ONLY),
    ):
        for number, _, _ in rest:
            yield f"{path}[{number}]" if numbered else path, kind


def _by_tag(element: etree._Element) -> dict[str, list[etree._Element]]:
    groups: dict[str, list[etree._Element]] = {}
    for child in element:
        groups.setdefault(_tag(child), []).append(child)
    return groups


def _attributes_of(element: etree._Element) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in element.attrib.items():
        text = " ".join(str(value).split())
        if str(name) == f"{_XSI}type":
            text = text.rpartition(":")[2]
        elif str(name) in {f"{_XSI}schemaLocation", f"{_XSI}noNamespaceSchemaLocation"}:
            continue
        found[str(name).replace(_XSI, "xsi:")] = text
    return found


def _text(element: etree._Element) -> str | bytes:
    text = "".join([element.text or "", *(child.tail or "" for child in element)])
    if element.get("representation") == "B64":
        try:
            return base64.b64decode("".join(text.split()), validate=True)
        except binascii.Error:
            return text
    return " ".join(text.split())


def _canonical(element: etree._Element) -> tuple[object, ...]:
    """Return a value that is equal for elements which say the same, default attributes aside."""
    attributes = tuple(
        sorted((name, value) for name, value in _attributes_of(element).items() if name not in _DEFAULTED)
    )
    return (_tag(element), attributes, _text(element), frozenset(Counter(map(_canonical, element)).items()))
