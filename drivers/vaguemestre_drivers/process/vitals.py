"""What the process tells of its own body: memory in use; and how it ends with its parent.

Source: proc(5) ``statm``, prctl(2) ``PR_SET_PDEATHSIG``, Windows ``GetProcessMemoryInfo``.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1

if sys.platform == "win32":
    from ctypes import wintypes

    class _MemoryCounters(ctypes.Structure):
        _fields_ = (
            ("cb", wintypes.DWORD),
            ("page_faults", wintypes.DWORD),
            ("peak_working_set", ctypes.c_size_t),
            ("working_set", ctypes.c_size_t),
            ("quota_peak_paged", ctypes.c_size_t),
            ("quota_paged", ctypes.c_size_t),
            ("quota_peak_non_paged", ctypes.c_size_t),
            ("quota_non_paged", ctypes.c_size_t),
            ("pagefile", ctypes.c_size_t),
            ("peak_pagefile", ctypes.c_size_t),
        )

    def resident_bytes() -> int:
        """Return the memory in use, bytes; 0 when the system does not say."""
        counters = _MemoryCounters()
        counters.cb = ctypes.sizeof(counters)
        ask = ctypes.windll.kernel32.K32GetProcessMemoryInfo
        ask.argtypes = (wintypes.HANDLE, ctypes.POINTER(_MemoryCounters), wintypes.DWORD)
        this_process = wintypes.HANDLE(-1)
        return int(counters.working_set) if ask(this_process, ctypes.byref(counters), counters.cb) else 0

    def end_with_parent() -> None:
        """Do nothing here: the end of standard input tells that the parent is gone."""

elif sys.platform == "linux":

    def resident_bytes() -> int:
        """Return the memory in use, bytes; 0 when the system does not say."""
        try:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        except (OSError, ValueError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def end_with_parent() -> None:
        """Be killed by the system when the parent ends, even while native code holds everything."""
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

else:

    def resident_bytes() -> int:
        """Return the largest memory used so far, bytes."""
        resource = importlib.import_module("resource")
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    def end_with_parent() -> None:
        """Do nothing here: the end of standard input tells that the parent is gone."""
