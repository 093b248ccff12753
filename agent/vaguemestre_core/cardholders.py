"""A professional's card as the agent shows it: whose it is, how long it is valid, what is known of its PIN.

Owns the values that leave the readers process: never a card number, never a PIN. Everything about the person redacts
itself when printed. Source: DICO-FR table G08 (kinds of identifiers); PS_IdNat and Struct_IdNat of the CI-SIS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from vaguemestre_core.cards import Insertion
from vaguemestre_core.cps import CardCategory, CardValidity, IdentifierKind, NationalIdentifier
from vaguemestre_core.cpspin import PinState
from vaguemestre_core.professionals import is_struct_idnat
from vaguemestre_core.records import AuthorityMeans
from vaguemestre_core.redaction import REDACTED

# An employee's identifier begins with that of the structure: first digit of one, first digit of the other.
_STRUCTURES: Final[Mapping[IdentifierKind, str]] = MappingProxyType(
    {
        IdentifierKind.ADELI_PRACTICE: "0",
        IdentifierKind.FINESS: "1",
        IdentifierKind.SIREN: "2",
        IdentifierKind.SIRET: "3",
        IdentifierKind.RPPS_PRACTICE: "4",
    }
)
MEANS: Final[Mapping[CardCategory, AuthorityMeans]] = MappingProxyType(
    {
        CardCategory.CPS: AuthorityMeans.CPS,
        CardCategory.CPF: AuthorityMeans.CPS,
        CardCategory.CPE: AuthorityMeans.CPE,
    }
)
"""Means of authority by category; a CPA gives none."""


def structure_of(identifier: NationalIdentifier) -> str | None:
    """Return the Struct_IdNat that an employee's identifier begins with, or None for a person's own number."""
    kind = _STRUCTURES.get(identifier.kind)
    number, slash, _ = identifier.number.partition("/")
    found = f"{kind}{number}"
    return found if kind is not None and slash and is_struct_idnat(found) else None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HolderCard:
    """Whose card it is.

    Attributes:
        national_id: PS_IdNat.
        family_name, given_name, title: as the certificate writes them; ``title`` is the profession in words.
        profession: TRE_G15 code, or None.
        specialty: ``SMxx`` and the like, or None.
        category: CPS, CPF, CPE or CPA.
        is_test: never for a real patient.
        validity: of both certificates.
        pin: what is known of the tries left.
    """

    national_id: NationalIdentifier
    family_name: str
    given_name: str | None
    title: str | None
    profession: int | None
    specialty: str | None
    category: CardCategory
    is_test: bool
    validity: CardValidity
    pin: PinState

    def __repr__(self) -> str:
        return f"HolderCard({REDACTED})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OpenedCard:
    """A card whose PIN was accepted, for as long as it stays.

    Attributes:
        stay: of the card in its reader.
        key: opaque, new at each opening.
        category: which kind of card.
        holder: PS_IdNat.
        structure: Struct_IdNat that the card tells, or None.
        until: end of its certificates.
        certificate: DER of the one that verifies its signatures; empty when it has none.
    """

    stay: Insertion
    key: str
    category: CardCategory
    holder: str
    structure: str | None
    until: datetime
    certificate: bytes

    def __repr__(self) -> str:
        return f"OpenedCard({REDACTED})"

    __str__ = __repr__
