"""What tells a store from its copies: the machine's identity, and who remembers outside the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaguemestre_agent.adapters.keystore.stores import FileKeyStore
from vaguemestre_agent.adapters.system.machine import machine_identity, smbios_uuid
from vaguemestre_agent.adapters.system.witnesses import FileWitness, KeyStoreWitness
from vaguemestre_agent.cli.main import main
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_queue.incarnation import Marker, Place, Standing

UUID = bytes(range(16))
BIOS = bytes([0, 6, 1, 0, 1, 2]) + b"Maker\x00v1\x00\x00"
SYSTEM = bytes([1, 27, 2, 0, 1, 2, 3, 4]) + UUID + bytes(3) + b"Maker\x00Model\x00\x00"
END = bytes([127, 4, 3, 0]) + b"\x00\x00"


def test_the_firmware_tells_its_identity() -> None:
    assert smbios_uuid(BIOS + SYSTEM + END) == UUID.hex()


@pytest.mark.parametrize(
    "table",
    [
        b"",
        BIOS + END,
        BIOS + END + SYSTEM,
        SYSTEM[:20],
        SYSTEM.replace(UUID, bytes(16)),
        SYSTEM.replace(UUID, b"\xff" * 16),
        b"\x01\x00" + SYSTEM,
    ],
)
def test_a_table_without_an_identity_tells_nothing(table: bytes) -> None:
    assert smbios_uuid(table) == ""


def test_this_machine_answers_the_same_twice_and_never_in_clear() -> None:
    assert machine_identity() == machine_identity()
    known = Path("/etc/machine-id")
    if known.exists():
        assert known.read_text("ascii").strip() not in machine_identity()


@pytest.mark.parametrize("kind", ["file", "key store"])
def test_a_witness_remembers_each_store_apart(tmp_path: Path, kind: str) -> None:
    keystore = FileKeyStore(tmp_path / "keys.json")
    witness = FileWitness(tmp_path / "config") if kind == "file" else KeyStoreWitness(keystore)
    first = Marker(store_id="a" * 32, ledger_seq=7, digest="00", place='["","",""]')
    witness.write(first)
    witness.write(Marker(store_id="b" * 32, ledger_seq=9))

    assert witness.read("a" * 32) == first
    assert witness.read("c" * 32) is None


def test_a_witness_that_is_no_longer_readable_has_no_opinion(tmp_path: Path) -> None:
    keystore = FileKeyStore(tmp_path / "keys.json")
    witness = KeyStoreWitness(keystore)
    witness.write(Marker(store_id="a" * 32, ledger_seq=7))
    keystore.put("store-witness-" + "a" * 16, SecretBytes(b"{"))

    assert witness.read("a" * 32) is None


@pytest.mark.parametrize(
    ("earlier", "standing"),
    [
        (Place(machine="f,i", path="p", files="x"), Standing.SAME),
        (Place(machine="f,i", path="other", files="x"), Standing.SAME),  # moved
        (Place(machine="f,reinstalled", path="p", files="x"), Standing.SAME),
        (Place(machine=",i", path="p", files="x"), Standing.SAME),  # the firmware was not readable then
        (Place(machine=",", path="p", files="x"), Standing.SAME),
        (Place(machine="f,i", path="p", files="other"), Standing.RESTORED),
        (Place(machine="f,i", path="other", files="other"), Standing.COPIED),
        (Place(machine="g,i", path="p", files="x"), Standing.COPIED),  # a cloned disk
        (Place(machine=",j", path="p", files="x"), Standing.COPIED),
    ],
)
def test_a_place_is_compared_with_the_earlier_one(earlier: Place, standing: Standing) -> None:
    assert Place(machine="f,i", path="p", files="x").compared(earlier) is standing
    assert Place.from_text(earlier.to_text()) == earlier


def test_a_store_that_is_no_copy_is_not_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VAGUEMESTRE_HOME", str(tmp_path))
    monkeypatch.setenv("VAGUEMESTRE_AGENT__KEY_STORE", "file")

    assert main(["keys", "adopt"]) == 1
    assert "STORE_UNKNOWN" in capsys.readouterr().err
