"""The recorded run: several clients' orders through the store's own operations and its own writer, in shared commits.

Each piece of work is one the services ask of the store; which ones, and on which orders, is drawn from the seed. What a
caller is told is written in a journal of its own with the position of the operation log at that instant.
"""

from __future__ import annotations

import hashlib
import random
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from vaguemestre_agent.selftest.power.changes import CODES, ChangeWorkload, is_change
from vaguemestre_agent.selftest.power.recording import (
    Acknowledgement,
    MarkerWritten,
    OperationLog,
    Recording,
    Version,
)
from vaguemestre_agent.selftest.power.vfs import ApswConnection, RecordingVfs
from vaguemestre_core.errors import Conflict
from vaguemestre_core.facts import of_patient, opposition
from vaguemestre_core.orders import ClientId, DocumentId, HoldKind, OrderEvent, OrderId, OrderKind, OrderState
from vaguemestre_core.ports import PreparedBuild
from vaguemestre_core.records import (
    Acceptance,
    Actor,
    Change,
    Client,
    FrozenIds,
    Order,
    ProductProfile,
    Schedule,
    Scope,
)
from vaguemestre_core.redaction import Personal, SecretBytes
from vaguemestre_core.turns import SendingRight
from vaguemestre_queue import acceptance as accepting
from vaguemestre_queue import bodies, facts, people, recovery, scheduling, transitions
from vaguemestre_queue.checkpoints import Checkpoints
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.context import Context
from vaguemestre_queue.database import SYNCHRONOUS_FULL, open_database
from vaguemestre_queue.opening import bring_up
from vaguemestre_queue.sealing import Sealer, StoreKeys, new_identity
from vaguemestre_queue.writer import Writer

WriterFactory: TypeAlias = type[Writer]
Work: TypeAlias = Callable[[Connection, list[Change]], object]
Told: TypeAlias = list[tuple[OrderId, int]]

ROUNDS: Final = 14  # about 55 orders in 70 commits
CHECKPOINT_PAGES: Final = 150  # small, so that a short run has many checkpoints, within commits and between them
CHECKPOINT_COMMITS: Final = 8
MARKER_EVERY: Final = 5  # commits
PROFESSIONAL: Final = "899700000012"
CLIENTS: Final = ("lgc-1", "lgc-2", "lgc-3")
_START: Final = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
_WAIT_S: Final = 60.0
_QUALIFIED: Final = '{"identity_status":"qualifiée","has_ins":true}'
_DOCTOR: Final = Actor(user="selftest", role="medecin", rpps="99700000012")
_PRODUCT: Final = ProductProfile(
    lps_name="Auto-test",
    lps_version="1",
    lps_id="1",
    homologation_id="AUTO-TEST",
    proxy_client_id="selftest",
    oid_root="1.2.250.1.999.7",
)


class SteppedClock:
    """A clock that the run moves."""

    def __init__(self) -> None:
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        """Return the wall clock."""
        return _START + timedelta(seconds=self._elapsed_s)

    def boot_s(self) -> float:
        """Return seconds since boot."""
        return 1000.0 + self._elapsed_s

    def boot_id(self) -> str:
        """Return the boot's identifier."""
        return "selftest"

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed_s += seconds

    async def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self._elapsed_s += seconds


class NoFailpoints:
    """Nothing is cut while recording: the cuts are made afterwards."""

    def hit(self, name: str) -> None:
        """Pass."""


def selftest_keys() -> StoreKeys:
    """Return keys of a store that lives as long as a self-test."""
    identity, _ = new_identity()
    return StoreKeys(
        identity=SecretBytes(identity.encode()),
        authentication=SecretBytes(b"a" * 32),
        pseudonym=SecretBytes(b"p" * 32),
        recovery_recipient=new_identity()[1],
    )


def selftest_context(keys: StoreKeys) -> Context:
    """Return the context of a store that lives as long as a self-test."""
    return Context(sealer=Sealer(keys), clock=SteppedClock(), failpoints=NoFailpoints(), incarnation=0)


def record(
    seed: int, keys: StoreKeys, *, synchronous: int = SYNCHRONOUS_FULL, writer: WriterFactory = Writer
) -> Recording:
    """Run the workload of a seed over the recording file system; return what it left.

    Args:
        seed: decides every piece of work; sealed bytes, and a little their lengths, differ from run to run.
        keys: the store's keys; the same are needed to open an image.
        synchronous: SQLite's setting; anything but FULL is a seeded bug.
        writer: what makes the writer; another one is a seeded bug.
    """
    log = OperationLog()
    with tempfile.TemporaryDirectory(prefix="vaguemestre-power-") as folder:
        return _Run(random.Random(seed), keys, log, Path(folder), synchronous, writer).go()  # noqa: S311 - repeatable


