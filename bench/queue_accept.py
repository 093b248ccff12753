"""Accepting an order, against a bare SQLite loop that writes the same bytes to the same tables, in the same run.

    python bench/queue_accept.py [--json] [--rounds N]

The bare loop is one transaction an order, WAL and synchronous=FULL, over the very rows the store writes (they are
captured from a real acceptance: sealed body, row with its digest, ledger line). It seals nothing and computes nothing:
the ratio is the price of the promise. Both alternate in rounds, because a disk's flushes vary more than what we
measure; the ratio given is the median of the rounds. Two ceilings are measured beside: the bare loop when it seals each
body too, and that loop with a hundred orders in a transaction (the most that sharing flushes could give).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from machine import machine

from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_agent.adapters.system.failpoints import Unarmed
from vaguemestre_agent.adapters.system.random import SystemRandom
from vaguemestre_core.orders import ClientId, DocumentId, OrderId, OrderKind
from vaguemestre_core.records import Acceptance, Actor, Client, ProductProfile, Schedule, Scope
from vaguemestre_core.redaction import Personal, SecretBytes
from vaguemestre_queue import acceptance as accepting
from vaguemestre_queue import people
from vaguemestre_queue.connection import SqliteConnection, SqlRow, Value, transaction
from vaguemestre_queue.context import Context
from vaguemestre_queue.database import open_database
from vaguemestre_queue.opening import open_store
from vaguemestre_queue.sealing import Sealer, StoreKeys, new_identity
from vaguemestre_queue.store import Store

ACTOR = Actor(user="bench", role="medecin")
SIZES = ((500, 300), (300_000, 40), (5_000_000, 6))  # bytes, orders in a round
CALLERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measure: orders per second on both sides, and the median ratio of the rounds.

    Attributes:
        name: what was measured.
        ours_per_s, bare_per_s: the two sides.
        sealing_per_s: the bare loop when it seals too.
        grouped_per_s: the bare loop, a hundred orders in a transaction, sealing too.
        ratio: ours to bare, median of the rounds.
        ratio_sealing: ours to the bare loop that seals, median of the rounds.
        target, met: what we hold ourselves to, for ``ratio``.
    """

    name: str
    ours_per_s: float
    bare_per_s: float
    sealing_per_s: float
    grouped_per_s: float
    ratio: float
    ratio_sealing: float
    target: float
    met: bool


def make_keys() -> StoreKeys:
    """Return fresh keys, a recovery key included: two recipients, as in a practice."""
    return StoreKeys(
        identity=SecretBytes(new_identity()[0].encode()),
        authentication=SecretBytes(b"a" * 32),
        pseudonym=SecretBytes(b"p" * 32),
        recovery_recipient=new_identity()[1],
    )


def make_client() -> Client:
    """Return a paired client."""
    product = ProductProfile(
        lps_name="b", lps_version="1", lps_id="1", homologation_id="1", proxy_client_id="b", oid_root="1.2.250.1.999"
    )
    return Client(
        client_id=ClientId("bench"),
        name="bench",
        secret_digest="0" * 64,
        os_identity=None,
        scopes=frozenset(Scope),
        product=product,
        created_at=datetime.now(UTC),
    )


def make_acceptance(number: int, body: bytes) -> Acceptance:
    """Return an acceptance with ids of the usual lengths."""
    now = datetime.now(UTC)
    return Acceptance(
        client_id=ClientId("bench"),
        client_ref=f"compte-rendu-{number:08d}",
        actor=ACTOR,
        idempotency_key=f"0195e0d3-7c00-7000-8000-{number:012d}",
        request_digest=f"{number:064x}",
        kind=OrderKind.DMP_SUBMIT,
        professional="899700000012",
        patient_key=Personal(f"patient-{number}"),
        order_id=OrderId(f"o_{number:030d}"),
        document_id=DocumentId(f"d_{number:030d}"),
        set_id=f"1.2.250.1.999.1.2.{10**20 + number}",
        unique_id=f"1.2.250.1.999.1.3.{10**20 + number}",
        type_code="11488-4",
        facts='{"has_ins":true,"identity_status":"qualifiée"}',
        metadata=b"{}" * 200,
        body=body,
        media_type="application/pdf",
        title=Personal("Compte rendu de consultation"),
        schedule=Schedule(
            not_before=now + timedelta(seconds=900), undo_until=now + timedelta(seconds=120), undo_s=120.0
        ),
        holds=frozenset(),
        fact_version=0,
        accepted_at=now,
        boot_s=1000.0,
        boot_id="00000000-0000-4000-8000-000000000000",
    )


class Capturing:
    """A connection that keeps the INSERTs it runs."""

    def __init__(self, path: Path) -> None:
        self._real = SqliteConnection(path)
        self.inserts: list[tuple[str, tuple[Value, ...]]] = []

    def run(self, sql: str, params: Sequence[Value] = ()) -> list[SqlRow]:
        if sql.startswith("INSERT"):
            self.inserts.append((sql, tuple(params)))
        return self._real.run(sql, params)

    def changed(self) -> int:
        return self._real.changed()

    def close(self) -> None:
        self._real.close()


