"""The list of a second place: rows of orders with their digests, so that copies can be named, judged and extracted.

Owns the format (one JSON line a row under a first line, compressed, then sealed like a body) and the copies' names.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable
from typing import Final

from vaguemestre_core.errors import StoreError
from vaguemestre_queue import rows
from vaguemestre_queue.connection import SqlRow, Value
from vaguemestre_queue.rows import Row
from vaguemestre_queue.sealing import Sealer

COPY_SUFFIX: Final = ".age"
FIRST_LINE: Final = '{"vaguemestre":"second-copy","format":1}'
_LONGEST: Final = 1 << 28  # bytes of an opened list: a million orders and more


def copy_name(order_id: str) -> str:
    """Return the file name of an order's copy: derived from a random id, it tells nothing of anybody."""
    return hashlib.sha256(b"vaguemestre-second-copy/" + order_id.encode()).hexdigest()[:32] + COPY_SUFFIX


def line_of(cells: SqlRow) -> str:
    """Return the line of a row selected by ``rows.SELECT``."""
    return json.dumps([_written(cell) for cell in cells], ensure_ascii=False, separators=(",", ":"))


def _written(cell: Value) -> str | int | float | list[str] | None:
    return [cell.hex()] if isinstance(cell, bytes) else cell


def row_of(line: str) -> tuple[Row, Value]:
    """Return the row and the digest of a line. Raises StoreError COPY_LIST_UNREADABLE."""
    try:
        cells = [bytes.fromhex(cell[0]) if isinstance(cell, list) else cell for cell in json.loads(line)]
        row, mac = rows.row_of(tuple(cells))
        rows.as_text(row["order_id"])
    except (ValueError, TypeError, IndexError, StoreError):
        raise StoreError("COPY_LIST_UNREADABLE") from None
    return row, mac


def seal(lines: Iterable[str], sealer: Sealer) -> bytes:
    """Return a sealed list."""
    return sealer.seal(zlib.compress("\n".join([FIRST_LINE, *lines]).encode(), 6)).sealed


def unseal(sealed: bytes, sealer: Sealer) -> dict[str, str]:
    """Return the lines of a sealed list by copy name. Raises StoreError COPY_LIST_UNREADABLE, BODY_UNREADABLE."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(sealer.open(sealed), _LONGEST).decode()
    except (zlib.error, UnicodeDecodeError):
        raise StoreError("COPY_LIST_UNREADABLE") from None
    first, *lines = text.split("\n")
    if first != FIRST_LINE or not unpacker.eof:
        raise StoreError("COPY_LIST_UNREADABLE")
    return {copy_name(rows.as_text(row_of(line)[0]["order_id"])): line for line in lines}


def unseal_first(lists: Iterable[bytes], sealer: Sealer) -> dict[str, str]:
    """Return the lines of the first list that opens; none without any list. Raises like ``unseal`` when none opens."""
    damaged: StoreError | None = None
    for sealed in lists:
        try:
            return unseal(sealed, sealer)
        except StoreError as error:
            damaged = error
    if damaged is not None:
        raise damaged
    return {}
