"""Which object of a card plays which role: by the last byte of CKA_ID, and by its label where that says nothing.

Owns the two tables; pure. The technical key of the contactless mode is told first: it never signs anything of ours.
Source: middleware test results (labels), field notes on CKA_ID (last byte 20 authentication, 10 signature).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from vaguemestre_core.cps import CpsError, CpsHolder, CpsSituation, KeyRole
from vaguemestre_core.redaction import REDACTED
from vaguemestre_core.signing import SignaturePurpose
from vaguemestre_drivers.cps.holder import CertificateFacts, read_certificate

BY_ID: Final[Mapping[int, KeyRole]] = MappingProxyType({0x20: KeyRole.AUTHENTICATION, 0x10: KeyRole.SIGNATURE})
# Parts of labels, lower case, looked for in this order; certificates first, then private keys.
BY_LABEL: Final[tuple[tuple[str, KeyRole], ...]] = (
    ("technique", KeyRole.TECHNICAL),
    ("_tech_", KeyRole.TECHNICAL),
    ("authentification", KeyRole.AUTHENTICATION),
    ("_aut", KeyRole.AUTHENTICATION),
    ("signature", KeyRole.SIGNATURE),
    ("_sig", KeyRole.SIGNATURE),
)
# Everything we sign proves a professional's will, so the signature key signs it; the authentication key is for TLS.
# A profile may say otherwise for a service: the choice is a parameter of the signer.
KEY_FOR_PURPOSE: Final[Mapping[SignaturePurpose, KeyRole]] = MappingProxyType(
    dict.fromkeys(SignaturePurpose, KeyRole.SIGNATURE)
)


def role_of(key_id: bytes, label: str) -> KeyRole | None:
    """Return the role of a certificate or key, or None for what is not ours."""
    folded = label.lower()
    by_label = next((role for part, role in BY_LABEL if part in folded), None)
    if by_label is KeyRole.TECHNICAL:
        return by_label
    return BY_ID.get(key_id[-1], by_label) if key_id else by_label


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CardCertificate:
    """A certificate of a card, with what it says.

    Attributes:
        role: what its key is for.
        key_id: CKA_ID, which its private key shares.
        der: the certificate.
        facts: what it says.
    """

    role: KeyRole
    key_id: bytes
    der: bytes
    facts: CertificateFacts

    def __repr__(self) -> str:
        return f"CardCertificate({self.role.value}, {REDACTED})"


def known_certificates(found: Iterable[tuple[bytes, str, bytes]]) -> tuple[CardCertificate, ...]:
    """Return the certificates that have a role, one a role, in the order of the roles.

    Args:
        found: CKA_ID, label and DER of each certificate object of the card.

    Raises:
        CpsError: ``CPS_UNREADABLE``; ``CPS_CERTIFICATE_MISSING`` when none has a role.
    """
    kept: dict[KeyRole, CardCertificate] = {}
    for key_id, label, der in found:
        role = role_of(key_id, label)
        if role is not None and role not in kept:
            kept[role] = CardCertificate(role=role, key_id=key_id, der=der, facts=read_certificate(der))
    if not kept:
        raise CpsError(CpsSituation.CPS_CERTIFICATE_MISSING)
    return tuple(kept[role] for role in KeyRole if role in kept)


def certificate_for(certificates: Iterable[CardCertificate], role: KeyRole) -> CardCertificate:
    """Return the certificate of a role.

    Raises:
        CpsError: ``CPS_CONTACTLESS`` (only the technical one is there), ``CPS_CERTIFICATE_MISSING``.
    """
    held = tuple(certificates)
    found = next((one for one in held if one.role is role), None)
    if found is not None:
        return found
    is_contactless = [one.role for one in held] == [KeyRole.TECHNICAL]
    raise CpsError(CpsSituation.CPS_CONTACTLESS if is_contactless else CpsSituation.CPS_CERTIFICATE_MISSING)


def holder_of(certificates: Iterable[CardCertificate], specialty: str | None) -> CpsHolder:
    """Return the one holder of a card, valid while all its certificates are.

    Raises:
        CpsError: ``CPS_UNREADABLE`` when two certificates name two persons or two cards.
    """
    first, *others = (one.facts.holder for one in certificates)
    validity = first.validity
    for other in others:
        if other.identifier != first.identifier or not other.number.is_same_card(first.number):
            raise CpsError(CpsSituation.CPS_UNREADABLE, reason="two_holders")
        validity = validity.common_with(other.validity)
    return replace(
        first, specialty=specialty, validity=validity, is_test=first.is_test or any(o.is_test for o in others)
    )
