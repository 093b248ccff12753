"""The send queue as a dictionary, beside a real store: what a test machine compares it with.

The model is small on purpose: it knows the table of transitions, holds, lanes and clocks, and nothing of SQL.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from vaguemestre_core.orders import (
    CANCEL_ASKED_ONLY,
    MAY_LEAVE,
    SETTLED,
    TERMINAL,
    DocumentId,
    HoldKind,
    OrderEvent,
    OrderId,
    OrderState,
    can,
    next_state,
)
from vaguemestre_core.records import Acceptance, Schedule
from vaguemestre_core.redaction import Personal
from vaguemestre_queue.opening import open_store
from vaguemestre_queue.store import Store
from vaguemestre_testkit.clocks import FakeClock, NoFailpoints, SeededRandom
from vaguemestre_testkit.orders import DOCTOR, a_client, an_acceptance, test_keys

T = TypeVar("T")
KEYS = test_keys()
PROFESSIONALS = ("899700000012", "899700000020")
AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
S, E = OrderState, OrderEvent


@dataclass(slots=True)
class Expected:
    """An order as the model has it."""

    order_id: OrderId
    seq: int
    reference: int
    digest: str
    patient: str
    lane: tuple[str, str]
    professional: str
    not_before: datetime
    undo_until: datetime
    undo_s: float
    undo_boot_s: float
    boot_id: str
    between_patients: bool
    state: OrderState = S.PREPARING
    holds: set[HoldKind] = field(default_factory=set)
    cancel_requested: bool = False
    asked_now: bool = False
    next_attempt: datetime | None = None
    unique_id: str = ""
    version: int = 1
    is_gone: bool = False


def patient_of(reference: int) -> str:
    return f"patient-{reference // 2}"


def set_of(reference: int) -> str:
    """References 0 and 1 share a lane, 2 and 3 do not."""
    return "1.2.3" if reference < 2 else f"1.2.{reference + 10}"


class StoreBesideModel(RuleBasedStateMachine):
    """A store, its clock, and the orders as the model has them; rules and invariants are the subclass's."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.root = Path(tempfile.mkdtemp(prefix="vaguemestre-model-"))
        self.lives = 0
        self.clock = FakeClock()
        self.orders: list[Expected] = []
        self.keys: dict[str, tuple[str, OrderId]] = {}
        self.opposed: set[str] = set()
        self.replayed: dict[OrderId, OrderState] = {}
        self.lines = 0
        self.stack = AsyncExitStack()
        self.folder = self.root / "0"

    def run(self, work: Coroutine[object, object, T]) -> T:
        return self.runner.run(work)

    def open(self) -> None:
        # Power is not cut here: flushing is left out for speed.
        self.store: Store = self.run(
            self.stack.enter_async_context(
                open_store(self.folder, KEYS, self.clock, SeededRandom(7), NoFailpoints(), synchronous=0)
            )
        )
        if self.lives == 0:
            self.run(self.store.add_client(a_client(), DOCTOR))
        self.lives += 1

    def stop_and_open(self, *, clean: bool, off_s: float | None = None) -> None:
        """Stop cleanly, or leave as a killed process does: the files as they are at that instant; then begin again."""
        image = {file: file.read_bytes() for file in self.folder.iterdir() if not file.name.endswith("-shm")}
        self.run(self.stack.aclose())
        if not clean:  # in place, so that the files stay the same ones: other files would be a copy's
            for file in self.folder.iterdir():
                if file not in image:
                    file.unlink()
            for file, content in image.items():
                file.write_bytes(content)
        self.stack = AsyncExitStack()
        if off_s is not None:
            self.clock.reboot(off_s)
        self.open()

    def teardown(self) -> None:
        try:
            lines, _ = self.run(self.store.verify_ledger())
            assert lines >= self.lines
        finally:
            self.run(self.stack.aclose())
            self.runner.close()
            shutil.rmtree(self.root)

    def must_be(self, fact: bool) -> None:
        assert fact

    # What the model says

    def pick(self, number: int, *states: OrderState) -> Expected | None:
        found = [order for order in self.orders if not states or order.state in states]
        return found[number % len(found)] if found else None

    def latest(self, reference: int) -> Expected | None:
        return next((order for order in reversed(self.orders) if order.reference == reference), None)

    def by_id(self, order_id: OrderId) -> Expected:
        return next(order for order in self.orders if order.order_id == order_id)

    def claimable(self, professional: str) -> list[Expected]:
        now = self.clock.now()

        def is_free(order: Expected) -> bool:
            return not any(
                other.lane == order.lane and other.seq < order.seq and other.state not in TERMINAL
                for other in self.orders
            )

        found = [
            order
            for order in self.orders
            if order.state is S.READY
            and not order.holds
            and order.professional == professional
            and (order.next_attempt is None or order.next_attempt <= now)
            and is_free(order)
        ]
        return sorted(found, key=lambda order: (not order.asked_now, order.next_attempt or AT_ONCE, order.seq))

    def acceptance(self, reference: int, content: int, key: int | None) -> Acceptance:
        number = len(self.orders) + 1
        undo_s = 120.0
        return an_acceptance(
            self.clock,
            number,
            content=b"content-%d" % content,
            client_ref=f"doc-{reference}",
            idempotency_key=None if key is None else f"key-{key}",
            professional=PROFESSIONALS[reference % 3 % 2],
            patient_key=Personal(patient_of(reference)),
            set_id=set_of(reference),
            document_id=DocumentId(f"document-{reference}"),
            schedule=Schedule(
                not_before=self.clock.now() + timedelta(seconds=600),
                undo_until=self.clock.now() + timedelta(seconds=undo_s),
                undo_s=undo_s,
                between_patients=reference == 3,
            ),
        )

    def expect_accepted(self, made: Acceptance, reference: int) -> str | OrderId | None:
        """Return the error's code, the order replayed, or None when a new one is accepted; supersede as needed."""
        if made.idempotency_key is not None and made.idempotency_key in self.keys:
            digest, order_id = self.keys[made.idempotency_key]
            if digest != made.request_digest:
                return "IDEMPOTENCY_MISMATCH"
            if self.by_id(order_id).state is not S.UNREADABLE:  # whose body was asked for again
                return order_id
        latest = self.latest(reference)
        if latest is None:
            return None
        stopped = {S.CANCELLED, S.ABANDONED, S.SUPERSEDED}
        is_repeated = latest.digest == made.request_digest and latest.state is not S.UNREADABLE
        if is_repeated and (made.idempotency_key is None or latest.state not in stopped):
            return latest.order_id
        for order in self.orders:
            if order.reference == reference and can(order.state, E.SUPERSEDE):
                order.state = S.SUPERSEDED
        return None

    def earlier(self, order: Expected) -> list[Expected]:
        return [other for other in self.orders if other.reference == order.reference and other.seq < order.seq]

    def may_be_prepared(self, order: Expected) -> bool:
        """Say whether nothing of the same document is open before it."""
        return order.state is S.PREPARING and all(other.state in TERMINAL for other in self.earlier(order))

    def there_before(self, order: Expected) -> Expected | None:
        """Return the version that is at the service when this one is linked."""
        sent = [other for other in self.earlier(order) if other.state is S.SENT]
        return None if not sent or sent[-1].is_gone else sent[-1]

    def after(self, order: Expected, event: OrderEvent) -> OrderState | None:
        """Return the state that an event leads to, with what follows in the same transaction."""
        after = next_state(order.state, event)
        if after is None:
            return None
        if order.cancel_requested and after in MAY_LEAVE:
            return S.CANCELLED  # asked before: it never leaves again
        newer = (other for other in self.orders if other.reference == order.reference and other.seq > order.seq)
        was_away = order.state in CANCEL_ASKED_ONLY
        if was_away and can(after, E.SUPERSEDE) and any(other.state not in TERMINAL for other in newer):
            return S.SUPERSEDED  # a newer version waits
        return after

    def expect_hold(self, order: Expected, hold: HoldKind) -> bool:
        if hold in order.holds:
            return True
        if order.state in SETTLED:
            return False
        order.holds.add(hold)
        if order.state is S.CLAIMED:
            order.state = S.READY
        return True
