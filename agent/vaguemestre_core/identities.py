"""Identity of a patient: matricule INS, traits, RNIV status, and the one door by which an INS may leave.

Owns the lexical rules of the traits and the rule that a matricule leaves only with a qualified identity
(INS/va1.53, EXI ID 29); never calls INSi, never decides a status. Every type holding a person redacts itself.
Source: RNIV, GIE SESAM-Vitale SEL-MP-043 (lexical rules as implemented by public clients), CI-SIS.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from vaguemestre_core.contacts import PostalAddress, Telecom, require_oid, require_text
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.redaction import REDACTED

OID_INS_NIR: Final = "1.2.250.1.213.1.4.8"
OID_INS_NIA: Final = "1.2.250.1.213.1.4.9"
OID_INS_NIR_TEST: Final = "1.2.250.1.213.1.4.10"
OID_INS_NIR_DEMO: Final = "1.2.250.1.213.1.4.11"
OID_INS_C: Final = "1.2.250.1.213.1.4.2"  # the old INS-C: recognised so that it never leaves, never produced

INS_OIDS: Final = frozenset({OID_INS_NIR, OID_INS_NIA, OID_INS_NIR_TEST, OID_INS_NIR_DEMO})


class InsAuthority(Enum):
    """Who issued the matricule, from its OID. The qualification platform answers with production OIDs too."""

    NIR = "NIR"
    NIA = "NIA"
    NIR_TEST = "NIR de test"
    NIR_DEMO = "NIR de démonstration"
    OTHER = "autre"


_AUTHORITIES: Final[Mapping[str, InsAuthority]] = {
    OID_INS_NIR: InsAuthority.NIR,
    OID_INS_NIA: InsAuthority.NIA,
    OID_INS_NIR_TEST: InsAuthority.NIR_TEST,
    OID_INS_NIR_DEMO: InsAuthority.NIR_DEMO,
}


class InsSource(Enum):
    """Where the matricule comes from: a typed one needs the right key, INSi's answer is taken as it is."""

    DECLARED = "declared"
    INSI = "insi"


_MATRICULE: Final = re.compile(r"[0-9]{6}[0-9AB][0-9]{6}[0-9]{2}")
# Position 7 is the second character of the département: 2A and 2B are Corsica's.
_CORSICA: Final[Mapping[str, str]] = {"2A": "19", "2B": "18"}


def ins_key(number: str) -> int:
    """Return the key of a 13-character number: 97 - (N mod 97), 2A counting as 19 and 2B as 18.

    Raises:
        InvalidInput: ``INS_INVALID`` (reason shape).
    """
    if re.fullmatch(r"[0-9]{6}[0-9AB][0-9]{6}", number) is None:
        raise InvalidInput("INS_INVALID", reason="shape")
    departement = number[5:7]
    digits = number[:5] + _CORSICA.get(departement, departement) + number[7:]
    if not digits.isdecimal():
        raise InvalidInput("INS_INVALID", reason="shape")
    return 97 - int(digits) % 97


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Ins:
    """A matricule INS (15 characters, key included) with the OID of its authority.

    Raises:
        InvalidInput: ``INS_INVALID`` with reason shape, key or ins_c; ``OID_INVALID``.
    """

    matricule: str
    oid: str
    source: InsSource = InsSource.DECLARED

    def __post_init__(self) -> None:
        require_oid(self.oid, field="ins.oid")
        if self.oid == OID_INS_C:
            raise InvalidInput("INS_INVALID", reason="ins_c")
        if _MATRICULE.fullmatch(self.matricule) is None:
            raise InvalidInput("INS_INVALID", reason="shape")
        expected = ins_key(self.matricule[:13])
        if self.source is InsSource.DECLARED and expected != int(self.matricule[13:]):
            raise InvalidInput("INS_INVALID", reason="key")

    @property
    def authority(self) -> InsAuthority:
        """Who issued it; an unknown OID stays representable."""
        return _AUTHORITIES.get(self.oid, InsAuthority.OTHER)

    @property
    def has_valid_key(self) -> bool:
        """Whether the key agrees with the number (only INSi may give one that does not)."""
        return ins_key(self.matricule[:13]) == int(self.matricule[13:])

    def __repr__(self) -> str:
        return f"Ins({REDACTED})"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)


class IdentityStatus(Enum):
    """The four RNIV statuses, mutually exclusive (EXI SI 07)."""

    PROVISOIRE = "provisoire"
    VALIDEE = "validée"
    RECUPEREE = "récupérée"
    QUALIFIEE = "qualifiée"


