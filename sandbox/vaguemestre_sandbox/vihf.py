"""The VIHF assertion: what the simulated DMP checks before it listens to a message.

Owns the reading of wsse:Security. Refuses with wsse faults; never looks at the payload, only at the patient that
the payload is about.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from vaguemestre_sandbox import xmlsafe
from vaguemestre_sandbox.pki import Pki
from vaguemestre_sandbox.settings import DmpProfile
from vaguemestre_sandbox.soap import SoapFaultError
from vaguemestre_sandbox.xmlsafe import DSIG, HL7, SAML2, WSSE, q

_SUBJECT_ROLE: Final = "urn:oasis:names:tc:xacml:2.0:subject:role"
_RESOURCE_ID: Final = "urn:oasis:names:tc:xacml:2.0:resource:resource-id"
_PURPOSE: Final = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse"
_SUBJECT_ID: Final = "urn:oasis:names:tc:xspa:1.0:subject:subject-id"
_MANDATORY: Final = (
    "Identifiant_Structure",
    "Secteur_Activite",
    _SUBJECT_ROLE,
    "VIHF_Version",
    _RESOURCE_ID,
    "Ressource_URN",
    _PURPOSE,
    "LPS_ID",
    "LPS_Nom",
    "LPS_Version",
    "LPS_ID_HOMOLOGATION_DMP",
)
_MODES: Final = frozenset({"DIRECTE", "INDIRECTE", "INDIRECTE_RENFORCEE"})
_X509_NAME: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"
_PATIENT: Final = re.compile(r"([0-9AB]{15})\^\^\^&(1\.2\.250\.1\.213\.1\.4\.\d+)&ISO\^NH")
_PURPOSES: Final = frozenset({"normal", "bris_de_glace", "centre_15"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Vihf:
    """What a checked assertion says. `patient` is `matricule^oid`; `signer` is the common name of who signed."""

    assertion_id: str
    name_id: str
    structure: str
    mode: str
    patient: str
    context_class: str = ""
    profession: str = ""
    signer: str = ""
    is_employee: bool = False

    @property
    def is_personal(self) -> bool:
        """The professional acts in his own name; else what is done is the structure's."""
        return self.mode == "DIRECTE" and not self.is_employee


def _fault(reason: str, name: str = "InvalidSecurityToken") -> SoapFaultError:
    return SoapFaultError(reason, subcode=(WSSE, name))


def read_vihf(
    security: etree._Element | None, *, profile: DmpProfile, now: datetime, pki: Pki, national_id: str
) -> Vihf:
    """Check the assertion; return what it says.

    `national_id`: the professional of the API token, or empty in direct mode. Raises SoapFaultError with a wsse
    subcode (InvalidSecurity, InvalidSecurityToken, MessageExpired, FailedCheck, FailedAuthentication).
    """
    if security is None:
        raise _fault("wsse:Security is missing", "InvalidSecurity")
    assertions = security.findall(q(SAML2, "Assertion"))
    if len(assertions) != 1:
        raise _fault("exactly one SAML assertion is expected", "InvalidSecurity")
    assertion = assertions[0]
    if assertion.get("Version") != "2.0" or not assertion.get("ID"):
        raise _fault("the assertion needs Version 2.0 and an ID")
    _check_freshness(assertion, profile, now)
    issuer = assertion.find(q(SAML2, "Issuer"))
    if issuer is None or issuer.get("Format") != _X509_NAME or "=" not in xmlsafe.text_of(issuer):
        raise _fault("Issuer must be an X509SubjectName")
    name_id = xmlsafe.text_of(xmlsafe.child(assertion, q(SAML2, "Subject"), q(SAML2, "NameID")))
    if not name_id:
        raise _fault("NameID is missing")
    if national_id and name_id != national_id:
        raise _fault("NameID is not the professional of the access token", "FailedAuthentication")
    authentication = assertion.find(q(SAML2, "AuthnStatement"))
    context_class = xmlsafe.child(authentication, q(SAML2, "AuthnContext"), q(SAML2, "AuthnContextClassRef"))
    if not xmlsafe.text_of(context_class).startswith("urn:oasis:names:tc:SAML:2.0:ac:classes:"):
        raise _fault("AuthnContextClassRef is missing or unknown")
    vihf = _check_attributes(assertion, profile, name_id)
    signer = _check_signature(assertion, xmlsafe.text_of(issuer), profile, pki)
    return replace(vihf, signer=signer, context_class=xmlsafe.text_of(context_class))


def _check_freshness(assertion: etree._Element, profile: DmpProfile, now: datetime) -> None:
    issued = _instant(assertion.get("IssueInstant"))
    for statement in assertion.iterfind(q(SAML2, "AuthnStatement")):
        _instant(statement.get("AuthnInstant"))
    if issued < now - timedelta(seconds=profile.vihf_lifetime_s):
        raise _fault("the assertion is expired", "MessageExpired")
    if issued > now + timedelta(seconds=profile.vihf_skew_s):
        raise _fault("the assertion comes from the future", "MessageExpired")


def _instant(text: str | None) -> datetime:
    try:
        instant = datetime.fromisoformat(text or "")
    except ValueError as error:
        raise _fault("an instant of the assertion is unreadable") from error
    if instant.tzinfo is None:
        raise _fault("instants need a time zone")
    return instant


