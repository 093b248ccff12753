"""The one command of the checkout: plain POSIX sh, the same from anywhere, honest when it cannot go on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a POSIX shell script")


def run(script: Path, *arguments: str, cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a script with a small environment."""
    environment = {"PATH": os.defpath, "HOME": str(cwd), **extra}
    return subprocess.run(
        [str(script), *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60
    )


def copied(tmp_path: Path) -> Path:
    """Copy the script and what it reads into a folder whose name has a space and an accent."""
    folder = tmp_path / "mes dossiers été"
    folder.mkdir()
    for name in ("run", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.mark.parametrize("shell", [name for name in ("sh", "dash", "bash", "ksh") if shutil.which(name)])
@pytest.mark.parametrize("script", ["run", ".ci/run"])
def test_every_shell_reads_it(shell: str, script: str) -> None:
    done = subprocess.run([shell, "-n", str(ROOT / script)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_comes_from_any_folder_and_through_a_link(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(folder / "run")
    for script in (ROOT / "run", folder / "run", link):
        done = run(script, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "./run demo" in done.stdout


def test_an_unknown_command_is_refused(tmp_path: Path) -> None:
    done = run(ROOT / "run", "demmo", cwd=tmp_path)
    assert done.returncode == 2
    assert "demmo" in done.stderr


def test_a_wrong_interpreter_is_named_before_anything_is_installed(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    done = run(folder / "run", "setup", cwd=tmp_path, VAGUEMESTRE_PYTHON="/bin/false")
    assert done.returncode == 2
    assert "VAGUEMESTRE_PYTHON" in done.stderr
    assert not (folder / ".venv").exists()


@pytest.mark.slow
def test_an_environment_made_elsewhere_is_made_again(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    # An index that does not answer: the environment is made, the dependencies are not, and it says so.
    offline = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
        "PIP_RETRIES": "0",
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": "/dev/null",
    }
    first = run(folder / "run", "setup", cwd=tmp_path, VAGUEMESTRE_PYTHON=sys.executable, **offline)
    assert first.returncode == 2
    assert "index" in first.stderr
    assert not list((folder / ".venv").glob("*.stamp"))
    moved = tmp_path / "moved"
    folder.rename(moved)
    second = run(moved / "run", "setup", cwd=tmp_path, VAGUEMESTRE_PYTHON=sys.executable, **offline)
    assert "crée l'environnement" in second.stderr
