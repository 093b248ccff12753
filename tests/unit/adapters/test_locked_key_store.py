"""A key store that is locked or absent is told apart from an empty one, and never costs a store its keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from keyring.backend import KeyringBackend
from keyring.errors import InitError, KeyringLocked

from vaguemestre_agent.adapters.keystore import stores
from vaguemestre_agent.adapters.keystore.stores import SystemKeyStore, load_keys
from vaguemestre_agent.cli.main import main
from vaguemestre_core.errors import StoreError
from vaguemestre_testkit.clocks import SeededRandom


class ScriptedKeyring(KeyringBackend):
    """A key store in memory; ``trouble`` makes what its next calls raise."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring types no back end
        self.content: dict[tuple[str, str], str] = {}
        self.trouble: Callable[[], Exception] | None = None

    def get_password(self, service: str, username: str) -> str | None:
        if self.trouble is not None:
            raise self.trouble()
        return self.content.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.trouble is not None:
            raise self.trouble()
        self.content[service, username] = password


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> ScriptedKeyring:
    made = ScriptedKeyring()
    monkeypatch.setattr(stores, "_system_backend", lambda: made)
    return made


@pytest.mark.parametrize(
    ("trouble", "code"),
    [(KeyringLocked, "KEYRING_LOCKED"), (InitError, "KEYRING_UNAVAILABLE")],
    ids=["locked", "absent"],
)
def test_a_closed_key_store_is_never_taken_for_an_empty_one(
    keyring: ScriptedKeyring, trouble: Callable[[], Exception], code: str
) -> None:
    keys = load_keys(SystemKeyStore("state"), SeededRandom(1), store_exists=False)
    before = dict(keyring.content)
    keyring.trouble = trouble
    for exists in (True, False):
        with pytest.raises(StoreError, match=code):
            load_keys(SystemKeyStore("state"), SeededRandom(2), store_exists=exists)
    assert keyring.content == before

    keyring.trouble = None
    assert load_keys(SystemKeyStore("state"), SeededRandom(3), store_exists=True) == keys


def test_the_command_says_that_it_is_locked_and_makes_nothing(
    keyring: ScriptedKeyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VAGUEMESTRE_HOME", str(tmp_path))
    keyring.trouble = KeyringLocked

    assert main(["keys", "recovery", "--print"]) == 1

    told = capsys.readouterr()
    assert (told.out, "KEYRING_LOCKED" in told.err) == ("", True)
    assert [file.name for file in (tmp_path / "state").iterdir()] == ["agent.lock"]
