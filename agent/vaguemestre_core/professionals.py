"""Professionals and structures: RPPS, PS_IdNat, Struct_IdNat and what a document says of them.

Owns the shape of the national identifiers; never checks them against a directory. No key rule is applied
to an RPPS: the official test numbers follow none.
Source: CI-SIS Structuration minimale 1.16.8 (PS_IdNat, Struct_IdNat), NOS JDV_J01, J02, J04, J245, J246.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from vaguemestre_core.contacts import CodedConcept, PostalAddress, Telecom, require_text
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.redaction import REDACTED

OID_PS_IDNAT: Final = "1.2.250.1.71.4.2.1"
OID_STRUCT_IDNAT: Final = "1.2.250.1.71.4.2.2"

_RPPS: Final = re.compile(r"[0-9]{11}")
# First digit says the kind: 0 ADELI, 1 ADELI-cabinet, 3 FINESS/internal, 4 SIREN/internal, 5 SIRET/internal,
# 6 RPPS-cabinet/internal, 8 RPPS.
_PS_IDNAT: Final = re.compile(r"8[0-9]{11}|0[0-9A-Z]{9}|[13456][0-9A-Z]{8,}(?:/[0-9A-Za-z._\-]+)?")
# 0 ADELI-cabinet, 1 FINESS, 2 SIREN, 3 SIRET, 4 RPPS and rank.
_STRUCT_IDNAT: Final = re.compile(r"1[0-9AB]{9}|2[0-9]{9}|3[0-9]{14}|4[0-9]{14}|0[0-9A-Z]{9,14}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpps:
    """An RPPS number: eleven digits. Raises ``RPPS_INVALID``."""

    value: str

    def __post_init__(self) -> None:
        if _RPPS.fullmatch(self.value) is None:
            raise InvalidInput("RPPS_INVALID")

    @property
    def ps_idnat(self) -> str:
        """The PS_IdNat of this professional: 8 then the RPPS."""
        return f"8{self.value}"


def is_ps_idnat(value: str) -> bool:
    """Return whether ``value`` has the shape of a PS_IdNat."""
    return _PS_IDNAT.fullmatch(value) is not None


def is_struct_idnat(value: str) -> bool:
    """Return whether ``value`` has the shape of a Struct_IdNat."""
    return _STRUCT_IDNAT.fullmatch(value) is not None


def struct_idnat_from_finess(finess: str) -> str:
    """Return ``1`` + FINESS (9 characters). Raises ``STRUCTURE_ID_INVALID``."""
    return _require_struct_idnat(f"1{finess}")


def struct_idnat_from_siren(siren: str) -> str:
    """Return ``2`` + SIREN (9 digits). Raises ``STRUCTURE_ID_INVALID``."""
    return _require_struct_idnat(f"2{siren}")


def struct_idnat_from_siret(siret: str) -> str:
    """Return ``3`` + SIRET (14 digits). Raises ``STRUCTURE_ID_INVALID``."""
    return _require_struct_idnat(f"3{siret}")


def struct_idnat_from_rpps(rpps: Rpps, *, rank: int) -> str:
    """Return ``4`` + RPPS + rank on three digits (practice without SIRET). Raises ``STRUCTURE_ID_INVALID``."""
    if not 0 <= rank <= 999:
        raise InvalidInput("STRUCTURE_ID_INVALID")
    return _require_struct_idnat(f"4{rpps.value}{rank:03d}")


def _require_struct_idnat(value: str) -> str:
    if not is_struct_idnat(value):
        raise InvalidInput("STRUCTURE_ID_INVALID")
    return value


class Civility(Enum):
    """Civilité d'exercice (JDV_J245, code system 1.2.250.1.213.1.6.1.69)."""

    MONSIEUR = "M"
    MADAME = "MME"


class Title(Enum):
    """Titre (JDV_J246, code system 1.2.250.1.213.1.6.1.11)."""

    DOCTEUR = "DR"
    MEDECIN_CHEF = "MC"
    MEDECIN_GENERAL = "MG"
    PHARMACIEN_CHEF = "PC"
    PHARMACIEN_GENERAL = "PG"
    PROFESSEUR = "PR"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Professional:
    """A professional as a document names him or her.

    ``profession`` is the author code of JDV_J01 (a doctor: ``G15_10/SMxx`` of 1.2.250.1.213.1.1.4.5).

    Raises:
        InvalidInput: ``TEXT_INVALID``, ``RPPS_INVALID``.
    """

    rpps: Rpps
    family_name: str
    given_name: str | None
    profession: CodedConcept
    civility: Civility | None = None
    title: Title | None = None
    telecoms: tuple[Telecom, ...] = ()
    address: PostalAddress | None = None

    def __post_init__(self) -> None:
        require_text(self.family_name, field="family_name", max_length=100)
        if self.given_name is not None:
            require_text(self.given_name, field="given_name", max_length=100)

    def __repr__(self) -> str:
        return f"Professional({REDACTED})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """A structure: Struct_IdNat, name, secteur d'activité (SAxx, JDV_J02) and practice setting (JDV_J04).

    Raises:
        InvalidInput: ``STRUCTURE_ID_INVALID``, ``TEXT_INVALID``.
    """

    struct_idnat: str
    name: str
    sector: CodedConcept
    practice_setting: CodedConcept
    telecoms: tuple[Telecom, ...] = ()
    address: PostalAddress | None = None

    def __post_init__(self) -> None:
        _require_struct_idnat(self.struct_idnat)
        require_text(self.name, field="structure.name", max_length=128)
