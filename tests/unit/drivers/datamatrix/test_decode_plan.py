"""Plans go from cheap to thorough and keep to the time left; symbols are told once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.redaction import SecretBytes
from vaguemestre_drivers.datamatrix.plan import (
    COST_S,
    FRAME,
    FRAME_DEAR,
    REPAIR_COST_S,
    STILL,
    Engine,
    Kinds,
    Pass,
    Repair,
    Scope,
    cost_s,
    limit_s,
    may_start,
)
from vaguemestre_drivers.datamatrix.symbols import FoundSymbol, Quad, Reader, merged


def symbol(content: bytes = b"A", *, x: float = 0.0, symbology: str = "]d1") -> FoundSymbol:
    place = Quad(top_left=(x, 0), top_right=(x + 10, 0), bottom_right=(x + 10, 10), bottom_left=(x, 10))
    return FoundSymbol(
        content=SecretBytes(content),
        symbology=symbology,
        place=place,
        reader=Reader.ZXING,
        found_by="direct",
    )


def test_plans_go_from_cheap_to_thorough() -> None:
    for plan in (STILL, FRAME, FRAME_DEAR):
        assert plan[0].engine is Engine.ZXING_DIRECT
        assert len({one.name for one in plan}) == len(plan)
        second = [one.engine is Engine.LIBDMTX for one in plan]
        assert second == sorted(second)  # the reader that may take all its time comes last


def test_a_still_picture_gets_at_least_what_each_reader_gives_alone() -> None:
    whole = [one for one in STILL if one.scope is Scope.WHOLE and one.repair is Repair.NONE]
    assert {(one.engine, one.kinds) for one in whole} >= {
        (Engine.ZXING_FULL, Kinds.DATA_MATRIX),
        (Engine.LIBDMTX, Kinds.DATA_MATRIX),
    }
    assert max(one.at_most_s for one in whole) >= 0.5


def test_what_is_repaired_is_believed_only_when_long_enough() -> None:
    assert all(one.min_bytes >= 8 for one in STILL if one.is_repair and one.repair is not Repair.INVERTED)


def test_every_engine_and_repair_has_a_cost() -> None:
    assert set(COST_S) == set(Engine)
    assert set(REPAIR_COST_S) == set(Repair)


@given(
    one=st.sampled_from(sorted({*STILL, *FRAME_DEAR}, key=repr)),
    pixels=st.integers(1, 40_000_000),
    left=st.floats(-1, 10),
)
def test_a_pass_starts_only_if_it_ends_in_time(one: Pass, pixels: int, left: float) -> None:
    if may_start(one, pixels=pixels, left_s=left):
        assert cost_s(one, pixels) + limit_s(one, pixels=pixels, left_s=left) <= max(left, 0) + 1e-9
    assert 0 <= limit_s(one, pixels=pixels, left_s=left) <= one.at_most_s
    assert cost_s(one, pixels) <= cost_s(one, pixels + 1)


def test_a_picture_that_costs_more_than_planned_gets_fewer_passes() -> None:
    full = next(one for one in STILL if one.name == "full")
    assert may_start(full, pixels=12_000_000, left_s=1.0)
    assert not may_start(full, pixels=12_000_000, left_s=1.0, slowness=2.0)
    assert may_start(full, pixels=60_000, left_s=1.0, slowness=20.0)


@pytest.mark.parametrize("turn", [0, 45, 90, 180, 270, 300])
def test_rotation_is_clockwise_from_the_top_edge(turn: int) -> None:
    import math

    angle = math.radians(turn)
    corners = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]
    a, b, c, d = (
        (x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)) for x, y in corners
    )
    assert Quad(top_left=a, top_right=b, bottom_right=c, bottom_left=d).rotation_deg() == pytest.approx(turn)


def test_a_part_is_put_back_in_its_picture() -> None:
    place = symbol().place.mapped(scale=2, offset=(100, 50))
    assert place.corners() == ((100, 50), (105, 50), (105, 55), (100, 55))


def test_the_same_symbol_is_told_once_and_its_twin_apart() -> None:
    known = merged(
        (), [symbol(), symbol(x=2), symbol(x=30), symbol(b"B"), symbol(symbology="]d7"), symbol(symbology="]Q1")]
    )
    assert [(one.content.reveal(), one.place.top_left[0], one.symbology) for one in known] == [
        (b"A", 0, "]d1"),
        (b"A", 30, "]d1"),
        (b"B", 0, "]d1"),
        (b"A", 0, "]Q1"),
    ]


def test_a_symbol_shows_nothing_of_what_it_holds() -> None:
    assert "PAT-TROIS" not in repr(symbol(b"PAT-TROIS"))
