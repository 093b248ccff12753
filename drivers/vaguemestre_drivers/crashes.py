"""How a process of ours dies when native code kills it: at once, with no dialog box and nothing of it left on the disk.

Owns the settings of the whole process; its children inherit them. Imports nothing native.
Source: setrlimit(2) ``RLIMIT_CORE``, Windows ``SetErrorMode``.
"""

from __future__ import annotations

import sys
from typing import Final

# SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SEM_NOOPENFILEERRORBOX.
_NO_DIALOG: Final = 0x8003


def quiet_crash() -> None:
    """Let a crash end the process without a dialog box or an image of its memory, in which a PIN may be."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.kernel32.SetErrorMode(_NO_DIALOG)
    else:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
