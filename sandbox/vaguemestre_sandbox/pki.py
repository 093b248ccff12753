"""The test PKI: one authority, a server, the proxy, and a practice's structure certificates.

Owns the files of its folder (`*.cert.pem`, `*.key.pem`, keys readable by their owner only), made once and read
afterwards. Nothing here is trusted by anybody outside a sandbox.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME: Final = timedelta(days=3650)
_ORGANISATION: Final = "Bac à sable Vaguemestre"

_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One certificate and its key, as PEM files."""

    certificate_path: Path
    key_path: Path
    certificate: x509.Certificate

    @property
    def subject_dn(self) -> str:
        """Subject in RFC 4514 form, most specific first: what VIHF's Issuer must say."""
        return self.certificate.subject.rfc4514_string()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pki:
    """The whole test PKI of one folder."""

    folder: Path
    authority: Credential
    server: Credential
    proxy_client: Credential
    structure_client: Credential
    structure_signature: Credential
    card_authority: x509.Certificate | None = None

    def server_context(self, *, client_certificate_required: bool, cards: bool = False) -> ssl.SSLContext:
        """Return the TLS context of a listener (TLS 1.2 at least); `cards`: those of the card authority enter too."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.server.certificate_path, self.server.key_path)
        if client_certificate_required:
            context.load_verify_locations(self.authority.certificate_path)
            context.verify_mode = ssl.CERT_REQUIRED
            if cards and self.card_authority is not None:
                context.load_verify_locations(
                    cadata=self.card_authority.public_bytes(serialization.Encoding.PEM).decode("ascii")
                )
        return context

    def client_context(self, credential: Credential | None) -> ssl.SSLContext:
        """Return a client TLS context trusting only this PKI, presenting `credential`."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate_path))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if credential is not None:
            context.load_cert_chain(credential.certificate_path, credential.key_path)
        return context


def open_pki(folder: Path) -> Pki:
    """Return the PKI of `folder`, making it at the first call.

    A folder holding only a part of the files is completed from nothing: everything is made again.
    """
    names = ("authority", "server", "proxy-client", "structure-client", "structure-signature")
    if not all((folder / f"{name}.{kind}.pem").exists() for name in names for kind in ("cert", "key")):
        _make(folder)
    credentials = [_read(folder, name) for name in names]
    return Pki(
        folder=folder,
        authority=credentials[0],
        server=credentials[1],
        proxy_client=credentials[2],
        structure_client=credentials[3],
        structure_signature=credentials[4],
    )


def _read(folder: Path, name: str) -> Credential:
    certificate_path = folder / f"{name}.cert.pem"
    return Credential(
        certificate_path=certificate_path,
        key_path=folder / f"{name}.key.pem",
        certificate=x509.load_pem_x509_certificate(certificate_path.read_bytes()),
    )


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("AUTORITE DE TEST BAC A SABLE")
    ca_ski = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = (
        _builder(ca_name, ca_name, ca_key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(certificates=True), critical=True)
        .add_extension(ca_ski, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    _write(folder, "authority", ca, ca_key)
    structure_unit = "499700000012003"
    leaves: list[tuple[str, x509.Name, _PrivateKey, bool, x509.ObjectIdentifier]] = [
        (
            "server",
            _name("localhost"),
            ec.generate_private_key(ec.SECP256R1()),
            False,
            ExtendedKeyUsageOID.SERVER_AUTH,
        ),
        (
            "proxy-client",
            _name("PROXY E-SANTE DE TEST", unit="1750000001"),
            ec.generate_private_key(ec.SECP256R1()),
            False,
            ExtendedKeyUsageOID.CLIENT_AUTH,
        ),
        (
            "structure-client",
            _name("CABINET DR ESSAI ORG AUTH_CLI", unit=structure_unit),
            rsa.generate_private_key(public_exponent=65537, key_size=2048),
            False,
            ExtendedKeyUsageOID.CLIENT_AUTH,
        ),
        (
            "structure-signature",
            _name("CABINET DR ESSAI ORG SIGN", unit=structure_unit),
            rsa.generate_private_key(public_exponent=65537, key_size=2048),
            True,
            ExtendedKeyUsageOID.EMAIL_PROTECTION,
        ),
    ]
    for name, subject, key, signs, usage in leaves:
        builder = (
            _builder(subject, ca_name, key, now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(digital=True, commits=signs), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_ski), critical=False)
        )
        if name == "server":
            names = [
                x509.DNSName("localhost"),
                x509.IPAddress(ip_address("127.0.0.1")),
                x509.IPAddress(ip_address("::1")),
            ]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        _write(folder, name, builder.sign(ca_key, hashes.SHA256()), key)


def _name(common: str, *, unit: str | None = None) -> x509.Name:
    parts = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
    ]
    if unit is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common))
    return x509.Name(parts)


def _builder(subject: x509.Name, issuer: x509.Name, key: _PrivateKey, now: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
    )


def key_usage(*, digital: bool = False, commits: bool = False, certificates: bool = False) -> x509.KeyUsage:
    """Return what a key may do: sign what is ephemeral, sign content, sign certificates and their lists."""
    return x509.KeyUsage(
        digital_signature=digital,
        content_commitment=commits,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write(folder: Path, name: str, certificate: x509.Certificate, key: _PrivateKey) -> None:
    key_path = folder / f"{name}.key.pem"
    key_path.touch(mode=0o600)
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / f"{name}.cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
