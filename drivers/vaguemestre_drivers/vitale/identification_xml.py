"""The XML that the GIE SESAM-Vitale's reading library gives, bytes to beneficiaries.

Owns its shape as public programs read it; lenient on what is absent, strict on what is there: a date, a NIR or a name
that cannot be one refuses the whole answer. Elements are found by local name, under any root.
Source: docs/cards.md (shape of the answer, unverified against a real card).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Final

from lxml import etree

from vaguemestre_core.errors import InvalidInput, Recovery, VaguemestreError
from vaguemestre_core.vitale import BENEFICIARIES_MAX, AmoCoverage, Beneficiary, Nir, RightsPeriod, VitaleDate
from vaguemestre_documents.cda.parse import parse_xml

MAX_BYTES: Final = 65_536
_SEPARATORS: Final = re.compile(r"[-/. ]")
_SIX: Final = re.compile(r"[0-9]{6}", re.ASCII)
_EIGHT: Final = re.compile(r"[0-9]{8}", re.ASCII)
_EARLIEST_YEAR: Final = 1850
_LATEST_YEAR: Final = 2150


class IdentificationInvalid(VaguemestreError):
    """The library's answer is not the XML it should be; ``reason`` is a word, no content is told."""

    default_code = "VITALE_ANSWER_INVALID"
    recovery = Recovery.USER_ACTION

    def __init__(self, reason: str) -> None:
        super().__init__(reason=reason)
        self.reason = reason


def decode_identification(content: bytes) -> tuple[Beneficiary, ...]:
    """Return the beneficiaries in the order of the answer.

    Args:
        content: XML, in the encoding it declares; undeclared, UTF-8 or else ISO-8859-1. 64 KiB at most.

    Raises:
        IdentificationInvalid: ``VITALE_ANSWER_INVALID`` with reason xml, nobody, too_many, or the field that is wrong.
    """
    people = [element for element in _root(content).iter() if _child(element, "ident") is not None]
    if not people:
        raise IdentificationInvalid("nobody")
    if len(people) > BENEFICIARIES_MAX:
        raise IdentificationInvalid("too_many")
    return tuple(_beneficiary(position, person) for position, person in enumerate(people))


def _root(content: bytes) -> etree._Element:
    text = content.strip(b"\x00 \t\r\n")
    if not text.startswith((b"<?xml", b"\xef\xbb\xbf")) and not _is_utf8(text):
        text = b'<?xml version="1.0" encoding="ISO-8859-1"?>' + text
    try:
        return parse_xml(text, max_bytes=MAX_BYTES)
    except InvalidInput:
        raise IdentificationInvalid("xml") from None


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    for child in element:
        if etree.QName(child).localname == name:  # neither comments nor instructions: the parser dropped them
            yield child


def _child(element: etree._Element | None, *path: str) -> etree._Element | None:
    for name in path:
        element = None if element is None else next(_children(element, name), None)
    return element


def _text(element: etree._Element | None, *path: str) -> str | None:
    found = _child(element, *path)
    text = "" if found is None or found.text is None else found.text.replace("\xa0", " ").strip()
    return text or None


def _beneficiary(position: int, person: etree._Element) -> Beneficiary:
    ident = _child(person, "ident")
    birth_name = _text(ident, "nomPatronymique")
    lines = (_text(ident, "adresse", f"ligne{number}") for number in range(1, 6))
    try:
        return Beneficiary(
            position=position,
            usual_name=_text(ident, "nomUsuel") or "",
            given_name=_text(ident, "prenomUsuel") or "",
            birth_date=_birth_date(_text(ident, "naissance", "date"), _text(ident, "naissance", "dateEnCarte")),
            nir=_nir(_text(ident, "nir")),
            birth_name=birth_name,
            certified_nir=_nir(_text(ident, "nirCertifie")),
            birth_rank=_rank(_text(ident, "rangDeNaissance")),
            address=tuple(line for line in lines if line is not None),
            coverage=_coverage(_child(person, "amo")),
        )
    except InvalidInput as error:
        raise IdentificationInvalid(str(error.params.get("field") or error.code.lower())) from None


def _nir(text: str | None) -> Nir | None:
    return None if text is None or not text.strip("0") else Nir.from_text(text)


def _rank(text: str | None) -> int | None:
    if text is None or not text.strip("0"):
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 2:
        raise IdentificationInvalid("birth_rank")
    return int(text)


def _birth_date(date: str | None, on_card: str | None) -> VitaleDate | None:
    """Return the birth date, whatever the order of its parts.

    ``date`` has 8 digits, AAAAMMJJ or JJMMAAAA; ``on_card`` has 6, AAMMJJ, and settles which of the two. Where it
    cannot, a date of the calendar is preferred to a lunar one.
    """
    if date is None:
        return None
    digits = _SEPARATORS.sub("", date)
    if _EIGHT.fullmatch(digits) is None:
        raise IdentificationInvalid("birth_date")
    readings = [VitaleDate(text=text) for text in (digits, digits[4:] + digits[2:4] + digits[:2])]
    credible = [read for read in readings if _EARLIEST_YEAR <= int(read.text[:4]) < _LATEST_YEAR]
    if not credible:
        raise IdentificationInvalid("birth_date")
    short = _SEPARATORS.sub("", on_card or "")
    if _SIX.fullmatch(short) is not None:
        agreeing = [read for read in credible if read.text[2:] == short]
        if agreeing:
            return agreeing[0]
    return min(credible, key=lambda read: read.is_lunar)


def _coverage(amo: etree._Element | None) -> AmoCoverage | None:
    if amo is None:
        return None
    periods = _child(amo, "listePeriodesDroits")
    return AmoCoverage(
        quality=_text(amo, "qualBenef"),
        regime_code=_text(amo, "codeRegime"),
        fund_code=_text(amo, "caisse"),
        centre_code=_text(amo, "centreGestion") or _text(amo, "centreCarte"),
        management_code=_text(amo, "codeGestion"),
        exemption_label=_text(amo, "libelleExo"),
        periods=() if periods is None else tuple(_period(element) for element in _children(periods, "element")),
    )


def _period(element: etree._Element) -> RightsPeriod:
    begins, ends = _day(_text(element, "debut")), _day(_text(element, "fin"))
    if begins is None:
        raise IdentificationInvalid("period")
    return RightsPeriod(begins_on=begins, ends_on=ends)


def _day(text: str | None) -> dt.date | None:
    """Return a day written JJMMAAAA; nothing when it is absent."""
    if text is None:
        return None
    digits = _SEPARATORS.sub("", text)
    try:
        if _EIGHT.fullmatch(digits) is None:
            raise IdentificationInvalid("period")
        return dt.date(int(digits[4:]), int(digits[2:4]), int(digits[:2]))
    except ValueError:
        raise IdentificationInvalid("period") from None
