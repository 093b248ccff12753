"""The image families of bench/, for tests; and what is missing on a machine without the readers' libraries."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from pathlib import Path
from types import ModuleType

import pytest

from vaguemestre_testkit.loading import loaded

BENCH = Path(__file__).resolve().parents[4] / "bench"
NATIVE = ("numpy", "cv2", "zxingcpp")


@pytest.fixture(scope="session")
def native() -> None:
    """Skip where the decoders are not installed: the extra ``readers``."""
    for name in NATIVE:
        pytest.importorskip(name, reason=f"{name} is not installed (extra readers)")


@pytest.fixture(scope="session")
def families(native: None) -> ModuleType:
    """The generator of image families; it encodes with pylibdmtx too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it imports distutils, at its first import only
            importlib.import_module("pylibdmtx.pylibdmtx")
    except ImportError as cause:
        pytest.skip(f"pylibdmtx cannot encode here: {cause}")
    return loaded(BENCH / "scan_images.py")
