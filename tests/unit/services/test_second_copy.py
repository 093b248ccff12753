"""The second copy: what is accepted is there too, sealed; it catches up, lets go, and opens without the workstation."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.keystore.recovery import ESCROW_FILE, RecoveryKey, new_recovery_key, page, write_escrow
from vaguemestre_agent.adapters.secondcopy.hands import PatientHands
from vaguemestre_agent.adapters.secondcopy.place import LIST_BEFORE, LIST_FILE, FolderPlace
from vaguemestre_agent.adapters.secondcopy.reading import CopyFate, found_in, open_places, unlisted_in
from vaguemestre_agent.cli.main import main
from vaguemestre_agent.services.secondcopy import LOOK_S, SecondCopyService
from vaguemestre_core.errors import Conflict, NotFound, StoreError
from vaguemestre_core.keeping import ErasureReason, WaitingChoice
from vaguemestre_core.orders import OrderId
from vaguemestre_core.secondcopy import SecondCopySettings
from vaguemestre_queue.copylist import copy_name
from vaguemestre_queue.opening import open_store
from vaguemestre_queue.store import Store
from vaguemestre_testkit.clocks import FakeClock, NoFailpoints, SeededRandom
from vaguemestre_testkit.orders import DOCTOR, a_build, a_client, an_acceptance, frozen, test_keys

PAPER: RecoveryKey = new_recovery_key()
KEYS = replace(test_keys(), recovery_recipient=PAPER.recipient)


class Killed(BaseException):
    """The agent dies here."""


@dataclass(slots=True)
class Desk:
    """A store, its second place and the service between them."""

    store: Store
    clock: FakeClock
    service: SecondCopyService
    folder: Path
    hits: list[Callable[[str], None]] = field(default_factory=list)

    async def accept(self, number: int, content: bytes = b"%PDF-1.4 essai") -> OrderId:
        """Accept a document."""
        return (await self.store.accept(an_acceptance(self.clock, number, content=content))).order.order_id

    def copies(self) -> list[Path]:
        """Return the copies that are there."""
        return sorted(self.folder.glob("vaguemestre-*/*.age"))

    def health(self) -> tuple[str, bool]:
        """Return the first thing that health says."""
        item = self.service.health_items()[0]
        return item.code, item.ok

    def param(self, name: str) -> object:
        """Return a fact of it."""
        return self.service.health_items()[0].params[name]


@asynccontextmanager
async def desk(home: Path, clock: FakeClock, *, batch: int = 100, is_copy: bool = False) -> AsyncIterator[Desk]:
    state, folder = home / "state", home / "usb"
    state.mkdir(parents=True, exist_ok=True)
    if not (state / ESCROW_FILE).exists():
        write_escrow(KEYS, state)
    async with open_store(state, KEYS, clock, SeededRandom(1), NoFailpoints()) as store:
        if not await store.clients():
            await store.add_client(a_client(), DOCTOR)
        hits: list[Callable[[str], None]] = []

        def hit(name: str) -> None:
            for each in hits:
                each(name)

        service = SecondCopyService(
            source=store.copies,
            place=FolderPlace(folder, store.store_id, state, hit),
            hands=PatientHands(30.0),
            clock=clock,
            settings=SecondCopySettings(folder=str(folder), batch=batch),
            opens_with_recovery_key=True,
            is_unadopted_copy=is_copy,
        )
        yield Desk(store=store, clock=clock, service=service, folder=folder, hits=hits)


def fates(folder: Path) -> list[tuple[CopyFate, bytes | None]]:
    return [
        (item.fate, None if item.given is None else item.given.body)
        for place in open_places(folder, PAPER, None)
        for item in found_in(place)
    ]


async def test_what_is_accepted_is_there_sealed_and_opens_with_the_page_alone(tmp_path: Path) -> None:
    (tmp_path / "usb").mkdir()
    async with desk(tmp_path, FakeClock()) as here:
        assert here.health() == ("SECOND_COPY_NOT_LOOKED_AT", True)
        first, second = await here.accept(1), await here.accept(2, b"%PDF-1.4 deux")
        await here.service.make_pass()
        assert here.health() == ("SECOND_COPY_DONE", True)
        assert (here.param("there"), here.param("missing")) == (2, 0)
        sealed = {path.name: path.read_bytes() for path in here.copies()}
        assert sealed == {copy_name(item): await here.store.copies.envelope(item) for item in (first, second)}
        # Nothing there names anybody, nor any document: the names are digests, the content is sealed.
        content = b"".join(path.read_bytes() for path in here.folder.rglob("*") if path.is_file())
        names = " ".join(str(path.relative_to(here.folder)) for path in here.folder.rglob("*"))
        for order in (await here.store.order(first), await here.store.order(second)):
            assert order.client_ref.encode() not in content
            assert order.client_ref not in names
            assert order.order_id not in names
        assert b"%PDF" not in content
    assert fates(tmp_path / "usb") == [(CopyFate.WHOLE, b"%PDF-1.4 essai"), (CopyFate.WHOLE, b"%PDF-1.4 deux")]
    with pytest.raises(Conflict, match="RECOVERY_KEY_OTHER"):
        open_places(tmp_path / "usb", new_recovery_key(), None)
    assert len(open_places(tmp_path / "usb", None, KEYS)) == 1
    with pytest.raises(NotFound, match="SECOND_COPY_NOTHING_THERE"):
        open_places(tmp_path / "state", PAPER, None)


async def test_a_disk_that_was_away_is_told_then_caught_up_with(tmp_path: Path) -> None:
    clock, usb, elsewhere = FakeClock(), tmp_path / "usb", tmp_path / "drawer"
    usb.mkdir()
    async with desk(tmp_path, clock, batch=2) as here:
        await here.accept(1)
        await here.service.make_pass()
        usb.rename(elsewhere)
        since = clock.now()
        for number in range(2, 7):
            await here.accept(number)
            await here.service.make_pass()
            clock.advance(60)
        assert here.health() == ("SECOND_COPY_ABSENT", False)
        assert here.param("missing") == 5
        assert here.param("since") == here.param("last") == f"{since:%Y-%m-%d %H:%M} UTC"
        assert not usb.exists()
    # The agent stops and starts: it still knows since when. What it cannot see it counts as missing.
    async with desk(tmp_path, clock, batch=2) as here:
        await here.service.make_pass()
        assert here.health() == ("SECOND_COPY_ABSENT", False)
        assert here.param("since") == f"{since:%Y-%m-%d %H:%M} UTC"
        assert here.param("missing") == 6
        elsewhere.rename(usb)
        await here.service.make_pass()
        assert here.health() == ("SECOND_COPY_CATCHING_UP", True)
        assert here.param("missing") == 3
        await here.service.make_pass()
        await here.service.make_pass()
        assert here.health() == ("SECOND_COPY_DONE", True)
        assert len(here.copies()) == 6


async def test_a_disk_taken_out_or_filled_during_a_pass_leaves_nothing_cut(tmp_path: Path) -> None:
    usb, elsewhere = tmp_path / "usb", tmp_path / "drawer"
    usb.mkdir()
    async with desk(tmp_path, FakeClock()) as here:
        for number in range(1, 5):
            await here.accept(number)

        def take_out(name: str) -> None:
            if name == "copy.half" and len(here.copies()) == 1:
                usb.rename(elsewhere)

        here.hits.append(take_out)
        await here.service.make_pass()
        assert here.health() == ("SECOND_COPY_ABSENT", False)
        here.hits.clear()
        elsewhere.rename(usb)
        # It comes back full.

        def fill(name: str) -> None:
            if name == "copy.half" and len(here.copies()) == 2:
                raise OSError(errno.ENOSPC, "full")

        here.hits.append(fill)
        await here.service.make_pass()
        assert here.health() == ("SECOND_COPY_TROUBLE", False)
        assert (here.param("code"), here.param("missing")) == ("SECOND_COPY_NO_SPACE", 2)
        await here.accept(5)  # accepting asks nothing of that disk
        here.hits.clear()
        await here.service.make_pass()
        assert here.health() == ("SECOND_COPY_DONE", True)
        assert not list(usb.rglob("*.half"))
    assert [fate for fate, _ in fates(usb)] == [CopyFate.WHOLE] * 5


@pytest.mark.parametrize("when", range(1, 9))
async def test_an_agent_killed_at_each_step_leaves_whole_copies_that_the_next_one_completes(
    tmp_path: Path, when: int
) -> None:
    clock, usb, steps = FakeClock(), tmp_path / "usb", iter(range(1, 100))
    usb.mkdir()

    def die(_: str) -> None:
        if next(steps) == when:
            raise Killed

    async with desk(tmp_path, clock) as here:
        for number in range(1, 4):
            await here.accept(number)
        here.hits.append(die)
        # Escrow, list and three copies: two steps each, but the list has one.
        with pytest.raises(Killed):
            await here.service.make_pass()
        assert all(path.read_bytes() for path in here.copies())
    async with desk(tmp_path, clock) as here:
        await here.service.make_pass()
        assert here.health() == ("SECOND_COPY_DONE", True)
        assert not list(usb.rglob("*.half"))
    assert [fate for fate, _ in fates(usb)] == [CopyFate.WHOLE] * 3


async def test_what_is_destroyed_here_goes_there_too_even_if_the_disk_was_away(tmp_path: Path) -> None:
    clock, usb, elsewhere = FakeClock(), tmp_path / "usb", tmp_path / "drawer"
    usb.mkdir()
    async with desk(tmp_path, clock) as here:
        over, erased, stays = await here.accept(1), await here.accept(2), await here.accept(3)
        await here.service.make_pass()
        usb.rename(elsewhere)
        await here.store.cancel(over, DOCTOR)
        assert await here.store.keeping.destroy_ended(30, 50) == 0
        clock.advance(31 * 86400)
        assert await here.store.keeping.destroy_ended(30, 50) == 1
        await here.service.make_pass()
        elsewhere.rename(usb)
        await here.service.make_pass()
        assert [path.name for path in here.copies()] == sorted(copy_name(item) for item in (erased, stays))
        assert here.health() == ("SECOND_COPY_DONE", True)
        patient = an_acceptance(clock, 2).patient_key
        await here.store.keeping.erase([patient], WaitingChoice.CANCEL, ErasureReason.PATIENT_REQUEST, DOCTOR)
        await here.service.make_pass()
        left = [item.name for item in await here.store.copies.wanted()]
        assert [path.name for path in here.copies()] == sorted(left)
        assert copy_name(erased) not in left


def saved_state(home: Path) -> dict[str, bytes]:
    """Return the files of the store's folder."""
    return {path.name: path.read_bytes() for path in (home / "state").iterdir() if path.is_file()}


