"""Cards and readers as values: kinds, states, events, and the closed list of situations that a person can repair.

Owns the words that the readers process, the agent and the API share. Never talks to a reader, never holds what a card
says about a person (``vaguemestre_core.cps`` and ``vaguemestre_core.vitale`` do, and redact).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NewType

from vaguemestre_core.errors import Recovery, VaguemestreError

Insertion = NewType("Insertion", int)
"""Number of one stay of one card in one reader, never given twice by a readers process: pull it out, and it is over."""


class CardKind(StrEnum):
    """What a card is, as far as its answer to reset (ATR) says."""

    CPS3 = "cps3"
    CPS3_CONTACTLESS = "cps3_contactless"
    CPS4 = "cps4"
    VITALE_1 = "vitale1"
    VITALE_2 = "vitale2"
    UNKNOWN = "unknown"

    @property
    def is_cps(self) -> bool:
        """Whether a professional's card (CPS, CPF, CPE: one family of chips) is meant, whatever the way it is read."""
        return self in (CardKind.CPS3, CardKind.CPS3_CONTACTLESS, CardKind.CPS4)

    @property
    def is_vitale(self) -> bool:
        """Whether a patient's card is meant."""
        return self in (CardKind.VITALE_1, CardKind.VITALE_2)


class ReaderState(StrEnum):
    """What a reader shows."""

    EMPTY = "empty"
    CARD = "card"
    MUTE = "mute"  # a card is in, and does not answer: upside down, dirty, or not a chip card
    HELD = "held"  # a card is in, and one program keeps it for itself alone
    FAILING = "failing"  # the reader is known and does not answer


@dataclass(frozen=True, slots=True, kw_only=True)
class CardReader:
    """One reader as last seen.

    Attributes:
        name: the name that the system gives; not personal (some hold the reader's own serial number).
        card: the kind of the card in it; None without a card, or with a mute one.
        insertion: the stay of that card; None without a card.
        is_shared: programs other than ours, or ours, have a link open to the card now.
    """

    name: str
    state: ReaderState
    card: CardKind | None = None
    insertion: Insertion | None = None
    is_shared: bool = False

    def __post_init__(self) -> None:
        has_card = self.state in (ReaderState.CARD, ReaderState.MUTE, ReaderState.HELD)
        if (self.insertion is not None) is not has_card:
            raise ValueError("a stay is that of a card in the reader")
        if self.card is not None and not has_card:
            raise ValueError("a card needs to be in the reader")


class CardEventKind(StrEnum):
    """What may happen to readers and cards."""

    SERVICE_UP = "service_up"
    SERVICE_DOWN = "service_down"
    READER_ADDED = "reader_added"
    READER_REMOVED = "reader_removed"
    READER_CHANGED = "reader_changed"  # held or given back by another program, or failing
    CARD_INSERTED = "card_inserted"
    CARD_REMOVED = "card_removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardEvent:
    """One change, with the reader as it is afterwards (None when the event is about the service).

    For CARD_REMOVED, `card` and `insertion` say which stay ended; else they are those of `reader`.
    """

    kind: CardEventKind
    reader: CardReader | None = None
    card: CardKind | None = None
    insertion: Insertion | None = None

    def __post_init__(self) -> None:
        about_service = self.kind in (CardEventKind.SERVICE_UP, CardEventKind.SERVICE_DOWN)
        if (self.reader is None) is not about_service:
            raise ValueError("an event is about the service or about one reader")


class Situation(StrEnum):
    """What a person can repair around readers, any card and scanners; the value is the code of the catalogue.

    The list is closed: what drivers, middleware and devices report is folded into it at their edge.
    """

    # the PC/SC service and its readers
    PCSC_ABSENT = "PCSC_ABSENT"
    PCSC_STOPPED = "PCSC_STOPPED"
    READERS_NONE = "READERS_NONE"
    READER_UNKNOWN = "READER_UNKNOWN"
    READER_HELD = "READER_HELD"
    READER_FAILING = "READER_FAILING"
    # any card
    CARD_ABSENT = "CARD_ABSENT"
    CARD_REMOVED = "CARD_REMOVED"
    CARD_CHANGED = "CARD_CHANGED"
    CARD_MUTE = "CARD_MUTE"
    CARD_UNKNOWN = "CARD_UNKNOWN"
    CARD_OTHER_KIND = "CARD_OTHER_KIND"
    CARD_UNREADABLE = "CARD_UNREADABLE"
    CARD_SLOW = "CARD_SLOW"
    # carte Vitale
    VITALE_COMPONENT_ABSENT = "VITALE_COMPONENT_ABSENT"
    VITALE_COMPONENT_FAILED = "VITALE_COMPONENT_FAILED"
    # the window that asks for a PIN (a CPS has its own list: vaguemestre_core.cps)
    PIN_WINDOW_ABSENT = "PIN_WINDOW_ABSENT"
    # scanners, cameras and images
    SCANNER_ABSENT = "SCANNER_ABSENT"
    SCANNER_DENIED = "SCANNER_DENIED"
    SCANNER_HELD = "SCANNER_HELD"
    CAMERA_ABSENT = "CAMERA_ABSENT"
    DECODER_ABSENT = "DECODER_ABSENT"
    # the readers process itself
    READERS_PROCESS_DOWN = "READERS_PROCESS_DOWN"


RECOVERIES: Final[Mapping[Situation, Recovery]] = {
    Situation.READER_HELD: Recovery.BACKOFF,  # the other program gives it back
    Situation.READERS_PROCESS_DOWN: Recovery.BACKOFF,  # it is started again
    Situation.CARD_SLOW: Recovery.NOW,
}
"""What helps, where it is not the act of a person."""


class CardTrouble(VaguemestreError):
    """A card, a reader or a scanner cannot serve now: `situation` says what a person can do.

    Args:
        situation: one of the closed list; its value is the code.
        params: non-personal facts (a reader's name, a holder program's name, tries left, a kind).
    """

    default_code = "CARD_UNREADABLE"
    recovery = Recovery.USER_ACTION

    def __init__(self, situation: Situation, **params: str | int | float | bool | None) -> None:
        super().__init__(situation.value, **params)
        self.situation = situation
        self.recovery = RECOVERIES.get(situation, Recovery.USER_ACTION)
