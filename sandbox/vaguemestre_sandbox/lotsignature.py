"""The XAdES signature of a lot, verified from its bytes.

Owns the checks: certificate of the test authority, signed references, and a manifest naming the lot and every
document with the digest of the bytes received. Source: the structure of the DMP sample messages.
"""

from __future__ import annotations

import base64
import binascii
import copy
import hashlib
from collections.abc import Mapping
from typing import Final, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from vaguemestre_sandbox import xmlsafe
from vaguemestre_sandbox.pki import Pki
from vaguemestre_sandbox.vihf import signing_certificate
from vaguemestre_sandbox.xmlsafe import DSIG, UnreadableXmlError, q

_C14N: Final = {
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315": (False, False),
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments": (False, True),
    "http://www.w3.org/2001/10/xml-exc-c14n#": (True, False),
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments": (True, True),
}
_DIGESTS: Final = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
    "http://www.w3.org/2000/09/xmldsig#sha1": "sha1",
}
_METHODS: Final[dict[str, tuple[str, type[hashes.HashAlgorithm]]]] = {
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256": ("sha256", hashes.SHA256),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512": ("sha512", hashes.SHA512),
    "http://www.w3.org/2000/09/xmldsig#rsa-sha1": ("sha1", hashes.SHA1),
}
_PURPOSE_OF_SIGNATURE: Final = "1.2.840.10065.1.12.1.14"


class LotSignatureError(ValueError):
    """The signature of the lot is refused; the message says which check failed."""


def verify_lot_signature(
    data: bytes, *, lot_unique_id: str, documents: Mapping[str, bytes], pki: Pki, allow_sha1: bool
) -> None:
    """Check the signature document of a lot.

    `documents`: uniqueId → bytes received, signature excluded. Raises LotSignatureError.
    """
    try:
        root = xmlsafe.parse(data)
    except UnreadableXmlError as error:
        raise LotSignatureError(f"signature: {error}") from error
    if root.tag != q(DSIG, "Signature"):
        raise LotSignatureError("the signature document is not a ds:Signature")
    signed_info = root.find(q(DSIG, "SignedInfo"))
    if signed_info is None:
        raise LotSignatureError("SignedInfo is missing")
    _check_signature_value(root, signed_info, pki, allow_sha1=allow_sha1)
    covered = [_check_same_document(root, ref, allow_sha1=allow_sha1) for ref in _references(signed_info)]
    manifest = next((element for element in covered if element.tag == q(DSIG, "Manifest")), None)
    if manifest is None:
        raise LotSignatureError("SignedInfo does not cover a Manifest")
    if not any(etree.QName(element).localname == "SignedProperties" for element in covered):
        raise LotSignatureError("SignedInfo does not cover the XAdES SignedProperties")
    purposes = [xmlsafe.text_of(element) for element in root.iter() if _is(element, "SignatureProperty")]
    if _PURPOSE_OF_SIGNATURE not in purposes:
        raise LotSignatureError("purposeOfSignature is missing")
    named = {(ref.get("URI") or ""): ref for ref in _references(manifest)}
    if f"urn:oid:{lot_unique_id}" not in named:
        raise LotSignatureError("the manifest does not name the submission set")
    for unique_id, content in documents.items():
        reference = named.get(f"urn:oid:{unique_id}")
        if reference is None:
            raise LotSignatureError("the manifest does not name a document of the lot")
        _check_document(reference, content, allow_sha1=allow_sha1)


def _is(element: etree._Element, name: str) -> bool:
    return str(element.tag).rpartition("}")[2] == name


def _references(parent: etree._Element) -> list[etree._Element]:
    return parent.findall(q(DSIG, "Reference"))


