"""Writing multipart/form-data (RFC 7578): the few parts of a deposit, as bytes that can be sent again unchanged."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part.

    Attributes:
        name: ASCII token.
        content: its bytes.
        media_type: its type, or None for a plain field.
        is_file: it is given a file name, as servers expect of binary content.
    """

    name: str
    content: bytes = field(repr=False)
    media_type: str | None = None
    is_file: bool = False


def write_form(parts: Sequence[Part]) -> tuple[str, bytes]:
    """Return the Content-Type and the body; the boundary has 128 random bits: it is in no content."""
    boundary = secrets.token_hex(16)
    pieces: list[bytes] = []
    for part in parts:
        disposition = f'form-data; name="{part.name}"' + ('; filename="body"' if part.is_file else "")
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n"
        if part.media_type is not None:
            head += f"Content-Type: {part.media_type}\r\n"
        pieces += [head.encode("ascii"), b"\r\n", part.content, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode("ascii"))
    return f"multipart/form-data; boundary={boundary}", b"".join(pieces)
