"""The recovery key and lost or replaced keys: printed once, typed again, it alone gives back every order and body."""

from __future__ import annotations

import json
from pathlib import Path

import pyrage
import pytest

from vaguemestre_agent.adapters.keystore import recovery
from vaguemestre_agent.adapters.keystore.stores import IDENTITY, FileKeyStore, load_keys
from vaguemestre_agent.cli.main import main
from vaguemestre_agent.parts import KEYS_FILE
from vaguemestre_agent.paths import AgentPaths, agent_paths
from vaguemestre_core.errors import Conflict, InvalidInput, StoreError
from vaguemestre_core.orders import OrderId
from vaguemestre_queue.opening import open_store
from vaguemestre_queue.sealing import StoreKeys
from vaguemestre_testkit.clocks import FakeClock, NoFailpoints, SeededRandom
from vaguemestre_testkit.orders import DOCTOR, a_client, an_acceptance

BODY = b"%PDF-1.4 contenu du test de secours"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentPaths:
    monkeypatch.setenv("VAGUEMESTRE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VAGUEMESTRE_AGENT__KEY_STORE", "file")
    return agent_paths({"VAGUEMESTRE_HOME": str(tmp_path / "home")})


def printed(capsys: pytest.CaptureFixture[str], tmp_path: Path, *more: str) -> Path:
    assert main(["keys", "recovery", "--print", *more]) == 0
    typed = tmp_path / "page.txt"
    typed.write_text(capsys.readouterr().out, encoding="utf-8")
    return typed


def keys_of(home: AgentPaths) -> StoreKeys:
    return load_keys(FileKeyStore(home.state / KEYS_FILE), SeededRandom(1), store_exists=True)


async def fill(home: AgentPaths, *numbers: int) -> None:
    clock = FakeClock()
    async with open_store(home.state, keys_of(home), clock, SeededRandom(2), NoFailpoints()) as store:
        if not await store.clients():
            await store.add_client(a_client(), DOCTOR)
        for number in numbers:
            await store.accept(an_acceptance(clock, number, content=BODY + str(number).encode()))


async def bodies(home: AgentPaths, *numbers: int) -> list[bytes]:
    async with open_store(home.state, keys_of(home), FakeClock(), SeededRandom(3), NoFailpoints()) as store:
        return [(await store.body(OrderId(f"order-{number}"))).body for number in numbers]


async def test_lost_keys_come_back_with_the_page_and_every_order_is_readable(
    home: AgentPaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "show"]) == 0  # makes the keys, as an installation does
    assert "aucune" in capsys.readouterr().out
    await fill(home, 1)  # before there was a recovery key
    typed = printed(capsys, tmp_path)
    await fill(home, 2)
    (home.state / KEYS_FILE).unlink()
    with pytest.raises(StoreError, match="KEYS_LOST"):
        keys_of(home)

    assert main(["keys", "restore", "--recovery-key-file", str(typed)]) == 0

    assert await bodies(home, 1, 2) == [BODY + b"1", BODY + b"2"]
    assert main(["keys", "restore", "--recovery-key-file", str(typed)]) == 0  # again: nothing to do
    assert "déjà" in capsys.readouterr().out


async def test_a_body_opens_with_the_recovery_key_alone(
    home: AgentPaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = printed(capsys, tmp_path)
    await fill(home, 1)
    identity = pyrage.x25519.Identity.from_str(recovery.read_recovery_key(typed).identity.reveal())
    import sqlite3

    with sqlite3.connect(home.state / "queue.db") as database:
        (sealed,) = database.execute("SELECT envelope FROM bodies").fetchone()
    database.close()

    assert pyrage.decrypt(sealed, [identity]).endswith(BODY + b"1")


async def test_the_private_part_stays_nowhere(
    home: AgentPaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = printed(capsys, tmp_path)
    await fill(home, 1)
    secret = recovery.read_recovery_key(typed).identity.reveal().encode()
    kept = [file.read_bytes() for file in (tmp_path / "home").rglob("*") if file.is_file()]

    assert len(kept) > 3
    assert not any(secret[16:32] in content for content in kept)
    main(["keys", "show", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert shown["recovery"] in typed.read_text("utf-8")
    assert keys_of(home).identity.reveal().decode() not in str(shown)


async def test_replaced_keys_are_refused_and_nothing_changes(
    home: AgentPaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = printed(capsys, tmp_path)
    await fill(home, 1)
    (home.state / KEYS_FILE).unlink()
    load_keys(FileKeyStore(home.state / KEYS_FILE), SeededRandom(7), store_exists=False)  # another store's
    before = (home.state / "queue.db").read_bytes()

    with pytest.raises(StoreError, match="KEYS_REPLACED"):
        await bodies(home, 1)
    assert main(["keys", "show"]) == 1
    assert main(["keys", "recovery", "--print", "--replace"]) == 1
    assert main(["keys", "restore", "--recovery-key-file", str(typed)]) == 1
    assert "KEYS_PRESENT" in capsys.readouterr().err
    assert (home.state / "queue.db").read_bytes() == before

    assert main(["keys", "restore", "--replace", "--recovery-key-file", str(typed)]) == 0
    assert await bodies(home, 1) == [BODY + b"1"]


def test_it_is_printed_once_and_a_new_page_ends_the_old_one(
    home: AgentPaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = recovery.read_recovery_key(printed(capsys, tmp_path))
    assert main(["keys", "recovery", "--print"]) == 1
    assert "RECOVERY_KEY_EXISTS" in capsys.readouterr().err
    new = recovery.read_recovery_key(printed(capsys, tmp_path, "--replace"))

    assert recovery.open_escrow(new, home.state).identity == keys_of(home).identity
    with pytest.raises(Conflict, match="RECOVERY_KEY_OTHER"):
        recovery.open_escrow(old, home.state)


def test_a_typing_error_is_found_on_its_line(tmp_path: Path) -> None:
    text = recovery.page(recovery.new_recovery_key())
    line = next(line for line in text.splitlines() if line.startswith("  3  "))
    wrong = line[:7] + ("Q" if line[7] != "Q" else "P") + line[8:]
    typed = tmp_path / "typed.txt"
    typed.write_text(text.replace(line, wrong), encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"RECOVERY_KEY_MISTYPED.*3"):
        recovery.read_recovery_key(typed)

    typed.write_text(text.replace(line + "\n", ""), encoding="utf-8")
    with pytest.raises(InvalidInput, match="RECOVERY_KEY_INVALID"):
        recovery.read_recovery_key(typed)


def test_an_interrupted_restore_can_be_done_again(tmp_path: Path) -> None:
    keystore = FileKeyStore(tmp_path / "keys.json")
    keys = load_keys(keystore, SeededRandom(1), store_exists=False)
    key = recovery.new_recovery_key()
    keys = recovery.adopt_recovery_key(keystore, keys, key, tmp_path, replacing=False)
    half = FileKeyStore(tmp_path / "half.json")
    half.put("store-authentication", keys.authentication)

    assert recovery.restore_keys(half, recovery.open_escrow(key, tmp_path), replacing=False)
    assert half.get(IDENTITY) == keys.identity
