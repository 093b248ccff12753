"""The identity of the machine, as far as the system tells: what a copied disk does not take along, or takes whole.

Owns where each system keeps it; the answers are digests, never the values. An installation's identity (machine-id,
MachineGuid) goes with a cloned disk, the firmware's does not: the firmware decides where it can be read.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

_UUID_START: Final = 8  # offset of the UUID in the SMBIOS structure of type 1 (DMTF DSP0134)
_SYSTEM_INFORMATION: Final = 1
_END_OF_TABLE: Final = 127


def machine_identity() -> tuple[str, str]:
    """Return digests of the firmware's and the installation's identity; empty where the system tells nothing."""
    firmware, installation = _parts()
    return _digest(firmware), _digest(installation)


def _digest(value: str) -> str:
    return hashlib.sha256(f"vaguemestre-machine/{value}".encode()).hexdigest() if value else ""


def smbios_uuid(table: bytes) -> str:
    """Return the system UUID of a raw SMBIOS structure table (hexadecimal), empty when there is none.

    Args:
        table: the structures one after the other, each followed by its texts and two zero bytes.
    """
    at = 0
    while at + 4 <= len(table):
        kind, length = table[at], table[at + 1]
        if length < 4 or kind == _END_OF_TABLE:
            break
        if kind == _SYSTEM_INFORMATION and length >= _UUID_START + 16:
            value = table[at + _UUID_START : at + _UUID_START + 16]
            return "" if value in (bytes(16), b"\xff" * 16) or len(value) < 16 else value.hex()
        end = table.find(b"\x00\x00", at + length)
        if end < 0:
            break
        at = end + 2
    return ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


if sys.platform == "win32":
    import ctypes
    import winreg

    _RSMB: Final = 0x52534D42
    _HEADER_BYTES: Final = 8  # of RawSMBIOSData, before the structures

    def _parts() -> tuple[str, str]:
        return smbios_uuid(_firmware_table()), _machine_guid()

    def _machine_guid() -> str:
        try:
            access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography", 0, access) as key:
                return str(winreg.QueryValueEx(key, "MachineGuid")[0])
        except OSError:
            return ""

    def _firmware_table() -> bytes:
        read = ctypes.windll.kernel32.GetSystemFirmwareTable
        size = int(read(_RSMB, 0, None, 0))
        if size <= _HEADER_BYTES:
            return b""
        buffer = ctypes.create_string_buffer(size)
        if int(read(_RSMB, 0, buffer, size)) != size:
            return b""
        return buffer.raw[_HEADER_BYTES:]

elif sys.platform == "darwin":

    def _parts() -> tuple[str, str]:
        try:
            told = subprocess.run(
                ["/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice"],
                capture_output=True,
                timeout=5.0,
                check=False,
            ).stdout.decode(errors="replace")
        except (OSError, subprocess.TimeoutExpired):
            return "", ""
        found = re.search(r'"IOPlatformUUID" = "([0-9A-Fa-f-]+)"', told)
        return (found.group(1) if found else ""), ""

else:

    def _parts() -> tuple[str, str]:
        # The firmware's UUID can be read by root only: an agent under another user knows the machine-id.
        return (
            _text("/sys/class/dmi/id/product_uuid"),
            _text("/etc/machine-id") or _text("/var/lib/dbus/machine-id"),
        )
