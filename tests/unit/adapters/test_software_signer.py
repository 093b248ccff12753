"""The software signer: verified by the library, bound to its purposes, unprintable."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from vaguemestre_agent.adapters.signing.software import SoftwareSigner
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.signing import SignatureAlgorithm, SignaturePurpose
from vaguemestre_testkit.tls_server import TestPki


async def test_signatures_verify_with_the_certificate_given(pki: TestPki) -> None:
    signer = SoftwareSigner.from_files(pki.client_cert, pki.client_key)
    der = signer.certificates(SignaturePurpose.VIHF)[0]
    key = x509.load_der_x509_certificate(der).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    for algorithm, hash_type in (
        (SignatureAlgorithm.RSA_SHA256, hashes.SHA256()),
        (SignatureAlgorithm.RSA_SHA1, hashes.SHA1()),
    ):
        value = await signer.sign(SignaturePurpose.VIHF, b"message", algorithm)
        key.verify(value, b"message", padding.PKCS1v15(), hash_type)
        assert value == await signer.sign(SignaturePurpose.VIHF, b"message", algorithm)
    pss = await signer.sign(SignaturePurpose.VIHF, b"message", SignatureAlgorithm.RSA_PSS_SHA256)
    key.verify(pss, b"message", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    assert signer.subject_name(SignaturePurpose.VIHF) == "CN=CABINET ESSAI,C=FR"
    assert "PRIVATE" not in repr(signer)


async def test_a_purpose_that_was_not_given_is_refused(pki: TestPki) -> None:
    signer = SoftwareSigner(
        pki.client_cert.read_bytes(), pki.client_key.read_bytes(), purposes=frozenset({SignaturePurpose.VIHF})
    )
    with pytest.raises(InvalidInput):
        await signer.sign(SignaturePurpose.SUBMISSION_SET, b"x", SignatureAlgorithm.RSA_SHA256)


@pytest.mark.parametrize(
    ("certificate", "key", "reason"),
    [
        ("server_cert", "server_key", "not_rsa"),
        ("server_cert", "client_key", "not_a_pair"),
        ("client_key", "client_key", "unreadable"),
        ("client_cert", "client_cert", "unreadable"),
    ],
)
def test_unfit_files(pki: TestPki, certificate: str, key: str, reason: str) -> None:
    certificate_file: Path = getattr(pki, certificate)
    key_file: Path = getattr(pki, key)
    with pytest.raises(InvalidInput) as caught:
        SoftwareSigner.from_files(certificate_file, key_file)
    assert (caught.value.code, caught.value.params["reason"]) == ("SIGNER_INVALID", reason)
