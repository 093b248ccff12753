"""Joins the scanners that the settings name to the process: their states and their codes become events.

Owns the two events: ``scanner`` (``name``, ``situation`` or null when it is there) and ``scanned`` (``scanner``,
``source``, ``symbology``; the code is the frame's bytes). What a code holds is never read here.
"""

from __future__ import annotations

import threading

from vaguemestre_core.cards import Situation
from vaguemestre_core.scans import RawScan
from vaguemestre_drivers.process.outlet import Outlet
from vaguemestre_drivers.process.pulses import Pulses
from vaguemestre_drivers.scanners.starting import scanners_of, start_scanners


def start_told_scanners(settings: object, outlet: Outlet, pulses: Pulses) -> None:
    """Start a thread for each scanner, for the life of the process.

    Raises:
        InvalidInput: ``SCANNER_SETTINGS_INVALID``.
    """
    # They end with the process, whatever a library is doing: see ``running``.
    start_scanners(scanners_of(settings), _Telling(outlet), threading.Event(), pulses.of)


class _Telling:
    """Writes what scanners tell on the way out of the process."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    def state(self, scanner: str, situation: Situation | None) -> None:
        told = None if situation is None else situation.value
        self._outlet.event("scanner", {"name": scanner, "situation": told})

    def scanned(self, scanner: str, raw: RawScan) -> None:
        values = {"scanner": scanner, "source": raw.source.value, "symbology": raw.symbology}
        self._outlet.event("scanned", values, raw.content.reveal())