# HL7 table 0445, French extension.
HL7_0445: Final[Mapping[IdentityStatus, str]] = {
    IdentityStatus.PROVISOIRE: "PROV",
    IdentityStatus.VALIDEE: "VALI",
    IdentityStatus.RECUPEREE: "RECUP",
    IdentityStatus.QUALIFIEE: "QUAL",
}


class IdentityAttribute(Enum):
    """RNIV attributes of an identity."""

    HOMONYME = "homonyme"
    DOUTEUSE = "douteuse"
    FICTIVE = "fictive"


class Sex(Enum):
    """Sex of the traits: INSi knows F and M; local software also needs indéterminé."""

    FEMININ = "F"
    MASCULIN = "M"
    INDETERMINE = "I"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BirthDate:
    """A birth date as the traits carry it, and whether part of it was interpreted (RNIV EXI ID 11)."""

    value: dt.date
    is_interpreted: bool = False

    def __post_init__(self) -> None:
        if self.value.year < 1850:
            raise InvalidInput("TRAIT_INVALID", trait="birth_date", reason="too_old")

    @classmethod
    def from_parts(cls, *, year: int, month: int | None = None, day: int | None = None) -> BirthDate:
        """Interpret an incomplete date: 01 for an unknown day, 01 for an unknown month, 31/12 for both.

        Raises:
            InvalidInput: ``TRAIT_INVALID`` (birth_date, not_a_date).
        """
        if month is None and day is None:
            resolved = (12, 31)
        else:
            resolved = (1 if month is None else month, 1 if day is None else day)
        try:
            value = dt.date(year, *resolved)
        except ValueError:
            raise InvalidInput("TRAIT_INVALID", trait="birth_date", reason="not_a_date") from None
        return cls(value=value, is_interpreted=month is None or day is None)

    def __repr__(self) -> str:
        return f"BirthDate({REDACTED})"


_TRAIT_CHARACTERS: Final = re.compile(r"[A-Z '\-]+")
_LIGATURES: Final[Mapping[str, str]] = {"Œ": "OE", "Æ": "AE", "ẞ": "SS"}
_APOSTROPHES: Final = "’‘ʼ`´"
_HYPHENS: Final = "‐‑–—"
_NAME_MAX_LENGTH: Final = 100
_LIST_MAX_LENGTH: Final = 200


def normalise_trait(text: str) -> str:
    """Write a name as the traits do: capitals, no diacritics, no ligatures, plain apostrophe and hyphen.

    Only equivalences are applied: what has none (a digit, a slash) stays, so that validation refuses it.
    """
    upper = unicodedata.normalize("NFC", text).upper()
    for ligature, letters in _LIGATURES.items():
        upper = upper.replace(ligature, letters)
    for apostrophe in _APOSTROPHES:
        upper = upper.replace(apostrophe, "'")
    for hyphen in _HYPHENS:
        upper = upper.replace(hyphen, "-")
    decomposed = unicodedata.normalize("NFD", upper)
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _require_lexical(value: str, *, trait: str, max_length: int) -> None:
    """Rules common to the names (SEL-MP-043): characters, first one, no doubled separator."""
    reason: str | None = None
    if not value:
        reason = "empty"
    elif len(value) > max_length:
        reason = "too_long"
    elif _TRAIT_CHARACTERS.fullmatch(value) is None:
        reason = "characters"
    elif value[0] in " -":
        reason = "first_character"
    elif value[-1] == " ":
        reason = "last_character"
    elif any(pair in value for pair in ("  ", "''", " '", "' ")):
        reason = "doubled_separator"
    if reason is not None:
        raise InvalidInput("TRAIT_INVALID", trait=trait, reason=reason)


def require_birth_name(value: str) -> str:
    """Return a nom de naissance that follows the rules (a doubled hyphen is allowed).

    Raises:
        InvalidInput: ``TRAIT_INVALID`` with the trait and the reason.
    """
    _require_lexical(value, trait="birth_name", max_length=_NAME_MAX_LENGTH)
    if "---" in value:
        raise InvalidInput("TRAIT_INVALID", trait="birth_name", reason="doubled_separator")
    return value


def require_given_name(value: str, *, trait: str = "first_given_name", max_length: int = _NAME_MAX_LENGTH) -> str:
    """Return a given name (or a list of them) that follows the rules.

    Raises:
        InvalidInput: ``TRAIT_INVALID`` with the trait and the reason.
    """
    _require_lexical(value, trait=trait, max_length=max_length)
    if "--" in value:
        raise InvalidInput("TRAIT_INVALID", trait=trait, reason="doubled_separator")
    if value[-1] in "-'":
        raise InvalidInput("TRAIT_INVALID", trait=trait, reason="last_character")
    return value


