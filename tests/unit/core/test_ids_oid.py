"""Identifiers under an LGC's branch: digits and dots, 64 characters at most, room enough never to collide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.ids import OID_MAX_CHARS, check_oid, oid_under

ROOTS = st.lists(st.integers(0, 10**6), min_size=2, max_size=6).map(lambda parts: ".".join(map(str, parts)))


@given(ROOTS.filter(lambda root: len(root) <= 40), st.integers(2**76, 2**128 - 1))
def test_a_new_oid_is_valid_and_under_its_root(root: str, random_bits: int) -> None:
    oid = oid_under(root, random_bits)
    assert check_oid(oid) == oid
    assert oid.startswith(f"{root}.")
    assert len(oid) <= OID_MAX_CHARS


@given(st.sets(st.integers(2**100, 2**127), min_size=2, max_size=20))
def test_two_numbers_give_two_oids_even_under_the_longest_root(numbers: set[int]) -> None:
    root = "1." + "2" * 38
    oids = {oid_under(root, number) for number in numbers}
    assert len(oids) == len({str(number)[:23] for number in numbers})


@pytest.mark.parametrize("root", ["1." + "2" * 39, "1.2" + ".3" * 20])
def test_a_root_that_leaves_no_room_is_refused(root: str) -> None:
    with pytest.raises(InvalidInput, match="OID_ROOT_TOO_LONG"):
        oid_under(root, 2**90)


@pytest.mark.parametrize("oid", ["", "1", "1.", ".1", "1..2", "1.02", "1.a", " 1.2", "1.2\n", "1.2.٣", "1." + "2" * 63])
def test_what_is_not_an_oid_is_refused(oid: str) -> None:
    with pytest.raises(InvalidInput, match="OID_INVALID"):
        check_oid(oid)


@pytest.mark.parametrize("oid", ["1.2", "0.0", "2.25.329800735698586629295641978511506172918", "1." + "2" * 62])
def test_what_is_an_oid_passes(oid: str) -> None:
    assert check_oid(oid) == oid
