"""Rules on the data types of the header: times, telecoms, addresses, codes, identifiers, names, nullFlavor.

Owns one rule per data type fault; never looks at where the element is, except for the path it reports.
Source: CI-SIS Structuration minimale 1.16.8, section on data types, and its schematron.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from lxml import etree

from vaguemestre_core.contacts import TELECOM_PREFIXES, AddressUse, TelecomUse, is_oid
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.professionals import OID_STRUCT_IDNAT, Civility, Title
from vaguemestre_documents.cda.findings import Finding, Rule
from vaguemestre_documents.cda.structure import Typed, content_model, local_name
from vaguemestre_documents.hl7time import Hl7Time

_SOURCE: Final = "CI-SIS Structuration minimale 1.16.8, types de données"
NULL_FLAVOR: Final = Rule(
    code="CDA-DT-01",
    sentence="Une valeur absente (nullFlavor) n'utilise pas un des codes UNK, NASK, ASKU, NAV, MSK.",
    source=_SOURCE,
)
TIME: Final = Rule(
    code="CDA-DT-02",
    sentence="Une date n'a pas une des formes AAAA, AAAAMMJJ, AAAAMMJJhhmm±ZZzz, AAAAMMJJhhmmss±ZZzz.",
    source=_SOURCE,
)
TELECOM: Final = Rule(
    code="CDA-DT-03",
    sentence="Une coordonnée n'est pas de la forme préfixe:valeur avec tel, fax, mailto, http, ftp ou mllp.",
    source=_SOURCE,
)
TELECOM_USE: Final = Rule(
    code="CDA-DT-04", sentence="L'usage d'une coordonnée n'est pas dans la liste.", source=_SOURCE
)
ADDRESS_USE: Final = Rule(code="CDA-DT-05", sentence="L'usage d'une adresse n'est pas dans la liste.", source=_SOURCE)
ADDRESS: Final = Rule(
    code="CDA-DT-06",
    sentence="Une adresse mélange lignes et éléments, répète un élément ou a plus de sept lignes.",
    source=_SOURCE,
)
CODE: Final = Rule(
    code="CDA-DT-07",
    sentence="Un code n'a pas ses trois parties : code, codeSystem (OID) et displayName.",
    source=_SOURCE,
)
ID: Final = Rule(
    code="CDA-DT-08", sentence="Un identifiant n'a pas de root qui soit un OID ou un UUID.", source=_SOURCE
)
NAME: Final = Rule(
    code="CDA-DT-09",
    sentence="Un nom de personne n'a pas exactement un family et au plus un given, prefix et suffix.",
    source=_SOURCE,
)
CIVILITY: Final = Rule(
    code="CDA-DT-10",
    sentence="Une civilité (prefix) ou un titre (suffix) n'est pas dans les listes JDV_J245 et JDV_J246.",
    source="NOS JDV_J245, JDV_J246",
)
REPEATED: Final = Rule(
    code="CDA-DT-11",
    sentence="Un identifiant, une adresse ou une coordonnée est répété à l'identique.",
    source=_SOURCE,
)
INTEGER: Final = Rule(code="CDA-DT-12", sentence="Un nombre n'est pas un entier positif.", source=_SOURCE)
STRUCTURE_ID: Final = Rule(code="CDA-DT-13", sentence="Un Struct_IdNat n'a pas de valeur (extension).", source=_SOURCE)
CLASS_NULL: Final = Rule(
    code="CDA-DT-14",
    sentence="Une personne, une structure ou un acte entier est déclaré absent (nullFlavor).",
    source=_SOURCE,
)
RULES: Final = (
    REPEATED,
    INTEGER,
    STRUCTURE_ID,
    CLASS_NULL,
    NULL_FLAVOR,
    TIME,
    TELECOM,
    TELECOM_USE,
    ADDRESS_USE,
    ADDRESS,
    CODE,
    ID,
    NAME,
    CIVILITY,
)

NULL_FLAVORS: Final = frozenset({"UNK", "NASK", "ASKU", "NAV", "MSK"})
# The official examples say NA for a time without object; the schematron accepts it there.
_TIME_TYPES: Final = frozenset({"TS", "IVL_TS"})
_UUID: Final = re.compile(r"[A-Fa-f0-9]{8}(?:-[A-Fa-f0-9]{4}){3}-[A-Fa-f0-9]{12}")
_TELECOM: Final = re.compile(rf"(?:{'|'.join(TELECOM_PREFIXES)}):\S.*")
_TELECOM_USES: Final = frozenset(item.value for item in TelecomUse)
_ADDRESS_USES: Final = frozenset(item.value for item in AddressUse)
_MAX_LINES: Final = 7
_PREFIXES: Final = frozenset(item.value for item in Civility)
_SUFFIXES: Final = frozenset(item.value for item in Title)


def check_data_type(typed: Typed) -> Iterator[Finding]:
    """Yield the findings of one element, by its data type."""
    flavor = typed.element.get("nullFlavor")
    if flavor is not None:
        if typed.type_name != "IVL_TS" and typed.path.count("/") > 1 and content_model(typed.type_name) is not None:
            yield CLASS_NULL.at(typed.path)
        elif flavor not in NULL_FLAVORS and not (flavor == "NA" and typed.type_name in _TIME_TYPES):
            yield NULL_FLAVOR.at(typed.path)
        return
    check = _CHECKS.get(typed.type_name)
    if check is not None:
        yield from check(typed)


def _time(typed: Typed) -> Iterator[Finding]:
    value = typed.element.get("value")
    try:
        Hl7Time.parse("" if value is None else value)
    except InvalidInput:
        yield TIME.at(typed.path)


def _interval(typed: Typed) -> Iterator[Finding]:
    # An interval says a point, or one of its bounds.
    if typed.element.get("value") is not None or len(typed.element) == 0:
        yield from _time(typed)


def _telecom(typed: Typed) -> Iterator[Finding]:
    if _TELECOM.fullmatch(typed.element.get("value", "")) is None:
        yield TELECOM.at(typed.path)
    use = typed.element.get("use")
    if use is not None and use not in _TELECOM_USES:
        yield TELECOM_USE.at(typed.path)


def _address(typed: Typed) -> Iterator[Finding]:
    use = typed.element.get("use")
    if use is not None and use not in _ADDRESS_USES:
        yield ADDRESS_USE.at(typed.path)
    counts = Counter(local_name(child) for child in typed.element)
    lines = counts.pop("streetAddressLine", 0)
    if len(typed.element) == 0 and not (typed.element.text or "").strip():
        yield ADDRESS.at(typed.path)
    if lines > _MAX_LINES or (lines and counts) or any(count > 1 for count in counts.values()):
        yield ADDRESS.at(typed.path)


def _code(typed: Typed) -> Iterator[Finding]:
    element = typed.element
    if element.get("code") is None and any(local_name(child) == "translation" for child in element):
        return  # a local code waiting for its translation, allowed on an act
    # The sex goes without its label in the DMP's own samples.
    label = element.get("displayName") or local_name(element) == "administrativeGenderCode"
    parts = (element.get("code"), label)
    if not all(parts) or not is_oid(element.get("codeSystem", "")):
        yield CODE.at(typed.path)


def _id(typed: Typed) -> Iterator[Finding]:
    root = typed.element.get("root", "")
    if not is_oid(root) and _UUID.fullmatch(root) is None:
        yield ID.at(typed.path)
    if root == OID_STRUCT_IDNAT and not typed.element.get("extension"):
        yield STRUCTURE_ID.at(typed.path)


def _integer(typed: Typed) -> Iterator[Finding]:
    if re.fullmatch(r"[0-9]+", typed.element.get("value", "")) is None:
        yield INTEGER.at(typed.path)


def check_repetitions(elements: Sequence[Typed]) -> Iterator[Finding]:
    """Yield the identifiers, addresses and telecoms that a brother repeats identically."""
    seen: set[tuple[str, str, bytes]] = set()
    for typed in elements:
        if typed.type_name not in ("II", "AD", "TEL") or local_name(typed.element) == "templateId":
            continue
        written = etree.tostring(typed.element, method="c14n", with_comments=False)
        key = (typed.path.rpartition("/")[0], typed.type_name, written)
        if key in seen and local_name(typed.element) in ("id", "addr", "telecom"):
            yield REPEATED.at(typed.path)
        seen.add(key)


def _name(typed: Typed) -> Iterator[Finding]:
    counts = Counter(local_name(child) for child in typed.element)
    if counts["family"] != 1 or any(counts[name] > 1 for name in ("given", "prefix", "suffix")):
        yield NAME.at(typed.path)
    for child in typed.element:
        allowed = {"prefix": _PREFIXES, "suffix": _SUFFIXES}.get(local_name(child))
        if allowed is not None and (child.text or "").strip() not in allowed:
            yield CIVILITY.at(typed.path)


_CHECKS: Final[Mapping[str, Callable[[Typed], Iterator[Finding]]]] = {
    "TS": _time,
    "IVL_TS": _interval,
    "TEL": _telecom,
    "AD": _address,
    "CE": _code,
    "II": _id,
    "PN": _name,
    "INT": _integer,
}
