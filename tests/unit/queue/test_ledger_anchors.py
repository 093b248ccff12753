"""A ledger changed in the file is found, and the anchor that contradicts it is said."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from vaguemestre_core.errors import StoreError
from vaguemestre_core.keeping import Anchor
from vaguemestre_core.orders import OrderId
from vaguemestre_queue import ledger
from vaguemestre_queue.anchors import ANCHORS_FILE
from vaguemestre_queue.opening import DATABASE_FILE
from vaguemestre_testkit.clocks import FakeClock
from vaguemestre_testkit.opened_store import opened
from vaguemestre_testkit.orders import DOCTOR, an_acceptance, test_keys

KEYS = test_keys()


async def a_day(folder: Path, clock: FakeClock) -> Anchor:
    """Work of one day, cleanly stopped; return its head as a backup of that evening would know it."""
    async with opened(folder, KEYS, clock) as store:
        for number in range(4):
            await store.accept(an_acceptance(clock, number))
        await store.keeping.sign_head()
        for number in range(2):
            await store.cancel(OrderId(f"order-{number}"), DOCTOR)
        lines, head = await store.verify_ledger()
        return Anchor(where="backup", seq=lines, digest=bytes.fromhex(head))


def tamper(folder: Path, change: Callable[[sqlite3.Connection], None]) -> None:
    """Change the file as somebody with write access and no key does."""
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as raw, raw:
        raw.execute("DROP TRIGGER ledger_is_never_updated")
        raw.execute("DROP TRIGGER ledger_is_never_deleted")
        change(raw)


def change_line(raw: sqlite3.Connection) -> None:
    raw.execute("UPDATE ledger SET detail = '[]' WHERE seq = 4")


def remove_line(raw: sqlite3.Connection) -> None:
    raw.execute("DELETE FROM ledger WHERE seq = 4")


def cut_tail(raw: sqlite3.Connection) -> None:
    raw.execute("DELETE FROM ledger WHERE seq > 5")


def recompute(raw: sqlite3.Connection) -> None:
    """Take a line out, number the rest anew and give the whole chain consistent digests."""
    raw.execute("DELETE FROM ledger WHERE seq = 4")
    raw.execute("UPDATE ledger SET seq = seq - 1 WHERE seq > 4")
    previous = ledger.GENESIS
    for row in raw.execute(f"{ledger.SELECT} ORDER BY seq").fetchall():
        previous = ledger.line_digest(previous, list(row[:-1]))
        raw.execute("UPDATE ledger SET digest = ? WHERE seq = ?", [previous, row[0]])


def recompute_without_heads(raw: sqlite3.Connection) -> None:
    recompute(raw)
    raw.execute("DELETE FROM ledger_heads")


def forge_head(raw: sqlite3.Connection) -> None:
    recompute(raw)
    for seq, digest in raw.execute(
        "SELECT h.seq, l.digest FROM ledger_heads AS h JOIN ledger AS l USING (seq)"
    ).fetchall():
        raw.execute("UPDATE ledger_heads SET digest = ? WHERE seq = ?", [digest, seq])


@pytest.mark.parametrize(
    ("change", "code", "anchor"),
    [
        (change_line, "LEDGER_BROKEN", None),
        (remove_line, "LEDGER_BROKEN", None),
        (cut_tail, "LEDGER_REWRITTEN", "database"),  # lines written since have taken the numbers
        (recompute, "LEDGER_REWRITTEN", "database"),
        (recompute_without_heads, "LEDGER_REWRITTEN", "folder"),
        (forge_head, "LEDGER_ANCHOR_FORGED", "database"),
    ],
)
async def test_what_was_changed_in_the_file_is_found(
    tmp_path: Path, change: Callable[[sqlite3.Connection], None], code: str, anchor: str | None
) -> None:
    clock = FakeClock()
    await a_day(tmp_path, clock)
    tamper(tmp_path, change)
    async with opened(tmp_path, KEYS, clock) as store:
        for _ in range(6):
            await store.note("session.adopted", DOCTOR)
        await store.keeping.sign_head()  # a head signed after the fact proves nothing against those before
        with pytest.raises(StoreError) as found:
            await store.verify_ledger()
        assert found.value.code == code
        assert found.value.params.get("anchor") == anchor
        if anchor is not None:
            assert await store.keeping.contradiction(()) == code


async def test_a_shorter_file_is_told_before_anything_is_written_again(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        for _ in range(9):
            await store.note("session.adopted", DOCTOR)
    tamper(tmp_path, cut_tail)
    async with opened(tmp_path, KEYS, clock) as store:
        with pytest.raises(StoreError, match="LEDGER_TRUNCATED") as found:
            await store.verify_ledger()
        assert found.value.params["anchor"] == "database"


async def test_an_older_database_is_told_by_the_folder(tmp_path: Path) -> None:
    clock = FakeClock()
    folder, copy = tmp_path / "state", tmp_path / "older.db"
    async with opened(folder, KEYS, clock) as store:
        await store.accept(an_acceptance(clock, 7))
    shutil.copyfile(folder / DATABASE_FILE, copy)
    async with opened(folder, KEYS, clock) as store:
        for number in (8, 9, 10):
            await store.accept(an_acceptance(clock, number))
    copy.replace(folder / DATABASE_FILE)
    async with opened(folder, KEYS, clock) as store:
        assert store.recovery.incarnated == 1
        with pytest.raises(StoreError, match=r"LEDGER_(TRUNCATED|REWRITTEN)") as found:
            await store.verify_ledger()
        assert found.value.params["anchor"] == "folder"


async def test_a_folder_rewritten_whole_is_told_by_a_backup(tmp_path: Path) -> None:
    clock = FakeClock()
    head = await a_day(tmp_path, clock)
    tamper(tmp_path, recompute_without_heads)
    (tmp_path / ANCHORS_FILE).unlink()
    async with opened(tmp_path, KEYS, clock) as store:
        await store.verify_ledger()  # nothing in the folder is left to say otherwise
        with pytest.raises(StoreError, match="LEDGER_REWRITTEN") as found:
            await store.keeping.verify([head])
        assert found.value.params["anchor"] == "backup"


async def test_an_anchor_file_that_is_not_ours_is_told(tmp_path: Path) -> None:
    clock = FakeClock()
    await a_day(tmp_path, clock)
    (tmp_path / ANCHORS_FILE).write_text("[]x")
    async with opened(tmp_path, KEYS, clock) as store:
        with pytest.raises(StoreError, match="LEDGER_ANCHOR_FORGED"):
            await store.verify_ledger()


async def test_the_folder_keeps_few_heads_and_the_last(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(tmp_path, KEYS, clock) as store:
        for _ in range(100):
            await store.note("session.adopted", DOCTOR)
            await store.keeping.sign_head()
        lines, _ = await store.verify_ledger()
        assert await store.keeping.contradiction(()) is None
    text = (tmp_path / ANCHORS_FILE).read_text("ascii")
    assert text.count(",") < 64 * 5
    assert f", {lines}, " in text
