"""What our watch and our card verb add to PC/SC's own time, against bare PC/SC calls on the same cards, in one run.

    python bench/card_events.py [--json] [--rounds N]

Runs a PC/SC service of its own (pcscd, with vsmartcard's vpcd) in a namespace of its own: never the machine's. The
other side is a bare SCardGetStatusChange loop in another process, told of the same insertions by the same service;
`added_ms` is our instant minus its own, PC/SC's own delay (pcscd looks at these readers every 400 ms) being in both.
For commands, the other side is SCardTransmit on one open connection. Where no such service can run, says why and
measures nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from machine import machine

from vaguemestre_core.cards import CardEvent, CardEventKind
from vaguemestre_drivers.pcsc import scardapi
from vaguemestre_drivers.pcsc.connection import CardAccess
from vaguemestre_drivers.pcsc.port import CardTransport
from vaguemestre_drivers.pcsc.watching import CardWatch
from vaguemestre_drivers.pcsc.winscard import WinscardPort
from vaguemestre_sandbox.cards.card import ScriptedCard
from vaguemestre_sandbox.cards.vpcd import FIRST_PORT, InsertedCard

TARGET_MS = 5.0
WAIT_S = 20.0
COMMANDS = 200
READER = "Virtual PCD 00 00"
DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
INSIDE = "VAGUEMESTRE_BENCH_PCSC"
ATR = bytes.fromhex("3B751300004709EA9000")
READ = bytes.fromhex("00B0000000")
ANSWER = bytes(64) + b"\x90\x00"
SETUP = 'mount -t tmpfs tmpfs /run && mkdir -p /run/pcscd && ip link set lo up && exec "$@"'
BARE = """
import sys, time
from smartcard import scard
_, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
reader, state, was = sys.argv[1], 0, None
while True:
    result, states = scard.SCardGetStatusChange(context, 60000, [(reader, state)])
    at = time.monotonic()
    if result:
        continue
    state = states[0][1] & ~scard.SCARD_STATE_CHANGED
    now = bool(state & scard.SCARD_STATE_PRESENT)
    if now is not was:
        print("in" if now else "out", at, flush=True)
    was = now
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFigure:
    """Milliseconds from the act to each side's knowing it, and what ours adds."""

    name: str
    rounds: int
    bare_ms: float
    ours_ms: float
    added_ms: float
    added_p95_ms: float
    target_ms: float
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFigure:
    """Microseconds of one command, and of a whole work of one command: connection, transaction, giving back."""

    name: str
    bare_us: float
    ours_us: float
    added_us: float


class Seen:
    """The instants at which one side learned of the card's coming and going."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._at: list[tuple[str, float]] = []

    def tell(self, what: str, at: float) -> None:
        """Note one."""
        with self._changed:
            self._at.append((what, at))
            self._changed.notify_all()

    def first(self, what: str, since: float) -> float:
        """Return the first instant of a kind since another, waited for."""
        with self._changed:
            if not self._changed.wait_for(lambda: any(w == what and t >= since for w, t in self._at), WAIT_S):
                raise RuntimeError(f"no {what} seen")
            return min(t for w, t in self._at if w == what and t >= since)


def why_not() -> str | None:
    """Return why no PC/SC service of its own can run here."""
    for program in ("unshare", "pcscd", "ip"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not DRIVER.exists():
        return "vsmartcard-vpcd is not installed"
    tried = subprocess.run([*unshare(), "true"], check=False, capture_output=True)
    return None if tried.returncode == 0 else "namespaces are not allowed here"


def unshare() -> list[str]:
    """Return the command that runs another in a namespace of its own."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *as_root, "-mnp", "--fork", "--mount-proc", "--kill-child", "sh", "-c", SETUP, "sh"]


