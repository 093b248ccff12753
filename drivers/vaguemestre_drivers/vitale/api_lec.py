"""The GIE SESAM-Vitale's reading library (api_lec), where a practice has it: three functions called through ctypes.

Owns loading, the calls and their bounds. The library is a component under licence, installed by others: it is looked
for, never shipped; without it every card but Vitale 2 stays unread: a situation, not a fault. It opens the reader
itself, so no transaction of ours may be open meanwhile. It may hang or crash: only the readers process calls it.
Source: function table of docs/cards.md (public callers), unverified against the licensed documentation.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Final, TypeAlias

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.vitale import Beneficiary, VitaleReading, VitaleSource
from vaguemestre_drivers.vitale.fingerprint import Fingerprints
from vaguemestre_drivers.vitale.identification_xml import MAX_BYTES, IdentificationInvalid, decode_identification

OK: Final = 0
_GUARD_BYTES: Final = 4_096
_GUARD: Final = b"\xa5" * _GUARD_BYTES
_TIMEOUT_MAX: Final = 32_767

_U16: TypeAlias = ctypes.c_uint16
_Function: TypeAlias = Callable[..., int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiLecPlace:
    """Where the library is and which folder it wants (its ini and tables)."""

    library: PurePath
    data_folder: PurePath


USUAL_PLACES: Final[dict[str, tuple[ApiLecPlace, ...]]] = {
    "win32": (
        ApiLecPlace(
            library=PureWindowsPath(r"C:\Program Files\santesocial\api_lec\api_lec64.dll"),
            data_folder=PureWindowsPath(r"C:\ProgramData\santesocial\api_lec64"),
        ),
    ),
    "darwin": (
        ApiLecPlace(
            library=PurePosixPath("/Library/Application Support/santesocial/apilec/libapi_lec.dylib"),
            data_folder=PurePosixPath("/Library/Application Support/santesocial/apilec"),
        ),
        ApiLecPlace(
            library=PurePosixPath("/Library/Frameworks/api_lec.framework/api_lec"),
            data_folder=PurePosixPath("/Library/Application Support/santesocial/apilec"),
        ),
    ),
}
"""By ``sys.platform``; nothing is known for Linux, where a setting names it. macOS folders are unverified."""


def find_api_lec(setting: ApiLecPlace | None, *, platform: str = sys.platform) -> ApiLecPlace | None:
    """Return the place of the setting, else the first usual one, provided that the library is there."""
    candidates = USUAL_PLACES.get(platform, ()) if setting is None else (setting,)
    return next((place for place in candidates if Path(place.library).is_file()), None)


class ApiLec:
    """The library, loaded at the first reading and kept: its calls are made one at a time.

    Args:
        place: where it is; None when it is not installed.
        fingerprints: those of the process.
        timeout: the time given to the library, in its own unit (seconds, unverified), 0 to 32767.
    """

    def __init__(self, place: ApiLecPlace | None, fingerprints: Fingerprints, *, timeout: int = 10) -> None:
        if not 0 <= timeout <= _TIMEOUT_MAX:
            raise ValueError("the timeout is a 16-bit number")
        self._place = place
        self._fingerprints = fingerprints
        self._timeout = timeout
        self._functions: _Functions | None = None
        self._lock = threading.Lock()

    @property
    def is_present(self) -> bool:
        """Whether the library was found: ``read`` may still fail."""
        return self._place is not None

    def read(self) -> VitaleReading:
        """Read the identification data of the card now in the reader of the library's own settings.

        Raises:
            CardTrouble: VITALE_COMPONENT_ABSENT (no library), VITALE_COMPONENT_FAILED with ``step`` (load, init,
                read, answer) and the library's own ``status`` and ``error`` numbers, which its documentation explains.
        """
        with self._lock:
            if self._place is None:
                raise CardTrouble(Situation.VITALE_COMPONENT_ABSENT)
            if self._functions is None:
                self._functions = _Functions.load(self._place)
            content = self._functions.read(self._place.data_folder, self._timeout)
        try:
            beneficiaries = decode_identification(content)
        except IdentificationInvalid as error:
            raise _failed("answer", reason=error.reason) from error
        return VitaleReading(
            source=VitaleSource.API_LEC,
            beneficiaries=beneficiaries,
            fingerprint=self._fingerprints.of(VitaleSource.API_LEC, *map(_identifying, beneficiaries)),
        )


def _identifying(person: Beneficiary) -> bytes:
    numbers = [nir.number for nir in (person.nir, person.certified_nir) if nir is not None]
    date = person.birth_date.text if person.birth_date is not None else ""
    names = [person.usual_name, person.given_name, person.birth_name or "", str(person.birth_rank or "")]
    return "\x1f".join([date, *names, *numbers]).encode()


def _failed(step: str, **params: str | int) -> CardTrouble:
    return CardTrouble(Situation.VITALE_COMPONENT_FAILED, step=step, **params)


class _Functions:
    """The three functions, with their C types."""

    def __init__(self, init: _Function, read: _Function, finish: _Function) -> None:
        self._init = init
        self._read = read
        self._finish = finish

    @classmethod
    def load(cls, place: ApiLecPlace) -> _Functions:
        """Load the library; nothing is called yet."""
        try:
            library = ctypes.CDLL(str(place.library))
        except OSError as error:
            raise _failed("load", reason="library") from error
        p16 = ctypes.POINTER(_U16)
        try:
            init, finish = library.Hn_Init, library.Hn_Finir
            read = library.Hn_LectureVitaleDonneesIdentification
        except AttributeError as error:
            raise _failed("load", reason="functions") from error
        init.argtypes, init.restype = [ctypes.c_char_p, p16, p16], _U16
        read.argtypes = [
            ctypes.c_int16,
            ctypes.c_void_p,
            ctypes.POINTER(ctypes.c_uint32),
            ctypes.POINTER(ctypes.c_int16),
            p16,
        ]
        read.restype = _U16
        finish.argtypes, finish.restype = [p16], _U16
        return cls(init, read, finish)

    def read(self, folder: PurePath, timeout: int) -> bytes:
        """Open, read and close; the buffer is wiped whatever happens."""
        mode, error = _U16(0), _U16(0)
        status = self._init(_native(folder), ctypes.byref(mode), ctypes.byref(error))
        if status != OK:
            raise _failed("init", status=status, error=error.value)
        try:
            return self._read_answer(timeout)
        finally:
            # What was read stays read: an error of closing helps nobody, and the next opening tells it.
            self._finish(ctypes.byref(_U16(0)))

    def _read_answer(self, timeout: int) -> bytes:
        size = MAX_BYTES + _GUARD_BYTES
        buffer = ctypes.create_string_buffer(size)
        ctypes.memmove(ctypes.addressof(buffer) + MAX_BYTES, _GUARD, _GUARD_BYTES)
        length, card, error = ctypes.c_uint32(MAX_BYTES), ctypes.c_int16(0), _U16(0)
        try:
            status = self._read(timeout, buffer, ctypes.byref(length), ctypes.byref(card), ctypes.byref(error))
            if ctypes.string_at(ctypes.addressof(buffer) + MAX_BYTES, _GUARD_BYTES) != _GUARD:
                raise _failed("read", reason="overrun")
            if status != OK:
                raise _failed("read", status=status, error=error.value, card_state=card.value)
            if length.value > MAX_BYTES:
                raise _failed("read", reason="length")
            # Whether the length counts a final zero, or is set at all, is not documented publicly.
            return ctypes.string_at(buffer, length.value).partition(b"\x00")[0]
        finally:
            ctypes.memset(buffer, 0, size)


def _native(folder: PurePath) -> bytes:
    """Return the folder as the C side wants it: the ANSI code page on Windows, else the file system's encoding."""
    return str(folder).encode("mbcs", "strict") if sys.platform == "win32" else os.fsencode(folder)
