"""The disks that the power-cut self-test imagines are those its assumptions allow, no more and no less."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_agent.selftest.power.images import KINDS, SECTOR_BYTES, CutKind, Disk, choose_cuts
from vaguemestre_agent.selftest.power.recording import Action, Operation


def write(data: bytes, offset: int = 0, file: str = "f") -> Operation:
    return Operation(action=Action.WRITE, file=file, offset=offset, data=data)


def other(action: Action, file: str = "f", offset: int = 0) -> Operation:
    return Operation(action=action, file=file, offset=offset)


def a_disk(*operations: Operation) -> Disk:
    disk = Disk()
    for operation in operations:
        disk.issue(operation)
    return disk


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_flushed_is_always_there(kind: CutKind) -> None:
    disk = a_disk(other(Action.CREATE), write(b"a" * 5000), other(Action.SYNC))
    for seed in range(20):
        assert disk.image(kind, random.Random(seed)) == {"f": b"a" * 5000}


def test_a_flush_covers_its_own_file_only() -> None:
    disk = a_disk(
        other(Action.CREATE),
        other(Action.CREATE, "g"),
        write(b"a"),
        write(b"b", file="g"),
        other(Action.SYNC, "g"),
    )
    assert disk.image(CutKind.LOST, random.Random(1)) == {"g": b"b"}
    assert disk.image(CutKind.KEPT, random.Random(1)) == {"f": b"a", "g": b"b"}
    assert disk.pending == 1


def test_a_torn_write_is_old_or_new_sector_by_sector() -> None:
    disk = a_disk(other(Action.CREATE), write(b"o" * 4096), other(Action.SYNC), write(b"n" * 4000, 24))
    seen = set()
    for kind in (CutKind.PREFIX_TORN, CutKind.SHREDDED):
        for seed in range(60):
            content = disk.image(kind, random.Random(seed))["f"]
            seen.add(content)
            assert content[:24] == b"o" * 24
            assert content[4024:] == b"o" * 72
            for start in range(0, 4096, SECTOR_BYTES):
                assert len(set(content[max(start, 24) : min(start + SECTOR_BYTES, 4024)])) == 1
    assert len(seen) > 20


def test_a_later_write_may_arrive_without_an_earlier_one() -> None:
    disk = a_disk(other(Action.CREATE), other(Action.SYNC), write(b"1", 0), write(b"2", 1), write(b"3", 2))
    images = {disk.image(CutKind.REORDERED, random.Random(seed))["f"] for seed in range(40)}
    assert images == {b"\x0023", b"1\x003", b"12"}


def test_new_space_that_was_not_written_may_hold_garbage() -> None:
    disk = a_disk(other(Action.CREATE), other(Action.SYNC), write(b"x", 2000))
    holes = {disk.image(CutKind.GARBAGE, random.Random(seed)).get("f", b"")[:2000] for seed in range(20)}
    assert any(hole.strip(b"\x00") for hole in holes)


def test_a_truncation_not_flushed_may_not_have_happened() -> None:
    disk = a_disk(other(Action.CREATE), write(b"abcdef"), other(Action.SYNC), other(Action.TRUNCATE, offset=2))
    images = {disk.image(CutKind.SCATTERED, random.Random(seed))["f"] for seed in range(20)}
    assert images == {b"ab", b"abcdef"}


def test_a_removed_file_may_come_back_until_the_next_flush() -> None:
    disk = a_disk(
        other(Action.CREATE), write(b"a"), other(Action.SYNC), other(Action.CREATE, "g"), other(Action.DELETE)
    )
    names = {tuple(sorted(disk.image(CutKind.SCATTERED, random.Random(seed)))) for seed in range(60)}
    assert names == {(), ("f",), ("g",), ("f", "g")}
    disk.issue(other(Action.SYNC, "g"))
    assert set(disk.image(CutKind.SCATTERED, random.Random(1))) == {"g"}


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=1500), st.integers(0, 3000)), max_size=12), st.integers(0, 12))
def test_when_all_is_kept_the_file_is_what_was_written(writes: list[tuple[bytes, int]], flush_at: int) -> None:
    disk, expected = a_disk(other(Action.CREATE)), bytearray()
    for index, (data, offset) in enumerate(writes):
        if index == flush_at:
            disk.issue(other(Action.SYNC))
        disk.issue(write(data, offset))
        expected.extend(bytes(max(0, offset - len(expected))))
        expected[offset : offset + len(data)] = data
    assert disk.image(CutKind.KEPT, random.Random(0)) == {"f": bytes(expected)}


def test_cuts_fall_on_both_sides_of_every_flush_and_elsewhere() -> None:
    operations = [other(Action.CREATE), *([write(b"a")] * 9), other(Action.SYNC), *([write(b"b")] * 9)]
    cuts = choose_cuts(operations, 100, random.Random(1))
    positions = [cut.position for cut in cuts]
    assert positions == sorted(positions)
    assert {10, 11} < set(positions) <= set(range(len(operations) + 1))
    assert {cut.kind for cut in cuts if cut.position == 10} == set(KINDS)
