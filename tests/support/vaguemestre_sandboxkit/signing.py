"""Signatures made the long way, with cryptography and lxml's canonical XML only."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree

_DSIG = "http://www.w3.org/2000/09/xmldsig#"
_EXC = "http://www.w3.org/2001/10/xml-exc-c14n#"
_C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"


class Signer:
    """One RSA key and its certificate."""

    def __init__(self, certificate: Path, key: Path) -> None:
        loaded = load_pem_private_key(key.read_bytes(), None)
        assert isinstance(loaded, rsa.RSAPrivateKey)
        self._key = loaded
        self._certificate = "".join(
            line for line in certificate.read_text("ascii").splitlines() if not line.startswith("-")
        )

    def _sign(self, data: bytes) -> str:
        return base64.b64encode(self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())).decode()

    def _key_info(self) -> str:
        return (
            f'<KeyInfo xmlns="{_DSIG}"><X509Data><X509Certificate>{self._certificate}</X509Certificate></X509Data>'
            "</KeyInfo>"
        )

    def sign_assertion(self, text: str) -> str:
        """Return the assertion with its enveloped signature after Issuer."""
        root = etree.fromstring(text.encode())
        info = _signed_info(
            _EXC,
            _reference(
                f"#{root.get('ID')}",
                etree.tostring(root, method="c14n", exclusive=True),
                ("http://www.w3.org/2000/09/xmldsig#enveloped-signature", _EXC),
            ),
        )
        value = self._sign(etree.tostring(etree.fromstring(info), method="c14n", exclusive=True))
        signature = (
            f'<Signature xmlns="{_DSIG}">{info}<SignatureValue>{value}</SignatureValue>{self._key_info()}</Signature>'
        )
        root.insert(1, etree.fromstring(signature))
        return etree.tostring(root, encoding="unicode")

    def sign_lot(self, lot_id: str, documents: dict[str, bytes]) -> bytes:
        """Return the XAdES signature document of a lot."""
        references = f'<Reference URI="urn:oid:{lot_id}">{_digest(b"")}</Reference>' + "".join(
            f'<Reference URI="urn:oid:{name}">{_digest(content)}</Reference>' for name, content in documents.items()
        )
        manifest = f'<Manifest xmlns="{_DSIG}" Id="IHEManifest">{references}</Manifest>'
        properties = (
            '<SignedProperties xmlns="http://uri.etsi.org/01903/v1.1.1#" Id="S0-SignedProperties">'
            "<SignedSignatureProperties><SigningTime>2026-11-23T12:00:00Z</SigningTime></SignedSignatureProperties>"
            "</SignedProperties>"
        )
        info = _signed_info(
            _C14N,
            _reference("#IHEManifest", _canonical(manifest)),
            _reference("#S0-SignedProperties", _canonical(properties)),
        )
        purpose = (
            '<SignatureProperties xmlns=""><SignatureProperty Id="purposeOfSignature" Target="#S0">'
            "1.2.840.10065.1.12.1.14</SignatureProperty></SignatureProperties>"
        )
        return (
            f'<Signature xmlns="{_DSIG}" Id="S0">{info}<SignatureValue>{self._sign(_canonical(info))}</SignatureValue>'
            f"{self._key_info()}<Object>{manifest}</Object><Object>{purpose}</Object><Object>"
            f'<QualifyingProperties xmlns="http://uri.etsi.org/01903/v1.1.1#" Target="#S0">{properties}'
            "</QualifyingProperties></Object></Signature>"
        ).encode()


def _canonical(text: str) -> bytes:
    return etree.tostring(etree.fromstring(text), method="c14n")


def _digest(content: bytes) -> str:
    value = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return f'<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue>{value}</DigestValue>'


def _reference(uri: str, content: bytes, transforms: tuple[str, ...] = ()) -> str:
    inner = "".join(f'<Transform Algorithm="{name}"/>' for name in transforms)
    return (
        f'<Reference URI="{uri}">{f"<Transforms>{inner}</Transforms>" if inner else ""}{_digest(content)}</Reference>'
    )


def _signed_info(algorithm: str, *references: str) -> str:
    return (
        f'<SignedInfo xmlns="{_DSIG}"><CanonicalizationMethod Algorithm="{algorithm}"/>'
        '<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>'
        f"{''.join(references)}</SignedInfo>"
    )
