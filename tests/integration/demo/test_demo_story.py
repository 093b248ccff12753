"""``./run demo`` from end to end: real processes, the story's end, and nothing left behind."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

DECODES = all(importlib.util.find_spec(name) for name in ("zxingcpp", "cv2"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def demo(*arguments: str, hidden: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the demonstration; the modules of the folder ``hidden`` come before the installed ones."""
    path = os.pathsep.join(word for word in (str(hidden or ""), os.environ.get("PYTHONPATH", "")) if word)
    return subprocess.run(
        [sys.executable, "-m", "vaguemestre_agent", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={**os.environ, **({"PYTHONPATH": path} if path else {})},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A demonstration that was told with ``--keep``.

    Attributes:
        done: what it said.
        folder: where its state is.
        pids: the agent's and the sandbox's numbers.
    """

    done: subprocess.CompletedProcess[str]
    folder: Path
    pids: tuple[int, ...]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """One story for several tests: what it leaves running is ended after the last of them."""
    folder = tmp_path_factory.mktemp("kept")
    done = demo("--keep", "--folder", str(folder))
    written = folder / "pids"
    pids = tuple(int(pid) for pid in written.read_text("ascii").split()) if written.exists() else ()
    try:
        yield Kept(done=done, folder=folder, pids=pids)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.req("SC.DMP/ALI/PROG.02", "SC.DMP/ALI/PROG.03")
def test_the_story_ends_as_it_should(kept: Kept) -> None:
    done = kept.done
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "Envoyé. Accusé du DMP : Success." in done.stdout
    assert "« annulé ». Le DMP n'a rien reçu" in done.stdout
    assert "« issue pas encore connue »" in done.stdout
    assert "Envoyé : le DMP l'a, une seule fois." in done.stdout
    assert re.search(r"En tout, 2 envois complets ont été reçus, 0 en double", done.stdout)
    assert re.search(r"LT-2026-0002\s+annulé", done.stdout)
    assert "« CPS3 » dans le lecteur" in done.stdout
    assert "« Vitale 2 » dans le lecteur" in done.stdout
    assert "FICTIF Hélène, 12/03/1979" in done.stdout
    assert "00/00/1941 (date lunaire)" in done.stdout
    assert "« Cette carte a été retirée depuis. »" in done.stdout
    if DECODES:
        assert "CIP13 3400930000014, lot LOT42, à utiliser jusqu'au 30/11/2028" in done.stdout
        assert "ESSAI MARC, 14-03-1985, 185037505604240" in done.stdout


def test_the_ending_as_json(tmp_path: Path) -> None:
    done = demo("--json", "--folder", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    ending = json.loads(done.stdout)
    assert ending["documents"] == {"CR-2026-0001": "sent", "LT-2026-0002": "cancelled", "CM-2026-0003": "sent"}
    assert (ending["complete_bodies"], ending["sent_twice"]) == (2, 0)
    codes = ["box", "ins"] if DECODES else []
    assert ending["cards"] == {"kinds": ["cps3", "vitale2"], "beneficiaries": 3, "codes": codes}


def test_without_the_readers_libraries_it_says_so_and_goes_on(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for name in ("zxingcpp", "cv2", "numpy", "pylibdmtx", "pypdfium2", "smartcard", "pkcs11", "serial", "evdev"):
        (hidden / f"{name}.py").write_text(f"raise ModuleNotFoundError('not installed', name={name!r})\n")
    done = demo("--folder", str(tmp_path / "demo"), hidden=hidden)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Codes d'images laissés de côté : .* \(extra « readers »\)\.\n", done.stdout)
    assert "FICTIF Hélène" in done.stdout
    assert "Envoyé : le DMP l'a, une seule fois." in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_keep_leaves_all_running_and_says_where_to_look(kept: Kept) -> None:
    assert kept.done.returncode == 0, kept.done.stdout + kept.done.stderr
    agent, sandbox = kept.pids
    assert f"kill {agent} {sandbox}" in kept.done.stdout
    listed = subprocess.run(
        [sys.executable, "-m", "vaguemestre_agent", "--home", str(kept.folder / "agent"), "orders", "list", "--json"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert listed.stdout.count('"sent"') == 2


def _runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "\nState:\tZ" not in status.read_text()
