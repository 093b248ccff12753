"""Read the code of a box: GS1 application identifiers in any order, or the EAN-13 of an old box.

Owns what biip leaves open: where a variable field ends, the century seen from a day that is given, day 00, codes
whose GS was lost; never names the product (that needs the public medicines base). Errors name the application
identifier and the reason only. Source: GS1 General Specifications; CIP/ACL, marking of medicines in France.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.scans import CIP_PREFIX, BoxHint, BoxScan, has_valid_check_digit
from vaguemestre_documents.scancodes.text import GS, with_separators

if TYPE_CHECKING:
    from biip import ParseConfig

_AI_GTIN: Final = "01"
_AI_LOT: Final = "10"
_AI_PRODUCTION: Final = "11"
_AI_EXPIRY: Final = "17"
_AI_SERIAL: Final = "21"
_DATED: Final = frozenset({_AI_PRODUCTION, _AI_EXPIRY})
_NAMED: Final = frozenset({_AI_GTIN, _AI_LOT, _AI_PRODUCTION, _AI_EXPIRY, _AI_SERIAL})

_MAX_ELEMENTS: Final = 64
# What may follow a lot, a serial number or another value of free length when GS was dropped.
_NEXT_FIELD: Final = re.compile(r".(?:17[0-9]{6}|10.|21.)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Element:
    ai: str
    value: str


def looks_like_box(text: str) -> bool:
    """Return whether a text without AIM identifier is a box's: ``01`` and a right GTIN-14, or a CIP13 alone."""
    gtin = re.match(r"01([0-9]{14})", text)
    if gtin is not None:
        return has_valid_check_digit(gtin.group(1))
    return len(text) == 13 and text.startswith(CIP_PREFIX) and has_valid_check_digit(text)


def read_ean13(text: str) -> BoxScan:
    """Return the product of a linear EAN-13.

    Raises:
        InvalidInput: ``BOX_CODE_INVALID`` with reason length or check_digit.
    """
    if re.fullmatch(r"[0-9]{13}", text) is None:
        raise InvalidInput("BOX_CODE_INVALID", reason="length")
    return BoxScan(gtin="0" + text, hints=_hints(text, ()))


def read_box(text: str, *, today: dt.date) -> BoxScan:
    """Return what a GS1 code says; ``today`` places years written with two digits (49 back, 50 ahead).

    Raises:
        InvalidInput: ``BOX_CODE_INVALID`` with a reason (no_gtin, check_digit, unreadable, date, duplicate) and, where
            one is at fault, the application identifier.
    """
    message = with_separators(text)
    elements = _elements(message)
    values: dict[str, str] = {}
    for element in elements:
        if values.get(element.ai, element.value) != element.value:
            raise InvalidInput("BOX_CODE_INVALID", reason="duplicate", ai=element.ai)
        values[element.ai] = element.value
    gtin = values.get(_AI_GTIN)
    if gtin is None:
        raise InvalidInput("BOX_CODE_INVALID", reason="no_gtin")
    expiry = values.get(_AI_EXPIRY)
    production = values.get(_AI_PRODUCTION)
    return BoxScan(
        gtin=gtin,
        lot=values.get(_AI_LOT),
        expiry=None if expiry is None else _date(expiry, ai=_AI_EXPIRY, today=today),
        expiry_day_known=expiry is None or not expiry.endswith("00"),
        serial=values.get(_AI_SERIAL),
        production=None if production is None else _date(production, ai=_AI_PRODUCTION, today=today),
        others=tuple((ai, value) for ai, value in values.items() if ai not in _NAMED),
        hints=_hints(message, elements),
    )


@lru_cache(maxsize=1)
def _config() -> ParseConfig:
    from biip import ParseConfig

    # Dates are ours: biip reads the century from the machine's own clock.
    return ParseConfig(separator_chars=[GS], gs1_element_strings_verify_date=False)


def _elements(message: str) -> list[_Element]:
    # Imported here: every agent carries this module, and biip weighs 14 MB that only a scanned box needs.
    from biip import ParseError
    from biip.gs1_element_strings import GS1ElementString

    found: list[_Element] = []
    rest = message.lstrip(GS)
    while rest:
        if len(found) == _MAX_ELEMENTS:
            raise InvalidInput("BOX_CODE_INVALID", reason="unreadable")
        try:
            read = GS1ElementString.extract(rest, config=_config())
        except (ParseError, ValueError):
            # Its message holds the code: nothing of it goes further.
            raise InvalidInput("BOX_CODE_INVALID", reason="unreadable") from None
        ai, length = read.ai.ai, len(read)
        if length <= len(ai) or rest[:length] != ai + read.value:
            raise InvalidInput("BOX_CODE_INVALID", reason="unreadable", ai=ai)
        rest = rest[length:]
        if read.ai.separator_required and rest and not rest.startswith(GS):
            raise InvalidInput("BOX_CODE_INVALID", reason="unreadable", ai=ai)
        rest = rest.lstrip(GS)
        found.append(_Element(ai=ai, value=read.value))
    return found


def _date(digits: str, *, ai: str, today: dt.date) -> dt.date:
    year = _year(int(digits[:2]), today=today)
    month, day = int(digits[2:4]), int(digits[4:6])
    try:
        return dt.date(year, month, day or calendar.monthrange(year, month)[1])
    except (ValueError, calendar.IllegalMonthError):
        raise InvalidInput("BOX_CODE_INVALID", reason="date", ai=ai) from None


def _year(two_digits: int, *, today: dt.date) -> int:
    """Return the year within 49 years back and 50 ahead that ends with these digits."""
    century = today.year - today.year % 100
    ahead = two_digits - today.year % 100
    if ahead >= 51:
        return century - 100 + two_digits
    if ahead <= -50:
        return century + 100 + two_digits
    return century + two_digits


def _hints(message: str, elements: Sequence[_Element]) -> frozenset[BoxHint]:
    hints: set[BoxHint] = set()
    gtins = [element.value[1:] for element in elements if element.ai == _AI_GTIN] or [message]
    if not gtins[0].startswith(CIP_PREFIX):
        hints.add(BoxHint.NOT_A_MEDICINE)
    if elements and GS not in message:
        last = elements[-1]
        if last.ai not in _DATED | {_AI_GTIN} and _NEXT_FIELD.search(last.value) is not None:
            hints.add(BoxHint.SEPARATOR_DOUBTFUL)
    return frozenset(hints)
