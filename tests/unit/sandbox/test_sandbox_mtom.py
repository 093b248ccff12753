"""The sandbox's MTOM reader: what it takes apart and what it refuses."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_sandbox.mtom import (
    MediaType,
    MultipartError,
    Part,
    build_package,
    parse_media_type,
    parse_package,
)

TYPE = 'multipart/related; type="application/xop+xml"; start-info="application/soap+xml"; boundary="b"'
ROOT = b'--b\r\nContent-Type: application/xop+xml; type="application/soap+xml"\r\nContent-ID: <r>\r\n\r\n<e/>\r\n'


@given(st.lists(st.binary(max_size=200), max_size=4), st.binary(max_size=200))
def test_what_is_built_is_read_back_byte_for_byte(contents: list[bytes], envelope: bytes) -> None:
    parts = tuple(
        Part(content_id=f"p{index}@x", media_type=MediaType(name="text/xml", parameters=()), content=content)
        for index, content in enumerate(contents)
    )
    boundary = "sandbox-0123456789abcdef-this-never-occurs"
    package = parse_package(*build_package(envelope, parts, boundary=boundary, action="urn:a"))
    assert package.root.content == envelope
    assert [part.content for part in package.parts] == contents
    for index, content in enumerate(contents):
        assert package.by_reference(f"cid:p{index}@x") == content
        assert package.by_reference(f"cid:p{index}%40x") == content


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for body in (data, ROOT + data, ROOT + b"--b\r\n" + data + b"\r\n--b--"):
        with contextlib.suppress(MultipartError):
            assert parse_package(TYPE, body).root.media_type.name == "application/xop+xml"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/xml", ROOT + b"--b--"),
        (TYPE.replace("application/xop+xml", "text/xml"), ROOT + b"--b--"),
        (TYPE.replace("start-info", "other"), ROOT + b"--b--"),
        (TYPE.replace('; boundary="b"', ""), ROOT + b"--b--"),
        (TYPE, ROOT),
        (TYPE, b"--b--"),
        (TYPE, ROOT + ROOT + b"--b--"),
        (TYPE + '; start="<absent>"', ROOT + b"--b--"),
        (TYPE, ROOT.replace(b"application/xop+xml", b"text/xml") + b"--b--"),
        (TYPE, ROOT.replace(b"Content-ID", b"Content-Transfer-Encoding: base64\r\nContent-ID") + b"--b--"),
        (TYPE, b"--b\r\nno colon\r\n\r\n<e/>\r\n--b--"),
        (TYPE, b"--b junk\r\n\r\n\r\n--b--"),
    ],
)
def test_a_package_that_breaks_a_rule_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(MultipartError):
        parse_package(content_type, body)


def test_parameters_keep_quoted_semicolons() -> None:
    media_type = parse_media_type('Multipart/Related; a="x; y=\\"z\\""; B=c')
    assert media_type.name == "multipart/related"
    assert media_type.get("a") == 'x; y="z"'
    assert media_type.get("b") == "c"