def restore_state(home: Path, saved: dict[str, bytes]) -> None:
    """Put these files in the place of those that are there."""
    for path in (home / "state").iterdir():
        path.unlink()
    for name, content in saved.items():
        (home / "state" / name).write_bytes(content)


async def test_a_restored_older_store_leaves_what_it_does_not_know_and_it_can_still_be_extracted(
    tmp_path: Path,
) -> None:
    clock, usb = FakeClock(), tmp_path / "usb"
    usb.mkdir()
    async with desk(tmp_path, clock) as here:
        await here.accept(1)
        await here.service.make_pass()
    before = saved_state(tmp_path)
    async with desk(tmp_path, clock) as here:
        await here.accept(2, b"%PDF-1.4 depuis")
        await here.service.make_pass()
        assert len(here.copies()) == 2
    restore_state(tmp_path, before)
    async with desk(tmp_path, clock) as here:
        await here.service.make_pass()
        await here.accept(3)
        await here.service.make_pass()
        assert len(here.copies()) == 3
        assert [item.code for item in here.service.health_items()] == ["SECOND_COPY_DONE", "SECOND_COPY_OTHERS_THERE"]
    assert (CopyFate.WHOLE, b"%PDF-1.4 depuis") in fates(usb)
    assert [unlisted_in(place) for place in open_places(usb, PAPER, None)] == [0]


