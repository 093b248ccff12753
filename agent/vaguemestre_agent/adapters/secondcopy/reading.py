"""Reading a second place without the workstation: its copies opened one after the other, judged by its list.

The recovery key opens the escrow that lies there, which gives the store's keys. Reads only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique
from pathlib import Path
from typing import Final

from vaguemestre_agent.adapters.keystore.recovery import RecoveryKey, open_escrow
from vaguemestre_agent.adapters.secondcopy.place import SUBFOLDER, lists_in
from vaguemestre_core.errors import Conflict, NotFound, StoreError
from vaguemestre_core.orders import TERMINAL
from vaguemestre_core.records import Order, StoredBody
from vaguemestre_queue import acceptance, copylist, rows
from vaguemestre_queue.copylist import COPY_SUFFIX
from vaguemestre_queue.holdings import Holding
from vaguemestre_queue.sealing import Sealer, StoreKeys

_OTHER_KEY: Final = frozenset({"RECOVERY_KEY_OTHER", "ESCROW_MISSING"})


@unique
class CopyFate(StrEnum):
    """What a copy turned out to be."""

    WHOLE = "whole"
    UNREADABLE = "unreadable"  # it does not open, or is not the document its order vouches for
    MISSING = "missing"  # listed, not there


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedPlace:
    """The copies of one store, and what opens them."""

    folder: Path
    sealer: Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFound:
    """One listed document.

    Attributes:
        order: its order, as the list last saw it.
        given: what was given, when the copy is whole.
    """

    order: Order
    fate: CopyFate
    given: StoredBody | None = field(repr=False)

    @property
    def never_left(self) -> bool:
        """Say whether it was not known to be sent, cancelled, replaced or given up when the list was written."""
        return self.order.state not in TERMINAL

    def holding(self) -> Holding:
        """Return it as what an export takes."""
        codes = {
            CopyFate.WHOLE: None,
            CopyFate.UNREADABLE: "BODY_UNREADABLE",
            CopyFate.MISSING: "COPY_MISSING",
        }
        return Holding(order=self.order, given=self.given, prepared=None, gone=codes[self.fate])


def open_places(folder: Path, paper: RecoveryKey | None, keys: StoreKeys | None) -> Sequence[OpenedPlace]:
    """Return the places of a folder that the recovery key, or else the station's keys, open.

    Args:
        folder: the folder of the settings, or one store's sub-folder.
        paper: the recovery key.
        keys: the station's keys, when there is no paper.

    Raises:
        NotFound: SECOND_COPY_NOTHING_THERE.
        Conflict: RECOVERY_KEY_OTHER when the key opens none of them.
    """
    own = [folder] if folder.name.startswith(SUBFOLDER) else sorted(folder.glob(f"{SUBFOLDER}*"))
    found = [path for path in own if path.is_dir()]
    if not found:
        raise NotFound("SECOND_COPY_NOTHING_THERE")
    opened: list[OpenedPlace] = []
    for path in found:
        try:
            place = OpenedPlace(folder=path, sealer=Sealer(open_escrow(paper, path) if paper else _needed(keys)))
            _lines(place)
        except (Conflict, NotFound, StoreError) as error:
            if error.code not in _OTHER_KEY | {"BODY_UNREADABLE", "KEYS_LOST"}:
                raise
            continue
        opened.append(place)
    if not opened:
        raise Conflict("RECOVERY_KEY_OTHER" if paper else "SECOND_COPY_OTHER_KEYS")
    return opened


def _needed(keys: StoreKeys | None) -> StoreKeys:
    if keys is None:
        raise StoreError("KEYS_LOST")
    return keys


def _lines(place: OpenedPlace) -> dict[str, str]:
    """Return the list, or the one before when it was cut or damaged; none when there is none."""
    try:
        return copylist.unseal_first(lists_in(place.folder), place.sealer)
    except OSError:
        raise StoreError("SECOND_COPY_AWAY") from None


def found_in(place: OpenedPlace) -> Iterator[CopyFound]:
    """Give the listed documents in the order of the list; a line that is not the store's is left out."""
    for name, line in _lines(place).items():
        row, mac = copylist.row_of(line)
        if rows.is_authentic(place.sealer, row, mac):
            given = _opened(place, name, row["given_digest"])
            fate = CopyFate.WHOLE if isinstance(given, StoredBody) else given
            yield CopyFound(order=rows.order_of(row), fate=fate, given=given if isinstance(given, StoredBody) else None)


def _opened(place: OpenedPlace, name: str, digest: object) -> StoredBody | CopyFate:
    try:
        sealed = (place.folder / name).read_bytes()
    except FileNotFoundError:
        return CopyFate.MISSING
    except OSError:
        return CopyFate.UNREADABLE
    if hashlib.sha256(sealed).digest() != digest:
        return CopyFate.UNREADABLE
    try:
        return acceptance.unframe(place.sealer.open(sealed))
    except StoreError:
        return CopyFate.UNREADABLE


def unlisted_in(place: OpenedPlace) -> int:
    """Return how many copies no line of the list names: they open with any age program, nobody vouches for them."""
    listed = _lines(place).keys()
    return sum(path.name not in listed for path in place.folder.glob(f"*{COPY_SUFFIX}"))
