"""Professionals and structures: identifiers of both kinds, and what makes them invalid."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vaguemestre_core.contacts import PostalAddress, Telecom, is_oid
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.professionals import (
    Rpps,
    is_ps_idnat,
    struct_idnat_from_finess,
    struct_idnat_from_rpps,
    struct_idnat_from_siren,
    struct_idnat_from_siret,
)
from vaguemestre_testkit import cda_samples


def test_ps_idnat_is_8_then_rpps() -> None:
    assert Rpps(value="99700000012").ps_idnat == "899700000012"
    assert is_ps_idnat("899700000012")
    assert not is_ps_idnat("99700000012")


@pytest.mark.parametrize("value", ["", "9970000001", "997000000123", "9970000001A", "٩٩٧٠٠٠٠٠٠١٢"])
def test_an_rpps_is_eleven_ascii_digits(value: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Rpps(value=value)
    assert refused.value.code == "RPPS_INVALID"


def test_struct_idnat_of_each_kind() -> None:
    assert struct_idnat_from_finess("2A0000001") == "12A0000001"
    assert struct_idnat_from_siren("123456789") == "2123456789"
    assert struct_idnat_from_siret("12345678900011") == "312345678900011"
    assert struct_idnat_from_rpps(Rpps(value="99700000012"), rank=3) == "499700000012003"
    with pytest.raises(InvalidInput):
        struct_idnat_from_siren("12")
    with pytest.raises(InvalidInput):
        struct_idnat_from_finess("é")
    with pytest.raises(InvalidInput):
        struct_idnat_from_rpps(Rpps(value="99700000012"), rank=1000)


def test_names_must_be_there() -> None:
    with pytest.raises(InvalidInput):
        replace(cda_samples.professional(), family_name=" ")
    with pytest.raises(InvalidInput):
        replace(cda_samples.structure(), name="")
    with pytest.raises(InvalidInput):
        replace(cda_samples.structure(), struct_idnat="9")


@pytest.mark.parametrize("value", ["0102030405", "tel:", "tel: 01", "skype:a", "javascript:x", "tel:<a>"])
def test_telecoms_have_a_known_prefix(value: str) -> None:
    with pytest.raises(InvalidInput):
        Telecom(value=value)


def test_an_address_is_parts_or_lines() -> None:
    assert PostalAddress(lines=("1 rue X",)).parts() == ()
    for wrong in ({}, {"city": "X", "lines": ("Y",)}, {"lines": ("x",) * 8}, {"city": " "}):
        with pytest.raises(InvalidInput):
            PostalAddress(**wrong)


@pytest.mark.parametrize(
    ("text", "good"),
    [("1.2.3", True), ("1.02.3", False), ("3.1", False), ("1", False), ("1." + "2" * 63, False), ("1.2.3\n", False)],
)
def test_oids(text: str, good: bool) -> None:
    assert is_oid(text) is good
