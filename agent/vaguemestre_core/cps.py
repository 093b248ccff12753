"""A professional's card in values: who holds it, how long it is valid, and what can be wrong with it.

Owns the shapes of the CPS family (CPS, CPF, CPE, CPA) and the closed list of situations; reads no card and knows no
middleware. Everything about the holder redacts itself when printed. The PIN's own tables are in ``cpspin``.
Source: IGC-Santé certificates; DICO-FR tables G01 (categories), G02 (types), G08 (identifiers); TRE_G15 (professions).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum, StrEnum, unique
from hashlib import blake2b
from typing import Final

from vaguemestre_core.contacts import require_text
from vaguemestre_core.errors import InvalidInput, Recovery, VaguemestreError
from vaguemestre_core.professionals import Rpps
from vaguemestre_core.redaction import REDACTED, Personal

# What EF.SN.ICC and the certificates put before the number of each card.
ISSUER_PREFIX: Final = "8025000001"
# The last digit and the filler of a number differ between its sources: eight digits tell two cards apart.
_COMPARED_DIGITS: Final = 8
_WARNING_DAYS: Final = (60, 30, 7)

_RPPS: Final = re.compile(r"[0-9]{11}")
_CARD_NUMBER: Final = re.compile(r"[0-9]{8,12}")
_IDENTIFIER: Final = re.compile(r"[0-9A-Z]{6,30}(?:/[0-9A-Za-z._\-]{1,40})?")
_SPECIALTY: Final = re.compile(r"S[A-Z]{1,3}[0-9]{2}")


@unique
class CardCategory(IntEnum):
    """Kind of professional card, as the certificate's extension numbers it (G02)."""

    CPS = 0
    CPF = 1
    CPE = 2
    CPA = 3


@unique
class IdentifierKind(StrEnum):
    """First character of a national identifier (G08)."""

    ADELI = "0"
    ADELI_PRACTICE = "1"
    DRASS = "2"
    FINESS = "3"
    SIREN = "4"
    SIRET = "5"
    RPPS_PRACTICE = "6"
    RPPS = "8"
    STUDENT = "9"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NationalIdentifier:
    """The national identifier of a person: its kind, then a number, then ``/register`` for an employee.

    Raises:
        InvalidInput: ``CARD_IDENTIFIER_INVALID``.
    """

    kind: IdentifierKind
    number: str

    def __post_init__(self) -> None:
        if _IDENTIFIER.fullmatch(self.number) is None:
            raise InvalidInput("CARD_IDENTIFIER_INVALID")
        if self.kind is IdentifierKind.RPPS and _RPPS.fullmatch(self.number) is None:
            raise InvalidInput("CARD_IDENTIFIER_INVALID")

    @classmethod
    def parse(cls, value: str) -> NationalIdentifier:
        """Read an identifier as a certificate's common name carries it. Raises ``CARD_IDENTIFIER_INVALID``."""
        try:
            kind = IdentifierKind(value[:1])
        except ValueError:
            raise InvalidInput("CARD_IDENTIFIER_INVALID") from None
        return cls(kind=kind, number=value[1:])

    @property
    def value(self) -> str:
        """Kind and number together: the PS_IdNat of messages."""
        return f"{self.kind.value}{self.number}"

    @property
    def rpps(self) -> Rpps | None:
        """The RPPS, when it is one."""
        return Rpps(value=self.number) if self.kind is IdentifierKind.RPPS else None

    def __repr__(self) -> str:
        return f"NationalIdentifier({REDACTED})"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CardNumber:
    """The number printed on a card, eight to twelve digits, without its issuer. Raises ``CARD_NUMBER_INVALID``."""

    digits: str

    def __post_init__(self) -> None:
        if _CARD_NUMBER.fullmatch(self.digits) is None:
            raise InvalidInput("CARD_NUMBER_INVALID")

    def is_same_card(self, other: CardNumber) -> bool:
        """Return whether both numbers are of one card, whatever check digit or filler each source kept."""
        return self.digits[:_COMPARED_DIGITS] == other.digits[:_COMPARED_DIGITS]

    def fingerprint(self, key: bytes) -> str:
        """Return 16 hexadecimal characters that stand for the card in files and events; nothing without ``key``."""
        return blake2b(self.digits[:_COMPARED_DIGITS].encode(), key=key, digest_size=8).hexdigest()

    def __repr__(self) -> str:
        return f"CardNumber({REDACTED})"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)


