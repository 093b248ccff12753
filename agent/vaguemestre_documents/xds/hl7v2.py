"""The HL7 v2 data types that XDS metadata borrow: XCN (person), XON (organization), CX (patient).

Owns their syntax and escaping only.
Source: CI-SIS volet Partage de documents as the DMP's sample messages and the HL7v2 guide show it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import INS_OIDS
from vaguemestre_core.professionals import OID_PS_IDNAT, OID_STRUCT_IDNAT

_ESCAPES: Final[Mapping[str, str]] = {"\\": "\\E\\", "^": "\\S\\", "&": "\\T\\", "|": "\\F\\", "~": "\\R\\"}

_UNESCAPES: Final[Mapping[str, str]] = {escaped: char for char, escaped in _ESCAPES.items()}
_ESCAPED: Final = re.compile(r"\\[ESTFR]\\")


def escape(text: str) -> str:
    """Return text with the separators of HL7 v2 escaped."""
    return "".join(_ESCAPES.get(char, char) for char in text)


def cx(*, value: str, oid: str) -> str:
    """Return a patient identifier: type NH for an INS, PI for a local number."""
    kind = "NH" if oid in INS_OIDS else "PI"
    return f"{escape(value)}^^^&{oid}&ISO^{kind}"


def xcn(*, value: str, oid: str, family: str, given: str) -> str:
    """Return a person: IDNPS for a PS_IdNat, EI when it holds a slash, NH for the patient."""
    if oid in INS_OIDS:
        kind = "NH"
    elif oid != OID_PS_IDNAT or "/" in value:
        kind = "EI"
    else:
        kind = "IDNPS"
    return f"{escape(value)}^{escape(family)}^{escape(given)}^^^^^^&{oid}&ISO^D^^^{kind}"


def xcn_device(*, value: str, oid: str, name: str) -> str:
    """Return a system as author: name type U, identifier type RI."""
    return f"{escape(value)}^{escape(name)}^^^^^^^&{oid}&ISO^U^^^RI"


def xon(*, name: str, value: str, oid: str = OID_STRUCT_IDNAT) -> str:
    """Return an organization: IDNST for a Struct_IdNat, RI otherwise."""
    kind = "IDNST" if oid == OID_STRUCT_IDNAT else "RI"
    return f"{escape(name)}^^^^^&{oid}&ISO^{kind}^^^{escape(value)}"


def coded(*, code: str, label: str, code_system: str) -> str:
    """Return ``code^label^system`` (authorSpecialty)."""
    return f"{escape(code)}^{escape(label)}^{code_system}"


def parse_cx(text: str) -> tuple[str, str]:
    """Return the (value, OID) of a patient identifier that ``cx`` wrote.

    Raises:
        InvalidInput: ``PREPARED_UNREADABLE``.
    """
    parts = text.split("^")
    authority = parts[3].split("&") if len(parts) > 3 else []
    if len(authority) != 3 or not parts[0]:
        raise InvalidInput("PREPARED_UNREADABLE")
    return _ESCAPED.sub(lambda found: _UNESCAPES[found[0]], parts[0]), authority[1]