def _check_attributes(assertion: etree._Element, profile: DmpProfile, name_id: str) -> Vihf:
    found: dict[str, list[etree._Element]] = {}
    for element in assertion.iterfind(f"{q(SAML2, 'AttributeStatement')}/{q(SAML2, 'Attribute')}"):
        found.setdefault(element.get("Name") or "", []).extend(element.iterfind(q(SAML2, "AttributeValue")))
    texts = {name: xmlsafe.text_of(values[0]) for name, values in found.items() if values}
    for name in _MANDATORY:
        if name not in found or (not texts.get(name) and not any(len(value) for value in found[name])):
            raise _fault(f"attribute {name} is missing")
    # One ANS guide spells it Authentification_Mode; the DMP samples Authentification_mode.
    mode = texts.get("Authentification_mode", "") or texts.get("Authentification_Mode", "")
    if mode not in _MODES:
        raise _fault("Authentification_mode is missing or unknown")
    if texts["VIHF_Version"] != profile.vihf_version:
        raise _fault(f"VIHF_Version must be {profile.vihf_version}")
    if texts["Ressource_URN"] != "urn:dmp":
        raise _fault("Ressource_URN must be urn:dmp")
    if mode != "DIRECTE" and not texts.get(_SUBJECT_ID):
        raise _fault("subject-id is missing in indirect mode")
    if not re.fullmatch(r"SA\d\d\^1\.2\.250\.1\.71\.4\.2\.4", texts["Secteur_Activite"]):
        raise _fault("Secteur_Activite is malformed")
    profession = _check_role_and_purpose(found)
    patient = _PATIENT.fullmatch(texts[_RESOURCE_ID])
    if patient is None:
        raise _fault("resource-id is not a matricule INS")
    return Vihf(
        assertion_id=assertion.get("ID") or "",
        name_id=name_id,
        structure=texts["Identifiant_Structure"],
        mode=mode,
        patient=f"{patient[1]}^{patient[2]}",
        profession=profession,
    )


def _check_role_and_purpose(found: Mapping[str, list[etree._Element]]) -> str:
    roles = [role for value in found[_SUBJECT_ROLE] for role in value.iterfind(q(HL7, "Role"))]
    if not roles or roles[0].get("codeSystem") != "1.2.250.1.71.1.2.7" or not roles[0].get("code"):
        raise _fault("the first subject role must be a profession")
    if roles[0].get("code") in ("10", "21") and len(roles) < 2:
        raise _fault("doctors and pharmacists give their savoir-faire as second role")
    purposes = [purpose for value in found[_PURPOSE] for purpose in value.iterfind(q(HL7, "PurposeOfUse"))]
    if len(purposes) != 1 or purposes[0].get("code") not in _PURPOSES:
        raise _fault("purposeofuse is malformed")
    return roles[0].get("code") or ""


def _check_signature(assertion: etree._Element, issuer: str, profile: DmpProfile, pki: Pki) -> str:
    signature = assertion.find(q(DSIG, "Signature"))
    if signature is None:
        if profile.vihf_signature_required:
            raise _fault("the assertion is not signed", "FailedCheck")
        return ""
    certificate = signing_certificate(signature, pki)
    if certificate is None:
        raise _fault("Not a valid signature certificate", "FailedCheck")
    if _name_parts(issuer) != _name_parts(certificate.subject.rfc4514_string()):
        raise _fault("Issuer is not the subject of the signature certificate", "FailedCheck")
    methods = {SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA512, SignatureMethod.ECDSA_SHA256}
    digests = {DigestAlgorithm.SHA256, DigestAlgorithm.SHA512}
    if profile.allow_sha1:
        methods.add(SignatureMethod.RSA_SHA1)
        digests.add(DigestAlgorithm.SHA1)
    try:
        verified = XMLVerifier().verify(
            xmlsafe.serialize(assertion),
            x509_cert=certificate,
            expect_config=SignatureConfiguration(
                signature_methods=frozenset(methods), digest_algorithms=frozenset(digests), location="./"
            ),
        )
    except (SignXMLException, InvalidSignature, etree.LxmlError, ValueError) as error:
        raise _fault("the signature of the assertion does not verify", "FailedCheck") from error
    signed = verified[0].signed_xml if isinstance(verified, list) else verified.signed_xml
    if signed is None or signed.tag != q(SAML2, "Assertion") or signed.get("ID") != assertion.get("ID"):
        raise _fault("the signature does not cover the assertion", "FailedCheck")
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def signing_certificate(signature: etree._Element, pki: Pki) -> x509.Certificate | None:
    """Return the certificate of KeyInfo when the test authority issued it for signing, else None."""
    encoded = xmlsafe.text_of(
        xmlsafe.child(signature, q(DSIG, "KeyInfo"), q(DSIG, "X509Data"), q(DSIG, "X509Certificate"))
    )
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode("".join(encoded.split())))
        issuers = [pki.authority.certificate, *([] if pki.card_authority is None else [pki.card_authority])]
        issuer = next((one for one in issuers if one.subject == certificate.issuer), issuers[0])
        certificate.verify_directly_issued_by(issuer)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (binascii.Error, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return None
    return certificate if usage.content_commitment else None


def _name_parts(name: str) -> frozenset[str]:
    return frozenset(part.strip().casefold() for part in re.split(r"(?<!\\)[,+]", name))