async def test_a_damaged_list_does_not_cost_the_lines_that_the_one_before_still_tells(tmp_path: Path) -> None:
    clock, usb = FakeClock(), tmp_path / "usb"
    usb.mkdir()
    async with desk(tmp_path, clock) as here:
        await here.accept(1)
        await here.service.make_pass()
    before = saved_state(tmp_path)
    async with desk(tmp_path, clock) as here:
        for number, content in ((2, b"%PDF-1.4 depuis"), (3, b"%PDF-1.4 encore")):
            await here.accept(number, content)
            await here.service.make_pass()
    restore_state(tmp_path, before)
    next(usb.glob(f"vaguemestre-*/{LIST_FILE}")).write_bytes(b"no list")
    async with desk(tmp_path, clock) as here:
        await here.service.make_pass()
        await here.accept(4)
        await here.service.make_pass()
        assert len(here.copies()) == 4
    # The third was named by the damaged list alone: its copy is there, and nobody vouches for it.
    assert (CopyFate.WHOLE, b"%PDF-1.4 depuis") in fates(usb)
    assert [unlisted_in(place) for place in open_places(usb, PAPER, None)] == [1]


async def test_a_copy_nobody_adopted_leaves_the_place_alone_and_no_folder_means_none(tmp_path: Path) -> None:
    (tmp_path / "usb").mkdir()
    async with desk(tmp_path, FakeClock(), is_copy=True) as here:
        await here.accept(1)
        await here.service.run()  # ends at once
        assert here.health() == ("SECOND_COPY_WAITS_FOR_ADOPTION", False)
        assert not list(here.folder.iterdir())
        off = replace(here.service, settings=SecondCopySettings())
        await off.run()
        assert [item.code for item in off.health_items()] == ["SECOND_COPY_NOT_CONFIGURED"]
        alone = replace(here.service, is_unadopted_copy=False, opens_with_recovery_key=False)
        assert ("SECOND_COPY_STATION_ONLY", False) in [(item.code, item.ok) for item in alone.health_items()]


