"""What a recorded run leaves: every operation on every file in order, and what had been acknowledged when.

Values only; knows neither SQLite nor the store. A position is a number of operations: "at position 7" means that the
first seven operations had been issued and the eighth had not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, unique

from vaguemestre_core.orders import OrderId, OrderState


@unique
class Action(Enum):
    """What was done to a file."""

    CREATE = "create"
    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation on one file.

    Attributes:
        action: what was done.
        file: name of the file.
        offset: first byte written, or the new length of a truncation.
        data: bytes written.
    """

    action: Action
    file: str
    offset: int = 0
    data: bytes = field(default=b"", repr=False)


class OperationLog:
    """The operations in the order they were issued."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    @property
    def position(self) -> int:
        """How many operations were issued so far."""
        return len(self.operations)

    def add(self, operation: Operation) -> None:
        """Write an operation down."""
        self.operations.append(operation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """An order as one committed change made it.

    Attributes:
        revision: the row's revision.
        state: the order's state.
        earliest: position before which this change was not even asked for.
    """

    revision: int
    state: OrderState
    earliest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Somebody was told that an order had reached a revision.

    Attributes:
        position: when.
        order_id: which order.
        revision: the revision told.
        client: which of the callers was told.
    """

    position: int
    order_id: OrderId
    revision: int
    client: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerWritten:
    """The marker beside the database was replaced and flushed.

    Attributes:
        position: when.
        store_id, ledger_seq: its content.
    """

    position: int
    store_id: str
    ledger_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recorded run.

    Attributes:
        operations: everything done to every file.
        ready_at: position from which the store had answered that it was open.
        versions: every version of every order, oldest first.
        acknowledgements: what callers were told, in order.
        markers: the markers written, in order.
        bodies: SHA-256 of what each sealed body holds, by (order, role).
        keys: the order each idempotency key was used for, by (client, key).
    """

    operations: tuple[Operation, ...] = field(repr=False)
    ready_at: int
    versions: Mapping[OrderId, tuple[Version, ...]] = field(repr=False)
    acknowledgements: tuple[Acknowledgement, ...] = field(repr=False)
    markers: tuple[MarkerWritten, ...]
    bodies: Mapping[tuple[OrderId, str], bytes] = field(repr=False)
    keys: Mapping[tuple[str, str], OrderId] = field(repr=False)
