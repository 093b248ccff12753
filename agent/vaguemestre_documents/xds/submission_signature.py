"""The XAdES signature document of a submission set (lot): built around a signing callback, never holding a key.

Owns the XML signature and its metadata entry. Algorithms are settings: which ones the DMP accepts today is not
public. The same inputs give the same bytes when the callback is deterministic (RSA PKCS#1 v1.5 is).
Source: IHE ITI DSG, DMP sample messages 2.05.00 (XAdES 1.1.1, Manifest ``IHEManifest``).
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from cryptography import x509
from lxml import etree

from vaguemestre_core.contacts import CodedConcept, require_oid
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.signing import DIGEST_NAMES, DIGEST_URIS, SIGNATURE_URIS, SignatureAlgorithm
from vaguemestre_documents.cda.parse import DEFAULT_MAX_BYTES, parse_xml
from vaguemestre_documents.codes import CONFIDENTIALITY, VISIBILITY, Confidentiality, Visibility
from vaguemestre_documents.hl7time import Hl7Time
from vaguemestre_documents.xds.metadata import DocumentEntry

DSIG: Final = "http://www.w3.org/2000/09/xmldsig#"
XADES_1_1_1: Final = "http://uri.etsi.org/01903/v1.1.1#"
XADES_1_3_2: Final = "http://uri.etsi.org/01903/v1.3.2#"
_PURPOSE_SOURCE: Final = "1.2.840.10065.1.12.1.14"
# The sample writes this digest for the submission set itself, which is not a document.
_NO_DIGEST: Final = "AA=="


class Canonicalization(Enum):
    """Canonical XML of SignedInfo and of the documents."""

    C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
    C14N_WITH_COMMENTS = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments"
    EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureSettings:
    """Algorithms and namespaces of the signature; the defaults are those of the official samples.

    The references are digested by the hash of the signature's algorithm.
    """

    signature: SignatureAlgorithm = SignatureAlgorithm.RSA_SHA1
    canonicalization: Canonicalization = Canonicalization.C14N_WITH_COMMENTS
    xades_namespace: str = XADES_1_1_1


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDocument:
    """A document of the set: its uniqueId and its bytes."""

    unique_id: str
    content: bytes

    def __repr__(self) -> str:
        return f"SignedDocument({len(self.content)} bytes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureRequest:
    """What is signed, by whom and when. ``certificates`` are DER, the signer's first."""

    signature_id: str = "S0"
    submission_set_id: str
    documents: tuple[SignedDocument, ...]
    certificates: tuple[bytes, ...]
    signed_at: dt.datetime
    settings: SignatureSettings

    def __post_init__(self) -> None:
        require_oid(self.submission_set_id, field="submission_set_id")
        if not self.documents or not self.certificates or self.signed_at.tzinfo is None:
            raise InvalidInput("SIGNATURE_REQUEST_INVALID")


