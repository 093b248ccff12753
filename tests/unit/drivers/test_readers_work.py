"""A readers process loads the drivers that its settings ask for, and no other."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
from vaguemestre_drivers.process.running import load_work
load_work({settings!r})
roots = {{name.split(".")[1] for name in sys.modules if name.startswith("vaguemestre_drivers.")}}
print(*sorted(roots | ({{"cryptography"}} & sys.modules.keys())))
"""
CARDS = {"pcsc", "cps", "cardtls", "vitale", "pin", "cryptography"}


@pytest.mark.parametrize(
    ("settings", "cards", "scanners"),
    [
        ({"source": "off"}, False, False),
        ({"source": "off", "scanners": [{"kind": "serial"}]}, False, True),
        ({"source": "virtual"}, True, False),
    ],
    ids=["images", "scanners", "cards"],
)
def test_only_what_the_settings_ask_for_is_loaded(settings: dict[str, object], cards: bool, scanners: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(settings=settings)], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.split())
    assert loaded >= {"process", "datamatrix"}
    assert loaded & CARDS == (CARDS if cards else set())
    assert ("scanners" in loaded) is scanners
