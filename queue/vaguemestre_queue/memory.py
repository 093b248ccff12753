"""What a running store lets others remember of it: the marker of its folder, and the witnesses outside.

Written before a sending begins, so that a restored older self is recognised whatever left since. A witness that cannot
be told is logged and costs nothing else: the store is the truth, the witness only betrays its copies.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderState
from vaguemestre_core.records import Change
from vaguemestre_queue.connection import Connection
from vaguemestre_queue.incarnation import Marker, Place, Witness, marker_of
from vaguemestre_queue.recovery import write_marker

_log = logging.getLogger(__name__)
MARKER_EVERY: Final = 64  # commits between two writings of the marker, when nothing leaves


def tell(witnesses: Sequence[Witness], marker: Marker, *, only_quick: bool = False) -> None:
    """Tell the witnesses a marker."""
    for witness in witnesses:
        if only_quick and not witness.is_quick:
            continue
        try:
            witness.write(marker)
        except (OSError, StoreError) as error:
            _log.warning("store.witness_not_told", extra={"error": type(error).__name__})


class Memory:
    """Remembers one open store. Used by its writer thread.

    Args:
        path: the marker of its folder.
        store_id: the store.
        place: where it lives.
        witnesses: who else is told; nobody when it is an unadopted copy.
    """

    def __init__(self, path: Path, store_id: str, place: Place | None, witnesses: Sequence[Witness]) -> None:
        self._path = path
        self.store_id = store_id
        self._place = place
        self._witnesses = witnesses
        self._commits = 0

    def committed(self, connection: Connection, changes: Sequence[Change]) -> None:
        """Remember a commit when something is about to leave, and now and then."""
        self._commits += 1
        leaving = any(change.entry.after is OrderState.SENDING for change in changes)
        if leaving or self._commits % MARKER_EVERY == 0:
            self.remember(connection, only_quick=True)

    def remember(self, connection: Connection, *, only_quick: bool = False) -> None:
        """Write the marker as the store is now and tell the witnesses."""
        marker = marker_of(connection, self.store_id, self._place)
        try:
            write_marker(self._path, marker)
        except OSError as error:  # an older marker is still true
            _log.warning("store.marker_not_written", extra={"error": type(error).__name__})
        tell(self._witnesses, marker, only_quick=only_quick)