def sign_submission_set(request: SignatureRequest, *, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the signature document as UTF-8 XML.

    ``sign`` receives the canonical SignedInfo and returns the raw RSA signature over its hash.

    Raises:
        InvalidInput: those of ``parse_xml`` on a document, ``CERTIFICATE_INVALID``; what ``sign`` raises.
    """
    settings = request.settings
    root = etree.Element(_ds("Signature"), {"Id": request.signature_id}, nsmap={"ds": DSIG})
    info = etree.SubElement(root, _ds("SignedInfo"))
    value = etree.SubElement(root, _ds("SignatureValue"))
    _key_info(root, request.certificates)
    manifest = _manifest(root, request)
    _purpose(root, request.signature_id)
    properties = _signed_properties(root, request)
    etree.SubElement(info, _ds("CanonicalizationMethod"), {"Algorithm": settings.canonicalization.value})
    etree.SubElement(info, _ds("SignatureMethod"), {"Algorithm": SIGNATURE_URIS[settings.signature]})
    # A same-document reference without transform is digested in canonical XML 1.0, comments left out.
    _reference(
        info,
        {"Type": f"{DSIG}Manifest", "URI": "#IHEManifest"},
        settings,
        _digest(_canonical(manifest, Canonicalization.C14N), settings.signature),
    )
    _reference(
        info,
        {"Type": f"{settings.xades_namespace}SignedProperties", "URI": "#S0-SignedProperties"},
        settings,
        _digest(_canonical(properties, Canonicalization.C14N), settings.signature),
    )
    value.text = _base64(sign(_canonical(info, settings.canonicalization)))
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def signature_entry(
    entry: DocumentEntry, *, unique_id: str, submission_time: Hl7Time, signature: bytes | None
) -> DocumentEntry:
    """Return the metadata entry of the signature document, in the name of the first document's author."""
    require_oid(unique_id, field="signature.unique_id")
    moment = submission_time.to_xds()
    return replace(
        entry,
        unique_id=unique_id,
        set_id=unique_id,
        version_number=1,
        title="Source",
        source_patient_id=entry.patient_id,
        source_patient_info=(),
        creation_time=moment,
        service_start_time=moment,
        service_stop_time=moment,
        language="art",
        class_code=_urn("urn:oid:1.3.6.1.4.1.19376.1.2.1.1.1", "Digital Signature"),
        type_code=CodedConcept(code="E1762", code_system="ASTM", label="Full Document"),
        format_code=_urn(DSIG, "Default Signature Style"),
        confidentiality_codes=(
            CONFIDENTIALITY[Confidentiality.NORMAL],
            VISIBILITY[Visibility.MASQUE_PS],
            VISIBILITY[Visibility.INVISIBLE_PATIENT],
        ),
        event_codes=(CodedConcept(code=_PURPOSE_SOURCE, code_system="1.2.840.10065.1.12", label="Source"),),
        hash_sha1="" if signature is None else hashlib.sha1(signature, usedforsecurity=False).hexdigest(),
        size=0 if signature is None else len(signature),
        replaced_unique_id=None,
    )


def _urn(code: str, label: str) -> CodedConcept:
    return CodedConcept(code=code, code_system="URN", label=label)


def _ds(tag: str) -> str:
    return f"{{{DSIG}}}{tag}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _digest(content: bytes, algorithm: SignatureAlgorithm) -> str:
    return _base64(hashlib.new(DIGEST_NAMES[algorithm], content, usedforsecurity=False).digest())


def _canonical(element: etree._Element, method: Canonicalization) -> bytes:
    # Taken as a document of its own, with the namespaces in scope: canonicalising a subtree in place goes wrong
    # in lxml as soon as namespaces are inherited.
    alone = etree.fromstring(etree.tostring(element, with_tail=False))
    return _canonical_document(alone, method)


def _canonical_document(root: etree._Element, method: Canonicalization) -> bytes:
    return etree.tostring(
        root.getroottree(),
        method="c14n",
        exclusive=method is Canonicalization.EXCLUSIVE,
        with_comments=method is Canonicalization.C14N_WITH_COMMENTS,
    )


def _reference(
    parent: etree._Element,
    attributes: Mapping[str, str],
    settings: SignatureSettings,
    digest: str,
    transform: Canonicalization | None = None,
) -> None:
    reference = etree.SubElement(parent, _ds("Reference"), dict(attributes))
    if transform is not None:
        transforms = etree.SubElement(reference, _ds("Transforms"))
        etree.SubElement(transforms, _ds("Transform"), {"Algorithm": transform.value})
    etree.SubElement(reference, _ds("DigestMethod"), {"Algorithm": DIGEST_URIS[settings.signature]})
    etree.SubElement(reference, _ds("DigestValue")).text = digest


def _key_info(root: etree._Element, certificates: tuple[bytes, ...]) -> None:
    data = etree.SubElement(etree.SubElement(root, _ds("KeyInfo")), _ds("X509Data"))
    etree.SubElement(data, _ds("X509Certificate")).text = _base64(certificates[0])


def _manifest(root: etree._Element, request: SignatureRequest) -> etree._Element:
    settings = request.settings
    holder = etree.SubElement(root, _ds("Object"))
    manifest = etree.SubElement(holder, _ds("Manifest"), {"Id": "IHEManifest"})
    _reference(manifest, {"URI": f"urn:oid:{request.submission_set_id}"}, settings, _NO_DIGEST)
    for document in request.documents:
        document_root = parse_xml(document.content, max_bytes=DEFAULT_MAX_BYTES, keep_comments=True)
        canonical = _canonical_document(document_root, settings.canonicalization)
        _reference(
            manifest,
            {"URI": f"urn:oid:{document.unique_id}"},
            settings,
            _digest(canonical, settings.signature),
            settings.canonicalization,
        )
    return manifest


def _purpose(root: etree._Element, signature_id: str) -> None:
    # In no namespace, as the samples write it: XML Signature's own SignatureProperty may not hold text.
    properties = etree.SubElement(etree.SubElement(root, _ds("Object")), "SignatureProperties")
    attributes = {"Id": "purposeOfSignature", "Target": f"#{signature_id}"}
    etree.SubElement(properties, "SignatureProperty", attributes).text = _PURPOSE_SOURCE


def _signed_properties(root: etree._Element, request: SignatureRequest) -> etree._Element:
    namespace = request.settings.xades_namespace
    # XAdES 1.1.1 has its own digest elements; later versions take those of XML Signature.
    digest_namespace = namespace if namespace == XADES_1_1_1 else DSIG

    def xades(tag: str) -> str:
        return f"{{{namespace}}}{tag}"

    holder = etree.SubElement(root, _ds("Object"))
    qualifying = etree.SubElement(
        holder,
        xades("QualifyingProperties"),
        {"Target": f"#{request.signature_id}"},
        nsmap={"xades": namespace},
    )
    signed = etree.SubElement(qualifying, xades("SignedProperties"), {"Id": "S0-SignedProperties"})
    about = etree.SubElement(signed, xades("SignedSignatureProperties"))
    etree.SubElement(about, xades("SigningTime")).text = request.signed_at.isoformat(timespec="seconds")
    signing = etree.SubElement(about, xades("SigningCertificate"))
    for der in request.certificates:
        try:
            certificate = x509.load_der_x509_certificate(der)
        except ValueError:
            raise InvalidInput("CERTIFICATE_INVALID") from None
        cert = etree.SubElement(signing, xades("Cert"))
        digest = etree.SubElement(cert, xades("CertDigest"))
        method = {"Algorithm": DIGEST_URIS[request.settings.signature]}
        etree.SubElement(digest, f"{{{digest_namespace}}}DigestMethod", method)
        etree.SubElement(digest, f"{{{digest_namespace}}}DigestValue").text = _digest(der, request.settings.signature)
        serial = etree.SubElement(cert, xades("IssuerSerial"))
        etree.SubElement(serial, _ds("X509IssuerName")).text = certificate.issuer.rfc4514_string()
        etree.SubElement(serial, _ds("X509SerialNumber")).text = str(certificate.serial_number)
    policy = etree.SubElement(about, xades("SignaturePolicyIdentifier"))
    etree.SubElement(policy, xades("SignaturePolicyImplied"))
    return signed
