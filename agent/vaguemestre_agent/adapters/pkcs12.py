"""Gives a TLS context the certificate and the key of a .p12 file.

Owns the passage through PEM, which ``ssl`` reads from files only: in a private file that is gone when this returns.
"""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from vaguemestre_core.errors import InvalidInput


def load_pkcs12(context: ssl.SSLContext, content: bytes, password: str | None) -> None:
    """Load a .p12 into a context. Raises InvalidInput ``SIGNER_INVALID`` (reason unreadable)."""
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(
            content, None if password is None else password.encode()
        )
    except ValueError:
        raise InvalidInput("SIGNER_INVALID", reason="unreadable") from None
    if key is None or certificate is None:
        raise InvalidInput("SIGNER_INVALID", reason="unreadable")
    encoding = serialization.Encoding.PEM
    pieces = [key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())]
    pieces += [item.public_bytes(encoding) for item in (certificate, *others)]
    with tempfile.TemporaryDirectory(prefix="vaguemestre-") as folder:  # mode 0700
        path = Path(folder) / "client.pem"
        path.touch(0o600)
        path.write_bytes(b"".join(pieces))
        context.load_cert_chain(path)
