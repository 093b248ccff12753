"""Messages between our processes: a JSON object and bytes, with their lengths in front.

Owns the shape only, for the preparation worker and the readers process; opens nothing. Frame, both ways: length of the
JSON part, length of the bytes part (4 bytes each, big endian), JSON in UTF-8, bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

LENGTHS_BYTES: Final = 8
_LENGTH_BYTES: Final = 4


class FrameError(Exception):
    """The stream is not made of frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLimits:
    """The longest parts that a reader accepts, bytes."""

    json_bytes: int = 1_000_000
    content_bytes: int = 64_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message: a JSON object and bytes."""

    header: Mapping[str, object]
    content: bytes = b""

    def __repr__(self) -> str:
        return f"Frame({len(self.content)} bytes)"


class ByteSource(Protocol):
    """A stream that gives bytes, fewer than asked only at its end."""

    def read(self, size: int, /) -> bytes:
        """Return up to that many bytes."""


DEFAULT_LIMITS: Final = FrameLimits()


def encode_frame(frame: Frame) -> bytes:
    """Return a frame as bytes."""
    header = json.dumps(frame.header, ensure_ascii=False).encode()
    lengths = len(header).to_bytes(_LENGTH_BYTES, "big") + len(frame.content).to_bytes(_LENGTH_BYTES, "big")
    return lengths + header + frame.content


def parse_lengths(lengths: bytes, limits: FrameLimits = DEFAULT_LIMITS) -> tuple[int, int]:
    """Return the lengths of the JSON and of the bytes. Raises FrameError."""
    if len(lengths) != LENGTHS_BYTES:
        raise FrameError("lengths")
    json_length = int.from_bytes(lengths[:_LENGTH_BYTES], "big")
    content_length = int.from_bytes(lengths[_LENGTH_BYTES:], "big")
    if json_length > limits.json_bytes or content_length > limits.content_bytes:
        raise FrameError("too large")
    return json_length, content_length


def parse_frame(text: bytes, content: bytes) -> Frame:
    """Return the frame of its two parts. Raises FrameError."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise FrameError("json") from None
    if not isinstance(header, dict):
        raise FrameError("json")
    return Frame(header=header, content=content)


def read_frame(stream: ByteSource, limits: FrameLimits = DEFAULT_LIMITS) -> Frame | None:
    """Return the next frame, or None at a clean end of file. Raises FrameError."""
    lengths = stream.read(LENGTHS_BYTES)
    if not lengths:
        return None
    json_length, content_length = parse_lengths(lengths, limits)
    text, content = stream.read(json_length), stream.read(content_length)
    if len(text) != json_length or len(content) != content_length:
        raise FrameError("truncated")
    return parse_frame(text, content)
