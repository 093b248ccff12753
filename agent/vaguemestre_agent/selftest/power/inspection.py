"""Opening what a cut left with the store's own code, and comparing it with what callers had been told.

Nothing here is lenient: a row must be exactly one of the versions between the last one acknowledged and the last one
asked for, as the recovery must have left it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, unique
from pathlib import Path

from vaguemestre_agent.selftest.power.images import Cut
from vaguemestre_agent.selftest.power.recording import MarkerWritten, Recording, Version
from vaguemestre_core.errors import VaguemestreError
from vaguemestre_core.orders import OrderEvent, OrderId, OrderState, next_state
from vaguemestre_queue import bodies, ledger, recovery, rows, transitions
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context
from vaguemestre_queue.database import open_database
from vaguemestre_queue.opening import DATABASE_FILE, MARKER_FILE, bring_up


@unique
class Fault(Enum):
    """What is wrong with a store after a cut."""

    LOST = "lost"  # an acknowledged order, body or key is not there
    WRONG_STATE = "wrong_state"  # an order is where it cannot be
    CORRUPT = "corrupt"  # the store does not open, or is not what it says


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing wrong.

    Attributes:
        fault: which kind.
        what: a short name of the check, then the order concerned; no personal data.
    """

    fault: Fault
    what: str


class Inspector:
    """Inspects the images of one recording."""

    def __init__(self, recording: Recording, context: Context, *, recovering: bool = True) -> None:
        self._recording = recording
        self._context = context
        self._recovering = recovering
        self._opened: dict[bytes, bytes] = {}  # digest of sealed bytes to digest of what they hold

    def inspect(
        self, folder: Path, image: Mapping[str, bytes], cut: Cut, marker: MarkerWritten | None
    ) -> list[Finding]:
        """Write the image into an empty folder, open it as the agent does, return what is wrong."""
        for name, content in image.items():
            (folder / name).write_bytes(content)
        if marker is not None:
            recovery.write_marker(
                folder / MARKER_FILE, recovery.Marker(store_id=marker.store_id, ledger_seq=marker.ledger_seq)
            )
        try:
            connection = open_database(folder / DATABASE_FILE)
        except VaguemestreError as error:
            return [Finding(fault=Fault.CORRUPT, what=f"open {error.code}")]
        try:
            return self._look(connection, folder / MARKER_FILE, cut)
        except VaguemestreError as error:
            return [Finding(fault=Fault.CORRUPT, what=f"read {error.code}")]
        finally:
            connection.close()

    def _look(self, connection: Connection, marker: Path, cut: Cut) -> list[Finding]:
        context, _, report = bring_up(connection, self._context, marker, "0" * 32, recovering=self._recovering)
        found: list[Finding] = []
        if connection.run("PRAGMA integrity_check") != [("ok",)]:
            return [Finding(fault=Fault.CORRUPT, what="integrity_check")]
        if connection.run("PRAGMA foreign_key_check"):
            found.append(Finding(fault=Fault.CORRUPT, what="foreign_key_check"))
        if report.incarnated:
            found.append(Finding(fault=Fault.WRONG_STATE, what="taken for a restored copy"))
        if report.unauthenticated:
            found.append(Finding(fault=Fault.CORRUPT, what="row not authentic"))
        last_states = self._walk_ledger(connection)
        told = self._told(cut.position)
        for order_id, versions in self._recording.versions.items():
            asked = [version for version in versions if version.earliest <= cut.position]
            if asked:
                found += self._order(connection, context, order_id, asked, told.get(order_id, 0), last_states)
        found += self._keys(connection, told)
        return found

    def _walk_ledger(self, connection: Connection) -> dict[str, OrderState]:
        """Check the chain; return the state each order has by the ledger alone. Raises StoreError LEDGER_BROKEN."""
        check = ledger.ChainCheck()
        states: dict[str, OrderState] = {}
        for row in connection.run(f"{ledger.SELECT} ORDER BY seq"):
            check.take(row)
            entry = ledger.entry_of(row)
            if entry.order_id is not None and entry.after is not None:
                states[entry.order_id] = entry.after
        return states

    def _told(self, position: int) -> dict[OrderId, int]:
        """Return the highest revision of each order acknowledged at that position."""
        told: dict[OrderId, int] = {}
        for acknowledgement in self._recording.acknowledgements:
            if acknowledgement.position <= position:
                known = told.get(acknowledgement.order_id, 0)
                told[acknowledgement.order_id] = max(known, acknowledgement.revision)
        return told

    def _order(
        self,
        connection: Connection,
        context: Context,
        order_id: OrderId,
        asked: list[Version],
        told: int,
        last_states: Mapping[str, OrderState],
    ) -> list[Finding]:
        present = connection.run("SELECT 1 FROM orders WHERE order_id = ?", [order_id])
        if not present:
            return [Finding(fault=Fault.LOST, what=f"order {order_id}")] if told else []
        row = transitions.load(connection, context, order_id)
        order = rows.order_of(row)
        found: list[Finding] = []
        possible = {_recovered(version) for version in asked if version.revision >= told}
        if (order.revision, order.state) not in possible:
            what = f"{order_id} is {order.state.value} at revision {order.revision}, told {told}"
            found.append(Finding(fault=Fault.WRONG_STATE, what=what))
        if last_states.get(order_id) is not order.state:
            found.append(Finding(fault=Fault.WRONG_STATE, what=f"ledger and row differ {order_id}"))
        for role in (bodies.GIVEN, bodies.PREPARED, bodies.SIGNATURE):
            if row[f"{role}_digest"] is not None and not self._opens(connection, context, order_id, role):
                found.append(Finding(fault=Fault.LOST, what=f"body {role} {order_id}"))
        return found

    def _opens(self, connection: Connection, context: Context, order_id: OrderId, role: str) -> bool:
        try:
            sealed = bodies.fetch(connection, context, order_id, role)
            if sealed is None:
                return False
            digest = hashlib.sha256(sealed).digest()
            if digest not in self._opened:
                self._opened[digest] = hashlib.sha256(context.sealer.open(sealed)).digest()
        except VaguemestreError:
            return False
        return self._opened[digest] == self._recording.bodies.get((order_id, role))

    def _keys(self, connection: Connection, told: Mapping[OrderId, int]) -> list[Finding]:
        kept = {
            (str(client), str(key)): str(order_id)
            for client, key, order_id in connection.run("SELECT client_id, key, order_id FROM idempotency")
        }
        return [
            Finding(fault=Fault.LOST, what=f"idempotency key of {order_id}")
            for key, order_id in self._recording.keys.items()
            if order_id in told and kept.get(key) != order_id
        ]


def _recovered(version: Version) -> tuple[int, OrderState]:
    """Return the revision and state that the recovery must leave of a version."""
    if version.state in {OrderState.CLAIMED, OrderState.SENDING}:
        after = next_state(version.state, OrderEvent.RESTARTED)
        if after is not None:
            return version.revision + 1, after
    return version.revision, version.state
