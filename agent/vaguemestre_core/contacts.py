"""Addresses, telecoms, coded concepts and OIDs: the small values that identities and professionals share.

Owns their shape only; never decides who may see them. Personal ones do not print.
Source: CI-SIS Structuration minimale 1.16.8 (data types), HL7 CDA R2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.redaction import REDACTED

_OID: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
# An XDS uniqueId holds at most 64 characters; the same bound serves every OID we emit.
OID_MAX_LENGTH: Final = 64
# Text that XML 1.0 cannot carry, plus line breaks and tabs, which no header field needs.
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def is_oid(value: str) -> bool:
    """Return whether ``value`` is a dotted OID of 64 characters at most, no arc with a leading zero."""
    return len(value) <= OID_MAX_LENGTH and _OID.fullmatch(value) is not None


def require_oid(value: str, *, field: str) -> str:
    """Return ``value`` when it is an OID.

    Raises:
        InvalidInput: ``OID_INVALID`` with the field's name.
    """
    if not is_oid(value):
        raise InvalidInput("OID_INVALID", field=field)
    return value


def require_text(value: str, *, field: str, max_length: int) -> str:
    """Return ``value`` when it is printable, not blank, without blanks around, and short enough.

    Raises:
        InvalidInput: ``TEXT_INVALID`` with the field and ``reason`` (empty, blank_around, control, too_long).
    """
    if not value.strip():
        raise InvalidInput("TEXT_INVALID", field=field, reason="empty")
    if value != value.strip():
        raise InvalidInput("TEXT_INVALID", field=field, reason="blank_around")
    if _UNPRINTABLE.search(value):
        raise InvalidInput("TEXT_INVALID", field=field, reason="control")
    if len(value) > max_length:
        raise InvalidInput("TEXT_INVALID", field=field, reason="too_long", max_length=max_length)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedConcept:
    """A code, its code system (OID or ``URN``-like name of an XDS table) and its French label."""

    code: str
    code_system: str
    label: str

    def __post_init__(self) -> None:
        require_text(self.code, field="code", max_length=128)
        if " " in self.code:
            raise InvalidInput("TEXT_INVALID", field="code", reason="blank_inside")
        require_text(self.code_system, field="code_system", max_length=64)
        require_text(self.label, field="label", max_length=255)


class TelecomUse(Enum):
    """Use of a telecom in a CDA (CI-SIS list)."""

    HOME = "H"
    HOME_PRIMARY = "HP"
    HOME_VACATION = "HV"
    WORK = "WP"
    DIRECT = "DIR"
    PUBLIC = "PUB"
    EMERGENCY = "EC"
    MOBILE = "MC"
    PAGER = "PG"


# Prefixes that the CI-SIS accepts; anything else is refused by its schematron.
TELECOM_PREFIXES: Final = ("tel", "fax", "mailto", "http", "ftp", "mllp")
# One URI, without blanks or characters that a URI cannot hold.
_TELECOM: Final = re.compile(r"(?:tel|fax|mailto|http|ftp|mllp):[^\s<>\"{}|\\^`]+")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Telecom:
    """One telecom as ``prefix:value`` with its use. Raises ``TELECOM_INVALID``."""

    value: str
    use: TelecomUse | None = None

    def __post_init__(self) -> None:
        if len(self.value) > 256 or _TELECOM.fullmatch(self.value) is None:
            raise InvalidInput("TELECOM_INVALID")

    def __repr__(self) -> str:
        return f"Telecom({REDACTED})"


class AddressUse(Enum):
    """Use of an address in a CDA (CI-SIS list)."""

    HOME = "H"
    HOME_PRIMARY = "HP"
    HOME_VACATION = "HV"
    WORK = "WP"
    TEMPORARY = "TMP"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PostalAddress:
    """A postal address in parts, or in up to seven lines, never both.

    Raises:
        InvalidInput: ``ADDRESS_INVALID`` (mixed, empty, too_many_lines), ``TEXT_INVALID``.
    """

    house_number: str | None = None
    street_name: str | None = None
    additional_locator: str | None = None
    unit_id: str | None = None
    post_box: str | None = None
    precinct: str | None = None
    postal_code: str | None = None
    city: str | None = None
    country: str | None = None
    lines: tuple[str, ...] = ()
    use: AddressUse | None = None

    def __post_init__(self) -> None:
        parts = self.parts()
        if self.lines and parts:
            raise InvalidInput("ADDRESS_INVALID", reason="mixed")
        if not self.lines and not parts:
            raise InvalidInput("ADDRESS_INVALID", reason="empty")
        if len(self.lines) > 7:
            raise InvalidInput("ADDRESS_INVALID", reason="too_many_lines")
        for name, text in parts:
            require_text(text, field=name, max_length=128)
        for line in self.lines:
            require_text(line, field="lines", max_length=128)

    def parts(self) -> tuple[tuple[str, str], ...]:
        """Return the (CDA element name, text) pairs that are present, in the CDA's usual order."""
        named = (
            ("houseNumber", self.house_number),
            ("streetName", self.street_name),
            ("additionalLocator", self.additional_locator),
            ("unitID", self.unit_id),
            ("postBox", self.post_box),
            ("precinct", self.precinct),
            ("postalCode", self.postal_code),
            ("city", self.city),
            ("country", self.country),
        )
        return tuple((name, text) for name, text in named if text is not None)

    def __repr__(self) -> str:
        return f"PostalAddress({REDACTED})"
