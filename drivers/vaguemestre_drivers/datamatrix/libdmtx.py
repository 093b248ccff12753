"""libdmtx by ctypes: the second chance, with its own time limit, whole contents and the place of each symbol.

Owns the binding. It takes the library that pylibdmtx ships (Windows) or the system's, and none of pylibdmtx's Python:
that imports ``distutils``, gone from Python 3.12, stops a content at its first zero byte, and loses FNC1 (record 0020).
Not thread safe beyond what libdmtx is: one call works on its own objects only, so calls may run side by side.
Source: libdmtx 0.7.4 to 0.7.7, dmtx.h.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vaguemestre_core.redaction import SecretBytes
from vaguemestre_drivers.datamatrix import codewords
from vaguemestre_drivers.datamatrix.native import DecoderMissing
from vaguemestre_drivers.datamatrix.symbols import FoundSymbol, Point, Quad, Reader

if TYPE_CHECKING:
    from vaguemestre_drivers.datamatrix.native import Grey

_PACK_8BPP: Final = 300  # one byte a pixel, grey
_UNDEFINED: Final = -1
_MOST_REGIONS: Final = 2_000
_NEWER: Final = (0, 7, 5)  # from here a message holds one field more


class _Time(ctypes.Structure):
    _fields_ = [("sec", ctypes.c_longlong), ("usec", ctypes.c_ulong)]


class _Loc(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_int)]


class _Vector(ctypes.Structure):
    _fields_ = [("x", ctypes.c_double), ("y", ctypes.c_double)]


class _Line(ctypes.Structure):
    _fields_ = [("counts", ctypes.c_int * 7), ("deviation", ctypes.c_double), ("places", _Loc * 3)]


class _Side(ctypes.Structure):
    _fields_ = [("known", ctypes.c_int), ("angle", ctypes.c_int), ("place", _Loc)]


class _Edge(ctypes.Structure):
    _fields_ = [("side", _Side), ("line", _Line)]


class _Region(ctypes.Structure):
    _fields_ = [
        ("jumps", ctypes.c_int * 3),
        ("bounds", _Loc * 4),
        ("flow", ctypes.c_int * 4),
        ("flow_place", _Loc),
        ("polarity_and_steps", ctypes.c_int * 3),
        ("turn_places", _Loc * 2),
        ("left_and_bottom", _Edge * 2),
        ("top_and_right", _Side * 2),
        ("sizes", ctypes.c_int * 7),
        ("raw_to_fit", ctypes.c_double * 9),
        ("fit_to_raw", ctypes.c_double * 9),
    ]


class _OlderMessage(ctypes.Structure):
    _fields_ = [
        ("array_size", ctypes.c_size_t),
        ("code_size", ctypes.c_size_t),
        ("output_size", ctypes.c_size_t),
        ("output_index", ctypes.c_int),
        ("pad_count", ctypes.c_int),
        ("array", ctypes.c_void_p),
        ("code", ctypes.c_void_p),
        ("output", ctypes.c_void_p),
    ]


class _Message(ctypes.Structure):
    _fields_ = [
        *_OlderMessage._fields_[:5],
        ("fnc1", ctypes.c_int),
        *_OlderMessage._fields_[5:],
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Library:
    """The functions used, and which message they give."""

    handle: ctypes.CDLL
    message: type[_OlderMessage | _Message]


def available() -> bool:
    """Return whether the second chance exists on this workstation."""
    return _library() is not None


def decode(image: Grey, *, limit_s: float, found_by: str, at_most: int = 1) -> tuple[FoundSymbol, ...]:
    """Look for Data Matrix symbols, turned and inverted ones included.

    Args:
        image: grey, contiguous.
        limit_s: the search ends then, with what was found. It counts on the wall clock (libdmtx does).
        found_by: name of the pass, for the symbols.
        at_most: stop after that many symbols.

    Raises:
        DecoderMissing: DECODER_MISSING when the library is not installed.
    """
    height, width = image.shape
    found: list[FoundSymbol] = []
    library = _library()
    if library is None:
        raise DecoderMissing(library="libdmtx")
    lib = library.handle
    pixels = image.ctypes.data_as(ctypes.c_void_p)
    picture = ctypes.c_void_p(lib.dmtxImageCreate(pixels, width, height, _PACK_8BPP))
    if picture.value is None:
        return ()
    try:
        decoder = ctypes.c_void_p(lib.dmtxDecodeCreate(picture, 1))
        if decoder.value is None:
            return ()
        try:
            until = lib.dmtxTimeAdd(lib.dmtxTimeNow(), max(1, int(limit_s * 1000)))
            for symbol in _symbols(library, decoder, until, height, found_by):
                found.append(symbol)
                if len(found) >= at_most:
                    break
        finally:
            lib.dmtxDecodeDestroy(ctypes.byref(decoder))
    finally:
        lib.dmtxImageDestroy(ctypes.byref(picture))
    return tuple(found)


def _symbols(
    library: _Library, decoder: ctypes.c_void_p, until: _Time, height: int, found_by: str
) -> Iterator[FoundSymbol]:
    lib = library.handle
    for _ in range(_MOST_REGIONS):
        region = ctypes.c_void_p(lib.dmtxRegionFindNext(decoder, ctypes.byref(until)))
        if region.value is None:
            return
        try:
            message = ctypes.c_void_p(lib.dmtxDecodeMatrixRegion(decoder, region, _UNDEFINED))
            if message.value is None:
                continue
            try:
                held = ctypes.cast(message, ctypes.POINTER(library.message)).contents
                read = _message(held)
            finally:
                lib.dmtxMessageDestroy(ctypes.byref(message))
            if read is not None:
                place = _place(lib, ctypes.cast(region, ctypes.POINTER(_Region)).contents, height)
                yield FoundSymbol(
                    content=SecretBytes(read.content),
                    symbology=read.symbology,
                    place=place,
                    reader=Reader.LIBDMTX,
                    found_by=found_by,
                )
        finally:
            lib.dmtxRegionDestroy(ctypes.byref(region))


def _message(held: _OlderMessage | _Message) -> codewords.Message | None:
    data = codewords.DATA_CODEWORDS.get(int(held.code_size))
    if data is None or not held.code:
        return None
    try:
        read = codewords.message(ctypes.string_at(held.code, data))
    except codewords.NotDecodable:
        return None
    return read if read.content else None


def _place(lib: ctypes.CDLL, region: _Region, height: int) -> Quad:
    def corner(x: float, y: float) -> Point:
        vector = _Vector(x, y)
        lib.dmtxMatrix3VMultiplyBy(ctypes.byref(vector), region.fit_to_raw)
        return (vector.x, height - vector.y)  # libdmtx counts rows from the bottom

    return Quad(
        top_left=corner(0.0, 1.0),
        top_right=corner(1.0, 1.0),
        bottom_right=corner(1.0, 0.0),
        bottom_left=corner(0.0, 0.0),
    )


@functools.cache
def _library() -> _Library | None:
    """Return the library, None when it is not installed: searched for once, as a search may start other programs."""
    path = _path()
    if path is None:
        return None
    try:
        handle = ctypes.CDLL(path)
        _declare(handle)
        version = tuple(int(part) for part in handle.dmtxVersion().decode("ascii").split("."))
    except (OSError, AttributeError, ValueError):
        return None
    return _Library(handle=handle, message=_Message if version >= _NEWER else _OlderMessage)


def _path() -> str | None:
    """Return the file of the library: beside pylibdmtx's Python on Windows, the system's elsewhere."""
    if sys.platform == "win32":
        name = "libdmtx-64.dll" if sys.maxsize > 2**32 else "libdmtx-32.dll"
        spec = importlib.util.find_spec("pylibdmtx")
        for folder in spec.submodule_search_locations or () if spec is not None else ():
            if (Path(folder) / name).is_file():
                return str(Path(folder) / name)
        return name
    return ctypes.util.find_library("dmtx")


def _declare(lib: ctypes.CDLL) -> None:
    pointer = ctypes.c_void_p
    signatures: dict[str, tuple[type[ctypes._CDataType] | None, list[type[ctypes._CDataType]]]] = {
        "dmtxVersion": (ctypes.c_char_p, []),
        "dmtxTimeNow": (_Time, []),
        "dmtxTimeAdd": (_Time, [_Time, ctypes.c_long]),
        "dmtxImageCreate": (pointer, [pointer, ctypes.c_int, ctypes.c_int, ctypes.c_int]),
        "dmtxImageDestroy": (ctypes.c_uint, [ctypes.POINTER(pointer)]),
        "dmtxDecodeCreate": (pointer, [pointer, ctypes.c_int]),
        "dmtxDecodeDestroy": (ctypes.c_uint, [ctypes.POINTER(pointer)]),
        "dmtxRegionFindNext": (pointer, [pointer, ctypes.POINTER(_Time)]),
        "dmtxRegionDestroy": (ctypes.c_uint, [ctypes.POINTER(pointer)]),
        "dmtxDecodeMatrixRegion": (pointer, [pointer, pointer, ctypes.c_int]),
        "dmtxMessageDestroy": (ctypes.c_uint, [ctypes.POINTER(pointer)]),
        "dmtxMatrix3VMultiplyBy": (ctypes.c_int, [ctypes.POINTER(_Vector), ctypes.c_double * 9]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype = result
        function.argtypes = arguments