def _comparable(value: str) -> str:
    return value.replace("-", " ").replace("'", " ")


def begins_list(first_given_name: str, given_names: str) -> bool:
    """Return whether the first given name begins the list (EXI ID 10); hyphen, apostrophe count as blank."""
    first, names = _comparable(first_given_name), _comparable(given_names)
    return names == first or names.startswith(first + " ")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LocalPatientId:
    """The practice's own patient number (IPP) with the OID of its domain."""

    value: str
    oid: str

    def __post_init__(self) -> None:
        require_oid(self.oid, field="local_id.oid")
        if self.oid in INS_OIDS or self.oid == OID_INS_C:
            raise InvalidInput("LOCAL_ID_INVALID", reason="ins_oid")
        require_text(self.value, field="local_id.value", max_length=64)
        if any(char in self.value for char in "^&|~\\"):
            raise InvalidInput("LOCAL_ID_INVALID", reason="characters")

    def __repr__(self) -> str:
        return f"LocalPatientId({REDACTED})"


_COG: Final = re.compile(r"[0-9A-Z]{5}")
# Only these two may be together (EXI ID 24); the last two keep an identity provisoire (EXI ID 26).
_EXCLUSIVE: Final = frozenset({IdentityAttribute.FICTIVE})
_ALLOWS_PROVISOIRE_ONLY: Final = frozenset({IdentityAttribute.DOUTEUSE, IdentityAttribute.FICTIVE})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PatientIdentity:
    """The identity of a patient as a document carries it, valid by construction.

    ``given_names`` is the list of the birth certificate, separated by single blanks. ``birth_place_cog``
    is the 5-character code COG. ``used_name`` and ``used_given_name`` are never filled from the birth
    ones (EXI ID 08).

    Raises:
        InvalidInput: ``TRAIT_INVALID``, ``IDENTITY_INCOMPLETE`` (a qualified or recovered identity without
            INS or without one of the five strict traits), ``IDENTITY_ATTRIBUTES_INVALID``.
    """

    birth_name: str
    given_names: str
    first_given_name: str
    birth_date: BirthDate
    sex: Sex
    status: IdentityStatus
    birth_place_cog: str | None = None
    ins: Ins | None = None
    used_name: str | None = None
    used_given_name: str | None = None
    local_id: LocalPatientId | None = None
    attributes: frozenset[IdentityAttribute] = frozenset()
    address: PostalAddress | None = None
    telecoms: tuple[Telecom, ...] = ()

    def __post_init__(self) -> None:
        require_birth_name(self.birth_name)
        require_given_name(self.given_names, trait="given_names", max_length=_LIST_MAX_LENGTH)
        require_given_name(self.first_given_name)
        if not begins_list(self.first_given_name, self.given_names):
            raise InvalidInput("TRAIT_INVALID", trait="first_given_name", reason="not_in_list")
        if self.birth_place_cog is not None and _COG.fullmatch(self.birth_place_cog) is None:
            raise InvalidInput("TRAIT_INVALID", trait="birth_place_cog", reason="shape")
        if self.used_name is not None:
            require_text(self.used_name, field="used_name", max_length=_NAME_MAX_LENGTH)
        if self.used_given_name is not None:
            require_text(self.used_given_name, field="used_given_name", max_length=_NAME_MAX_LENGTH)
        self._require_consistent_status()

    def _require_consistent_status(self) -> None:
        if self.status in (IdentityStatus.RECUPEREE, IdentityStatus.QUALIFIEE):
            if self.ins is None:
                raise InvalidInput("IDENTITY_INCOMPLETE", missing="ins")
            if self.birth_place_cog is None:
                raise InvalidInput("IDENTITY_INCOMPLETE", missing="birth_place_cog")
            if self.sex is Sex.INDETERMINE:
                raise InvalidInput("IDENTITY_INCOMPLETE", missing="sex")
        if self.attributes & _EXCLUSIVE and len(self.attributes) > 1:
            raise InvalidInput("IDENTITY_ATTRIBUTES_INVALID", reason="exclusive")
        if self.attributes & _ALLOWS_PROVISOIRE_ONLY and self.status is not IdentityStatus.PROVISOIRE:
            raise InvalidInput("IDENTITY_ATTRIBUTES_INVALID", reason="status")

    def transmissible_ins(self) -> Ins | None:
        """Return the INS when the identity is qualifiée, else nothing: the only way by which it may leave."""
        return self.ins if self.status is IdentityStatus.QUALIFIEE else None

    def __repr__(self) -> str:
        return f"PatientIdentity({REDACTED}, status={self.status.value})"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)
