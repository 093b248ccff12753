"""The VIHF: the SAML 2.0 assertion that says who calls, from where, about whom and with which product.

Owns its content and its signature; it is made just before each call and never kept (in AIR mode it lives 30 s and
serves once). What the guides spell differently is in the profile.
Source: CI-SIS VIHF as seen in the DMP sample messages 02.05.00 (direct, indirect), XML Signature 1.1.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lxml import etree

from vaguemestre_agent.adapters.signing.port import SignerPort
from vaguemestre_agent.profiles.model import AuthenticationMode, VihfProfile
from vaguemestre_core.contacts import CodedConcept
from vaguemestre_core.records import ProductProfile
from vaguemestre_core.redaction import REDACTED
from vaguemestre_core.signing import DIGEST_NAMES, DIGEST_URIS, SIGNATURE_URIS, SignaturePurpose

SAML: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
DSIG: Final = "http://www.w3.org/2000/09/xmldsig#"
HL7: Final = "urn:hl7-org:v3"
_XS: Final = "http://www.w3.org/2001/XMLSchema"
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
_ENVELOPED: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_X509_NAME: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"
_SUBJECT_ROLE: Final = "urn:oasis:names:tc:xacml:2.0:subject:role"
_SUBJECT_ID: Final = "urn:oasis:names:tc:xspa:1.0:subject:subject-id"
_RESOURCE_ID: Final = "urn:oasis:names:tc:xacml:2.0:resource:resource-id"
_PURPOSE_OF_USE: Final = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Caller:
    """Who calls and about whom.

    Attributes:
        national_id: PS_IdNat of the professional of the session.
        display_name: given and family names, for the indirect modes.
        structure_id: Struct_IdNat.
        sector: secteur d'activité.
        profession: author code of JDV_J01 (``G15_10/SM26``).
        patient_id: ``matricule^^^&OID&ISO^NH``.
        role: the only subject role of who has no profession (an employee), or None.
    """

    national_id: str
    display_name: str
    structure_id: str
    sector: CodedConcept
    profession: CodedConcept
    patient_id: str
    role: CodedConcept | None = None

    def __repr__(self) -> str:
        return f"Caller({REDACTED})"


async def build_vihf(
    caller: Caller,
    product: ProductProfile,
    profile: VihfProfile,
    *,
    issuer: str,
    assertion_id: str,
    now: datetime,
    signer: SignerPort | None,
) -> bytes:
    """Return the assertion, serialised without XML declaration, signed when the profile says so.

    Args:
        caller: who calls and about whom.
        product: the LGC's product profile.
        profile: how the assertion is written.
        issuer: X509SubjectName when there is no signer.
        assertion_id: an XML name, new for each call.
        now: issue instant, aware.
        signer: signs for the structure or the professional; needed when the profile signs.

    Raises:
        ServiceError: ``SIGNER_UNAVAILABLE``.
    """
    purpose = SignaturePurpose.VIHF
    name = issuer if signer is None else signer.subject_name(purpose)
    assertion = _assertion(caller, product, profile, issuer=name, assertion_id=assertion_id, instant=_instant(now))
    if profile.signed:
        if signer is None:
            raise AssertionError("a signed VIHF needs a signer: the composition checks it")
        await _sign(assertion, profile, assertion_id, signer)
    return etree.tostring(assertion, encoding="UTF-8", xml_declaration=False)


def roles_of(profession: CodedConcept, profile: VihfProfile) -> tuple[CodedConcept, ...]:
    """Return the subject roles of an author code: the profession, then the savoir-faire when there is one.

    ``G15_10/SM26`` "Médecin - Qualifié en Médecine Générale (SM)" gives 10 "Médecin" and SM26.
    """
    code, _, expertise = profession.code.partition("/")
    label, _, expertise_label = profession.label.partition(" - ")
    roles = [
        CodedConcept(code=code.removeprefix("G15_"), code_system=profile.profession_system, label=label),
    ]
    if expertise:
        roles.append(CodedConcept(code=expertise, code_system=profile.expertise_system, label=expertise_label or label))
    return tuple(roles)


def _instant(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"


def _assertion(
    caller: Caller, product: ProductProfile, profile: VihfProfile, *, issuer: str, assertion_id: str, instant: str
) -> etree._Element:
    root = etree.Element(
        _saml("Assertion"),
        {"ID": assertion_id, "IssueInstant": instant, "Version": "2.0"},
        nsmap={"saml2": SAML, "xsi": _XSI},
    )
    etree.SubElement(root, _saml("Issuer"), {"Format": _X509_NAME}).text = issuer
    subject = etree.SubElement(root, _saml("Subject"))
    etree.SubElement(subject, _saml("NameID")).text = caller.national_id
    statement = etree.SubElement(root, _saml("AuthnStatement"), {"AuthnInstant": instant})
    context = etree.SubElement(statement, _saml("AuthnContext"))
    etree.SubElement(context, _saml("AuthnContextClassRef")).text = profile.context_class
    attributes = etree.SubElement(root, _saml("AttributeStatement"))
    _text(attributes, "Identifiant_Structure", caller.structure_id)
    _text(attributes, "Secteur_Activite", f"{caller.sector.code}^{caller.sector.code_system}")
    if profile.mode is not AuthenticationMode.DIRECTE:
        _text(attributes, _SUBJECT_ID, caller.display_name)
    roles = _attribute(attributes, _SUBJECT_ROLE)
    for role in roles_of(caller.profession, profile) if caller.role is None else (caller.role,):
        _coded(roles, "Role", code=role.code, codeSystem=role.code_system, displayName=role.label)
    _text(attributes, "VIHF_Version", profile.version)
    _text(attributes, profile.mode_attribute, profile.mode.value)
    _text(attributes, _RESOURCE_ID, caller.patient_id)
    _text(attributes, "Ressource_URN", profile.resource_urn)
    _coded(
        _attribute(attributes, _PURPOSE_OF_USE),
        "PurposeOfUse",
        code=profile.purpose_code,
        codeSystem=profile.purpose_system,
        codeSystemName=profile.purpose_system_name,
        displayName=profile.purpose_label,
    )
    _text(attributes, "LPS_ID", product.lps_id)
    _text(attributes, "LPS_Nom", product.lps_name)
    _text(attributes, "LPS_Version", product.lps_version)
    _text(attributes, "LPS_ID_HOMOLOGATION_DMP", product.homologation_id)
    return root


async def _sign(assertion: etree._Element, profile: VihfProfile, assertion_id: str, signer: SignerPort) -> None:
    """Insert the enveloped signature after the issuer, where SAML wants it."""
    algorithm = profile.algorithm
    digest = hashlib.new(DIGEST_NAMES[algorithm], _canonical(assertion), usedforsecurity=False).digest()
    signature = etree.Element(f"{{{DSIG}}}Signature", nsmap={"ds": DSIG})
    info = etree.SubElement(signature, f"{{{DSIG}}}SignedInfo")
    etree.SubElement(info, f"{{{DSIG}}}CanonicalizationMethod", {"Algorithm": _EXCLUSIVE})
    etree.SubElement(info, f"{{{DSIG}}}SignatureMethod", {"Algorithm": SIGNATURE_URIS[algorithm]})
    reference = etree.SubElement(info, f"{{{DSIG}}}Reference", {"URI": f"#{assertion_id}"})
    transforms = etree.SubElement(reference, f"{{{DSIG}}}Transforms")
    for transform in (_ENVELOPED, _EXCLUSIVE):
        etree.SubElement(transforms, f"{{{DSIG}}}Transform", {"Algorithm": transform})
    etree.SubElement(reference, f"{{{DSIG}}}DigestMethod", {"Algorithm": DIGEST_URIS[algorithm]})
    etree.SubElement(reference, f"{{{DSIG}}}DigestValue").text = _base64(digest)
    value = await signer.sign(SignaturePurpose.VIHF, _canonical(info), algorithm)
    etree.SubElement(signature, f"{{{DSIG}}}SignatureValue").text = _base64(value)
    data = etree.SubElement(etree.SubElement(signature, f"{{{DSIG}}}KeyInfo"), f"{{{DSIG}}}X509Data")
    certificate = signer.certificates(SignaturePurpose.VIHF)[0]
    etree.SubElement(data, f"{{{DSIG}}}X509Certificate").text = _base64(certificate)
    assertion.insert(1, signature)


def _canonical(element: etree._Element) -> bytes:
    # Exclusive canonicalisation of a copy: lxml goes wrong on a subtree that inherits namespaces.
    alone = etree.fromstring(etree.tostring(element, with_tail=False))
    return etree.tostring(alone, method="c14n", exclusive=True, with_comments=False)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _saml(name: str) -> str:
    return f"{{{SAML}}}{name}"


def _attribute(parent: etree._Element, name: str) -> etree._Element:
    return etree.SubElement(parent, _saml("Attribute"), {"Name": name})


def _text(parent: etree._Element, name: str, value: str) -> None:
    holder = etree.SubElement(_attribute(parent, name), _saml("AttributeValue"), nsmap={"xs": _XS})
    holder.set(f"{{{_XSI}}}type", "xs:string")
    holder.text = value


def _coded(parent: etree._Element, tag: str, **attributes: str) -> None:
    value = etree.SubElement(parent, _saml("AttributeValue"))
    coded = etree.SubElement(value, f"{{{HL7}}}{tag}", attributes, nsmap={"hl7": HL7})
    coded.set(f"{{{_XSI}}}type", "CE")
