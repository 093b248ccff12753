"""The child that loads a middleware to see whether it works, and says each step before it takes it.

Runs as ``python -m vaguemestre_drivers.cps.probe PATH`` and may die or hang at any step: its parent (``probing``) keeps
what was said. It uses ctypes alone, so that it works where the PKCS#11 binding is missing, opens no session and never
sees a PIN. Not to be imported by anything but its parent, which needs its words.
Source: PKCS #11 v2.40 (CK_INFO, the first entries of CK_FUNCTION_LIST).
"""

from __future__ import annotations

import ctypes
import sys
from functools import partial
from typing import ClassVar, Final

from vaguemestre_drivers import childlines
from vaguemestre_drivers.crashes import quiet_crash

# Each line that is ours begins with it: a middleware may print too.
MARK: Final = "vaguemestre-probe "
STEPS: Final = ("load", "entry", "initialize", "info", "slots", "done")

say: Final = partial(childlines.say, MARK)
_PACK: Final = 1 if sys.platform == "win32" else 0
_OK: Final = 0
_ALREADY_INITIALIZED: Final = 0x191
_MAX_SLOTS: Final = 64
_INDEX_INITIALIZE, _INDEX_FINALIZE, _INDEX_GET_INFO, _INDEX_GET_SLOT_LIST = 0, 1, 2, 4


class _Version(ctypes.Structure):
    _fields_: ClassVar = [("major", ctypes.c_ubyte), ("minor", ctypes.c_ubyte)]


class _Info(ctypes.Structure):
    _pack_ = _PACK
    _fields_: ClassVar = [
        ("cryptoki", _Version),
        ("manufacturer", ctypes.c_char * 32),
        ("flags", ctypes.c_ulong),
        ("description", ctypes.c_char * 32),
        ("library", _Version),
    ]


class _Functions(ctypes.Structure):
    _pack_ = _PACK
    _fields_: ClassVar = [("version", _Version), ("entry", ctypes.c_void_p * 8)]


def probe(path: str) -> None:
    """Load, ask and say. Ends by returning; what could not be done is a line with ``rv`` or ``errno``."""
    say("load")
    try:
        library = ctypes.CDLL(path)
    except OSError as refused:
        say("load", failed=1, errno=getattr(refused, "winerror", None) or refused.errno or 0)
        return
    say("entry")
    try:
        get_list = library.C_GetFunctionList
    except AttributeError:
        say("entry", failed=1)
        return
    functions = ctypes.POINTER(_Functions)()
    get_list.restype = ctypes.c_ulong
    returned = int(get_list(ctypes.byref(functions)))
    if returned != _OK or not ctypes.cast(functions, ctypes.c_void_p).value:
        say("entry", failed=1, rv=returned)
        return
    entries = [entry or 0 for entry in functions.contents.entry]
    initialize = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)(entries[_INDEX_INITIALIZE])
    say("initialize")
    returned = int(initialize(None))
    if returned not in {_OK, _ALREADY_INITIALIZED}:
        say("initialize", failed=1, rv=returned)
        return
    if _ask(entries):
        ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)(entries[_INDEX_FINALIZE])(None)
        say("done")


def _ask(entries: list[int]) -> bool:
    say("info")
    info = _Info()
    get_info = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.POINTER(_Info))(entries[_INDEX_GET_INFO])
    returned = int(get_info(ctypes.byref(info)))
    if returned != _OK:
        say("info", failed=1, rv=returned)
        return False
    say(
        "info",
        cryptoki=f"{info.cryptoki.major}.{info.cryptoki.minor}",
        library=f"{info.library.major}.{info.library.minor}",
        description=bytes(info.description).decode("ascii", "replace").strip(" \0"),
    )
    say("slots")
    for name, only_present in (("readers", 0), ("cards", 1)):
        slots = (ctypes.c_ulong * _MAX_SLOTS)()
        count = ctypes.c_ulong(_MAX_SLOTS)
        get_slots = ctypes.CFUNCTYPE(
            ctypes.c_ulong, ctypes.c_ubyte, ctypes.POINTER(ctypes.c_ulong), ctypes.POINTER(ctypes.c_ulong)
        )(entries[_INDEX_GET_SLOT_LIST])
        returned = int(get_slots(only_present, slots, ctypes.byref(count)))
        if returned != _OK:
            say("slots", failed=1, rv=returned)
            return False
        say("slots", **{name: int(count.value)})
    return True


if __name__ == "__main__":
    quiet_crash()
    probe(sys.argv[1])
