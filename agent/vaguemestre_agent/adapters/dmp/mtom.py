"""MTOM/XOP packages: the multipart body of TD2.1, and the root part of a multipart answer.

Pure bytes. The same parts and boundary give the same bytes. Source: RFC 2046, 2387; MTOM; XOP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.message import Message
from typing import Final

from vaguemestre_core.errors import UnexpectedError

_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=?]{1,70}")
ROOT_ID: Final = "root.message@vaguemestre"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One document part.

    Attributes:
        content_id: without angle brackets.
        media_type: of the content.
    """

    content_id: str
    media_type: str
    content: bytes = field(repr=False)


def build_package(root: bytes, parts: tuple[Part, ...], *, boundary: str, action: str) -> tuple[str, bytes]:
    """Return the Content-Type and the body of an MTOM message.

    Raises:
        UnexpectedError: ``MIME_BOUNDARY_INVALID`` (malformed, or found in a part).
    """
    delimiter = f"--{boundary}".encode()
    if not _BOUNDARY.fullmatch(boundary) or any(delimiter in part.content for part in parts) or delimiter in root:
        raise UnexpectedError("MIME_BOUNDARY_INVALID")
    root_type = f'application/xop+xml; charset=UTF-8; type="application/soap+xml"; action="{action}"'
    pieces: list[bytes] = []
    for content_id, media_type, content in (
        (ROOT_ID, root_type, root),
        *((part.content_id, part.media_type, part.content) for part in parts),
    ):
        head = (
            f"\r\nContent-Type: {media_type}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{content_id}>\r\n\r\n"
        )
        pieces += [delimiter, head.encode(), content, b"\r\n"]
    pieces += [delimiter, b"--\r\n"]
    content_type = (
        f'multipart/related; type="application/xop+xml"; start="<{ROOT_ID}>"; '
        f'start-info="application/soap+xml"; boundary="{boundary}"; action="{action}"'
    )
    return content_type, b"".join(pieces)


def media_type_of(content_type: str | None) -> str:
    """Return the media type of a Content-Type, lower case, or an empty string."""
    return (content_type or "").partition(";")[0].strip().lower()


def root_part(content_type: str, body: bytes) -> bytes | None:
    """Return the root part of a multipart/related body, or None when the package is not whole."""
    header = Message()
    header["Content-Type"] = content_type
    boundary, start = header.get_param("boundary"), header.get_param("start")
    if not isinstance(boundary, str) or not boundary:
        return None
    chunks = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1", "replace"))
    # Preamble, at least one part, and the final delimiter.
    if len(chunks) < 3 or not chunks[-1].startswith(b"--"):
        return None
    parts: list[tuple[str, bytes]] = []
    for chunk in chunks[1:-1]:
        head, separator, content = chunk.partition(b"\r\n\r\n")
        if not separator:
            return None
        found = re.search(rb"(?im)^content-id:[ \t]*<?([^>\r\n]*)>?", head)
        parts.append(("" if found is None else found[1].decode("latin-1").strip(), content))
    if not isinstance(start, str):
        return parts[0][1]
    wanted = start.strip().strip("<>")
    return next((content for content_id, content in parts if content_id == wanted), None)
