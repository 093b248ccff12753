"""What the readers process says of professionals' cards, as values; a wrong word of it raises KeyError or ValueError.

Owns the reading of two shapes: a holder, and a card that is open. TypeError and InvalidInput are raised too.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime

from vaguemestre_core.cardholders import HolderCard, OpenedCard
from vaguemestre_core.cards import Insertion
from vaguemestre_core.cps import CardCategory, CardValidity, NationalIdentifier
from vaguemestre_core.cpspin import PinState


def holder_of(values: Mapping[str, object]) -> HolderCard:
    """Return whose card it is."""
    return HolderCard(
        national_id=NationalIdentifier.parse(str(values["national_id"])),
        family_name=str(values["family_name"]),
        given_name=text_or_none(values["given_name"]),
        title=text_or_none(values["title"]),
        profession=_number(values["profession"]),
        specialty=text_or_none(values["specialty"]),
        category=_category(values),
        is_test=values["is_test"] is not False,
        validity=CardValidity(begins_at=_instant(values["begins_at"]), ends_at=_instant(values["ends_at"])),
        pin=PinState(str(values["pin"])),
    )


def opened_of(values: Mapping[str, object]) -> OpenedCard:
    """Return an open card."""
    stay = values["insertion"]
    if not isinstance(stay, int):
        raise TypeError
    return OpenedCard(
        stay=Insertion(stay),
        key=str(values["key"]),
        category=_category(values),
        holder=str(values["holder"]),
        structure=text_or_none(values["structure"]),
        until=_instant(values["until"]),
        certificate=base64.b64decode(str(values["certificate"])),
    )


def all_opened(listed: object) -> tuple[OpenedCard, ...]:
    """Return every open card."""
    if not isinstance(listed, list):
        raise TypeError
    return tuple(opened_of(item) for item in listed)


def _category(values: Mapping[str, object]) -> CardCategory:
    number = values["category"]
    if not isinstance(number, int):
        raise TypeError
    return CardCategory(number)


def _instant(value: object) -> datetime:
    return datetime.fromisoformat(str(value))


def text_or_none(value: object) -> str | None:
    """Return what may be absent, as text."""
    return None if value is None else str(value)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
