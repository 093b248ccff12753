"""Looks at the workstation around the readers: plugged readers, remote session, old managers, proxies, clock.

Owns where each system tells it. Reads files, variables and the answers of the system's own programs; changes nothing.
Each reading is a function of what is given, so that the words of one system are tested on another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from vaguemestre_agent.doctor.asking import Heard, ask_program
from vaguemestre_agent.doctor.facts import GalssFacts, GalssFile, SystemFacts
from vaguemestre_drivers.cps.middleware import HostSystem

Ask = Callable[[Sequence[str]], Heard]
SMART_CARD_CLASS: Final = "0b"
"""USB interface class of smart-card readers. Source: USB CCID 1.1."""
_USB_DEVICES: Final = Path("/sys/bus/usb/devices")
_CCID_BUNDLES: Final = (
    "/usr/lib/pcsc/drivers/ifd-ccid.bundle",
    "/usr/lib64/pcsc/drivers/ifd-ccid.bundle",
    "/usr/local/lib/pcsc/drivers/ifd-ccid.bundle",
)
_DEVICE_ID: Final = re.compile(r":\s+((?:USB|ROOT|SWD|ACPI|PCI)\\\S+)")
_MACOS_CLASS: Final = re.compile(r'"bInterfaceClass" = 11\b')
_MACOS_TOKEN: Final = re.compile(r"^\s*([A-Za-z][\w.-]*\.[\w.-]+):", re.MULTILINE)
_SERIAL_PORT: Final = re.compile(r"\bCOM\s*=?\s*\d|/dev/tty|/dev/cu\.", re.IGNORECASE)
_INI_BYTES: Final = 65_536
# Folders and names under which GALSS is found on workstations; a name that is not here only leaves one sentence unsaid.
GALSS_FOLDERS: Final[Mapping[HostSystem, tuple[str, ...]]] = {
    HostSystem.WINDOWS: (
        r"{windir}",
        r"{windir}\System32",
        r"{windir}\SysWOW64",
        r"C:\Program Files\santesocial\galss",
        r"C:\Program Files (x86)\santesocial\galss",
    ),
    HostSystem.LINUX: ("/etc/opt/santesocial/galss", "/opt/santesocial/galss/bin", "/opt/santesocial/galss/lib"),
    HostSystem.MACOS: ("/Library/Preferences", "/Library/Application Support/santesocial/galss"),
}
GALSS_INI: Final = "galss.ini"
GALSS_PROGRAMS: Final = ("galsvw32.exe", "galclw32.dll", "galinw32.dll", "galss", "libgalcllux.so")
PROXY_VARIABLES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def probe_system(
    system: HostSystem, environment: Mapping[str, str], ask: Ask = ask_program, *, usb: Path = _USB_DEVICES
) -> SystemFacts:
    """Return what the workstation says of itself."""
    plugged, faulty = _plugged(system, ask, usb)
    return SystemFacts(
        system=system,
        remote=remote_session(system, environment),
        plugged=plugged,
        faulty=faulty,
        has_driver=any(Path(one).exists() for one in _CCID_BUNDLES) if system is HostSystem.LINUX else None,
        card_tokens=macos_tokens(ask(("security", "list-smartcards"))) if system is HostSystem.MACOS else (),
        galss=galss_in([one.format(windir=_windir(environment)) for one in GALSS_FOLDERS[system]]),
        proxies=proxied_local_calls(environment),
        is_clock_kept=_is_clock_kept(system, ask),
    )


def _windir(environment: Mapping[str, str]) -> str:
    return environment.get("WINDIR", environment.get("windir", r"C:\Windows")).rstrip("\\")


def _plugged(system: HostSystem, ask: Ask, usb: Path) -> tuple[int | None, int | None]:
    if system is HostSystem.LINUX:
        return usb_readers(usb), None
    if system is HostSystem.MACOS:
        heard = ask(("ioreg", "-r", "-l", "-c", "IOUSBHostInterface"))
        return (len(_MACOS_CLASS.findall(heard.text)), None) if heard.is_fine else (None, None)
    listing = ("pnputil", "/enum-devices", "/class", "SmartCardReader")
    return windows_readers(ask((*listing, "/connected"))), windows_readers(ask((*listing, "/connected", "/problem")))


def usb_readers(devices: Path) -> int | None:
    """Return how many plugged USB devices are smart-card readers; None where the kernel does not tell."""
    try:
        interfaces = list(devices.glob("*/bInterfaceClass"))
        if not devices.is_dir():
            return None
        found = {one.parent.name.partition(":")[0] for one in interfaces if _read(one).strip() == SMART_CARD_CLASS}
    except OSError:
        return None
    return len(found)


def windows_readers(heard: Heard) -> int | None:
    """Return how many devices ``pnputil`` lists, in any language; None when it does not know the question."""
    found = len(set(_DEVICE_ID.findall(heard.text)))
    # Without any device it ends with a status of its own: an answer that names none is none only when it ended well.
    return found if found or heard.is_fine else None


def macos_tokens(heard: Heard) -> tuple[str, ...]:
    """Return the drivers that have a card, without the card's own number after the colon."""
    return tuple(dict.fromkeys(_MACOS_TOKEN.findall(heard.text))) if heard.is_fine else ()


