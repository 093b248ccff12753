"""What a carte Vitale says: beneficiaries, NIR with key, dates that may be lunar, and whether it is the same card.

Owns the values and their rules only; never talks to a card, never makes an identity (RNIV: a Vitale is no document of
identity, and the usual name is never a birth name). Every type holding a person redacts itself.
Source: tags of the public read of Vitale 2 and groups of the GIE SESAM-Vitale's reading library (docs/cards.md).
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import BirthDate, ins_key
from vaguemestre_core.redaction import REDACTED, SecretBytes

BENEFICIARIES_MAX: Final = 32
_DATE: Final = re.compile(r"[0-9]{8}", re.ASCII)
_NIR: Final = re.compile(r"[0-9]{6}[0-9AB][0-9]{6}([0-9]{2})?", re.ASCII)
_TEXT_MAX: Final = 255


class VitaleSource(StrEnum):
    """How the card was read: what each way cannot know stays unknown."""

    CARD = "card"  # the public read of Vitale 2: usual name, given name, date, country, NIR
    API_LEC = "api_lec"  # the GIE's reading library: also birth name, certified NIR, rank, address, coverage


class NirKey(StrEnum):
    """What the key of a NIR says."""

    VALID = "valid"
    WRONG = "wrong"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Nir:
    """A NIR as a card carries it: 13 characters (2A and 2B allowed) and, mostly, a key of 2 digits.

    A wrong key is kept and told, because test cards have some and a flaky reader makes some: only ``usable`` gives
    the number to who would identify somebody with it.

    Raises:
        InvalidInput: ``VITALE_NIR_INVALID``.
    """

    number: str
    key: str | None

    def __post_init__(self) -> None:
        if _NIR.fullmatch(self.number + (self.key or "")) is None or len(self.number) != 13:
            raise InvalidInput("VITALE_NIR_INVALID", reason="shape")
        try:
            ins_key(self.number)
        except InvalidInput:
            raise InvalidInput("VITALE_NIR_INVALID", reason="shape") from None

    @classmethod
    def from_text(cls, text: str) -> Nir:
        """Read 13 or 15 characters, blanks between the groups allowed.

        Raises:
            InvalidInput: ``VITALE_NIR_INVALID``.
        """
        compact = text.replace(" ", "")
        if len(compact) not in (13, 15):
            raise InvalidInput("VITALE_NIR_INVALID", reason="length")
        return cls(number=compact[:13], key=compact[13:] or None)

    @property
    def key_status(self) -> NirKey:
        """Whether the key agrees with the number."""
        if self.key is None:
            return NirKey.ABSENT
        return NirKey.VALID if ins_key(self.number) == int(self.key) else NirKey.WRONG

    @property
    def usable(self) -> str | None:
        """The 15 characters when the key is there and right, else nothing."""
        return None if self.key is None or self.key_status is not NirKey.VALID else self.number + self.key

    def __repr__(self) -> str:
        return f"Nir({REDACTED}, key={self.key_status.value})"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class VitaleDate:
    """A date of the card, 8 digits AAAAMMJJ, kept as written: billing needs a lunar date unchanged.

    A lunar date is one that the calendar does not have: an unknown day or month (00), a month above 12, a day that
    the month has not.

    Raises:
        InvalidInput: ``VITALE_DATE_INVALID``.
    """

    text: str

    def __post_init__(self) -> None:
        if _DATE.fullmatch(self.text) is None:
            raise InvalidInput("VITALE_DATE_INVALID", reason="shape")

    @property
    def calendar(self) -> dt.date | None:
        """The date, or nothing when it is lunar."""
        try:
            return dt.date(*self._parts)
        except ValueError:
            return None

    @property
    def is_lunar(self) -> bool:
        """Whether the calendar does not have this date."""
        return self.calendar is None

    @property
    def _parts(self) -> tuple[int, int, int]:
        return int(self.text[:4]), int(self.text[4:6]), int(self.text[6:])

    def to_birth_date(self) -> BirthDate | None:
        """Return what traits may carry, unknown parts interpreted (RNIV EXI ID 11); nothing without a credible year.

        A part that the calendar does not have counts as unknown; the result is then flagged as interpreted.
        """
        year, month, day = self._parts
        known_month = month if 1 <= month <= 12 else None
        known_day = day if 1 <= day <= 31 else None
        if known_month is not None and self.is_lunar:
            known_day = None
        try:
            return BirthDate.from_parts(year=year, month=known_month, day=known_day)
        except InvalidInput:
            return None

    def __repr__(self) -> str:
        return f"VitaleDate({REDACTED})"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsPeriod:
    """A period of rights; an end that is not written is open."""

    begins_on: dt.date
    ends_on: dt.date | None = None

    def covers(self, day: dt.date) -> bool:
        """Return whether the period contains the day, both ends included."""
        return self.begins_on <= day and (self.ends_on is None or day <= self.ends_on)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AmoCoverage:
    """Compulsory health insurance as the card says it; any part may be absent.

    Attributes:
        quality: qualité du bénéficiaire, 0 = assuré.
        regime_code: two digits; ``fund_code``: caisse; ``centre_code``: centre de gestion or, failing it, de carte.
        management_code: code gestion.
        exemption_label: libellé of the exonération.
    """

    quality: str | None = None
    regime_code: str | None = None
    fund_code: str | None = None
    centre_code: str | None = None
    management_code: str | None = None
    exemption_label: str | None = None
    periods: tuple[RightsPeriod, ...] = ()

    @property
    def is_insured(self) -> bool | None:
        """Whether this is the assuré; unknown when the quality is not written."""
        return None if self.quality is None else self.quality.strip("0") == "" and self.quality != ""

    def __repr__(self) -> str:
        return f"AmoCoverage({REDACTED})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Beneficiary:
    """One person of the card, at ``position`` (from 0, the order of the card).

    ``usual_name`` is the name that the card shows. Whether it is the birth name or the name in use is not known: it
    is never used as a birth name (EXI ID 08). ``birth_name``, ``certified_nir``, ``birth_rank``, ``address`` and
    ``coverage`` come only from the GIE's library.

    Raises:
        InvalidInput: ``VITALE_BENEFICIARY_INVALID`` with the field.
    """

    position: int
    usual_name: str
    given_name: str
    birth_date: VitaleDate | None
    nir: Nir | None
    country: str | None = None
    birth_name: str | None = None
    certified_nir: Nir | None = None
    birth_rank: int | None = None
    address: tuple[str, ...] = ()
    coverage: AmoCoverage | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.position < BENEFICIARIES_MAX:
            raise InvalidInput("VITALE_BENEFICIARY_INVALID", field="position")
        if not self.usual_name:
            raise InvalidInput("VITALE_BENEFICIARY_INVALID", field="usual_name")
        texts = {"usual_name": self.usual_name, "given_name": self.given_name, "country": self.country}
        texts |= {"birth_name": self.birth_name, "address": " ".join(self.address)}
        for field, text in texts.items():
            if text is not None and not is_showable(text):
                raise InvalidInput("VITALE_BENEFICIARY_INVALID", field=field)
        if self.birth_rank is not None and not 1 <= self.birth_rank <= 9:
            raise InvalidInput("VITALE_BENEFICIARY_INVALID", field="birth_rank")

    @property
    def identifying_nir(self) -> Nir | None:
        """The certified NIR when the way of reading gives one, else the NIR of the card."""
        return self.certified_nir or self.nir

    def __repr__(self) -> str:
        return f"Beneficiary({REDACTED}, position={self.position})"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)


class CardFingerprint(SecretBytes):
    """What tells one card's content from another's, keyed for one process: kept in memory, never written or shown."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class VitaleReading:
    """One reading of one card: at least one beneficiary, positions in the order of the card.

    Raises:
        InvalidInput: ``VITALE_BENEFICIARY_INVALID`` (none, too many, positions).
    """

    source: VitaleSource
    beneficiaries: tuple[Beneficiary, ...]
    fingerprint: CardFingerprint
    valid_from: VitaleDate | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.beneficiaries) <= BENEFICIARIES_MAX:
            raise InvalidInput("VITALE_BENEFICIARY_INVALID", field="count")
        if [person.position for person in self.beneficiaries] != list(range(len(self.beneficiaries))):
            raise InvalidInput("VITALE_BENEFICIARY_INVALID", field="position")

    def choose(self, position: int) -> VitaleChoice:
        """Return the choice of a beneficiary, to be confirmed by a new reading when it is used.

        Raises:
            InvalidInput: ``VITALE_BENEFICIARY_INVALID`` when there is nobody at this position.
        """
        if not 0 <= position < len(self.beneficiaries):
            raise InvalidInput("VITALE_BENEFICIARY_INVALID", field="position")
        return VitaleChoice(source=self.source, fingerprint=self.fingerprint, position=position)

    def __repr__(self) -> str:
        return f"VitaleReading({self.source.value}, {len(self.beneficiaries)} beneficiaries)"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class VitaleChoice:
    """A beneficiary chosen on one reading: it holds for that card's content only."""

    source: VitaleSource
    fingerprint: CardFingerprint
    position: int

    def confirmed_by(self, reading: VitaleReading) -> Beneficiary:
        """Return the beneficiary chosen, when the new reading is of the same card with the same content.

        Raises:
            CardTrouble: ``CARD_CHANGED`` (reason content or source): nothing may be done with the choice any more.
        """
        if reading.source is not self.source:
            raise CardTrouble(Situation.CARD_CHANGED, reason="source")
        if reading.fingerprint != self.fingerprint:
            raise CardTrouble(Situation.CARD_CHANGED, reason="content")
        return reading.beneficiaries[self.position]

    def __repr__(self) -> str:
        return f"VitaleChoice({self.source.value}, position={self.position})"


def is_showable(text: str) -> bool:
    """Return whether text of a card may be shown: no control character, no blank around, short enough."""
    return len(text) <= _TEXT_MAX and text == text.strip() and (not text or text.isprintable())
