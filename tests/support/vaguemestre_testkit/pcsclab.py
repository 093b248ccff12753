"""A PC/SC service of one's own: pcscd and vpcd in a mount and network namespace, never the machine's.

`run_tests` runs a file of tests in a fresh namespace; inside, `PcscService` starts, kills and restarts pcscd there.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

VPCD: Final = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
INSIDE: Final = "VAGUEMESTRE_PCSC_LAB"
FIRST_PORT: Final = 0x8C7B
READERS: Final = ("Virtual PCD 00 00", "Virtual PCD 00 01")
_SOCKET: Final = Path("/run/pcscd/pcscd.comm")
_SETUP: Final = 'mount -t tmpfs tmpfs /run && mkdir -p /run/pcscd && ip link set lo up && exec "$@"'


def why_no_lab() -> str | None:
    """Return why a PC/SC service of one's own cannot run here, or None when it can."""
    if sys.platform != "linux":
        return "pcscd and vpcd are tried on Linux only"
    for program in ("unshare", "pcscd", "ip"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not VPCD.exists():
        return "vsmartcard-vpcd is not installed"
    tried = subprocess.run([*_unshare(), "true"], check=False, capture_output=True)
    return None if tried.returncode == 0 else "namespaces are not allowed here"


def run_tests(file: Path, timeout_s: float) -> str:
    """Run a file of tests in a namespace where no PC/SC service runs yet; return what pytest said of them.

    Everything that it starts ends with it. Skips inside such a namespace, and where there can be none.
    """
    if is_inside():
        pytest.skip("already inside")
    reason = why_no_lab()
    if reason is not None:
        pytest.skip(reason)
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = subprocess.run(
        [*_unshare(), *command, str(file)],
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=os.environ | {INSIDE: "1"},
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


def is_inside() -> bool:
    """Whether this process runs in such a namespace."""
    return os.environ.get(INSIDE) == "1"


def _unshare() -> list[str]:
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    # A process namespace too: whatever is started in it dies with the command.
    return ["unshare", *as_root, "-mnp", "--fork", "--mount-proc", "--kill-child", "sh", "-c", _SETUP, "sh"]


def until(condition: Callable[[], bool], what: str, timeout_s: float = 10.0) -> None:
    """Wait for a condition of another process."""
    pause = threading.Event()
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not in {timeout_s} s: {what}")
        pause.wait(0.01)


class PcscService:
    """pcscd with one vpcd reader pair, in the foreground, inside the lab."""

    def __init__(self) -> None:
        assert is_inside(), "never the machine's own PC/SC service"
        self._folder = tempfile.TemporaryDirectory(prefix="pcsclab-")
        self._config = Path(self._folder.name) / "reader.conf"
        self._process: subprocess.Popen[bytes] | None = None
        self.set_readers(plugged=True)

    def set_readers(self, *, plugged: bool) -> None:
        """Say whether the readers are there when the service starts next."""
        lines = [
            'FRIENDLYNAME "Virtual PCD"',
            f"DEVICENAME /dev/null:0x{FIRST_PORT:X}",
            f"LIBPATH {VPCD}",
            f"CHANNELID 0x{FIRST_PORT:X}",
        ]
        self._config.write_text("\n".join(lines) + "\n" if plugged else "# none\n")

    def start(self) -> None:
        """Start and wait for its socket."""
        _SOCKET.unlink(missing_ok=True)
        Path("/run/pcscd/pcscd.pid").unlink(missing_ok=True)
        self._process = subprocess.Popen(
            ["pcscd", "--foreground", "--config", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(_SOCKET.exists, "pcscd listens")

    def stop(self) -> None:
        """Stop it as the system does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it at once."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Kill it and forget its files."""
        self.kill()
        self._folder.cleanup()

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait()
