"""Which programs may be holding a reader, where the system can tell; read-only, asked only when a reader is held.

No system says who owns a transaction. On Linux the kernel tells which processes have a connection to the PC/SC service
(sock_diag, then /proc, as far as this user may look); on Windows, which processes have loaded its library. Ours is left
out. One name is a good guess, several are candidates, none means that the system does not tell.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SERVICE_SOCKET: Final = "pcscd.comm"
"""End of the path of pcsc-lite's socket, whatever the distribution's /run."""
MOST_NAMES: Final = 5

_FAMILY_UNIX: Final = 1
_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_DUMP_REQUEST: Final = 0x301
_MESSAGE_DONE: Final = 3
_MESSAGE_ERROR: Final = 2
_SHOW_NAME_AND_PEER: Final = 0x01 | 0x04
_ATTRIBUTE_NAME: Final = 0
_ATTRIBUTE_PEER: Final = 2
_HEADER: Final = struct.Struct("=IHHII")
_REQUEST: Final = struct.Struct("=BBHIIIII")
_SOCKET_BYTES: Final = 16
_ATTRIBUTE: Final = struct.Struct("=HH")
_DIAGNOSIS_S: Final = 1.0


def holders(service_socket: str = SERVICE_SOCKET) -> tuple[str, ...]:
    """Return the names of the programs, other than this one, that use the PC/SC service now; sorted, at most five."""
    if sys.platform == "win32":
        names = _windows_names()
    elif sys.platform == "linux":
        names = _linux_names(service_socket)
    else:
        names = set()
    return tuple(sorted(names)[:MOST_NAMES])


def _linux_names(service_socket: str) -> set[str]:
    try:
        clients = _client_sockets(service_socket)
    except OSError:  # no sock_diag here: the system does not tell
        return set()
    names = set()
    for process in Path("/proc").iterdir() if clients else ():
        if process.name.isdigit() and int(process.name) != os.getpid() and _has_one_of(process, clients):
            with contextlib.suppress(OSError):  # it ended meanwhile
                names.add((process / "comm").read_text("utf-8", "replace").strip())
    return names


def _has_one_of(process: Path, sockets: frozenset[str]) -> bool:
    try:
        return any(str(entry.readlink()) in sockets for entry in (process / "fd").iterdir())
    except OSError:  # another user's, or ended
        return False


def _client_sockets(service_socket: str) -> frozenset[str]:
    """Return the clients' ends of the connections to the service, as /proc names them."""
    peers = set()
    with socket.socket(getattr(socket, "AF_NETLINK", 16), socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as line:
        line.settimeout(_DIAGNOSIS_S)
        body = _REQUEST.pack(_FAMILY_UNIX, 0, 0, 0xFFFFFFFF, 0, _SHOW_NAME_AND_PEER, 0xFFFFFFFF, 0xFFFFFFFF)
        line.send(_HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _DUMP_REQUEST, 1, 0) + body)
        more = True
        while more:
            for kind, payload in _messages(line.recv(65536)):
                if kind in (_MESSAGE_DONE, _MESSAGE_ERROR):
                    more = False
                    break
                attributes = dict(_attributes(payload[_SOCKET_BYTES:]))
                name = attributes.get(_ATTRIBUTE_NAME, b"").rstrip(b"\0")
                peer = attributes.get(_ATTRIBUTE_PEER, b"")
                if len(peer) == 4 and name.endswith(service_socket.encode()):
                    peers.add(f"socket:[{int.from_bytes(peer, sys.byteorder)}]")
    return frozenset(peers)


def _messages(received: bytes) -> Iterator[tuple[int, bytes]]:
    while len(received) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(received)
        if length < _HEADER.size:
            return
        yield kind, received[_HEADER.size : length]
        received = received[_aligned(length) :]


def _attributes(received: bytes) -> Iterator[tuple[int, bytes]]:
    while len(received) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(received)
        if length < _ATTRIBUTE.size:
            return
        yield kind, received[_ATTRIBUTE.size : length]
        received = received[_aligned(length) :]


def _aligned(length: int) -> int:
    return length + 3 & ~3


def _windows_names() -> set[str]:
    names: set[str] = set()
    if sys.platform == "win32":
        import ctypes
        from ctypes import wintypes

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        library = ctypes.WinDLL("psapi", use_last_error=True)
        kernel.OpenProcess.restype = wintypes.HANDLE
        kernel.OpenProcess.argtypes = [wintypes.DWORD, wintypes.BOOL, wintypes.DWORD]
        kernel.CloseHandle.argtypes = [wintypes.HANDLE]
        library.EnumProcessModulesEx.argtypes = [
            wintypes.HANDLE,
            ctypes.POINTER(wintypes.HMODULE),
            wintypes.DWORD,
            ctypes.POINTER(wintypes.DWORD),
            wintypes.DWORD,
        ]
        library.GetModuleBaseNameW.argtypes = [wintypes.HANDLE, wintypes.HMODULE, wintypes.LPWSTR, wintypes.DWORD]
        process_ids = (wintypes.DWORD * 4096)()
        used = wintypes.DWORD()
        if not library.EnumProcesses(process_ids, ctypes.sizeof(process_ids), ctypes.byref(used)):
            return names
        text = ctypes.create_unicode_buffer(260)
        for process_id in process_ids[: used.value // ctypes.sizeof(wintypes.DWORD)]:
            if process_id in (0, os.getpid()):
                continue
            # PROCESS_QUERY_INFORMATION and PROCESS_VM_READ: refused for another user's, which is then not told.
            process = kernel.OpenProcess(0x0410, False, process_id)
            if not process:
                continue
            try:
                modules = (wintypes.HMODULE * 1024)()
                needed = wintypes.DWORD()
                size = ctypes.sizeof(modules)
                if not library.EnumProcessModulesEx(process, modules, size, ctypes.byref(needed), 3):
                    continue
                loaded = []
                for module in modules[: min(needed.value, size) // ctypes.sizeof(wintypes.HMODULE)]:
                    if library.GetModuleBaseNameW(process, module, text, len(text)):
                        loaded.append(text.value)
                if any(name.lower() == "winscard.dll" for name in loaded):
                    names.add(loaded[0])
            finally:
                kernel.CloseHandle(process)
    return names
