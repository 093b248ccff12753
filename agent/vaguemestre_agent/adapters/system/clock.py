"""``ClockPort`` over the machine's clocks: the boot-time clock counts sleep on every system."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the wall clock, aware UTC."""
        return datetime.now(UTC)

    def boot_s(self) -> float:
        """Return seconds since boot, sleep included."""
        return _boot_s()

    def boot_id(self) -> str:
        """Return an identifier of this boot; where the system gives none, one of this process.

        Then the undo minutes fall back on the wall clock after a restart of the agent.
        """
        return _boot_id()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(max(seconds, 0.0))


if sys.platform == "win32":
    import ctypes
    import winreg

    def _boot_s() -> float:
        ticks = ctypes.windll.kernel32.GetTickCount64
        ticks.restype = ctypes.c_uint64
        return float(ticks()) / 1000.0

    @cache
    def _boot_id() -> str:
        path = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
                return f"windows-{winreg.QueryValueEx(key, 'BootId')[0]}"
        except OSError:
            return f"process-{secrets.token_hex(8)}"

else:

    def _boot_s() -> float:
        # Linux's CLOCK_MONOTONIC stops during sleep; macOS's does not and it has no CLOCK_BOOTTIME.
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    @cache
    def _boot_id() -> str:
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            return f"process-{secrets.token_hex(8)}"
