"""A serial scanner behind a pseudo-terminal, read by a real agent's readers process and told on the event stream."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from vaguemestre_api import wire_readers
from vaguemestre_api.answers import StreamItem
from vaguemestre_api.client import Client
from vaguemestre_testkit.acceptance_kit import PATIENCE_S, Life, living, vaguemestre
from vaguemestre_testkit.code_samples import BOX, INS
from vaguemestre_testkit.scanner_doubles import PtyScanner
from vaguemestre_testkit.terminals import why_no_pty

pytest.importorskip("serial", reason="pyserial is not installed")
pytestmark = pytest.mark.skipif(why_no_pty() is not None, reason=str(why_no_pty()))

ORDONNANCE = b"]Q1ORD:quelque chose"
AGAIN_S = 0.3


class Seen:
    """What the stream of one client has told of scanners and codes."""

    def __init__(self) -> None:
        self.scans: list[wire_readers.ScanEvent] = []
        self.scanner: wire_readers.Scanner | None = None
        self._news = asyncio.Event()

    async def follow(self, client: Client) -> None:
        events: AsyncGenerator[StreamItem] = client.events()
        async with aclosing(events):
            async for item in events:
                match item.content:
                    case wire_readers.ScanEvent():
                        self.scans.append(item.content)
                    case wire_readers.Readers():
                        [self.scanner] = item.content.scanners
                    case _:
                        continue
                self._news.set()

    async def until(self, holds: Callable[[Seen], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds(self):
                self._news.clear()
                await self._news.wait()


def is_ready(seen: Seen) -> bool:
    return seen.scanner is not None and seen.scanner.ready


def is_absent(seen: Seen) -> bool:
    situation = None if seen.scanner is None else seen.scanner.situation
    return situation is not None and situation.code == "SCANNER_ABSENT"


async def watching(life: Life, work: Callable[[Seen, Seen], Awaitable[None]]) -> None:
    """Run with the streams of a client that may see identities and of one that may not."""
    entitled, other = Seen(), Seen()
    async with life.practice.client(credentials=life.practice.other) as second, asyncio.TaskGroup() as group:
        streams = [group.create_task(entitled.follow(life.lgc)), group.create_task(other.follow(second))]
        await work(entitled, other)
        for stream in streams:
            stream.cancel()


async def test_codes_reach_who_may_see_them_and_an_unplugged_scanner_is_told(tmp_path: Path, pki: Path) -> None:
    scanner = PtyScanner(tmp_path / "ttyACM0")
    extra = {
        "VAGUEMESTRE_SCANNERS__SERIAL": str(scanner.port),
        "VAGUEMESTRE_SCANNERS__OPAQUE_RULES": "ordonnance:Q:ORD%3A",
    }
    async with living(tmp_path, pki, session=False, extra=extra) as life:
        await life.practice.pair_another()

        async def work(entitled: Seen, other: Seen) -> None:
            await entitled.until(is_absent)
            await other.until(is_absent)
            assert "SCANNER_ABSENT" in {item.code for item in (await life.lgc.health()).items}
            trouble = (await life.lgc.readers()).trouble
            assert trouble is not None
            assert trouble.code == "READERS_OFF"
            scanner.plug()
            await entitled.until(is_ready)
            await other.until(is_ready)
            scanner.send(INS + b"\r" + ORDONNANCE + b"\r" + BOX + b"\r")
            await entitled.until(lambda seen: len(seen.scans) == 3)
            await other.until(lambda seen: len(seen.scans) == 1)
            ins, ordonnance, box = (event.code for event in entitled.scans)
            assert ins.ins is not None
            assert (ins.kind, ins.ins.matricule, ins.ins.birth_name) == ("ins", "275126322074974", "ADRUN")
            assert (ordonnance.kind, ordonnance.withheld, ordonnance.source) == ("ordonnance", False, "serial")
            assert box.box is not None
            assert (box.box.cip13, box.box.lot) == ("3400930000014", "LOT42")
            assert entitled.scans[2].scanner == f"serial {scanner.port}"
            assert [event.code for event in other.scans] == [box]

            scanner.unplug()
            await entitled.until(is_absent)
            scanner.plug()
            await entitled.until(is_ready)
            scanner.send(BOX + b"\r")
            await entitled.until(lambda seen: len(seen.scans) == 4)
            await other.until(lambda seen: len(seen.scans) == 2)

            pid = life.readers_pid()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await entitled.until(lambda seen: not is_ready(seen))
            await entitled.until(is_ready)
            scanner.send(INS + b"\r" + BOX + b"\r")
            await entitled.until(lambda seen: len(seen.scans) == 6)
            await other.until(lambda seen: len(seen.scans) == 3)
            assert {event.code.kind for event in other.scans} == {"box"}

        await watching(life, work)
        lines = (await life.lgc.ledger(limit=1000)).lines
        assert not [line for line in lines if "scan" in line.kind or "ADRUN" in str(line) or "LOT42" in str(line)]
        scanner.unplug()
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    assert not [path.name for path in kept for word in (b"ADRUN", b"275126322074974") if word in path.read_bytes()]


async def test_the_command_shows_codes_as_they_are_read(tmp_path: Path, pki: Path) -> None:
    scanner = PtyScanner(tmp_path / "ttyACM0")
    scanner.plug()
    extra = {"VAGUEMESTRE_SCANNERS__SERIAL": str(scanner.port)}
    async with living(tmp_path, pki, session=False, extra=extra) as life:
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            command = group.create_task(vaguemestre(life.environment, "scan", "--watch", "--count", "1"))
            # As a person does who sees nothing yet: the code is read again until the command, once connected, shows it.
            while not command.done():
                scanner.send(BOX + b"\r")
                await asyncio.wait([command], timeout=AGAIN_S)
        status, event = command.result()
        assert status == 0
        code = event["code"]
        assert isinstance(code, dict)
        assert (event["scanner"], code["kind"], code["box"]["lot"]) == (f"serial {scanner.port}", "box", "LOT42")
        scanner.unplug()
