"""What a service really holds, and what each client last wished: the truth beside which a queue is judged.

The service believes every complete body; what is told of it (an answer, a doubt) is somebody else's. Knows no SQL.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vaguemestre_core.changes import hides_again, visibility_of
from vaguemestre_core.orders import OrderId, OrderKind
from vaguemestre_core.records import Order


@dataclass(slots=True)
class Entry:
    """A document at the service."""

    client_ref: str
    content: bytes
    codes: frozenset[str]
    status: str = "approved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a client last wished of a document: this content with these codes, or nothing at all.

    Attributes:
        content: the bytes wished there; None: nothing is wished there.
        codes: who shall not see it.
        is_sure: nothing since made it uncertain (a person's cancellation, a refusal of the service).
    """

    content: bytes | None
    codes: frozenset[str] = frozenset()
    is_sure: bool = True


@dataclass(slots=True)
class Truth:
    """The service's documents by uniqueId, and how many complete bodies of each order reached it."""

    entries: dict[str, Entry] = field(default_factory=dict)
    arrivals: dict[OrderId, int] = field(default_factory=dict)

    def present(self, client_ref: str) -> Entry | None:
        """Return what is in force there of a document; two at once would be a fault."""
        found = [item for item in self.entries.values() if item.client_ref == client_ref and item.status == "approved"]
        assert len(found) <= 1, "two versions are in force"
        return found[0] if found else None

    def named(self, order: Order) -> Entry:
        """Return the version that an order names, which must be in force."""
        assert order.predecessor_unique_id is not None, "it names nothing"
        entry = self.entries[order.predecessor_unique_id]
        assert entry.status == "approved", "it names what is not in force"
        return entry

    def is_done(self, order: Order) -> bool:
        """Say what a lookup says of an order: its document is there, or its change is made."""
        if order.kind in {OrderKind.DMP_SUBMIT, OrderKind.DMP_REPLACE}:
            return order.unique_id in self.entries
        assert order.predecessor_unique_id is not None
        entry = self.entries[order.predecessor_unique_id]
        if order.kind is OrderKind.DMP_DELETE:
            return entry.status == "deleted"
        return entry.status == "approved" and entry.codes == visibility_of(order.guard_facts)

    def would_refuse(self, order: Order) -> bool:
        """Say whether an order asks to hide what is visible: no transaction can."""
        return order.kind is OrderKind.DMP_VISIBILITY and hides_again(
            self.named(order).codes, visibility_of(order.guard_facts)
        )

    def receive(self, order: Order, content: bytes | None) -> None:
        """Take a complete body. Each order has one effect at most, and names what is in force."""
        self.arrivals[order.order_id] = self.arrivals.get(order.order_id, 0) + 1
        assert self.arrivals[order.order_id] == 1, "it arrived twice"
        if order.kind is OrderKind.DMP_DELETE:
            self.named(order).status = "deleted"
        elif order.kind is OrderKind.DMP_VISIBILITY:
            self.named(order).codes = visibility_of(order.guard_facts)
        else:
            if order.kind is OrderKind.DMP_REPLACE:
                self.named(order).status = "replaced"
            assert content is not None
            assert self.present(order.client_ref) is None, "another version is in force"
            self.entries[order.unique_id] = Entry(order.client_ref, content, visibility_of(order.guard_facts))
