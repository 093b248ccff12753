"""Knows a .p12 file, reads it, and gives a TLS context its certificate and its key.

Owns the passage through PEM, which ``ssl`` reads from files only: in a private file that is gone when this returns.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12

from vaguemestre_core.errors import InvalidInput


def is_pkcs12(content: bytes) -> bool:
    """Say whether a file of certificates is a .p12: it is told by what is in it, whatever its name, and PEM is text."""
    return b"-----BEGIN " not in content


def read_pkcs12(
    content: bytes, password: str | None
) -> tuple[PrivateKeyTypes, x509.Certificate, Sequence[x509.Certificate]]:
    """Return the key of a .p12, its certificate and the others. Raises ValueError: unreadable, or one is missing."""
    secret = None if password is None else password.encode()
    key, certificate, others = pkcs12.load_key_and_certificates(content, secret)
    if key is None or certificate is None:
        raise ValueError
    return key, certificate, others


def load_pkcs12(context: ssl.SSLContext, content: bytes, password: str | None) -> None:
    """Load a .p12 into a context. Raises InvalidInput ``SIGNER_INVALID`` (reason unreadable)."""
    try:
        key, certificate, others = read_pkcs12(content, password)
    except ValueError:
        raise InvalidInput("SIGNER_INVALID", reason="unreadable") from None
    encoding = serialization.Encoding.PEM
    pieces = [key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())]
    pieces += [item.public_bytes(encoding) for item in (certificate, *others)]
    with tempfile.TemporaryDirectory(prefix="vaguemestre-") as folder:  # mode 0700
        path = Path(folder) / "client.pem"
        path.touch(0o600)
        path.write_bytes(b"".join(pieces))
        context.load_cert_chain(path)
