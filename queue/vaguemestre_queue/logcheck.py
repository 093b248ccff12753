"""Damage in the write-ahead log, which SQLite takes for the end of the log: commits after it would vanish in silence.

A power cut may tear the one commit that was not flushed yet; two whole commits after the first bad frame do not come
from that: somebody was told that they are durable. Only reads. Source: sqlite.org/fileformat.html, 4.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

_HEADER: Final = struct.Struct(">IIIIIIII")  # magic, version, page size, sequence, salts, checksum
_FRAME: Final = struct.Struct(">IIIIII")  # page, pages after a commit or 0, salts, checksum
_MAGIC: Final = 0x377F0682  # the lowest bit says the byte order of the checksums
_WORD: Final = 0xFFFFFFFF
_TORN: Final = 1  # commits that a power cut may leave after a bad frame


def is_damaged(log: Path) -> bool:
    """Say whether commits that were flushed can no longer be read; False when there is no log."""
    try:
        content = log.read_bytes()
    except OSError:
        return False
    if len(content) < _HEADER.size:
        return False
    magic, _, page, _, salt1, salt2, sum1, sum2 = _HEADER.unpack_from(content)
    if magic & ~1 != _MAGIC or not 512 <= page <= 65536:
        return False
    order = ">" if magic & 1 else "<"
    running = _checksum(order, content[: _HEADER.size - 8], (0, 0))
    sound = running == (sum1, sum2)
    size = _FRAME.size + page
    beyond = 0
    for start in range(_HEADER.size, len(content) - size + 1, size):
        _, commit, frame1, frame2, sum1, sum2 = _FRAME.unpack_from(content, start)
        if (frame1, frame2) != (salt1, salt2):
            if sound:
                break  # the end of this log: what follows is of an earlier one
            continue
        if sound:
            running = _checksum(order, content[start : start + 8], running)
            running = _checksum(order, content[start + _FRAME.size : start + size], running)
            sound = running == (sum1, sum2)
        if not sound and commit:
            beyond += 1
    return beyond > _TORN


def _checksum(order: str, content: bytes, running: tuple[int, int]) -> tuple[int, int]:
    """Return the log's checksum continued over more words, two at a time."""
    one, two = running
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & _WORD
        two = (two + second + one) & _WORD
    return one, two
