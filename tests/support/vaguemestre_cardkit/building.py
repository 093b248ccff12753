"""Libraries of a few lines of C, compiled by the tests."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def built(folder: Path, name: str, source: str) -> Path:
    """Compile a shared library ``name`` from C below a folder; skips without a compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    code, library = folder / f"{name}.c", folder / f"{name}.so"
    code.write_text(source, "utf-8")
    subprocess.run([compiler, "-shared", "-fPIC", "-w", "-o", str(library), str(code)], check=True, timeout=60)
    return library