@unique
class ExpiryNotice(StrEnum):
    """What to tell about a card's end, the most urgent only."""

    NONE = "none"
    IN_60_DAYS = "in_60_days"
    IN_30_DAYS = "in_30_days"
    IN_7_DAYS = "in_7_days"
    EXPIRED = "expired"
    NOT_YET = "not_yet"  # the certificates begin later than today


_NOTICES: Final = dict(
    zip(_WARNING_DAYS, (ExpiryNotice.IN_60_DAYS, ExpiryNotice.IN_30_DAYS, ExpiryNotice.IN_7_DAYS), strict=True)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardValidity:
    """The time in which both certificates of a card are valid; aware instants.

    Raises:
        InvalidInput: ``CARD_VALIDITY_INVALID`` (naive, or the end before the beginning).
    """

    begins_at: datetime
    ends_at: datetime

    def __post_init__(self) -> None:
        if self.begins_at.tzinfo is None or self.ends_at.tzinfo is None or self.ends_at < self.begins_at:
            raise InvalidInput("CARD_VALIDITY_INVALID")

    def common_with(self, other: CardValidity) -> CardValidity:
        """Return the time in which both are valid. Raises ``CARD_VALIDITY_INVALID`` when there is none."""
        return CardValidity(begins_at=max(self.begins_at, other.begins_at), ends_at=min(self.ends_at, other.ends_at))

    def days_left(self, today: date) -> int:
        """Return whole days from ``today`` (practice's calendar) to the last day; negative once over."""
        return (self.ends_at.date() - today).days

    def notice(self, now: datetime) -> ExpiryNotice:
        """Return the most urgent thing to tell at ``now`` (aware)."""
        if now < self.begins_at:
            return ExpiryNotice.NOT_YET
        if now > self.ends_at:
            return ExpiryNotice.EXPIRED
        left = self.days_left(now.date())
        return next((_NOTICES[days] for days in reversed(_WARNING_DAYS) if left <= days), ExpiryNotice.NONE)

    def require(self, now: datetime) -> None:
        """Accept a card that is valid at ``now`` (aware). Raises CpsError ``CPS_EXPIRED``, ``CPS_NOT_YET_VALID``."""
        refused = _NOT_VALID.get(self.notice(now))
        if refused is not None:
            raise CpsError(refused)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CpsHolder:
    """Whose card it is, as its certificates say.

    Attributes:
        identifier: national identifier with its kind.
        family_name, given_name, title: as written in the certificate; ``title`` is the profession in words.
        profession: TRE_G15 code (10 médecin, 60 infirmier…), or None when the card does not say.
        specialty: ``SMxx`` and the like, or None: only a data object of the card says it.
        number: the card's number.
        category: CPS, CPF, CPE or CPA.
        is_test: a card of the test authority: never for a real patient.
        validity: the time in which the certificates are valid.

    Raises:
        InvalidInput: ``TEXT_INVALID``, ``CARD_SPECIALTY_INVALID``.
    """

    identifier: NationalIdentifier
    family_name: Personal
    given_name: Personal | None
    title: Personal | None
    profession: int | None
    specialty: str | None
    number: CardNumber
    category: CardCategory
    is_test: bool
    validity: CardValidity

    def __post_init__(self) -> None:
        require_text(self.family_name.reveal(), field="family_name", max_length=100)
        if self.given_name is not None:
            require_text(self.given_name.reveal(), field="given_name", max_length=100)
        if self.specialty is not None and _SPECIALTY.fullmatch(self.specialty) is None:
            raise InvalidInput("CARD_SPECIALTY_INVALID")

    @property
    def rpps(self) -> Rpps | None:
        """The RPPS, when the identifier is one."""
        return self.identifier.rpps

    def __repr__(self) -> str:
        return f"CpsHolder({REDACTED})"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)


