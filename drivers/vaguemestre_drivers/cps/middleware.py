"""Where the card's PKCS#11 middleware is on each system, and what its file says before anybody loads it.

Owns the table of paths and the reading of a library's header (ELF, PE, Mach-O); it never loads a library: ``probing``
does, in a child process. All is a function of what is given, so that a Windows machine can be explained on Linux.
Source: Cryptolib CPS installers (paths of 5.2); ELF, PE and Mach-O headers as their specifications number them.
"""

from __future__ import annotations

import platform
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from pathlib import Path
from typing import Final

_HEAD_BYTES: Final = 4096
_MAX_FAT_SLICES: Final = 32


@unique
class HostSystem(StrEnum):
    """Systems that have a middleware."""

    WINDOWS = "windows"
    LINUX = "linux"
    MACOS = "macos"


@unique
class Architecture(StrEnum):
    """Processors a library or a program is made for."""

    X86 = "x86"
    X86_64 = "x86_64"
    ARM = "arm"
    ARM64 = "arm64"


# ``{windir}`` is the Windows folder. The first that exists and fits the program wins; the others are still looked at,
# so that "the 32-bit one only" can be told from "none".
PATHS: Final[Mapping[HostSystem, tuple[str, ...]]] = {
    HostSystem.WINDOWS: (
        r"{windir}\System32\cps3_pkcs11_w64.dll",
        r"{windir}\System32\cps3_pkcs11_w32.dll",
        r"{windir}\SysWOW64\cps3_pkcs11_w32.dll",
        r"{windir}\System32\cps3_pkcs11.dll",
    ),
    HostSystem.LINUX: (
        "/opt/santesocial/CPS/lib/libcps3_pkcs11_lux.so",
        "/usr/lib64/libcps3_pkcs11_lux.so",
        "/usr/lib/libcps3_pkcs11_lux.so",
        "/usr/lib/x86_64-linux-gnu/libcps3_pkcs11_lux.so",
        "/usr/lib64/libcps3_pkcs11.so",
    ),
    HostSystem.MACOS: (
        "/usr/local/lib/libcps3_pkcs11_osx.dylib",
        "/Library/Frameworks/cps3.framework/cps3_pkcs11",
    ),
}

_ELF_MACHINES: Final = {
    0x03: Architecture.X86,
    0x3E: Architecture.X86_64,
    0x28: Architecture.ARM,
    0xB7: Architecture.ARM64,
}
_PE_MACHINES: Final = {
    0x014C: Architecture.X86,
    0x8664: Architecture.X86_64,
    0x01C4: Architecture.ARM,
    0xAA64: Architecture.ARM64,
}
_MACH_CPUS: Final = {
    0x00000007: Architecture.X86,
    0x01000007: Architecture.X86_64,
    0x0000000C: Architecture.ARM,
    0x0100000C: Architecture.ARM64,
}
_MACHINE_NAMES: Final = {
    "x86_64": (Architecture.X86_64, Architecture.X86),
    "amd64": (Architecture.X86_64, Architecture.X86),
    "i386": (Architecture.X86, Architecture.X86),
    "i686": (Architecture.X86, Architecture.X86),
    "x86": (Architecture.X86, Architecture.X86),
    "aarch64": (Architecture.ARM64, Architecture.ARM),
    "arm64": (Architecture.ARM64, Architecture.ARM),
    "armv7l": (Architecture.ARM, Architecture.ARM),
}


def host_system(name: str = sys.platform) -> HostSystem:
    """Return the system this runs on; anything but Windows and macOS is treated as Linux."""
    if name in {"win32", "cygwin"}:
        return HostSystem.WINDOWS
    return HostSystem.MACOS if name == "darwin" else HostSystem.LINUX


def program_architecture(machine: str | None = None, pointer_bytes: int | None = None) -> Architecture | None:
    """Return what a library must be made for to load here: the interpreter's, not the machine's; None when unknown."""
    known = _MACHINE_NAMES.get((machine if machine is not None else platform.machine()).lower())
    if known is None:
        return None
    return known[0] if (pointer_bytes or struct.calcsize("P")) == 8 else known[1]


