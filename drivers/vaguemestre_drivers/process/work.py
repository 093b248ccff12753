"""What the readers process does: picks the drivers that the settings ask for and joins them to verbs and events.

The composition of this process. What the settings do not ask for is not loaded: a readers process has to be back soon,
and one with scanners only needs no driver of cards. Cards, images and the rest have a lane each, so that an image that
is hard to read delays no card.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from vaguemestre_drivers.process.codeverbs import code_verbs
from vaguemestre_drivers.process.outlet import Outlet
from vaguemestre_drivers.process.pulses import Pulses
from vaguemestre_drivers.process.verbs import Asked, Reply, Verb

if TYPE_CHECKING:
    from vaguemestre_drivers.process.cpsdesk import PinAsker

Start: TypeAlias = Callable[[Outlet, Pulses], Mapping[str, Verb]]
"""Starts what runs by itself and returns what can be asked."""


def load_work(settings: Mapping[str, object], pin: PinAsker | None = None) -> Start:
    """Load what the settings ask for; return what starts it. ``pin`` is who asks for PINs; None: the window."""
    scanners = settings.get("scanners")
    has_cards = settings.get("source") != "off"
    if scanners:
        from vaguemestre_drivers.process.scannerevents import start_told_scanners
    if has_cards:
        from vaguemestre_drivers.process.cardwork import start_cards

    def start(outlet: Outlet, pulses: Pulses) -> Mapping[str, Verb]:
        if scanners:
            start_told_scanners(scanners, outlet, pulses)
        verbs: Mapping[str, Verb] = {"ping": Verb(lane="control", act=_ping), **code_verbs()}
        return {**verbs, **start_cards(settings, outlet, pulses, pin)} if has_cards else verbs

    return start


def _ping(asked: Asked) -> Reply:
    return Reply(content=asked.content)
