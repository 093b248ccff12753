"""Read the text of a Datamatrix INS into the traits it carries, with what is doubtful in them.

Owns the grammar (header of 26 characters, fields S1 to S7 in any order, GS or not); never decides an identity, never
prints a value: errors name the field and the reason only. Source: ANS, Format datamatrix INS v2.2.20230926, as public
writers and readers implement it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import INS_OIDS, OID_INS_NIR, Ins, Sex
from vaguemestre_core.scans import InsHint, InsScan
from vaguemestre_documents.scancodes.text import GS, with_separators

HEADER: Final = "IS01" + "0" * 22
HEADER_LENGTH: Final = 26
KNOWN_VERSION: Final = "01"

FIXED_LENGTHS: Final[Mapping[str, int]] = MappingProxyType({"S1": 15, "S5": 1, "S6": 10, "S7": 5})
MAX_LENGTHS: Final[Mapping[str, int]] = MappingProxyType({"S2": 20, "S3": 100, "S4": 100})
_REQUIRED: Final = ("S1", "S2", "S3", "S4", "S5", "S6")

_FIELD_ID: Final = re.compile(r"S[0-9]")
_KNOWN_ID: Final = re.compile(r"S[1-7]")
_NAME: Final = re.compile(r"[A-Z '\-]+")
_COG: Final = re.compile(r"[0-9](?:[0-9]|[AB])[0-9]{3}")
_SEXES: Final[Mapping[str, Sex]] = MappingProxyType({"F": Sex.FEMININ, "M": Sex.MASCULIN})
# A US scanner on a French desktop, a French one on a US desktop: the digits of IS01 as their keys write without Shift
# and with it, an AIM identifier in front or not.
_OTHER_LAYOUT: Final = re.compile(r"(?:.{3})?IS(?:à&|\)!)")
# Without GS, only these tell where S2 ends.
_OID_WITHOUT_SEPARATOR: Final = re.compile(r"1\.2\.250\.1\.213\.1\.4\.(?:8|9|10|11)")


def looks_like_ins(text: str) -> bool:
    """Return whether a text begins as an INS code does, of any version, or as one typed in another layout would."""
    return re.match(r"IS[0-9]{2}", text) is not None or _OTHER_LAYOUT.match(text) is not None


def read_ins(text: str) -> InsScan:
    """Return the traits of an INS code, its line ends and AIM identifier already taken off.

    Raises:
        InvalidInput: ``INS_CODE_INVALID`` with a reason (header, version, layout, length, value, missing, duplicate,
            unreadable) and, where one is at fault, the field.
    """
    if _OTHER_LAYOUT.match(text) is not None:
        raise InvalidInput("INS_CODE_INVALID", reason="layout")
    if not looks_like_ins(text):
        raise InvalidInput("INS_CODE_INVALID", reason="header")
    if text[2:4] != KNOWN_VERSION:
        raise InvalidInput("INS_CODE_INVALID", reason="version")
    if len(text) < HEADER_LENGTH:
        raise InvalidInput("INS_CODE_INVALID", reason="header")
    data = with_separators(text[HEADER_LENGTH:])
    hints: set[InsHint] = set()
    fields = _with_separators(data, hints) if GS in data else _without_separators(data, hints)
    for required in _REQUIRED:
        if required not in fields:
            raise InvalidInput("INS_CODE_INVALID", reason="missing", field=required)
    return _scan(fields, hints)


def _with_separators(data: str, hints: set[InsHint]) -> dict[str, str]:
    fields: dict[str, str] = {}
    place = 0
    while place < len(data):
        if data[place] == GS:
            place += 1
            continue
        name = data[place : place + 2]
        if _FIELD_ID.fullmatch(name) is None:
            raise InvalidInput("INS_CODE_INVALID", reason="unreadable")
        place += 2
        end = data.find(GS, place)
        end = len(data) if end < 0 else end
        if _KNOWN_ID.fullmatch(name) is None:
            hints.add(InsHint.UNKNOWN_FIELD)
            place = end
            continue
        length = FIXED_LENGTHS.get(name, MAX_LENGTHS.get(name, 0))
        if name in FIXED_LENGTHS and end - place < length:
            raise InvalidInput("INS_CODE_INVALID", reason="length", field=name)
        value = data[place : min(end, place + length)]
        _put(fields, name, value)
        place += len(value)
    return fields


def _without_separators(data: str, hints: set[InsHint]) -> dict[str, str]:
    """Split at the identifiers: no value holds an S followed by a digit."""
    marks = list(_FIELD_ID.finditer(data))
    if not marks or marks[0].start() != 0:
        raise InvalidInput("INS_CODE_INVALID", reason="unreadable")
    fields: dict[str, str] = {}
    for mark, end in zip(marks, [mark.start() for mark in marks[1:]] + [len(data)], strict=True):
        name, value = mark.group(), data[mark.end() : end]
        if _KNOWN_ID.fullmatch(name) is None:
            hints.add(InsHint.UNKNOWN_FIELD)
            continue
        if len(value) != FIXED_LENGTHS.get(name, len(value)) or len(value) > MAX_LENGTHS.get(name, len(value)):
            raise InvalidInput("INS_CODE_INVALID", reason="length", field=name)
        _put(fields, name, value)
        is_last = end == len(data)
        if name in MAX_LENGTHS and len(value) < MAX_LENGTHS[name] and not is_last:
            hints.add(InsHint.SEPARATOR_LOST)
    if InsHint.SEPARATOR_LOST in hints and _OID_WITHOUT_SEPARATOR.fullmatch(fields.get("S2", "")) is None:
        raise InvalidInput("INS_CODE_INVALID", reason="value", field="S2")
    return fields


def _put(fields: dict[str, str], name: str, value: str) -> None:
    if name in fields:
        raise InvalidInput("INS_CODE_INVALID", reason="duplicate", field=name)
    if not value:
        raise InvalidInput("INS_CODE_INVALID", reason="length", field=name)
    fields[name] = value


def _scan(fields: Mapping[str, str], hints: set[InsHint]) -> InsScan:
    sex = _SEXES.get(fields["S5"])
    if sex is None:
        raise InvalidInput("INS_CODE_INVALID", reason="value", field="S5")
    birth_date_text = fields["S6"]
    if re.fullmatch(r"[0-9]{2}-[0-9]{2}-[0-9]{4}", birth_date_text) is None:
        raise InvalidInput("INS_CODE_INVALID", reason="value", field="S6")
    birth_date = _calendar_date(birth_date_text)
    doubts: Mapping[InsHint, Callable[[], bool]] = {
        InsHint.KEY_WRONG: lambda: _ins(fields["S1"], OID_INS_NIR) is None,  # shape and key, whatever its OID
        InsHint.OID_UNKNOWN: lambda: fields["S2"] not in INS_OIDS,
        InsHint.DATE_LUNAR: lambda: birth_date is None,
        InsHint.COG_SHAPE: lambda: "S7" in fields and _COG.fullmatch(fields["S7"]) is None,
        InsHint.TRAIT_CHARACTERS: lambda: any(_NAME.fullmatch(fields[name]) is None for name in ("S3", "S4")),
    }
    hints |= {hint for hint, is_doubtful in doubts.items() if is_doubtful()}
    return InsScan(
        matricule=fields["S1"],
        oid=fields["S2"],
        given_names=fields["S3"],
        birth_name=fields["S4"],
        sex=sex,
        birth_date_text=birth_date_text,
        birth_date=birth_date,
        birth_place_cog=fields.get("S7"),
        ins=_ins(fields["S1"], fields["S2"]),
        hints=frozenset(hints),
    )


def _calendar_date(text: str) -> dt.date | None:
    day, month, year = text.split("-")
    try:
        return dt.date(int(year), int(month), int(day))
    except ValueError:
        return None


def _ins(matricule: str, oid: str) -> Ins | None:
    """Return the INS when both make a valid one: a wrong key or a shape that is not one leaves the text alone."""
    try:
        return Ins(matricule=matricule, oid=oid)
    except InvalidInput:
        return None