def capture(folder: Path, keys: StoreKeys, size: int, count: int) -> list[list[tuple[str, tuple[Value, ...]]]]:
    """Return what the store writes for that many acceptances: a list of (statement, values) for each."""
    connection = open_database(folder / "capture.db", Capturing, synchronous=0)
    assert isinstance(connection, Capturing)
    context = Context(sealer=Sealer(keys), clock=SystemClock(), failpoints=Unarmed(), incarnation=1)
    with transaction(connection):
        people.add_client(connection, context, make_client(), ACTOR, [])
    body = os.urandom(size)
    groups = []
    for number in range(count):
        acceptance = make_acceptance(number, body)
        connection.inserts = []
        with transaction(connection):
            accepting.accept(connection, context, acceptance, context.sealer.seal(accepting.frame(acceptance)), [])
        groups.append(connection.inserts)
    connection.close()
    return groups


def bare(
    folder: Path,
    keys: StoreKeys,
    groups: list[list[tuple[str, tuple[Value, ...]]]],
    *,
    together: int = 1,
    sealing: bytes | None = None,
) -> float:
    """Write the groups; return orders per second.

    Args:
        folder: where.
        keys: of the store.
        groups: the statements of each order.
        together: orders in a transaction.
        sealing: a body sealed anew for each order, or None to seal nothing.
    """
    path = folder / f"bare-{together}-{sealing is not None}.db"
    context = Context(sealer=Sealer(keys), clock=SystemClock(), failpoints=Unarmed(), incarnation=1)
    connection = open_database(path)
    with transaction(connection):
        people.add_client(connection, context, make_client(), ACTOR, [])
    connection.close()
    raw = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON", "wal_autocheckpoint = 2000"):
        raw.execute(f"PRAGMA {pragma}")
    started = time.perf_counter()
    for start in range(0, len(groups), together):
        raw.execute("BEGIN IMMEDIATE")
        for group in groups[start : start + together]:
            if sealing is not None:
                context.sealer.seal(sealing)
            for sql, params in group:
                raw.execute(sql, params)
        raw.execute("COMMIT")
    elapsed = time.perf_counter() - started
    raw.close()
    return len(groups) / elapsed


async def ours(folder: Path, keys: StoreKeys, size: int, count: int, callers: int) -> float:
    """Accept through the store; return orders per second."""
    body = os.urandom(size)
    async with open_store(folder, keys, SystemClock(), SystemRandom(), Unarmed()) as store:
        await store.add_client(make_client(), ACTOR)
        acceptances = [make_acceptance(number, body) for number in range(count)]
        started = time.perf_counter()
        if callers == 1:
            for acceptance in acceptances:
                await store.accept(acceptance)
        else:
            async with asyncio.TaskGroup() as group:
                for caller in range(callers):
                    group.create_task(accept_all(store, acceptances[caller::callers]))
        return count / (time.perf_counter() - started)


async def accept_all(store: Store, acceptances: Sequence[Acceptance]) -> None:
    """Accept one after the other, as one client does."""
    for acceptance in acceptances:
        await store.accept(acceptance)


def measure(name: str, size: int, count: int, callers: int, target: float, rounds: int, keys: StoreKeys) -> Figure:
    """Alternate both loops; return the medians."""
    sides: list[tuple[float, float, float, float]] = []
    body = os.urandom(size + 400)  # about what is sealed: body and metadata
    with tempfile.TemporaryDirectory(prefix="vaguemestre-bench-") as name_of_folder:
        root = Path(name_of_folder)
        groups = capture(root, keys, size, min(count, 300))
        for index in range(rounds):
            folder = root / str(index)
            folder.mkdir()
            one_bare = bare(folder, keys, groups)
            sealing = bare(folder, keys, groups, sealing=body)
            grouped = bare(folder, keys, groups, together=100, sealing=body)
            one_ours = asyncio.run(ours(folder / "store", keys, size, count, callers))
            sides.append((one_ours, one_bare, sealing, grouped))
    ratio = statistics.median(side[0] / side[1] for side in sides)
    return Figure(
        name=name,
        ours_per_s=round(statistics.median(side[0] for side in sides), 1),
        bare_per_s=round(statistics.median(side[1] for side in sides), 1),
        sealing_per_s=round(statistics.median(side[2] for side in sides), 1),
        grouped_per_s=round(statistics.median(side[3] for side in sides), 1),
        ratio=round(ratio, 2),
        ratio_sealing=round(statistics.median(side[0] / side[2] for side in sides), 2),
        target=target,
        met=ratio >= target,
    )


def run(rounds: int = 5) -> list[Figure]:
    """Measure everything."""
    keys = make_keys()
    figures = [measure(f"accept {size} B, one caller", size, count, 1, 0.8, rounds, keys) for size, count in SIZES]
    figures.append(measure(f"accept 500 B, {CALLERS} callers", 500, 3000, CALLERS, 10.0, rounds, keys))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    figures = run(arguments.rounds)
    if arguments.json:
        print(json.dumps({"machine": machine(), "figures": [asdict(figure) for figure in figures]}))
        return
    for figure in figures:
        verdict = "met" if figure.met else "NOT met"
        print(
            f"{figure.name:<32} {figure.ours_per_s:>8.1f}/s  bare {figure.bare_per_s:>8.1f}/s  "
            f"ratio {figure.ratio:>5.2f}  target {figure.target} {verdict:<8} "
            f"bare+sealing {figure.sealing_per_s:>8.1f}/s ratio {figure.ratio_sealing:>5.2f}  "
            f"by 100 {figure.grouped_per_s:>8.1f}/s"
        )


if __name__ == "__main__":
    main()
