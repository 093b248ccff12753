"""The native libraries of decoding, loaded at the first use: absence is a situation with a code, never an ImportError.

Owns loading and the one-time settings of OpenCV; what each library does is in its own module. One processor core: the
readers process shares the workstation with the practice's software.
"""

from __future__ import annotations

import functools
import importlib
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

from vaguemestre_core.errors import Recovery, VaguemestreError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Grey: TypeAlias = NDArray[np.uint8]
    """A picture in grey: rows, columns, 0 black to 255 white, contiguous."""


class DecoderMissing(VaguemestreError):
    """A library that decoding needs is not installed on this workstation; ``library`` names it."""

    default_code = "DECODER_MISSING"
    recovery = Recovery.USER_ACTION


@functools.cache
def opencv() -> ModuleType:
    """Return ``cv2``, quiet and on one core.

    Raises:
        DecoderMissing: DECODER_MISSING.
    """
    cv2 = _library("cv2", "opencv")
    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


@functools.cache
def numpy() -> ModuleType:
    """Return ``numpy``.

    Raises:
        DecoderMissing: DECODER_MISSING.
    """
    return _library("numpy", "numpy")


@functools.cache
def zxing() -> ModuleType:
    """Return ``zxingcpp``.

    Raises:
        DecoderMissing: DECODER_MISSING.
    """
    return _library("zxingcpp", "zxing-cpp")


@functools.cache
def pdfium() -> ModuleType:
    """Return ``pypdfium2.raw``, its library initialised.

    Raises:
        DecoderMissing: DECODER_MISSING.
    """
    _library("pypdfium2", "pypdfium2")
    return _library("pypdfium2.raw", "pypdfium2")


def _library(module: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as cause:
        raise DecoderMissing(library=name) from cause
