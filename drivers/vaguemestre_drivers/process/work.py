"""What the readers process does: picks the drivers that the settings ask for and joins them to verbs and events.

The composition of this process: it alone knows every driver. The watching of cards has its own thread, cards, images
and the rest a lane each, so that an image that is hard to read delays no card.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

from vaguemestre_core.cards import CardEvent
from vaguemestre_drivers.pcsc.connection import CardAccess
from vaguemestre_drivers.pcsc.holding import holders
from vaguemestre_drivers.pcsc.port import PcscPort
from vaguemestre_drivers.pcsc.virtual import VirtualReaders
from vaguemestre_drivers.pcsc.watching import WAIT_S, CardWatch
from vaguemestre_drivers.pcsc.winscard import WinscardPort
from vaguemestre_drivers.process.cardverbs import card_verbs
from vaguemestre_drivers.process.codeverbs import code_verbs
from vaguemestre_drivers.process.outlet import Outlet
from vaguemestre_drivers.process.pulses import Pulse, Pulses
from vaguemestre_drivers.process.verbs import Asked, Reply, Verb

# A service that is slow to answer is not yet a hung one.
_WATCH_ALLOWED_S: Final = WAIT_S + 9.0


def start_work(settings: Mapping[str, object], outlet: Outlet, pulses: Pulses) -> Mapping[str, Verb]:
    """Start what runs by itself; return what can be asked."""
    port = _port(settings)
    watch = _watch(port, outlet, pulses.of("watch"))
    access = CardAccess(port, watch.stay, holders=holders)
    return {"ping": Verb(lane="control", act=_ping), **card_verbs(access, watch), **code_verbs()}


def _port(settings: Mapping[str, object]) -> PcscPort:
    if settings.get("source") != "virtual":
        return WinscardPort()
    ports = settings.get("virtual_ports")
    return VirtualReaders([port for port in ports if isinstance(port, int)] if isinstance(ports, list) else [])


def _watch(port: PcscPort, outlet: Outlet, pulse: Pulse) -> CardWatch:
    """Start the thread that watches; each change is told by the whole picture: nothing can be missed."""

    def tell(_: CardEvent) -> None:
        trouble = watch.trouble()
        outlet.event(
            "readers",
            {
                "trouble": None if trouble is None else trouble.code,
                "readers": [
                    {
                        "name": reader.name,
                        "state": reader.state.value,
                        "card": None if reader.card is None else reader.card.value,
                        "insertion": reader.insertion,
                        "is_shared": reader.is_shared,
                    }
                    for reader in watch.readers()
                ],
            },
        )

    def run() -> None:
        pulse.work(_WATCH_ALLOWED_S)
        watch.run()
        pulse.rest()

    watch = CardWatch(port, tell, alive=pulse.beat)
    threading.Thread(target=run, name="watch", daemon=True).start()
    return watch


def _ping(asked: Asked) -> Reply:
    return Reply(content=asked.content)
