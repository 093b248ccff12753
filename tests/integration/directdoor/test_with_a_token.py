"""The same with a PKCS#11 token in a process of its own: the agent's side loads no native library and sees no PIN."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from vaguemestre_agent.adapters.dmp.adapter import EsanteDmp
from vaguemestre_agent.adapters.dmp.direct import DirectDoor
from vaguemestre_agent.profiles.loader import shipped_profile
from vaguemestre_core.cardports import KeyId, KeySession
from vaguemestre_core.errors import ServiceError
from vaguemestre_core.orders import WaitReason
from vaguemestre_core.outcomes import Certainty, Presence
from vaguemestre_core.ports import SendingContext
from vaguemestre_core.signing import SignatureAlgorithm, SignaturePurpose
from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandbox.settings import SandboxConfig
from vaguemestre_testkit.card_pki import card_authority, card_of
from vaguemestre_testkit.scripted_cards import FAR, ScriptedCards
from vaguemestre_testkit.sendings import DOCTOR, PRODUCT, SeededChance, SystemTime, frozen_ids, prepared

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
MODULE = next((path for path in MODULES if Path(path).exists()), "")
PIN = "1234"
LABEL = "CPS3v3-2900995235"
pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
pytestmark = pytest.mark.skipif(
    not MODULE or shutil.which("softhsm2-util") is None, reason="SoftHSM2 is not installed on this machine"
)


class TokenKeys(ScriptedCards):
    """Both card ports over the process that holds the token."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        super().__init__()
        self._child = child
        self._turn = asyncio.Lock()

    async def ask(self, **asked: object) -> dict[str, object]:
        """Ask the process one thing."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        async with self._turn, asyncio.timeout(20):
            self._child.stdin.write(json.dumps(asked).encode() + b"\n")
            answer: dict[str, object] = json.loads(await self._child.stdout.readline())
        if "code" in answer:
            raise ServiceError(str(answer["code"]), failure=str(answer["failure"]))
        return answer

    def certificates(self, key: KeyId, purpose: SignaturePurpose) -> tuple[bytes, ...]:
        """Return the signature certificate."""
        return (card_of(DOCTOR).signature.der,)

    async def sign(self, key: KeyId, purpose: SignaturePurpose, data: bytes, algorithm: SignatureAlgorithm) -> bytes:
        """Sign with the token."""
        answer = await self.ask(verb="sign", data=base64.b64encode(data).decode())
        return base64.b64decode(str(answer["value"]))

    async def open_tls(self, key: KeyId, host: str, port: int, within_s: float) -> str:
        """Open TLS with the token."""
        return str((await self.ask(verb="open", host=host, port=port, within_s=within_s))["address"])


@asynccontextmanager
async def holding_a_token(folder: Path, sandbox: Sandbox, *, raises_blocks: bool) -> AsyncIterator[TokenKeys]:
    """Make a token, start the process that holds it and give it the PIN by its standard input."""
    (folder / "tokens").mkdir()
    conf = folder / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    environment = {**os.environ, "SOFTHSM2_CONF": str(conf), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = ["softhsm2-util", "--init-token", "--free", "--label", LABEL, "--so-pin", "12345678", "--pin", PIN]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, env=environment, timeout=30)
    card = card_of(DOCTOR)
    paths = {"20": card.authentication.key_der, "10": card.signature.key_der}
    for key_id, der in paths.items():
        (folder / f"{key_id}.der").write_bytes(der)
    (folder / "certificate.der").write_bytes(card.authentication.der)
    url = urlsplit(sandbox.addresses.direct)
    given = {
        "module": MODULE,
        "label": LABEL,
        "keys": {key_id: str(folder / f"{key_id}.der") for key_id in paths},
        "certificate": str(folder / "certificate.der"),
        "host": url.hostname,
        "port": url.port,
        "trust": str(sandbox.pki.authority.certificate_path),
        "streams": str(folder / "streams"),
        "raises_blocks": raises_blocks,
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "vaguemestre_testkit.softhsm_child",
        json.dumps(given),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(PIN.encode() + b"\n")
        async with asyncio.timeout(30):
            assert json.loads(await child.stdout.readline()) == {"ready": True}
        yield TokenKeys(child)
    finally:
        child.stdin.close()
        async with asyncio.timeout(20):
            await child.wait()


@pytest.mark.parametrize("raises_blocks", [False, True], ids=["tls12_pkcs1", "tls13_pss"])
async def test_a_document_leaves_with_the_keys_of_a_token_then_nothing_once_it_is_out(
    tmp_path: Path, pki: Path, raises_blocks: bool
) -> None:
    cards = card_authority().write(tmp_path / "cards.pem")
    config = SandboxConfig(state_dir=tmp_path / "state", pki_dir=pki, card_authority=cards)
    async with (
        Sandbox.start(config) as sandbox,
        holding_a_token(tmp_path, sandbox, raises_blocks=raises_blocks) as keys,
    ):
        profile = shipped_profile("sandbox")
        door = DirectDoor(profile, sandbox.addresses.direct, cards=keys, keys=keys)
        dmp = EsanteDmp(None, profile, SystemTime(), SeededChance(), signer=None, direct=door)
        key = keys.insert(DOCTOR)
        session = KeySession(
            key=key,
            means=keys.open_cards()[0].means,
            national_id=DOCTOR,
            holder=DOCTOR,
            structure=None,
            until=FAR,
        )
        context = SendingContext(session=session, product=PRODUCT)

        async def committed() -> None:
            return None

        outcome = await dmp.submit(prepared(), frozen_ids(), None, context, committed)
        found = await dmp.look_up(prepared(), context)
        uses = (await keys.ask(verb="uses"))["uses"]
        await keys.ask(verb="pull")  # the card is out before the agent hears of it
        other = prepared("1.2.250.1.999.1.1.20.77")
        late = await dmp.submit(other, frozen_ids(2), b"signature", context, committed)
        bodies = sandbox.ledger.verdict().complete_bodies
        await door.aclose()

    assert outcome.certainty is Certainty.DELIVERED, outcome
    assert found.presence is Presence.SAME
    handshake = "RSA_X_509" if raises_blocks else "RSA_PKCS"
    assert uses == ["SHA256_RSA_PKCS", "SHA256_RSA_PKCS", handshake, "SHA256_RSA_PKCS", handshake]
    assert (late.certainty, late.waiting) == (Certainty.NOT_SENT, WaitReason.AUTH)
    assert bodies == 1
