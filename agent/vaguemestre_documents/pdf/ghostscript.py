"""Let Ghostscript draw a PDF anew: fonts embedded, transparencies and appearances flattened, colours in RGB.

Owns the command line and its bounds (time, processor, files; the address space is the worker's). The document goes
through pipes: no argument and no file name says anything of it. Ghostscript's own temporary files are in a private
folder that is emptied. Source: Ghostscript 10 manual, "Use" and "High level devices".
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from typing import Final

from vaguemestre_documents.pdf.policy import PdfPolicy

_OPTIONS: Final = (
    "-dSAFER",
    "-dBATCH",
    "-dNOPAUSE",
    "-q",
    "-sDEVICE=pdfwrite",
    "-dPDFA=1",
    "-dPDFACompatibilityPolicy=1",
    "-dPDFSTOPONERROR",
    "-dEmbedAllFonts=true",
    "-dPreserveAnnots=false",
    "-dAutoRotatePages=/None",
    "-dDownsampleColorImages=false",
    "-dDownsampleGrayImages=false",
    "-dDownsampleMonoImages=false",
    "-sColorConversionStrategy=RGB",
    "-sstdout=%stderr",
    "-sOutputFile=%stdout",
    "-",
)
_KEPT_ENVIRONMENT: Final = ("PATH", "SYSTEMROOT", "WINDIR")
_MAX_FILE_BYTES: Final = 512_000_000
_NO_WINDOW: Final = getattr(subprocess, "CREATE_NO_WINDOW", 0)


def redraw(content: bytes, policy: PdfPolicy) -> bytes | None:
    """Return the PDF as Ghostscript drew it; None when there is no Ghostscript, or it failed or took too long."""
    if not policy.ghostscript:
        return None
    with tempfile.TemporaryDirectory(prefix="pdf-", dir=policy.scratch or None, ignore_cleanup_errors=True) as scratch:
        environment = {key: os.environ[key] for key in _KEPT_ENVIRONMENT if key in os.environ}
        environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP", "HOME"), scratch)
        try:
            with subprocess.Popen(  # noqa: S603  # the program that the practice's settings name
                (policy.ghostscript, *_OPTIONS),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=scratch,
                env=environment,
                creationflags=_NO_WINDOW,
            ) as process:
                try:
                    _bound(process.pid, policy.ghostscript_s)
                    drawn, _ = process.communicate(content, timeout=policy.ghostscript_s)
                except BaseException:
                    process.kill()
                    raise
        except (OSError, subprocess.TimeoutExpired, MemoryError):
            return None
    return drawn if process.returncode == 0 and drawn.startswith(b"%PDF-") else None


def _bound(pid: int, seconds: float) -> None:
    """Bound processor time and files where the system can, so that a converter left alone ends too."""
    if sys.platform != "linux":
        return
    resource = importlib.import_module("resource")
    limit = max(1, round(seconds))
    try:
        resource.prlimit(pid, resource.RLIMIT_CPU, (limit, limit))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (_MAX_FILE_BYTES, _MAX_FILE_BYTES))
    except ProcessLookupError:
        return  # it has ended already