def is_specialty(value: str) -> bool:
    """Return whether ``value`` has the shape of a specialty code (SM26, SCD01…)."""
    return _SPECIALTY.fullmatch(value) is not None


@unique
class KeyRole(StrEnum):
    """The keys of a card."""

    AUTHENTICATION = "authentication"
    SIGNATURE = "signature"
    TECHNICAL = "technical"  # the only one in contactless mode; it signs nothing of ours


@unique
class CpsSituation(StrEnum):
    """What can be wrong, each with one thing a person can do: the values are the codes of the error catalogue."""

    MIDDLEWARE_ABSENT = "MIDDLEWARE_ABSENT"
    MIDDLEWARE_WRONG_ARCHITECTURE = "MIDDLEWARE_WRONG_ARCHITECTURE"
    MIDDLEWARE_UNLOADABLE = "MIDDLEWARE_UNLOADABLE"
    MIDDLEWARE_CRASHED = "MIDDLEWARE_CRASHED"
    MIDDLEWARE_SILENT = "MIDDLEWARE_SILENT"
    MIDDLEWARE_FAILED = "MIDDLEWARE_FAILED"
    MIDDLEWARE_TOO_OLD = "MIDDLEWARE_TOO_OLD"
    MIDDLEWARE_BUSY = "MIDDLEWARE_BUSY"
    PKCS11_LIBRARY_ABSENT = "PKCS11_LIBRARY_ABSENT"
    CPS_ABSENT = "CPS_ABSENT"
    CPS_REMOVED = "CPS_REMOVED"
    CPS_SEVERAL = "CPS_SEVERAL"
    CPS_CHANGED = "CPS_CHANGED"
    CPS_UNREADABLE = "CPS_UNREADABLE"
    CPS_EXPIRED = "CPS_EXPIRED"
    CPS_NOT_YET_VALID = "CPS_NOT_YET_VALID"
    CPS_CONTACTLESS = "CPS_CONTACTLESS"
    CPS_CERTIFICATE_MISSING = "CPS_CERTIFICATE_MISSING"
    CPS_KEY_MISSING = "CPS_KEY_MISSING"
    CPS_ALGORITHM_UNSUPPORTED = "CPS_ALGORITHM_UNSUPPORTED"
    PIN_NEEDED = "PIN_NEEDED"
    PIN_CANCELLED = "PIN_CANCELLED"
    PIN_WITHHELD = "PIN_WITHHELD"
    PIN_WRONG = "PIN_WRONG"
    PIN_MALFORMED = "PIN_MALFORMED"
    PIN_BLOCKED = "PIN_BLOCKED"
    PIN_TO_BE_CHANGED = "PIN_TO_BE_CHANGED"


_NOT_VALID: Final = {
    ExpiryNotice.EXPIRED: CpsSituation.CPS_EXPIRED,
    ExpiryNotice.NOT_YET: CpsSituation.CPS_NOT_YET_VALID,
}
RECOVERIES: Final[Mapping[CpsSituation, Recovery]] = {
    CpsSituation.MIDDLEWARE_BUSY: Recovery.BACKOFF,
    CpsSituation.MIDDLEWARE_SILENT: Recovery.BACKOFF,
}
"""What helps, where it is not the act of a person: it may pass by itself, and the agent tries again."""


class CpsError(VaguemestreError):
    """Something about a professional's card or its middleware; a person can act on it.

    Args:
        situation: what is wrong; its value is the error's code.
        params: facts without personal data: a return code in hexadecimal, a number of tries.
    """

    default_code = "CPS_UNREADABLE"
    recovery = Recovery.USER_ACTION

    def __init__(self, situation: CpsSituation, **params: str | int | float | bool | None) -> None:
        super().__init__(situation.value, **params)
        self.situation = situation
        self.recovery = RECOVERIES.get(situation, Recovery.USER_ACTION)
