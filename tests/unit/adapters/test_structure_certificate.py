"""Whose the structure's certificate is, from a PEM or a .p12, whatever the name of the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from vaguemestre_agent.parts import Parts
from vaguemestre_agent.services.cardauthorities import StructureCertificate
from vaguemestre_agent.settings import ServiceSettings
from vaguemestre_agent.ways import open_ways
from vaguemestre_core.errors import InvalidInput
from vaguemestre_sandbox.pki import Pki, open_pki

PASSWORD = "s3cret"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return open_pki(tmp_path_factory.mktemp("pki"))


async def structure_of(pki: Pki, tmp_path: Path, certificate: Path, key: str, password: str) -> StructureCertificate:
    (tmp_path / "password").write_text(password, "utf-8")
    settings = ServiceSettings(
        profile="sandbox",
        direct_url="https://127.0.0.1",
        structure_certificate=str(certificate),
        structure_key=key,
        structure_password_file=str(tmp_path / "password"),
        signing_certificate=str(pki.structure_signature.certificate_path),
        signing_key=str(pki.structure_signature.key_path),
    )
    async with open_ways(settings, Parts()) as ways:
        assert ways.structure is not None
        return ways.structure


def p12(pki: Pki, path: Path) -> Path:
    key = serialization.load_pem_private_key(pki.structure_client.key_path.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    encryption = serialization.BestAvailableEncryption(PASSWORD.encode())
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(b"s", key, pki.structure_client.certificate, None, encryption)
    )
    return path


@pytest.mark.parametrize("name", ["structure.p12", "structure.PFX", "structure", "structure.pem"])
async def test_a_p12_is_known_by_its_content(pki: Pki, tmp_path: Path, name: str) -> None:
    found = await structure_of(pki, tmp_path, p12(pki, tmp_path / name), "", PASSWORD)

    assert found.until == pki.structure_client.certificate.not_valid_after_utc


@pytest.mark.parametrize("before", ["", "Bag Attributes\n    friendlyName: structure\n"])
@pytest.mark.parametrize("name", ["structure.pem", "structure.p12"])
async def test_a_pem_is_known_by_its_content_and_gives_the_same(
    pki: Pki, tmp_path: Path, name: str, before: str
) -> None:
    pem = tmp_path / name
    pem.write_text(before + pki.structure_client.certificate_path.read_text("ascii"), "ascii")

    found = await structure_of(pki, tmp_path, pem, str(pki.structure_client.key_path), "")

    assert found == await structure_of(pki, tmp_path, p12(pki, tmp_path / "other.p12"), "", PASSWORD)


async def test_a_wrong_password_is_a_wrong_setting(pki: Pki, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="DIRECT_INVALID") as refused:
        await structure_of(pki, tmp_path, p12(pki, tmp_path / "structure.p12"), "", "autre")

    assert dict(refused.value.params) == {"reason": "structure"}