def architectures(head: bytes) -> frozenset[Architecture] | None:
    """Return what a library is made for, from its first 4 KiB; None when the file is no library of any system.

    An empty set is a library for a processor that is not in the tables. Never raises on any bytes.
    """
    if head[:4] == b"\x7fELF":
        return _elf(head)
    if head[:2] == b"MZ":
        return _pe(head)
    if head[:4] in {b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe"}:
        return _named(_MACH_CPUS, head, 4, "<I")
    if head[:4] == b"\xca\xfe\xba\xbe":
        return _fat(head)
    return None


def _named(table: Mapping[int, Architecture], head: bytes, offset: int, layout: str) -> frozenset[Architecture] | None:
    if offset < 0 or len(head) < offset + struct.calcsize(layout):
        return None
    (number,) = struct.unpack_from(layout, head, offset)
    return frozenset({table[number]}) if number in table else frozenset()


def _elf(head: bytes) -> frozenset[Architecture] | None:
    if len(head) < 20 or head[5] not in {1, 2}:
        return None
    return _named(_ELF_MACHINES, head, 18, "<H" if head[5] == 1 else ">H")


def _pe(head: bytes) -> frozenset[Architecture] | None:
    if len(head) < 0x40:
        return None
    (start,) = struct.unpack_from("<I", head, 0x3C)
    if head[start : start + 4] != b"PE\x00\x00":
        return None
    return _named(_PE_MACHINES, head, start + 4, "<H")


def _fat(head: bytes) -> frozenset[Architecture] | None:
    if len(head) < 8:
        return None
    (count,) = struct.unpack_from(">I", head, 4)
    if not 0 < count <= _MAX_FAT_SLICES:  # a Java class begins with the same four bytes
        return None
    found: frozenset[Architecture] = frozenset()
    for index in range(count):
        found |= _named(_MACH_CPUS, head, 8 + 20 * index, ">I") or frozenset()
    return found


@unique
class FileVerdict(StrEnum):
    """What a candidate's file says."""

    FITS = "fits"
    OTHER_ARCHITECTURE = "other_architecture"
    NOT_A_LIBRARY = "not_a_library"
    UNREADABLE = "unreadable"  # there, but this user may not read it
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One place that was looked at."""

    path: str
    verdict: FileVerdict
    made_for: tuple[Architecture, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MiddlewareSearch:
    """Everything the file system says about the middleware.

    Attributes:
        system: whose table was used.
        needed: what a library must be made for, or None when unknown (then any is tried).
        is_override: the settings named the only place to look at.
        candidates: each place in order, the missing ones included.
    """

    system: HostSystem
    needed: Architecture | None
    is_override: bool
    candidates: tuple[Candidate, ...]

    @property
    def chosen(self) -> Candidate | None:
        """The one to load."""
        return next((one for one in self.candidates if one.verdict is FileVerdict.FITS), None)

    @property
    def best_wrong(self) -> Candidate | None:
        """When none fits: the one that exists all the same."""
        return next((one for one in self.candidates if one.verdict is not FileVerdict.MISSING), None)


def candidate_paths(system: HostSystem, *, windir: str = r"C:\Windows", override: str | None = None) -> tuple[str, ...]:
    """Return where to look, in order. An override of the settings is the only place: a mistake there must be seen."""
    if override:
        return (override,)
    return tuple(path.format(windir=windir.rstrip("\\")) for path in PATHS[system])


def search(
    paths: Sequence[str],
    *,
    system: HostSystem,
    needed: Architecture | None,
    read_head: Callable[[str], bytes | None],
    is_override: bool = False,
) -> MiddlewareSearch:
    """Look at each place through ``read_head``: the first 4 KiB, None when missing, OSError when not readable."""
    return MiddlewareSearch(
        system=system,
        needed=needed,
        is_override=is_override,
        candidates=tuple(_look(path, needed, read_head) for path in paths),
    )


def _look(path: str, needed: Architecture | None, read_head: Callable[[str], bytes | None]) -> Candidate:
    try:
        head = read_head(path)
    except OSError:
        return Candidate(path=path, verdict=FileVerdict.UNREADABLE)
    if head is None:
        return Candidate(path=path, verdict=FileVerdict.MISSING)
    made_for = architectures(head)
    if made_for is None:
        return Candidate(path=path, verdict=FileVerdict.NOT_A_LIBRARY)
    fits = needed is None or needed in made_for
    return Candidate(
        path=path,
        verdict=FileVerdict.FITS if fits else FileVerdict.OTHER_ARCHITECTURE,
        made_for=tuple(sorted(made_for)),
    )


def read_head(path: str) -> bytes | None:
    """Return the first 4 KiB of a file; None when there is none. Raises OSError when it may not be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_HEAD_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None


def search_here(*, override: str | None = None, windir: str = r"C:\Windows") -> MiddlewareSearch:
    """Look on this machine: reads a few files, loads nothing. ``windir`` is the environment's, given by the caller."""
    system = host_system()
    return search(
        candidate_paths(system, windir=windir, override=override),
        system=system,
        needed=program_architecture(),
        read_head=read_head,
        is_override=bool(override),
    )
