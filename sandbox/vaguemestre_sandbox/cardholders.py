"""Who stands at the direct door: a card of the authority that the sandbox trusts, read from its TLS certificate.

Owns the comparison of the card with what the VIHF says, and what an employee's card may not ask. A refusal is a wsse
fault when the identity is wrong, a registry failure when the identity is right and the right is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID
from lxml import etree

from vaguemestre_sandbox.agreement import Finding
from vaguemestre_sandbox.failures import Target
from vaguemestre_sandbox.registry import GET_DOCUMENTS
from vaguemestre_sandbox.settings import DmpProfile
from vaguemestre_sandbox.soap import SoapFaultError
from vaguemestre_sandbox.vihf import Vihf
from vaguemestre_sandbox.xmlsafe import RIM, WSSE, q

CPS: Final = 0
CPE: Final = 2
_CARD_TYPE: Final = x509.ObjectIdentifier("1.2.250.1.71.1.2.2")
_PROFESSION: Final = x509.ObjectIdentifier("1.2.250.1.71.1.2.7")
_SMARTCARD: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a card's authentication certificate says; `profession` is empty for an employee."""

    national_id: str
    card_type: int
    profession: str


def card_of(der: bytes, authority: x509.Certificate | None) -> Card | None:
    """Return the card of a TLS certificate, None when it is no card of that authority."""
    certificate = x509.load_der_x509_certificate(der)
    if authority is None:
        return None
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return None
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    card_type = _integer(certificate, _CARD_TYPE)
    if len(names) != 1 or not isinstance(names[0].value, str) or card_type is None:
        return None
    profession = _integer(certificate, _PROFESSION)
    return Card(
        national_id=names[0].value, card_type=card_type, profession="" if profession is None else str(profession)
    )


def _integer(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> int | None:
    try:
        value = certificate.extensions.get_extension_for_oid(oid).value
    except x509.ExtensionNotFound:
        return None
    content = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
    return int.from_bytes(content[2:], "big") if content[:1] == b"\x02" and len(content) > 2 else None


def check_identity(vihf: Vihf, card: Card, profile: DmpProfile) -> None:
    """Compare the assertion with the card that opened the connection. Raises SoapFaultError FailedAuthentication."""
    reasons = (
        (card.card_type not in (CPS, CPE), "this kind of card does not open a DMP"),
        (card.national_id in profile.revoked_holders.split(), "the card is revoked"),
        (vihf.mode != "DIRECTE", "a card authenticates directly"),
        (vihf.context_class != _SMARTCARD, "AuthnContextClassRef is not SmartcardPKI"),
        (vihf.name_id != card.national_id, "NameID is not the holder of the card"),
        (vihf.signer != card.national_id, "the assertion is not signed by the card of the connection"),
        (card.card_type == CPS and vihf.profession != card.profession, "the role is not the holder's profession"),
    )
    for is_wrong, reason in reasons:
        if is_wrong:
            raise SoapFaultError(reason, subcode=(WSSE, "FailedAuthentication"))


def refused_to_employees(target: Target, payload: etree._Element, profile: DmpProfile) -> Finding | None:
    """Return the refusal of what an employee's card may not do: consult, hide or show."""
    match target:
        case Target.DMP_TD32:
            is_refused = True
        case Target.DMP_TD31:
            query = next(payload.iter(q(RIM, "AdhocQuery")), None)
            is_refused = query is None or query.get("id") != GET_DOCUMENTS
        case Target.DMP_ITI57:
            is_refused = next(payload.iter(q(RIM, "ExtrinsicObject")), None) is not None
        case _:
            is_refused = False
    if not is_refused:
        return None
    return Finding(code=profile.not_authorized_code, context="an employee's card has no right to this transaction")