def start_service(stack: ExitStack) -> None:
    """Start pcscd with vpcd's readers; killed at the end."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    config = folder / "reader.conf"
    lines = ('FRIENDLYNAME "Virtual PCD"', f"DEVICENAME /dev/null:0x{FIRST_PORT:X}", f"LIBPATH {DRIVER}")
    config.write_text("\n".join((*lines, f"CHANNELID 0x{FIRST_PORT:X}", "")))
    service = subprocess.Popen(
        ["pcscd", "--foreground", "--config", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    stack.callback(service.wait)
    stack.callback(service.kill)
    end = time.monotonic() + WAIT_S
    while not Path("/run/pcscd/pcscd.comm").exists():
        if time.monotonic() > end:
            raise RuntimeError("pcscd does not start")
        time.sleep(0.01)


def start_bare(stack: ExitStack) -> Seen:
    """Start the bare loop in its process; return what it sees."""
    seen = Seen()
    bare = subprocess.Popen([sys.executable, "-c", BARE, READER], stdout=subprocess.PIPE, text=True)
    out = bare.stdout
    assert out is not None

    def read() -> None:
        for line in out:
            what, at = line.split()
            seen.tell(what, float(at))

    reader = threading.Thread(target=read)
    reader.start()
    stack.callback(reader.join)
    stack.callback(bare.wait)
    stack.callback(bare.kill)
    return seen


def start_ours(stack: ExitStack, port: WinscardPort) -> tuple[CardWatch, Seen]:
    """Start our watch; return it and what it sees."""
    seen = Seen()

    def told(event: CardEvent) -> None:
        at = time.monotonic()
        if event.kind is CardEventKind.CARD_INSERTED:
            seen.tell("in", at)
        elif event.kind in (CardEventKind.CARD_REMOVED, CardEventKind.READER_ADDED):
            seen.tell("out", at)

    watch = CardWatch(port, told)
    thread = threading.Thread(target=watch.run)
    thread.start()
    stack.callback(thread.join)
    stack.callback(watch.stop)
    return watch, seen


def events(rounds: int, bare: Seen, ours: Seen) -> list[EventFigure]:
    """Measure insertions and removals."""
    times: dict[str, list[tuple[float, float]]] = {"insertion": [], "removal": []}
    for _ in range(rounds):
        at = time.monotonic()
        card = InsertedCard.insert(ScriptedCard(ATR, {}))
        times["insertion"].append((bare.first("in", at) - at, ours.first("in", at) - at))
        at = time.monotonic()
        card.remove()
        times["removal"].append((bare.first("out", at) - at, ours.first("out", at) - at))
    figures = []
    for name, pairs in times.items():
        added = sorted((mine - theirs) * 1000 for theirs, mine in pairs)
        p95 = added[min(len(added) - 1, round(0.95 * (len(added) - 1)))]
        figures.append(
            EventFigure(
                name=name,
                rounds=rounds,
                bare_ms=round(statistics.median(theirs for theirs, _ in pairs) * 1000, 1),
                ours_ms=round(statistics.median(mine for _, mine in pairs) * 1000, 1),
                added_ms=round(statistics.median(added), 2),
                added_p95_ms=round(p95, 2),
                target_ms=TARGET_MS,
                met=p95 <= TARGET_MS,
            )
        )
    return figures


def commands(watch: CardWatch, port: WinscardPort, ours: Seen) -> list[CommandFigure]:
    """Measure one command, and one whole work."""
    native = scardapi.load()
    at = time.monotonic()
    card = InsertedCard.insert(ScriptedCard(ATR, {READ: ANSWER}))
    ours.first("in", at)
    _, context = native.SCardEstablishContext(scardapi.SCOPE_USER)

    def bare_connect() -> tuple[int, int]:
        _, handle, protocol = native.SCardConnect(
            context, READER, scardapi.SHARE_SHARED, scardapi.PROTOCOL_T0 | scardapi.PROTOCOL_T1
        )
        native.SCardBeginTransaction(handle)
        return handle, protocol

    def bare_end(handle: int) -> None:
        native.SCardEndTransaction(handle, scardapi.LEAVE_CARD)
        native.SCardDisconnect(handle, scardapi.LEAVE_CARD)

    def bare_work() -> None:
        handle, protocol = bare_connect()
        native.SCardTransmit(handle, protocol, list(READ))
        bare_end(handle)

    access = CardAccess(port, watch.stay)

    def our_work() -> None:
        access.using_card(READER, lambda session: session.transmit(READ), is_repeatable=True)

    handle, protocol = bare_connect()
    bare = per_call(lambda: native.SCardTransmit(handle, protocol, list(READ)))
    bare_end(handle)

    def many(session: CardTransport) -> float:
        return per_call(lambda: session.transmit(READ))

    mine = access.using_card(READER, many, is_repeatable=False)
    bare_whole, our_whole = per_call(bare_work), per_call(our_work)
    native.SCardReleaseContext(context)
    card.remove()
    return [
        CommandFigure(name=name, bare_us=round(b), ours_us=round(o), added_us=round(o - b))
        for name, b, o in (("command", bare, mine), ("work", bare_whole, our_whole))
    ]


def per_call(call: Callable[[], object]) -> float:
    """Return the median microseconds of a call."""
    spent = []
    for _ in range(COMMANDS):
        at = time.perf_counter()
        call()
        spent.append((time.perf_counter() - at) * 1e6)
    return statistics.median(spent)


def measure(rounds: int) -> dict[str, object]:
    """Measure inside the namespace."""
    with ExitStack() as stack:
        start_service(stack)
        port = WinscardPort()
        stack.callback(port.close)
        bare = start_bare(stack)
        watch, ours = start_ours(stack, port)
        for side in (bare, ours):
            side.first("out", 0.0)
        return {
            "machine": machine(),
            "events": [asdict(figure) for figure in events(rounds, bare, ours)],
            "commands": [asdict(figure) for figure in commands(watch, port, ours)],
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    if os.environ.get(INSIDE) == "1":
        print(json.dumps(measure(options.rounds)))
        return
    reason = why_not()
    if reason is not None:
        result: dict[str, object] = {"machine": machine(), "not_measured": reason}
    else:
        done = subprocess.run(
            [*unshare(), sys.executable, __file__, "--rounds", str(options.rounds)],
            check=True,
            stdout=subprocess.PIPE,
            env=os.environ | {INSIDE: "1"},
        )
        result = json.loads(done.stdout)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        for line in value if isinstance(value, list) else [value]:
            print(f"{name}: {line}")


if __name__ == "__main__":
    main()
