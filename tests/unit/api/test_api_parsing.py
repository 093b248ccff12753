"""Bounded JSON and event streams: what is read is what was written, and nothing else is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_api.jsontypes import JsonRefused, dump_json, parse_json, parse_object
from vaguemestre_api.multipart import Part, write_form
from vaguemestre_api.sse import MAX_EVENT_BYTES, EventParser, StreamRefused, write_event, write_heartbeat

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_json_is_read_back(value: object) -> None:
    assert parse_json(dump_json(value)) == value  # type: ignore[arg-type]


@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_the_reference_reads_them_or_refused(data: bytes) -> None:
    try:
        ours = parse_json(data)
    except JsonRefused:
        return
    assert ours == json.loads(data.decode())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff", "encoding"),
        (b"\xef\xbb\xbf{}", "encoding"),
        (b"{", "syntax"),
        (b"", "syntax"),
        (b"[" * 40 + b"]" * 40, "depth"),
        (b"[" * 100_000, "depth"),
        (b'{"a":1,"a":1}', "duplicate"),
        (b"NaN", "number"),
        (b"-Infinity", "number"),
        (b"1e999", "number"),
        (b"9" * 5000, "number"),
        (b'"\\ud800"', "text"),
    ],
)
def test_hostile_json_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(JsonRefused) as caught:
        parse_json(data)
    assert caught.value.reason == reason


def test_brackets_in_a_text_are_no_nesting() -> None:
    assert parse_json(dump_json(["[" * 100, '\\"' + "{" * 100])) == ["[" * 100, '\\"' + "{" * 100]


def test_an_object_is_asked_for() -> None:
    with pytest.raises(JsonRefused, match="type"):
        parse_object(b"[]")


@given(
    st.lists(st.tuples(st.sampled_from(["change", "snapshot"]), VALUES, st.none() | st.integers(0, 10**9))), st.data()
)
def test_events_are_read_back_whatever_the_cuts(
    events: list[tuple[str, object, int | None]], data: st.DataObject
) -> None:
    whole = b"".join(write_event(name, value, number) for name, value, number in events)  # type: ignore[arg-type]
    parser = EventParser()
    read = []
    while whole:
        cut = data.draw(st.integers(1, len(whole)))
        read += list(parser.feed(whole[:cut]))
        whole = whole[cut:]

    assert [(item.name, json.loads(item.data)) for item in read] == [(name, value) for name, value, _ in events]
    numbers = [number for _, _, number in events if number is not None]
    assert parser.last_id == (str(numbers[-1]) if numbers else None)


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_end_of_the_standard_is_understood(end: bytes) -> None:
    lines = [b": comment", b"event:x", b"data: one", b"data:two", b"id: 7", b"unknown: y", b"", b""]
    parser = EventParser()

    found = list(parser.feed(end.join(lines) + b"x"))

    assert [(item.name, item.data, item.last_id) for item in found] == [("x", "one\ntwo", "7")]


def test_a_heartbeat_moves_the_number_without_an_event() -> None:
    parser = EventParser("3")

    assert list(parser.feed(write_heartbeat(9) + write_heartbeat(None))) == []
    assert parser.last_id == "9"


def test_an_endless_event_is_refused() -> None:
    lines = (b"data: " + b"x" * (MAX_EVENT_BYTES // 8) + b"\n") * 10
    with pytest.raises(StreamRefused):
        list(EventParser().feed(lines))
    with pytest.raises(StreamRefused):
        list(EventParser().feed(b"x" * (MAX_EVENT_BYTES + 1)))


def test_a_form_holds_its_parts() -> None:
    kind, body = write_form(
        [Part(name="a", content=b"1"), Part(name="b", content=b"\r\n--", media_type="t/x", is_file=True)]
    )
    boundary = kind.partition("boundary=")[2].encode()

    pieces = body.split(b"--" + boundary)
    assert pieces[1] == b'\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    assert pieces[2].endswith(b"Content-Type: t/x\r\n\r\n\r\n--\r\n")
    assert pieces[3] == b"--\r\n"
