"""BER-TLV: what is written is read back, and no bytes make the parser fail otherwise than by its error, or last."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_drivers.tlv import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_OBJECTS,
    Tlv,
    TlvInvalid,
    encode_tlv,
    needed_bytes,
    only,
    parse_tlv,
)

PRIMITIVE_TAGS = st.sampled_from([0x80, 0x81, 0x93, 0x04, 0x5F37, 0x5F38, 0x9F8101])
TEMPLATE_TAGS = st.sampled_from([0x65, 0x66, 0xA0, 0xE0, 0x7F21])

LEAF = st.builds(lambda tag, value: Tlv(tag=tag, value=value), PRIMITIVE_TAGS, st.binary(max_size=300))


def template(children: list[Tlv], tag: int) -> Tlv:
    return Tlv(tag=tag, value=b"".join(written(child) for child in children), children=tuple(children))


def written(item: Tlv) -> bytes:
    return encode_tlv(item.tag, item.value)


def depth(item: Tlv) -> int:
    return 1 + max((depth(child) for child in item.children), default=0)


TREES = st.recursive(
    LEAF, lambda inner: st.builds(template, st.lists(inner, max_size=4), TEMPLATE_TAGS), max_leaves=12
).filter(lambda item: depth(item) <= MAX_DEPTH)


@given(st.lists(TREES, max_size=5), st.integers(0, 9))
def test_what_is_written_is_read_back_padding_or_not(trees: list[Tlv], padding: int) -> None:
    data = b"".join(b"\x00" * padding + written(tree) for tree in trees) + b"\x00" * padding

    assert parse_tlv(data) == tuple(trees)
    assert needed_bytes(data) == len(data)


@given(st.binary(max_size=600))
def test_any_bytes_give_objects_or_the_error(data: bytes) -> None:
    reason, offset = "", -1
    objects: tuple[Tlv, ...] = ()
    try:
        objects = parse_tlv(data)
    except TlvInvalid as error:
        reason, offset = error.reason, int(str(error.params["offset"]))
    assert reason in {"", "tag", "length", "indefinite", "truncated", "depth", "objects"}
    assert -1 <= offset < len(data)
    assert sum(len(item.value) for item in objects) <= len(data)


@given(st.lists(TREES, min_size=1, max_size=3), st.data())
def test_a_file_cut_anywhere_says_that_it_needs_more(trees: list[Tlv], data: st.DataObject) -> None:
    whole = b"".join(written(tree) for tree in trees)
    ends = [0]
    for tree in trees:
        ends.append(ends[-1] + len(written(tree)))
    cut = data.draw(st.integers(1, len(whole) - 1)) if len(whole) > 1 else 0
    needed = needed_bytes(whole[:cut])

    assert needed is None or needed in ends
    if cut not in ends:
        assert needed is None or needed > cut
        with pytest.raises(TlvInvalid):
            parse_tlv(whole[:cut])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("65", "truncated"),
        ("6580", "indefinite"),
        ("6584 00000001 00", "length"),
        ("6582 FFF0 80", "truncated"),
        ("6582 01", "truncated"),
        ("65 03 80 05 41", "truncated"),
        ("5F", "truncated"),
        ("5F818181 00", "tag"),
        ("FF 01 00", "tag"),
    ],
)
def test_lies_are_named(data: str, reason: str) -> None:
    with pytest.raises(TlvInvalid) as refused:
        parse_tlv(bytes.fromhex(data))
    assert refused.value.reason == reason


def test_bounds_hold() -> None:
    nested = b""
    for _ in range(MAX_DEPTH):
        nested = encode_tlv(0x65, nested)
    assert len(parse_tlv(nested)) == 1
    for data, reason in (
        (encode_tlv(0x65, nested), "depth"),
        (b"\x80\x00" * (MAX_OBJECTS + 1), "objects"),
        (b"\x00" * (MAX_BYTES + 1), "size"),
    ):
        with pytest.raises(TlvInvalid) as refused:
            parse_tlv(data)
        assert refused.value.reason == reason


def test_only_the_templates_named_are_looked_into() -> None:
    data = bytes.fromhex("65 03 80 01 41 7F21 02 5F 99")

    person, certificate = parse_tlv(data, into={0x65})

    assert person.first(0x80) == Tlv(tag=0x80, value=b"A")
    assert person.first(0x81) is None
    assert certificate.children == ()
    assert only((person, certificate), 0x7F21) == (certificate,)
    with pytest.raises(TlvInvalid):
        parse_tlv(data)


@pytest.mark.parametrize("tag", [0x00, 0xFF, 0x5F, 0x8001, 0x5F81, 0x7F818101])
def test_a_tag_that_would_not_be_read_back_is_not_written(tag: int) -> None:
    with pytest.raises(TlvInvalid):
        encode_tlv(tag, b"")


def test_an_object_does_not_print_its_value() -> None:
    assert "41" not in repr(Tlv(tag=0x80, value=b"\x41\x42"))
    assert "AB" not in repr(Tlv(tag=0x80, value=b"AB"))
