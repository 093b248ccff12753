"""Refuses a Windows binary that the Python Software Foundation did not sign: the whole chain, not the names in it.

Owns the test bed's check of the interpreter before it is ever run. For each file: its bytes give the digest in the
signed content, the content gives the digest in the signed attributes, the certificate's key made the signature of the
attributes, and each certificate up to a root of this machine made the one below. Not checked: revocation and the
counter-signature's time (no network), so a certificate that has expired since is accepted.
Source: Microsoft, "Windows Authenticode Portable Executable Signature Format" (2008); RFC 5652.
Usage: ``authenticode.py FILE...``; needs asn1crypto and cryptography. Exit status: 0 all signed, 1 one is not.
"""
# ruff: noqa: INP001 - a script of the test bed

from __future__ import annotations

import hashlib
import ssl
import struct
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from asn1crypto import cms
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SIGNER: Final = "Python Software Foundation"
_INDIRECT_DATA: Final = "1.3.6.1.4.1.311.2.1.4"
_SHA256_VALUE: Final = bytes.fromhex("3031300d060960864801650304020105000420")  # DigestInfo, sha256, 32 bytes follow
_EXPLICIT: Final = 0xA0
_LONGEST_CHAIN: Final = 6


class NotSigned(Exception):
    """The file is not what the signer signed; the text says which link is broken."""


def _sections(data: bytes) -> tuple[int, int, int]:
    """Return the places of the checksum, of the certificate table's entry, and of the table."""
    header = struct.unpack_from("<I", data, 0x3C)[0]
    if data[:2] != b"MZ" or data[header : header + 4] != b"PE\0\0":
        raise NotSigned("not a Windows binary")
    optional = header + 24
    wide = struct.unpack_from("<H", data, optional)[0] == 0x20B
    entry = optional + (112 if wide else 96) + 4 * 8
    table, size = struct.unpack_from("<II", data, entry)
    if not table or table + size != len(data):
        raise NotSigned("no signature, or bytes after it")
    return optional + 64, entry, table


def _file_digest(data: bytes, checksum: int, entry: int, table: int) -> bytes:
    return hashlib.sha256(data[:checksum] + data[checksum + 4 : entry] + data[entry + 8 : table]).digest()


def _contents(der: bytes) -> bytes:
    """Return a DER value without its tag and length."""
    start = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    return der[start:]


def _roots() -> list[x509.Certificate]:
    roots = [x509.load_der_x509_certificate(der) for der in ssl.create_default_context().get_ca_certs(binary_form=True)]
    return [root for root in roots if root.issuer == root.subject]


def _check_chain(
    leaf: x509.Certificate, carried: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]
) -> None:
    current = leaf
    for _ in range(_LONGEST_CHAIN):
        if current in roots:
            return
        issuers = [one for one in (*roots, *carried) if one.subject == current.issuer and one != current]
        if not issuers:
            break
        current.verify_directly_issued_by(issuers[0])
        current = issuers[0]
    raise NotSigned("the chain does not end at a root of this machine")


def check(path: Path, roots: Sequence[x509.Certificate]) -> None:
    """Check one file. Raises NotSigned."""
    data = path.read_bytes()
    checksum, entry, table = _sections(data)
    length = struct.unpack_from("<I", data, table)[0]
    signed = cms.ContentInfo.load(data[table + 8 : table + length])["content"]
    inside = signed["encap_content_info"]
    if inside["content_type"].dotted != _INDIRECT_DATA or len(signed["signer_infos"]) != 1:
        raise NotSigned("not an Authenticode signature")
    explicit = inside["content"].dump()  # [0] around the SEQUENCE whose contents are digested
    content = _contents(_contents(explicit) if explicit[0] == _EXPLICIT else explicit)
    if not content.endswith(_SHA256_VALUE + _file_digest(data, checksum, entry, table)):
        raise NotSigned("the file's bytes are not the signed ones")
    signer = signed["signer_infos"][0]
    attributes = {attribute["type"].native: attribute["values"] for attribute in signer["signed_attrs"]}
    if attributes["message_digest"][0].native != hashlib.sha256(content).digest():
        raise NotSigned("the signed digest is of another content")
    carried = [x509.load_der_x509_certificate(one.chosen.dump()) for one in signed["certificates"]]
    serial = signer["sid"].chosen["serial_number"].native
    leaf = next((one for one in carried if one.serial_number == serial), None)
    if leaf is None or [name.value for name in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] != [SIGNER]:
        raise NotSigned("signed by somebody else")
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if ExtendedKeyUsageOID.CODE_SIGNING not in usage:
        raise NotSigned("the certificate does not sign code")
    key = leaf.public_key()
    if signer["digest_algorithm"]["algorithm"].native != "sha256" or not isinstance(key, rsa.RSAPublicKey):
        raise NotSigned("unexpected algorithm")
    covered = b"\x31" + signer["signed_attrs"].dump()[1:]  # RFC 5652, 5.4: signed as SET OF
    try:
        key.verify(signer["signature"].native, covered, padding.PKCS1v15(), hashes.SHA256())
        _check_chain(leaf, carried, roots)
    except (InvalidSignature, ValueError, TypeError) as broken:
        raise NotSigned("a signature is not its certificate's") from broken


def main(names: Sequence[str]) -> int:
    """Check files; say what is refused; return the exit status."""
    warnings.simplefilter("ignore")  # odd serial numbers of the machine's own roots
    roots = _roots()
    for name in names:
        try:
            check(Path(name), roots)
        except NotSigned as refused:
            sys.stderr.write(f"windows: refused: {name}: {refused}\n")
            return 1
    return 0 if names else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