class _Run:
    def __init__(
        self,
        draw: random.Random,
        keys: StoreKeys,
        log: OperationLog,
        folder: Path,
        synchronous: int,
        writer: WriterFactory,
    ) -> None:
        self._draw = draw
        self._log = log
        self._marker = folder / "queue.marker"
        self._clock = SteppedClock()
        name = f"vaguemestre-power-{id(log)}"
        vfs = RecordingVfs(name, log)
        self._connection = open_database(
            Path("queue.db"), lambda path: ApswConnection(path, vfs, name), synchronous=synchronous
        )
        self._connection.run(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        before = Context(sealer=Sealer(keys), clock=self._clock, failpoints=NoFailpoints(), incarnation=0)
        self._context, self._store_id, _ = bring_up(
            self._connection, before, self._marker, f"{draw.getrandbits(128):032x}"
        )
        checkpoints = Checkpoints(self._connection, growth_pages=CHECKPOINT_PAGES, commits=CHECKPOINT_COMMITS)
        self._writer = writer(self._connection, self._committed, rest=checkpoints.after_answers)
        self._orders: dict[OrderId, Order] = {}
        self._versions: dict[OrderId, list[Version]] = {}
        self._told: list[Acknowledgement] = []
        self._bodies: dict[tuple[OrderId, str], bytes] = {}
        self._keys: dict[tuple[str, str], OrderId] = {}
        self._changing = ChangeWorkload(context=self._context, bodies=self._bodies, keys=self._keys)
        self._given: list[Acceptance] = []
        self._markers: list[MarkerWritten] = []
        self._commits = 0
        self._asked_at = log.position
        self._next = 0

    def go(self) -> Recording:
        """Run; return the recording."""
        self._note_marker()
        self._writer.start()
        try:
            self._give([("admin", partial(self._pair, client)) for client in CLIENTS])
            ready_at = self._log.position
            for _ in range(ROUNDS):
                self._clock.advance(self._draw.choice((1.0, 30.0, 130.0, 400.0)))
                works = self._round()
                self._draw.shuffle(works)
                while works:
                    together = self._draw.randint(1, 9)
                    self._give(works[:together])
                    del works[:together]
        finally:
            self._writer.stop()
        operations = tuple(self._log.operations)  # before the close: the power went
        self._connection.close()
        return Recording(
            operations=operations,
            ready_at=ready_at,
            versions={order_id: tuple(versions) for order_id, versions in self._versions.items()},
            acknowledgements=tuple(self._told),
            markers=tuple(self._markers),
            bodies=self._bodies,
            keys=self._keys,
        )

    # Giving work and noting what is told

    def _give(self, works: list[tuple[str, Work]]) -> None:
        """Give pieces of work so that they share commits; return when everybody was answered."""
        self._asked_at = self._log.position
        gate = threading.Event()
        futures: list[Future[Told]] = []
        self._writer.submit(lambda _connection, _changes: gate.wait(_WAIT_S))
        for client, work in works:
            future = self._writer.submit(partial(_with_told, work))
            future.add_done_callback(partial(self._note_told, client))
            futures.append(future)
        gate.set()
        for future in futures:
            error = future.exception(_WAIT_S)
            if error is not None and not isinstance(error, Conflict):
                raise error

    def _note_told(self, client: str, future: Future[Told]) -> None:
        position = self._log.position
        if future.exception() is None:
            self._told += [
                Acknowledgement(position=position, order_id=order_id, revision=revision, client=client)
                for order_id, revision in future.result()
            ]

    def _committed(self, changes: list[Change]) -> None:
        for change in changes:
            order = change.order
            if order is not None:
                self._orders[order.order_id] = order
                self._versions.setdefault(order.order_id, []).append(
                    Version(revision=order.revision, state=order.state, earliest=self._asked_at)
                )
        self._commits += 1
        if self._commits % MARKER_EVERY == 0:
            # As the store does: the marker names a line that is already committed.
            last = changes[-1].entry.seq if changes else 0
            if last:
                recovery.write_marker(self._marker, recovery.Marker(store_id=self._store_id, ledger_seq=last))
                self._note_marker()

    def _note_marker(self) -> None:
        seen = recovery.read_marker(self._marker)
        if seen is not None:
            self._markers.append(
                MarkerWritten(position=self._log.position, store_id=seen.store_id, ledger_seq=seen.ledger_seq)
            )

    # The pieces of work

    def _round(self) -> list[tuple[str, Work]]:
        draw, context = self._draw, self._context
        works: list[tuple[str, Work]] = [
            (draw.choice(CLIENTS), self._accept(draw.choice(CLIENTS))) for _ in range(draw.randint(1, 5))
        ]
        known = [given for given in self._given if given.order_id in self._orders]
        if known and draw.random() < 0.5:
            works.append(("lgc-1", self._again(draw.choice(known))))
        if known and draw.random() < 0.4:
            works.append(("lgc-2", self._correct(draw.choice(known))))
        if known and draw.random() < 0.6:
            works.append(("lgc-3", self._change(draw.choice(known))))
        if known and draw.random() < 0.2:
            patient, told = of_patient(draw.choice(known).patient_key), [opposition(draw.random() < 0.5)]
            works.append(("lgc-3", lambda c, out: facts.record(c, context, patient, told, _DOCTOR, None, out)))
        now, boot_s, boot_id = self._clock.now(), self._clock.boot_s(), self._clock.boot_id()
        works.append(("agent", lambda c, out: scheduling.due(c, context, now, boot_s, boot_id, 50, out)))
        works.append(("agent", lambda c, out: scheduling.preparing(c, context, now, 50, out)))
        works += [("agent", partial(self._claim, now)) for _ in range(draw.randint(1, 5))]
        for order in list(self._orders.values()):
            work = self._next_step(order)
            if work is not None:
                works.append(("agent", work))
        return works

    def _next_step(self, order: Order) -> Work | None:
        chance = self._draw.random()
        if order.state is OrderState.PREPARING and order.waiting is not None:
            return None  # the fate of the version before is not known yet
        if order.state is OrderState.PREPARING:
            return self._prepared(order) if chance < 0.8 else self._event(order, OrderEvent.PREPARATION_REFUSED)
        if order.state in {OrderState.DEFERRED, OrderState.READY} and chance < 0.25:
            return self._by_a_person(order, chance)
        if order.state is OrderState.DEFERRED:
            return self._event(order, OrderEvent.SEND_NOW) if chance < 0.7 else None
        if order.state is OrderState.CLAIMED:
            return self._first_byte(order) if chance < 0.8 else self._event(order, OrderEvent.UNCLAIM)
        steps = _LATER.get(order.state, ())
        for limit, event in steps:
            if chance < limit:
                return self._event(order, event)
        return self._cancel(order) if steps and chance > 0.95 else None

    def _by_a_person(self, order: Order, chance: float) -> Work:
        context, order_id = self._context, order.order_id
        if chance < 0.06:
            return self._cancel(order)
        change = transitions.lift_hold if HoldKind.PERSON in order.holds else transitions.put_hold

        def work(connection: Connection, out: list[Change]) -> object:
            row = transitions.load(connection, context, order_id)
            return change(connection, context, row, HoldKind.PERSON, _DOCTOR, "person", out)

        return work

    def _pair(self, client_id: str, connection: Connection, out: list[Change]) -> object:
        client = Client(
            client_id=ClientId(client_id),
            name=client_id,
            secret_digest="0" * 64,
            os_identity=None,
            scopes=frozenset(Scope),
            product=_PRODUCT,
            created_at=self._clock.now(),
        )
        people.add_client(connection, self._context, client, _DOCTOR, out)
        return client

    def _accept(self, client: str) -> Work:
        self._next += 1
        number, draw = self._next, self._draw
        size = draw.choice((draw.randint(100, 900), draw.randint(100, 900), draw.randint(3000, 20000)))
        undo_s = draw.choice((0.0, 60.0, 120.0))
        now = self._clock.now()
        acceptance = Acceptance(
            client_id=ClientId(client),
            client_ref=f"doc-{number}",
            actor=_DOCTOR,
            idempotency_key=f"key-{number}",
            request_digest=f"{number:064x}",
            kind=OrderKind.DMP_SUBMIT,
            professional=PROFESSIONAL,
            patient_key=Personal(f"patient-{draw.randint(1, 9)}"),
            order_id=OrderId(f"order-{number}"),
            document_id=DocumentId(f"document-{number}"),
            set_id=f"1.2.250.1.999.7.1.{number}",
            unique_id=f"1.2.250.1.999.7.2.{number}",
            type_code="11488-4",
            facts=_QUALIFIED,
            metadata=b"{}",
            body=draw.randbytes(size),
            media_type="application/pdf",
            title=Personal(f"Document {number}"),
            schedule=Schedule(
                not_before=now + timedelta(seconds=undo_s * 2),
                undo_until=now + timedelta(seconds=undo_s),
                undo_s=undo_s,
            ),
            holds=frozenset(),
            fact_version=0,
            accepted_at=now,
            boot_s=self._clock.boot_s(),
            boot_id=self._clock.boot_id(),
        )
        self._given.append(acceptance)
        return self._acceptance(acceptance)

    def _acceptance(self, acceptance: Acceptance) -> Work:
        framed = accepting.frame(acceptance)
        sealed = self._context.sealer.seal(framed)
        self._bodies[acceptance.order_id, bodies.GIVEN] = hashlib.sha256(framed).digest()
        if acceptance.idempotency_key is not None:
            self._keys.setdefault((acceptance.client_id, acceptance.idempotency_key), acceptance.order_id)
        return lambda c, out: accepting.accept(c, self._context, acceptance, sealed, out)

    def _again(self, given: Acceptance) -> Work:
        repeated = replace(given, order_id=OrderId(f"{given.order_id}-again"))
        sealed = self._context.sealer.seal(accepting.frame(repeated))
        return lambda c, out: accepting.accept(c, self._context, repeated, sealed, out)

    def _correct(self, given: Acceptance) -> Work:
        self._next += 1
        corrected = replace(
            given,
            order_id=OrderId(f"order-{self._next}"),
            unique_id=f"1.2.250.1.999.7.2.{self._next}",
            idempotency_key=f"key-{self._next}",
            request_digest=f"{self._next:064x}",
            body=given.body + b"corrected",
            accepted_at=self._clock.now(),
        )
        return self._acceptance(corrected)

    def _change(self, given: Acceptance) -> Work:
        self._next += 1
        visibility = None if self._draw.random() < 0.5 else self._draw.choice(CODES)
        return self._changing.asked(given, self._next, self._clock.now(), visibility)

    def _prepared(self, order: Order) -> Work:
        if is_change(order):
            return self._changing.frozen(order, self._frozen())
        content = self._draw.randbytes(700)
        build = PreparedBuild(
            prepared=content, type_code=order.type_code, unique_id=order.unique_id, set_id=order.set_id, version=1
        )
        frozen = self._frozen()
        envelope = self._context.sealer.seal(content)
        self._bodies[order.order_id, bodies.PREPARED] = hashlib.sha256(content).digest()
        return lambda c, out: bodies.save_prepared(c, self._context, order.order_id, build, envelope, frozen, out)

    def _frozen(self) -> FrozenIds:
        return FrozenIds(
            submission_set_id=f"1.2.250.1.999.7.3.{self._next}",
            signature_id=f"1.2.250.1.999.7.4.{self._next}",
            message_id="urn:uuid:00000000-0000-4000-8000-000000000000",
            boundary="b",
            submission_at=self._clock.now(),
        )

    def _claim(self, now: datetime, connection: Connection, out: list[Change]) -> object:
        clients = frozenset(ClientId(client) for client in CLIENTS)
        rights = (SendingRight(professional=PROFESSIONAL, clients=clients),)
        return scheduling.claim(connection, self._context, "dmp", rights, now, out)

    def _first_byte(self, order: Order) -> Work:
        if is_change(order):
            return self._changing.first_byte(order)
        content = f"<signature of='{order.order_id}'/>".encode()
        envelope = self._context.sealer.seal(content)
        self._bodies[order.order_id, bodies.SIGNATURE] = hashlib.sha256(content).digest()
        return lambda c, out: bodies.first_byte(c, self._context, order.order_id, envelope, out)

    def _event(self, order: Order, event: OrderEvent) -> Work:
        context, order_id = self._context, order.order_id

        def work(connection: Connection, out: list[Change]) -> object:
            row = transitions.load(connection, context, order_id)
            return transitions.transition(connection, context, row, event, _DOCTOR, out)

        return work

    def _cancel(self, order: Order) -> Work:
        return lambda c, out: transitions.cancel(c, self._context, order.order_id, _DOCTOR, out)


# Chances (cumulated) of what may happen next to an order that has left or may have.
_LATER: Final[dict[OrderState, tuple[tuple[float, OrderEvent], ...]]] = {
    OrderState.SENDING: (
        (0.45, OrderEvent.DELIVERED),
        (0.6, OrderEvent.DOUBT),
        (0.7, OrderEvent.NOT_SENT),
        (0.75, OrderEvent.REFUSED),
    ),
    OrderState.IN_DOUBT: (
        (0.3, OrderEvent.FOUND_THERE),
        (0.5, OrderEvent.UNKNOWN_THERE),
        (0.55, OrderEvent.RESOLVED_NOT_SENT),
    ),
    OrderState.REJECTED: ((0.1, OrderEvent.CANCEL),),
}


def _with_told(work: Work, connection: Connection, changes: list[Change]) -> Told:
    """Do the work; return what its caller may believe once it is answered."""
    work(connection, changes)
    return [(change.order.order_id, change.order.revision) for change in changes if change.order is not None]
