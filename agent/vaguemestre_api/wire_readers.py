"""Wire models of readers, cards and codes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Something that a person can repair."""

    code: str
    title: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A reader as last seen; ``card_id`` names the stay of the card in it."""

    name: str
    state: str
    card: str | None
    card_id: str | None
    is_shared: bool
    situation: Situation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """A scanner of the settings as last seen."""

    name: str
    kind: str
    ready: bool
    situation: Situation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """The readers, and what prevents seeing them. Also the data of the event ``readers``."""

    state: str
    trouble: Situation | None
    readers: tuple[Reader, ...]
    scanners: tuple[Scanner, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardHolder:
    """Whose card it is, as its certificates say."""

    national_id: str = field(repr=False)
    family_name: str = field(repr=False)
    given_name: str | None = field(repr=False)
    title: str | None = field(repr=False)
    profession: int | None
    specialty: str | None
    category: str
    is_test: bool
    valid_from: str
    valid_until: str
    pin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfessionalCard:
    """What is known of a professional's card, and how its PIN session goes."""

    holder: CardHolder | None
    withheld: bool
    unread: Situation | None
    expiry: str | None
    days_left: int | None
    session: str
    attempt: int
    failure: Situation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card in a reader. Also the data of the event ``card``."""

    card_id: str
    reader: str
    kind: str | None
    situation: Situation | None
    professional: ProfessionalCard | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardLogin:
    """A PIN is being asked for on the workstation; the event ``card`` with this attempt tells how it ends."""

    card_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardList:
    """The cards now in the readers."""

    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beneficiary:
    """A person of a carte Vitale; the usual name is no birth name."""

    position: int
    usual_name: str = field(repr=False)
    given_name: str = field(repr=False)
    birth_name: str | None = field(repr=False)
    birth_date: str | None = field(repr=False)
    is_lunar: bool
    birth_rank: int | None
    nir: str | None = field(repr=False)
    nir_key: str
    is_certified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Beneficiaries:
    """The persons of the card whose stay this is; ``reading`` confirms a choice made among them."""

    card_id: str
    reading: str
    beneficiaries: tuple[Beneficiary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BeneficiaryChoice:
    """Who was chosen on a reading."""

    reading: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """How to read: what is expected, when the caller knows."""

    expected: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InsTraits:
    """The traits of an INS code; never a verified identity."""

    matricule: str = field(repr=False)
    oid: str = field(repr=False)
    birth_name: str = field(repr=False)
    given_names: str = field(repr=False)
    sex: str = field(repr=False)
    birth_date: str = field(repr=False)
    birth_place: str | None = field(repr=False)
    hints: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxCode:
    """What the code of a box says."""

    gtin: str
    cip13: str | None
    lot: str | None
    expiry: str | None
    expiry_day_known: bool
    serial: str | None
    hints: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One code: exactly one of ``ins``, ``box``, ``opaque`` when it is shown."""

    page: int
    source: str
    kind: str | None
    withheld: bool
    failure: Situation | None
    ins: InsTraits | None = field(repr=False)
    box: BoxCode | None = field(repr=False)
    opaque: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The codes of an image, a PDF or a text."""

    codes: tuple[Code, ...]
    pages_read: int
    pages_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanEvent:
    """A code that a scanner has just read: the data of the event ``scan``."""

    scanner: str
    at: datetime
    code: Code