def remote_session(system: HostSystem, environment: Mapping[str, str]) -> str:
    """Return how this session is shown elsewhere, in one word; empty at the desk."""
    if system is HostSystem.WINDOWS:
        name = environment.get("SESSIONNAME", "").upper()
        return next((kind for kind in ("RDP", "ICA", "PCOIP") if name.startswith(kind)), "").lower()
    if environment.get("XRDP_SESSION"):
        return "xrdp"
    return "ssh" if environment.get("SSH_CONNECTION") else ""


def galss_in(folders: Sequence[str]) -> GalssFacts:
    """Return what is left of GALSS in these folders: names of files, and the kind of its settings."""
    programs: list[str] = []
    ini = GalssFile.ABSENT
    for folder in map(Path, folders):
        programs += [name for name in GALSS_PROGRAMS if _is_file(folder / name) and name not in programs]
        if ini is GalssFile.ABSENT and _is_file(folder / GALSS_INI):
            ini = _kind_of_ini(folder / GALSS_INI)
    return GalssFacts(ini=ini, programs=tuple(programs))


def _kind_of_ini(path: Path) -> GalssFile:
    try:
        text = _read(path)
    except OSError:
        return GalssFile.PLAIN
    if not text.strip():
        return GalssFile.EMPTY
    return GalssFile.SERIAL if _SERIAL_PORT.search(text) else GalssFile.PLAIN


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_INI_BYTES).decode("latin-1")


def proxied_local_calls(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the variables that would send a call to this very machine through a proxy."""
    spared = {one.strip() for one in _variable(environment, "NO_PROXY").split(",")}
    if "*" in spared or {"localhost", "127.0.0.1"} <= spared:
        return ()
    return tuple(name for name in PROXY_VARIABLES if _variable(environment, name))


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name) or environment.get(name.lower(), "")


def _is_clock_kept(system: HostSystem, ask: Ask) -> bool | None:
    if system is HostSystem.LINUX:
        return linux_clock(ask(("timedatectl", "show", "--property=NTPSynchronized")))
    if system is HostSystem.WINDOWS:
        return windows_clock(ask(("reg", "query", r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time\Parameters")))
    return None  # macOS tells an administrator only


def linux_clock(heard: Heard) -> bool | None:
    """Return whether the clock is kept, from ``timedatectl show``."""
    name, _, value = heard.text.strip().partition("=")
    return {"yes": True, "no": False}.get(value) if heard.is_fine and name == "NTPSynchronized" else None


def windows_clock(heard: Heard) -> bool | None:
    """Return whether the clock is kept, from the registry's own words, the same in any language."""
    found = re.search(r"^\s+Type\s+REG_SZ\s+(\w+)", heard.text, re.MULTILINE)
    return found.group(1).upper() != "NOSYNC" if heard.is_fine and found else None
