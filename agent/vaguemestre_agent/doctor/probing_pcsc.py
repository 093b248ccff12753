"""Asks the PC/SC service in a child process, and the system about that service: read-only, bounded.

Owns the reading of what the child, ``sc`` and ``systemctl`` say. Connects to no card; loads no native library.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from vaguemestre_agent.doctor.asking import End, Heard, ask_program
from vaguemestre_agent.doctor.facts import (
    PcscAnswer,
    PcscFacts,
    SeenReader,
    ServiceFacts,
    ServiceState,
    SocketState,
)
from vaguemestre_core.cards import CardKind, ReaderState, Situation
from vaguemestre_drivers.childlines import said
from vaguemestre_drivers.cps.middleware import HostSystem
from vaguemestre_drivers.pcsc.probe import MARK

PCSC_S: Final = 10.0
CONNECT_S: Final = 1.0
WINDOWS_SERVICE: Final = "SCardSvr"
LINUX_SERVICE: Final = "pcscd"
MACOS_SERVICE: Final = "com.apple.ifdreader"
SOCKET_VARIABLE: Final = "PCSCLITE_CSOCK_NAME"
SOCKETS: Final = ("/run/pcscd/pcscd.comm", "/var/run/pcscd/pcscd.comm")
DAEMONS: Final = ("/usr/sbin/pcscd", "/usr/local/sbin/pcscd", "/usr/bin/pcscd")
_DENIED: Final = "0x8010006A"  # SCARD_W_SECURITY_VIOLATION
_NO_SERVICE: Final = frozenset({"0x8010001D", "0x8010001E", "0x80100013", "0x80100001", "0x000006BA"})
_NOT_INSTALLED: Final = 1060  # Windows: the service does not exist
_SERVICE_STATE: Final = re.compile(r":\s*(\d)\s+(STOPPED|START_PENDING|STOP_PENDING|RUNNING|PAUSED)")
_DISABLED: Final = re.compile(r":\s*4\s+DISABLED")
Ask = Callable[[Sequence[str]], Heard]


def probe_pcsc(command: Sequence[str] | None = None, *, timeout_s: float = PCSC_S) -> PcscFacts:
    """Return what PC/SC says; blocks for ``timeout_s`` + 2 seconds at most, whatever its native library does.

    Args:
        command: what starts the child, for a frozen program.
        timeout_s: how long the child may take, seconds.
    """
    start = command or (sys.executable, "-m", "vaguemestre_drivers.pcsc.probe")
    return read_pcsc(ask_program(start, timeout_s=timeout_s, is_plain=False))


def read_pcsc(heard: Heard) -> PcscFacts:
    """Return what the child said, and how it ended. Never raises: what is no line of ours is skipped."""
    step, situation, result = "", "", ""
    readers: list[SeenReader] = []
    holders: list[str] = []
    for line in said(heard.text, MARK):
        step = str(line.get("step", step))
        situation = str(line.get("situation", situation))
        result = str(line.get("result", result))
        reader = _reader(line)
        if reader is not None:
            readers.append(reader)
        if isinstance(line.get("holder"), str):
            holders.append(str(line["holder"]))
    answer = _answer(heard, step, situation, result)
    if answer in (PcscAnswer.CRASHED, PcscAnswer.SILENT):
        result = step
    return PcscFacts(answer=answer, result=result, readers=tuple(readers), holders=tuple(holders))


def _reader(line: Mapping[str, object]) -> SeenReader | None:
    name, state, card = line.get("reader"), line.get("state"), line.get("card")
    if not isinstance(name, str) or state not in list(ReaderState):
        return None
    kind = CardKind(str(card)) if card in list(CardKind) else None
    return SeenReader(name=name, state=ReaderState(str(state)), card=kind)


def _answer(heard: Heard, step: str, situation: str, result: str) -> PcscAnswer:
    if heard.end is End.SILENT:
        return PcscAnswer.SILENT
    if heard.end is End.NOT_STARTED or not step:
        return PcscAnswer.NOT_ASKED
    if step == "done" and heard.status == 0:
        return PcscAnswer.WORKS
    if step != "failed":
        return PcscAnswer.CRASHED
    if situation == Situation.PCSC_ABSENT:
        return PcscAnswer.LIBRARY_ABSENT
    if result == _DENIED:
        return PcscAnswer.DENIED
    return PcscAnswer.NO_SERVICE if result in _NO_SERVICE else PcscAnswer.FAILED


def probe_service(system: HostSystem, environment: Mapping[str, str], ask: Ask = ask_program) -> ServiceFacts:
    """Return what the system says of its PC/SC service; starts nothing."""
    if system is HostSystem.WINDOWS:
        configured = ask(("sc", "qc", WINDOWS_SERVICE))
        return ServiceFacts(
            name=WINDOWS_SERVICE, state=windows_state(ask(("sc", "query", WINDOWS_SERVICE)), configured)
        )
    if system is HostSystem.MACOS:
        return ServiceFacts(name=MACOS_SERVICE)  # part of the system, started on demand: PC/SC itself tells
    named = environment.get(SOCKET_VARIABLE)
    path = named or next((one for one in SOCKETS if Path(one).exists()), SOCKETS[0])
    listening = socket_state(path)
    has_daemon = any(Path(one).exists() for one in DAEMONS) or shutil.which(LINUX_SERVICE) is not None
    if listening is SocketState.OPEN:
        state = ServiceState.RUNNING
    elif named:
        state = ServiceState.UNKNOWN  # another machine's, or a container's: the unit of this one says nothing
    else:
        state = linux_state(ask(("systemctl", "is-enabled", "pcscd.socket", "pcscd.service")), has_daemon=has_daemon)
    return ServiceFacts(name=LINUX_SERVICE, state=state, socket=listening)


def windows_state(queried: Heard, configured: Heard) -> ServiceState:
    """Return the state of a Windows service, from ``sc query`` and ``sc qc`` in any language."""
    if queried.status == _NOT_INSTALLED or configured.status == _NOT_INSTALLED:
        return ServiceState.ABSENT
    found = _SERVICE_STATE.search(queried.text)
    if not queried.is_fine or found is None:
        return ServiceState.UNKNOWN
    if found.group(2) == "RUNNING":
        return ServiceState.RUNNING
    return ServiceState.DISABLED if _DISABLED.search(configured.text) else ServiceState.STOPPED


def linux_state(enabled: Heard, *, has_daemon: bool) -> ServiceState:
    """Return the state of pcscd when nobody listens on its socket, from ``systemctl is-enabled`` of both units."""
    words = enabled.text.split()
    if not has_daemon:
        return ServiceState.ABSENT
    if words and all(word in ("masked", "masked-runtime") for word in words):
        return ServiceState.DISABLED
    return ServiceState.STOPPED


def socket_state(path: str) -> SocketState:
    """Return what a local socket is to this user: connects, says nothing, and leaves."""
    family = getattr(socket, "AF_UNIX", None)
    if family is None:
        return SocketState.UNKNOWN
    try:
        os.lstat(path)
    except PermissionError:  # of its folder
        return SocketState.DENIED
    except OSError:
        return SocketState.ABSENT
    with socket.socket(family, socket.SOCK_STREAM) as line:
        line.settimeout(CONNECT_S)
        try:
            line.connect(path)
        except PermissionError:
            return SocketState.DENIED
        except ConnectionRefusedError:
            return SocketState.DEAF
        except OSError:
            return SocketState.UNKNOWN
    return SocketState.OPEN