async def test_a_share_that_never_answers_holds_up_nobody() -> None:
    hands, answer = PatientHands(0.05), threading.Event()
    with pytest.raises(StoreError, match="SECOND_COPY_SILENT"):
        await hands.run(lambda: answer.wait(30))
    with pytest.raises(StoreError, match="SECOND_COPY_SILENT"):
        await hands.run(lambda: True)  # no second thread is sent after the first
    answer.set()
    for thread in threading.enumerate():
        if thread.name == "second-copy":
            assert thread.daemon
            thread.join(30)
    assert await hands.run(lambda: 7) == 7


async def test_a_quiet_place_is_looked_at_again_now_and_then(tmp_path: Path) -> None:
    (tmp_path / "usb").mkdir()
    async with desk(tmp_path, FakeClock()) as here:
        await here.accept(1)
        await here.service.make_pass()
        here.copies()[0].unlink()  # somebody tidied up
        await here.service.make_pass()
        assert not here.copies()
        here.clock.advance(LOOK_S)
        await here.service.make_pass()
        assert len(here.copies()) == 1


def command(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, object]]:
    status = main(["keys", "second-copy", *words, "--json"])
    said = json.loads(capsys.readouterr().out)
    return status, said if isinstance(said, dict) else {"items": said}


async def test_the_workstation_is_lost_and_what_never_left_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, usb, paper = FakeClock(), tmp_path / "usb", tmp_path / "page.txt"
    usb.mkdir()
    async with desk(tmp_path, clock) as here:
        cancelled = await here.accept(1)
        waiting = an_acceptance(clock, 2, content=b"%PDF-1.4 jamais parti")
        await here.store.accept(waiting)
        await here.store.save_prepared(waiting.order_id, a_build(waiting), frozen(2))
        await here.store.cancel(cancelled, DOCTOR)
        await here.service.make_pass()
    paper.write_text(page(PAPER), "utf-8")
    monkeypatch.setenv("VAGUEMESTRE_HOME", str(tmp_path / "new"))
    monkeypatch.setenv("VAGUEMESTRE_AGENT__KEY_STORE", "file")
    key = ("--folder", str(usb), "--recovery-key-file", str(paper))
    status, counts = command(capsys, "verify", *key)
    assert status == 0
    assert counts == {"stores": 1, "whole": 2, "unreadable": 0, "missing": 0, "unlisted": 0, "never_left": 1}
    status, listed = command(capsys, "list", *key)
    assert status == 0
    assert len(listed["items"]) == 1  # type: ignore[arg-type]
    status, _ = command(capsys, "extract", *key, "--out", str(tmp_path / "out"))
    assert status == 0
    assert [path.read_bytes() for path in (tmp_path / "out").rglob("donne.*")] == [b"%PDF-1.4 jamais parti"]
    # A copy is spoilt, another taken away, the list damaged: each is said; the list before is used.
    first, second = sorted(usb.glob("vaguemestre-*/*.age"))
    spoilt = bytearray(first.read_bytes())
    spoilt[-1] ^= 1
    first.write_bytes(spoilt)
    second.unlink()
    status, counts = command(capsys, "verify", *key)
    assert (status, counts["whole"], counts["unreadable"], counts["missing"]) == (1, 0, 1, 1)
    status, counts = command(capsys, "extract", *key, "--all", "--out", str(tmp_path / "all.zip"))
    assert (status, counts["documents"], counts["missing"]) == (1, 0, 2)
    the_list = next(usb.glob(f"vaguemestre-*/{LIST_FILE}"))
    the_list.rename(the_list.with_name(LIST_BEFORE))
    the_list.write_bytes(b"no list")
    status, counts = command(capsys, "verify", *key)
    assert (counts["unreadable"], counts["missing"]) == (1, 1)
