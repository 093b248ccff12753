"""The second copy: accepted documents, sealed as they are, in another place too; values and ports.

Owns no rule about time, files or cryptography. Source: docs/adr/0018.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.orders import OrderId

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondCopySettings:
    """A second place for accepted documents.

    Attributes:
        folder: where they go, absolute; empty: none.
        every_s: seconds between two passes.
        batch: documents copied in one pass.
        answer_s: longest time for one step of the place (a look, a file), seconds; after it the place counts as silent.
    """

    folder: str = ""
    every_s: float = 10.0
    batch: int = 100
    answer_s: float = 60.0

    def __post_init__(self) -> None:
        is_relative = bool(self.folder) and not Path(self.folder).is_absolute()
        if self.every_s <= 0 or self.batch < 1 or self.answer_s <= 0 or is_relative:
            raise InvalidInput("SECOND_COPY_SETTINGS_INVALID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An order whose document belongs in the second place.

    Attributes:
        order_id: the order.
        name: file name of its copy: tells nothing.
        line: its row and the row's digest, as the list of the place keeps them.
    """

    order_id: OrderId
    name: str
    line: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyMemory:
    """What is remembered of the second place when the agent stops.

    Attributes:
        away_since: first pass that could not reach it, or None.
        last_copied_at: when a document was last copied there, or None.
    """

    away_since: datetime | None = None
    last_copied_at: datetime | None = None


class CopySourcePort(Protocol):
    """What the store gives to its second copy; reads only, but for ``remember``."""

    async def mark(self) -> int:
        """Return a number that grows whenever something changes in the store."""

    async def wanted(self) -> Sequence[Listed]:
        """Return the orders whose given document is kept, oldest first; rows that are not ours are left out."""

    async def destroyed(self, names: Sequence[str]) -> frozenset[str]:
        """Return those names whose document this store destroyed (retention, erasure)."""

    async def envelope(self, order_id: OrderId) -> bytes | None:
        """Return what was given, still sealed; None when it is gone or is not what the row vouches for."""

    async def sealed_list(self, lines: Iterable[str]) -> bytes:
        """Return the list of the place, sealed like a document."""

    async def lines_of(self, lists: Sequence[bytes]) -> dict[str, str]:
        """Return the lines of the first sealed list that opens, by file name; none when none does."""

    async def remember(self, memory: CopyMemory) -> None:
        """Keep what must outlive the agent."""

    async def recalled(self) -> CopyMemory:
        """Return what was kept."""


class PlacePort(Protocol):
    """The second place. Each method works on files and may never answer: see ``HandsPort``.

    Raises:
        StoreError: SECOND_COPY_AWAY (not there), SECOND_COPY_NO_SPACE, SECOND_COPY_UNWRITABLE.
    """

    def is_there(self) -> bool:
        """Say whether the place is there now, with its list."""

    def look(self) -> frozenset[str]:
        """Return the names of the copies that are there; clear what a killed agent left half written."""

    def write(self, name: str, sealed: bytes) -> None:
        """Write a copy whole or not at all, durably."""

    def remove(self, name: str) -> None:
        """Remove a copy."""

    def read_lists(self) -> Sequence[bytes]:
        """Return the sealed list and the one before, those that are there."""

    def write_list(self, sealed: bytes) -> None:
        """Replace the list; the one before stays beside it."""

    def write_escrow(self) -> None:
        """Bring what lets the recovery key open everything up to date there."""


class HandsPort(Protocol):
    """Runs steps that may never answer."""

    async def run(self, work: Callable[[], T]) -> T:
        """Run a step. Raises StoreError SECOND_COPY_SILENT when it, or the one before it, does not answer in time."""
