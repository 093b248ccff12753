"""Changing the station's key loses nothing wherever a crash falls, and the old key goes when nothing needs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.keystore import recovery
from vaguemestre_agent.adapters.keystore.rotation import STEPS, drop_unneeded, rotate_station_key
from vaguemestre_agent.adapters.keystore.stores import FileKeyStore, load_keys
from vaguemestre_agent.parts import KEYS_FILE
from vaguemestre_core.errors import Conflict, StoreError
from vaguemestre_core.orders import OrderId
from vaguemestre_queue.opening import DATABASE_FILE, open_store, require_keys_of
from vaguemestre_queue.sealing import Sealer, StoreKeys, identity_label
from vaguemestre_queue.spool import read_public_keys
from vaguemestre_testkit.clocks import FakeClock, NoFailpoints, SeededRandom
from vaguemestre_testkit.orders import DOCTOR, a_client, an_acceptance

BODY = b"%PDF-1.4 essai"


class Station:
    """A stopped agent's home."""

    def __init__(self, home: Path) -> None:
        self.home, self.state = home, home / "state"
        self.keystore = FileKeyStore(self.state / KEYS_FILE)

    def keys(self) -> StoreKeys:
        """Return its keys, as a start does."""
        return load_keys(self.keystore, SeededRandom(), store_exists=(self.state / DATABASE_FILE).exists())

    def rotate(self, failpoint: str = "") -> int:
        """Run the command, killed at a failpoint when one is named; return its status."""
        environment = {**os.environ, "VAGUEMESTRE_HOME": str(self.home), "VAGUEMESTRE_AGENT__KEY_STORE": "file"}
        if failpoint:
            environment["VAGUEMESTRE_FAILPOINT"] = failpoint
        command = [sys.executable, "-m", "vaguemestre_agent", "keys", "rotate", "--json"]
        return subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False).returncode

    async def work(self, number: int) -> None:
        """Open the store, read all that was accepted so far, accept one more."""
        async with open_store(self.state, self.keys(), FakeClock(), SeededRandom(), NoFailpoints()) as store:
            if not await store.clients():
                await store.add_client(a_client(), DOCTOR)
            for earlier in range(1, number):
                assert (await store.body(OrderId(f"order-{earlier}"))).body == BODY
            await store.accept(an_acceptance(FakeClock(), number, content=BODY))

    async def sealed_to(self) -> frozenset[str]:
        """Return the labels of the keys that bodies were sealed to."""
        async with open_store(self.state, self.keys(), FakeClock(), SeededRandom(), NoFailpoints()) as store:
            return await store.keeping.sealed_to()


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return Station(tmp_path / "home")


@pytest.mark.skipif(sys.platform == "win32", reason="a kill is a signal")
@pytest.mark.parametrize("step", STEPS)
async def test_a_rotation_killed_anywhere_loses_nothing(station: Station, tmp_path: Path, step: str) -> None:
    page = recovery.new_recovery_key()
    recovery.adopt_recovery_key(station.keystore, station.keys(), page, station.state, replacing=False)
    await station.work(1)

    assert station.rotate(step) == -9

    await station.work(2)
    assert station.rotate() == 0  # done again
    await station.work(3)
    # The page gives back keys that open everything.
    (station.state / KEYS_FILE).unlink()
    recovery.restore_keys(station.keystore, recovery.open_escrow(page, station.state), replacing=False)
    await station.work(4)


async def test_new_bodies_are_sealed_to_the_new_key_only(station: Station) -> None:
    await station.work(1)
    old = station.keys()
    new = rotate_station_key(station.keystore, old, station.state, NoFailpoints().hit)
    await station.work(2)

    assert station.keys() == new
    assert (new.identity != old.identity, new.retired) == (True, (old.identity,))
    assert read_public_keys(station.state) == Sealer(new).public_keys
    with pytest.raises(StoreError, match="BODY_UNREADABLE"):
        Sealer(old).open(Sealer(new).seal(BODY).sealed)
    assert Sealer(new).open(Sealer(old).seal(BODY).sealed) == BODY
    with pytest.raises(StoreError, match="KEYS_REPLACED"):
        require_keys_of(station.state, old)  # an old copy of the key store is not the store's any more


async def test_an_old_key_goes_when_nothing_needs_it(station: Station) -> None:
    page = recovery.new_recovery_key()
    recovery.adopt_recovery_key(station.keystore, station.keys(), page, station.state, replacing=False)
    await station.work(1)
    rotate_station_key(station.keystore, station.keys(), station.state, NoFailpoints().hit)  # nothing under this one
    rotate_station_key(station.keystore, station.keys(), station.state, NoFailpoints().hit)
    await station.work(2)
    labels = await station.sealed_to()

    assert drop_unneeded(station.keystore, station.keys(), labels | {"station"}, station.state) == 0
    assert drop_unneeded(station.keystore, station.keys(), labels, station.state) == 1
    keys = station.keys()
    assert labels == {identity_label(keys.identity), identity_label(keys.retired[0]), "recovery"}
    assert recovery.open_escrow(page, station.state) == keys
    assert drop_unneeded(station.keystore, keys, frozenset({identity_label(keys.identity)}), station.state) == 1
    assert station.keys().retired == recovery.open_escrow(page, station.state).retired == ()
    with pytest.raises(Conflict, match="RECOVERY_KEY_OTHER"):
        recovery.open_escrow(recovery.new_recovery_key(), station.state)
