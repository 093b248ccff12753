"""SoftHSM2 tokens that look like professionals' cards, for machines without reader, card or middleware.

Owns a folder: SoftHSM2's configuration and tokens, the counters of PIN tries, and, where a C compiler is found, the
small module (``cpsmodule.c``) that adds what SoftHSM2 lacks: three tries and a lock, the mechanisms of each generation,
five sessions, a card that is pulled out. Without a compiler SoftHSM2 itself is the module: it never locks, and only
the program that uses it counts. It runs the tools of SoftHSM2 and OpenSC, and loads no native library itself.
The PIN of every test card is public: 1234.
Source: recipes of SoftHSM2 2.6 and OpenSC 0.23; labels and objects of the middleware's test results.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Final

from vaguemestre_sandbox.cards.cpspki import CardAuthority, CardPerson

TEST_PIN: Final = "1234"
_SO_PIN: Final = "87654321"
_TOOL_TIMEOUT_S: Final = 60.0
_BACKENDS: Final = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
# Last byte of CKA_ID, label of the private key, label of the certificate.
_AUTHENTICATION: Final = (0x20, "CPS_PRIV_AUT", "Certificat d'Authentification CPS")
_SIGNATURE: Final = (0x10, "CPS_PRIV_SIG", "Certificat de Signature CPS")
_TECHNICAL: Final = (0x30, "CPS_PRIV_TECH_AUT", "Certificat Technique CPS")


class SoftCardsUnavailable(Exception):
    """What is missing on this machine, in one word: ``softhsm2-util``, ``pkcs11-tool`` or ``libsofthsm2``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftCards:
    """A folder of soft cards.

    Attributes:
        folder: everything is below it.
        backend: SoftHSM2's library.
        module: what a program loads: ours when it could be compiled, else the backend.
    """

    folder: Path
    backend: Path
    module: Path

    @property
    def locks(self) -> bool:
        """Whether the module counts tries and locks as a card does."""
        return self.module != self.backend

    @property
    def state(self) -> Path:
        """Folder of the counters and of what happens to the cards (``pulled``, ``hang``, ``crash``)."""
        return self.folder / "state"

    @property
    def environment(self) -> Mapping[str, str]:
        """What the program that loads the module needs in its environment."""
        return {
            "SOFTHSM2_CONF": str(self.folder / "softhsm2.conf"),
            "VAGUEMESTRE_CARD_BACKEND": str(self.backend),
            "VAGUEMESTRE_CARD_STATE": str(self.state),
        }

    def insert(self, person: CardPerson, authority: CardAuthority, *, begins_at: datetime, ends_at: datetime) -> str:
        """Make a contact card with its two keys; return the token's label. Raises OSError, CalledProcessError."""
        label = f"{person.generation}-{person.number}"
        issued = authority.issue(person, begins_at=begins_at, ends_at=ends_at)
        self._init(label)
        self._pair(label, _AUTHENTICATION, issued.authentication)
        self._pair(label, _SIGNATURE, issued.signature)
        self._data(label, "CPS_ID_CARD", bytes.fromhex(f"5a0a8025000001{person.number}"))
        self._data(label, "CPS_NAME_PS", _ber(0x0C, f"{person.family} {person.given}".encode()))
        self._data(label, "CPS_INFO_PS", _ber(0x0C, f"{person.profession:02d}{person.specialty}".encode()))
        self._data(label, "CPS_ACTIVITY_01_PS", _ber(0x0C, f"CABINET ESSAI {person.sector}".encode()), private=True)
        return label

    def insert_contactless(
        self, person: CardPerson, authority: CardAuthority, *, begins_at: datetime, ends_at: datetime
    ) -> str:
        """Make the contactless side of a card: one technical key, no signature; return the token's label."""
        label = f"{person.generation}_CL"
        issued = authority.issue(person, begins_at=begins_at, ends_at=ends_at)
        self._init(label)
        self._pair(label, _TECHNICAL, issued.authentication)
        return label

    def remove(self, label: str) -> None:
        """Destroy a token. Raises CalledProcessError."""
        self._run(["softhsm2-util", "--delete-token", "--token", label])

    def set_tries(self, label: str, left: int) -> None:
        """Set a card's PIN counter; 0 is a blocked card."""
        (self.state / f"{label}.tries").write_text(str(left), "ascii")

    def tries(self, label: str) -> int:
        """Return a card's PIN counter."""
        path = self.state / f"{label}.tries"
        return int(path.read_text("ascii")) if path.exists() else 3

    def _init(self, label: str) -> None:
        pins = ["--so-pin", _SO_PIN, "--pin", TEST_PIN]
        self._run(["softhsm2-util", "--init-token", "--free", "--label", label, *pins])

    def _pair(self, label: str, role: tuple[int, str, str], pair: tuple[bytes, bytes]) -> None:
        last_byte, key_label, certificate_label = role
        key_id = f"{label[-4:].encode().hex()}{last_byte:02x}"
        key, certificate = self._file("key.pem", _pem(pair[0])), self._file("certificate.der", pair[1])
        named = ["--label", key_label, "--id", key_id, "--pin", TEST_PIN]
        try:
            self._run(["softhsm2-util", "--import", str(key), "--token", label, *named])
            self._tool(label, certificate, "cert", ["--label", certificate_label, "--id", key_id])
        finally:
            key.unlink(missing_ok=True)

    def _data(self, label: str, name: str, content: bytes, *, private: bool = False) -> None:
        options = ["--label", name, "--application-label", "CPS", *(["--private"] if private else [])]
        self._tool(label, self._file("object.ber", content), "data", options)

    def _tool(self, label: str, path: Path, kind: str, options: Sequence[str]) -> None:
        token = ["--module", str(self.backend), "--token-label", label, "--login", "--pin", "env:CARD_PIN"]
        self._run(["pkcs11-tool", *token, "--write-object", str(path), "--type", kind, *options])

    def _file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.touch(0o600)
        path.write_bytes(content)
        return path

    def _run(self, command: list[str]) -> None:
        subprocess.run(  # noqa: S603 - our own arguments, the tools of the packages
            command,
            check=True,
            env={**os.environ, **self.environment, "CARD_PIN": TEST_PIN},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TOOL_TIMEOUT_S,
        )


def open_soft_cards(folder: Path, *, locking: bool = True) -> SoftCards:
    """Return the soft cards of a folder, made at the first call; cards are inserted afterwards.

    Args:
        folder: made when absent.
        locking: compile and use the module that locks; False for bare SoftHSM2.

    Raises:
        SoftCardsUnavailable: a tool or SoftHSM2 is missing.
    """
    for tool in ("softhsm2-util", "pkcs11-tool"):
        if shutil.which(tool) is None:
            raise SoftCardsUnavailable(tool)
    backend = next((Path(path) for path in _BACKENDS if Path(path).exists()), None)
    if backend is None:
        raise SoftCardsUnavailable("libsofthsm2")
    for name in ("tokens", "state"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n", "utf-8"
    )
    return SoftCards(folder=folder, backend=backend, module=(_compiled(folder) if locking else None) or backend)


def _compiled(folder: Path) -> Path | None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    library, source = folder / "libvaguemestre-card.so", folder / "cpsmodule.c"
    if not library.exists():
        source.write_bytes(resources.files("vaguemestre_sandbox.cards").joinpath("cpsmodule.c").read_bytes())
        building = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
        subprocess.run(building, check=True, capture_output=True, timeout=_TOOL_TIMEOUT_S)  # noqa: S603 - ours
    return library


def _ber(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content


def _pem(der: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_der_private_key(der, None)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
