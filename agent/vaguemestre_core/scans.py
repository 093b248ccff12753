"""What a scanner, a camera or an image gave: a read code, and what it says, as values that never print themselves.

Owns the values and the rules that hold without parsing (lengths, check digits, which kinds stay opaque); never parses
a code (``vaguemestre_documents.scancodes``), never decodes an image, never decides an identity: the traits of an INS
code are traits read from a document, which INSi has still to confirm (RNIV).
Source: ANS, Format datamatrix INS; GS1 General Specifications; CIP/ACL, marking of medicines in France.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import Ins, Sex
from vaguemestre_core.redaction import REDACTED, SecretBytes

MAX_CODE_BYTES: Final = 4296  # what the largest QR code holds in letters; a Data Matrix holds less

_AIM: Final = re.compile(r"\][A-Za-z][0-9A-Za-z]")


class ScanKind(StrEnum):
    """What a code is."""

    INS = "ins"  # the Datamatrix "INS à scanner" of a document
    BOX = "box"  # GS1 code or EAN-13 of a box of medicine or vaccine
    TWO_D_DOC = "2d-doc"
    ORDONNANCE = "ordonnance"
    APCV = "apcv"
    UNKNOWN = "unknown"


OPAQUE_KINDS: Final = frozenset({ScanKind.TWO_D_DOC, ScanKind.ORDONNANCE, ScanKind.APCV, ScanKind.UNKNOWN})


class ScanSource(StrEnum):
    """Where a code was read."""

    IMAGE = "image"
    PDF = "pdf"
    CAMERA = "camera"
    SERIAL = "serial"
    KEYBOARD = "keyboard"  # a scanner that types, held by us alone
    WEDGE = "wedge"  # a scanner that types like a person, told apart by its speed
    TEXT = "text"  # given by the practice software


@dataclass(frozen=True, slots=True, kw_only=True)
class RawScan:
    """One code as read: its bytes, and the AIM symbology identifier when the reader tells it (``]d1``, ``]Q1``).

    Without an identifier of its own, a scanner may still have written it in front of the bytes.

    Raises:
        InvalidInput: ``SCAN_INVALID`` with reason empty, too_long or symbology.
    """

    content: SecretBytes
    source: ScanSource
    symbology: str | None = None

    def __post_init__(self) -> None:
        length = len(self.content.reveal())
        if length == 0:
            raise InvalidInput("SCAN_INVALID", reason="empty")
        if length > MAX_CODE_BYTES:
            raise InvalidInput("SCAN_INVALID", reason="too_long")
        if self.symbology is not None and not is_symbology(self.symbology):
            raise InvalidInput("SCAN_INVALID", reason="symbology")


def is_symbology(text: str) -> bool:
    """Return whether a text is an AIM symbology identifier: ``]``, a letter, a modifier."""
    return _AIM.fullmatch(text) is not None


class InsHint(StrEnum):
    """What a person should know about an INS code that was read all the same."""

    SEPARATOR_LOST = "separator_lost"  # the scanner does not send GS: a setting to correct
    KEY_WRONG = "key_wrong"
    OID_UNKNOWN = "oid_unknown"
    DATE_LUNAR = "date_lunar"  # not a date of the calendar
    COG_SHAPE = "cog_shape"
    TRAIT_CHARACTERS = "trait_characters"  # a name holds what no trait holds
    UNKNOWN_FIELD = "unknown_field"  # a field of a later version was skipped


_BIRTH_DATE: Final = re.compile(r"[0-9]{2}-[0-9]{2}-[0-9]{4}")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class InsScan:
    """The traits of an INS code, as they are written in it. Never a recovered identity: INSi has still to confirm.

    ``birth_date_text`` is JJ-MM-AAAA; ``birth_date`` is nothing when that is no date of the calendar. ``ins`` is
    nothing when matricule and OID do not make one (wrong key, unknown shape).
    """

    matricule: str
    oid: str
    given_names: str
    birth_name: str
    sex: Sex
    birth_date_text: str
    birth_date: dt.date | None
    birth_place_cog: str | None = None
    ins: Ins | None = None
    hints: frozenset[InsHint] = frozenset()

    def __post_init__(self) -> None:
        if len(self.matricule) != 15:
            raise InvalidInput("INS_CODE_INVALID", reason="length", field="S1")
        if self.sex is Sex.INDETERMINE:
            raise InvalidInput("INS_CODE_INVALID", reason="value", field="S5")
        if _BIRTH_DATE.fullmatch(self.birth_date_text) is None:
            raise InvalidInput("INS_CODE_INVALID", reason="value", field="S6")

    @property
    def kind(self) -> ScanKind:
        """Which kind of code it is."""
        return ScanKind.INS

    def __repr__(self) -> str:
        return f"InsScan({REDACTED}, hints={sorted(self.hints)})"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)


class BoxHint(StrEnum):
    """What a person should know about the code of a box that was read all the same."""

    SEPARATOR_DOUBTFUL = "separator_doubtful"  # no GS at all: the last value may hold another field
    NOT_A_MEDICINE = "not_a_medicine"  # not within the prefix of French medicines


CIP_PREFIX: Final = "34009"


def has_valid_check_digit(digits: str) -> bool:
    """Return whether the last of 8 to 14 digits is the GS1 check digit of the others (weights 3, 1 from the right)."""
    if re.fullmatch(r"[0-9]{8,14}", digits) is None:
        return False
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits[:-1])))
    return (10 - total % 10) % 10 == int(digits[-1])


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BoxScan:
    """What the code of a box says: product, lot, expiry, serial number.

    ``gtin`` has 14 digits. ``expiry`` is the last day on which the product is good; ``expiry_day_known`` is false
    when the box prints month and year only. ``others`` are the remaining application identifiers with their values, in
    order.

    Raises:
        InvalidInput: ``BOX_CODE_INVALID`` with reason check_digit.
    """

    gtin: str
    lot: str | None = None
    expiry: dt.date | None = None
    expiry_day_known: bool = True
    serial: str | None = None
    production: dt.date | None = None
    others: tuple[tuple[str, str], ...] = ()
    hints: frozenset[BoxHint] = frozenset()

    def __post_init__(self) -> None:
        if len(self.gtin) != 14 or not has_valid_check_digit(self.gtin):
            raise InvalidInput("BOX_CODE_INVALID", reason="check_digit")

    @property
    def kind(self) -> ScanKind:
        """Which kind of code it is."""
        return ScanKind.BOX

    @property
    def cip13(self) -> str | None:
        """The CIP13 of a French medicine, or nothing."""
        return self.gtin[1:] if self.gtin.startswith("0" + CIP_PREFIX) else None

    @property
    def cip7(self) -> str | None:
        """The CIP7 inside the CIP13, or nothing."""
        return None if self.cip13 is None else self.cip13[5:12]

    def __repr__(self) -> str:
        return f"BoxScan({REDACTED}, hints={sorted(self.hints)})"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)


class OpaqueBasis(StrEnum):
    """Why a code is said to be of its opaque kind."""

    CONTENT = "content"  # its beginning says so
    EXPECTED = "expected"  # whoever asked for it was waiting for one
    NONE = "none"  # nothing says what it is


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OpaqueScan:
    """A code that is passed on as it is: its content means something to another service, never to us.

    Raises:
        InvalidInput: ``SCAN_INVALID`` with reason kind.
    """

    kind: ScanKind
    content: SecretBytes
    symbology: str | None = None
    basis: OpaqueBasis = OpaqueBasis.NONE

    def __post_init__(self) -> None:
        if self.kind not in OPAQUE_KINDS:
            raise InvalidInput("SCAN_INVALID", reason="kind")

    def __repr__(self) -> str:
        return f"OpaqueScan({REDACTED}, kind={self.kind.value})"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)


Scan: TypeAlias = InsScan | BoxScan | OpaqueScan


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaqueRule:
    """How codes of an opaque kind begin: a fact of the practice's profile, because few of them are published.

    ``symbologies`` are the AIM letters that carry it (``d`` Data Matrix, ``Q`` QR code); empty means any.

    Raises:
        InvalidInput: ``SCAN_INVALID`` with reason kind or rule.
    """

    kind: ScanKind
    prefix: bytes
    symbologies: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        if self.kind not in OPAQUE_KINDS or self.kind is ScanKind.UNKNOWN:
            raise InvalidInput("SCAN_INVALID", reason="kind")
        if not self.prefix:
            raise InvalidInput("SCAN_INVALID", reason="rule")
