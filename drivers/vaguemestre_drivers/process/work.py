"""What the readers process does: picks the drivers that the settings ask for and joins them to verbs and events.

The composition of this process: it alone knows every driver.
"""

from __future__ import annotations

from collections.abc import Mapping

from vaguemestre_drivers.process.outlet import Outlet
from vaguemestre_drivers.process.pulses import Pulses
from vaguemestre_drivers.process.verbs import Asked, Reply, Verb


def start_work(settings: Mapping[str, object], outlet: Outlet, pulses: Pulses) -> Mapping[str, Verb]:
    """Start what runs by itself; return what can be asked."""
    return {"ping": Verb(lane="control", act=_ping)}


def _ping(asked: Asked) -> Reply:
    return Reply(content=asked.content)