def _check_signature_value(root: etree._Element, signed_info: etree._Element, pki: Pki, *, allow_sha1: bool) -> None:
    certificate = signing_certificate(root, pki)
    if certificate is None:
        raise LotSignatureError("Not a valid signature certificate")
    key = certificate.public_key()
    method = xmlsafe.attribute(signed_info.find(q(DSIG, "SignatureMethod")), "Algorithm")
    if method not in _METHODS or not isinstance(key, rsa.RSAPublicKey):
        raise LotSignatureError("the signature method is not RSA with a known hash")
    name, algorithm = _METHODS[method]
    if name == "sha1" and not allow_sha1:
        raise LotSignatureError("rsa-sha1 is refused")
    canonical = _canonical(
        signed_info, xmlsafe.attribute(signed_info.find(q(DSIG, "CanonicalizationMethod")), "Algorithm")
    )
    value = _decode(xmlsafe.text_of(root.find(q(DSIG, "SignatureValue"))))
    try:
        key.verify(value, canonical, padding.PKCS1v15(), algorithm())
    except InvalidSignature as error:
        raise LotSignatureError("the signature value does not verify") from error


def _check_same_document(root: etree._Element, reference: etree._Element, *, allow_sha1: bool) -> etree._Element:
    uri = reference.get("URI") or ""
    targets = [element for element in root.iter() if uri == f"#{element.get('Id')}"]
    if len(targets) != 1:
        raise LotSignatureError("a signed reference names no element, or several")
    algorithm = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
    for transform in _transforms(reference):
        algorithm = transform
    _compare(reference, _canonical(targets[0], algorithm), allow_sha1=allow_sha1)
    return targets[0]


def _check_document(reference: etree._Element, content: bytes, *, allow_sha1: bool) -> None:
    transforms = _transforms(reference)
    if not transforms:
        _compare(reference, content, allow_sha1=allow_sha1)
        return
    try:
        document = xmlsafe.parse(content)
    except UnreadableXmlError as error:
        raise LotSignatureError("a transform needs XML and the document is not") from error
    if transforms[-1] not in _C14N:
        raise LotSignatureError("unknown canonicalization or transform")
    exclusive, comments = _C14N[transforms[-1]]
    # Octets become the node set of the whole document: comments and instructions around the root count too.
    tree = document.getroottree()
    content = bytes(etree.tostring(tree, method="c14n", exclusive=exclusive, with_comments=comments))
    _compare(reference, content, allow_sha1=allow_sha1)


def _transforms(reference: etree._Element) -> list[str]:
    path = f"{q(DSIG, 'Transforms')}/{q(DSIG, 'Transform')}"
    return [element.get("Algorithm") or "" for element in reference.iterfind(path)]


def _canonical(element: etree._Element, algorithm: str) -> bytes:
    if algorithm not in _C14N:
        raise LotSignatureError("unknown canonicalization or transform")
    exclusive, comments = _C14N[algorithm]
    document = element if exclusive else _apart(element)
    return bytes(etree.tostring(document, method="c14n", exclusive=exclusive, with_comments=comments))


def _apart(element: etree._Element) -> etree._Element:
    """Return `element` as the root of its own document, every namespace in scope declared.

    libxml2 2.14 writes wrong xmlns="" in the inclusive form of a subtree under a default namespace; the form of a
    whole document is right, and is the same text.
    """
    in_scope = cast("dict[str, str]", element.nsmap)  # the stubs forget that the default prefix is None
    root = etree.Element(str(element.tag), nsmap=in_scope)
    for name, value in element.attrib.items():
        root.set(name, value)
    root.text = element.text
    root.extend([copy.deepcopy(found) for found in element])
    return root


def _compare(reference: etree._Element, content: bytes, *, allow_sha1: bool) -> None:
    algorithm = _DIGESTS.get(xmlsafe.attribute(reference.find(q(DSIG, "DigestMethod")), "Algorithm"))
    if algorithm is None or (algorithm == "sha1" and not allow_sha1):
        raise LotSignatureError("the digest method is refused")
    expected = _decode(xmlsafe.text_of(reference.find(q(DSIG, "DigestValue"))))
    if hashlib.new(algorithm, content).digest() != expected:
        raise LotSignatureError("a digest differs from the bytes received")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise LotSignatureError("a value is not base64") from error
