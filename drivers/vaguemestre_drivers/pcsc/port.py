"""The port to readers: what any PC/SC service, or a stand-in for one, must do for us.

Owns the protocol and its values. Two adapters keep it: `winscard` (the system's PC/SC service) and `virtual` (no
service, development only); one contract suite runs over both. Every call blocks: it belongs to a worker thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Protocol, Self

SHORTEST_APDU_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderStatus:
    """What the service says of one reader.

    Attributes:
        is_present: a card is in, answering or not.
        is_mute: a card is in and gave no answer to reset.
        is_exclusive: one program holds the card for itself alone.
        is_in_use: at least one program has a link to the card.
        is_unavailable: the service lists the reader and cannot use it.
        count: insertions and removals seen by the service in this reader since it knows it (it may wrap or restart).
        atr: the answer to reset; empty without a card or with a mute one.
        mark: the service's own value, given back to `StatusFeed.wait`; opaque.
    """

    name: str
    is_present: bool
    is_mute: bool = False
    is_exclusive: bool = False
    is_in_use: bool = False
    is_unavailable: bool = False
    count: int = 0
    atr: bytes = b""
    mark: int = 0


class StatusFeed(Protocol):
    """One watcher's own link to the service: used by one thread, `cancel` apart.

    Every method raises CardTrouble: PCSC_STOPPED when the service is gone; this feed is then of no use any more.
    """

    def readers(self) -> tuple[str, ...]:
        """Return the names of the readers now known, possibly none."""
        ...

    def wait(self, known: Mapping[str, int], timeout_s: float) -> tuple[ReaderStatus, ...]:
        """Return the readers whose status is no longer the one of the mark given, at once or when it changes.

        Args:
            known: the last mark of each reader to watch; 0 asks for its status at once. A reader plugged or unplugged
                ends the wait too.
            timeout_s: longest wait, seconds.

        Returns: the changed readers; empty after the timeout, after `cancel`, or when the list of readers changed.
        """
        ...

    def cancel(self) -> None:
        """End the `wait` in progress, from any thread; harmless without one."""
        ...

    def close(self) -> None:
        """Give the link back; never raises."""
        ...


class Leaving(Enum):
    """What becomes of the card when a link ends."""

    LEAVE = "leave"
    RESET = "reset"  # what was verified or selected is forgotten


class CardTransport(Protocol):
    """A link to one card: bytes in, data and status word out.

    Any method raises CardTrouble: CARD_REMOVED, CARD_MUTE, CARD_UNREADABLE (the exchange failed), READER_UNKNOWN,
    READER_FAILING, PCSC_STOPPED.
    """

    @property
    def atr(self) -> bytes:
        """The card's answer to reset."""
        ...

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        """Send one command and return (data, status word), without following 61xx or 6Cxx (`apdu.exchange` does).

        Args:
            apdu: a whole command, at least 4 bytes.
        """
        ...


class CardLink(CardTransport, Protocol):
    """A transport with its transaction: what `connect` gives, and only `connection.using_card` handles."""

    def begin(self) -> None:
        """Start a transaction: others wait. Raises READER_HELD when the card is not given at once or soon."""
        ...

    def end(self, leaving: Leaving) -> None:
        """End the transaction; others go on. Harmless after the card left."""
        ...

    def reset(self) -> None:
        """Warm reset of the card, the link stays."""
        ...

    def status(self) -> ReaderStatus:
        """Return the reader as the service sees it now, of the same service as this link."""
        ...

    def close(self, leaving: Leaving) -> None:
        """End the link; never raises."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PcscPort(Protocol):
    """Readers of this workstation. Methods may be called from any thread."""

    def open_feed(self) -> StatusFeed:
        """Return a link to watch readers with. Raises CardTrouble: PCSC_ABSENT, PCSC_STOPPED."""
        ...

    def epoch(self) -> int:
        """Return a number that changes each time the service was seen to start again: counts before are worth nothing.

        Raises CardTrouble: PCSC_ABSENT, PCSC_STOPPED.
        """
        ...

    def connect(self, reader: str) -> CardLink:
        """Return a link to the card, shared with other programs.

        Raises CardTrouble: READER_HELD (another program has it for itself alone), CARD_ABSENT, CARD_MUTE,
        READER_UNKNOWN, READER_FAILING, PCSC_ABSENT, PCSC_STOPPED.
        """
        ...

    def close(self) -> None:
        """Give everything back; links and feeds still open end. Never raises."""
        ...
