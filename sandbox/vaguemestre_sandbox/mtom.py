"""MTOM/XOP packages: multipart/related bytes to parts, and back.

Owns the reading of RFC 2387 / XOP bodies as the DMP would read them. It knows nothing of SOAP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

_MAX_PARTS: Final = 64
_PARAMETER: Final = re.compile(r';\s*([A-Za-z0-9_.-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))')


class MultipartError(ValueError):
    """The body is not a readable MTOM package; the message says which rule it breaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaType:
    """A parsed Content-Type: lower-case type, parameters with lower-case names."""

    name: str
    parameters: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """Return one parameter, or the empty string."""
        return next((value for key, value in self.parameters if key == name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One MIME part: content id without angle brackets, media type, bytes as they were on the wire."""

    content_id: str
    media_type: MediaType
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """The root part (the envelope) and the others by content id."""

    root: Part
    parts: tuple[Part, ...]

    def by_reference(self, href: str) -> bytes | None:
        """Return the bytes named by an xop:Include `cid:` reference, or None."""
        if not href.startswith("cid:"):
            return None
        wanted = href[4:]
        for part in self.parts:
            if part.content_id in (wanted, unquote(wanted)):
                return part.content
        return None


def parse_media_type(header: str) -> MediaType:
    """Return the media type of a Content-Type header (empty name when the header is empty)."""
    name, _, rest = header.partition(";")
    parameters = tuple(
        (found[1].lower(), re.sub(r"\\(.)", r"\1", found[2]) if found[2] is not None else found[3])
        for found in _PARAMETER.finditer(";" + rest)
    )
    return MediaType(name=name.strip().lower(), parameters=parameters)


def parse_package(content_type: str, body: bytes) -> Package:
    """Return the parts of an MTOM body.

    Raises MultipartError: no boundary, wrong type parameters, missing final delimiter, a part without headers,
    a transfer encoding other than binary or 8bit, no root part, two parts with one content id.
    """
    media_type = parse_media_type(content_type)
    if media_type.name != "multipart/related":
        raise MultipartError("not multipart/related")
    if media_type.get("type").lower() != "application/xop+xml":
        raise MultipartError('parameter type must be "application/xop+xml"')
    if not media_type.get("start-info").lower().startswith("application/soap+xml"):
        raise MultipartError('parameter start-info must be "application/soap+xml"')
    boundary = media_type.get("boundary")
    if not boundary:
        raise MultipartError("no boundary")
    parts = [_part(raw) for raw in _split(boundary.encode("utf-8"), body)]
    identifiers = [part.content_id for part in parts if part.content_id]
    if len(set(identifiers)) != len(identifiers):
        raise MultipartError("two parts carry the same Content-ID")
    start = media_type.get("start").strip().strip("<>")
    root = next((part for part in parts if part.content_id == start), None) if start else parts[0]
    if root is None:
        raise MultipartError("the start parameter names no part")
    if root.media_type.name != "application/xop+xml":
        raise MultipartError("the root part is not application/xop+xml")
    return Package(root=root, parts=tuple(part for part in parts if part is not root))


def build_package(envelope: bytes, parts: tuple[Part, ...], *, boundary: str, action: str) -> tuple[str, bytes]:
    """Return (Content-Type, body) of an MTOM message."""
    lines: list[bytes] = []
    root_type = f'application/xop+xml; charset=UTF-8; type="application/soap+xml"; action="{action}"'
    for content_id, kind, content in (
        ("root.message@sandbox", root_type, envelope),
        *((part.content_id, part.media_type.name, part.content) for part in parts),
    ):
        head = (
            f"--{boundary}\r\nContent-Type: {kind}\r\n"
            f"Content-Transfer-Encoding: binary\r\nContent-ID: <{content_id}>\r\n\r\n"
        )
        lines += [head.encode("utf-8"), content, b"\r\n"]
    lines.append(f"--{boundary}--\r\n".encode())
    content_type = (
        f'multipart/related; type="application/xop+xml"; start="<root.message@sandbox>"; '
        f'start-info="application/soap+xml"; boundary="{boundary}"'
    )
    return content_type, b"".join(lines)


def _split(boundary: bytes, body: bytes) -> list[bytes]:
    delimiter = b"\r\n--" + boundary
    data = b"\r\n" + body
    position = data.find(delimiter)
    if position < 0:
        raise MultipartError("the boundary never appears")
    parts: list[bytes] = []
    while True:
        position += len(delimiter)
        if data[position : position + 2] == b"--":
            break
        line_end = data.find(b"\r\n", position)
        if line_end < 0 or data[position:line_end].strip(b" \t"):
            raise MultipartError("text follows a delimiter on its line")
        following = data.find(delimiter, line_end)
        if following < 0:
            raise MultipartError("the final delimiter is missing")
        parts.append(data[line_end + 2 : following])
        position = following
        if len(parts) > _MAX_PARTS:
            raise MultipartError("too many parts")
    if not parts:
        raise MultipartError("no part")
    return parts


def _part(raw: bytes) -> Part:
    # An empty header block starts with the blank line itself.
    head, separator, content = (b"", b"\r\n", raw[2:]) if raw.startswith(b"\r\n") else raw.partition(b"\r\n\r\n")
    if not separator:
        raise MultipartError("a part has no end of headers")
    headers: dict[str, str] = {}
    for line in re.sub(rb"\r\n[ \t]+", b" ", head).split(b"\r\n"):
        if not line:
            continue
        name, colon, value = line.partition(b":")
        if not colon:
            raise MultipartError("a part header has no colon")
        headers[name.decode("latin-1").strip().lower()] = value.decode("latin-1").strip()
    encoding = headers.get("content-transfer-encoding", "binary").lower()
    if encoding not in ("binary", "8bit", "7bit"):
        raise MultipartError(f"transfer encoding {encoding!r} is not read")
    return Part(
        content_id=headers.get("content-id", "").strip().strip("<>"),
        media_type=parse_media_type(headers.get("content-type", "")),
        content=content,
    )
