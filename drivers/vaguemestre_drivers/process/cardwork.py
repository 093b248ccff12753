"""The part of the readers process that is about cards: their drivers, joined to verbs and events.

Owns which driver is whose; ``work`` loads it only where there are readers. The watching of cards has its own thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

from vaguemestre_core.cards import CardEvent, CardEventKind
from vaguemestre_drivers.cardtls.forwarder import CardTls, Trust
from vaguemestre_drivers.pcsc.connection import CardAccess
from vaguemestre_drivers.pcsc.holding import holders
from vaguemestre_drivers.pcsc.port import PcscPort
from vaguemestre_drivers.pcsc.virtual import VirtualReaders
from vaguemestre_drivers.pcsc.watching import WAIT_S, CardWatch
from vaguemestre_drivers.pcsc.winscard import WinscardPort
from vaguemestre_drivers.pin.desk import PinDesk
from vaguemestre_drivers.process.cardverbs import card_verbs, vitale_cards
from vaguemestre_drivers.process.cpsdesk import CpsDesk, PinAsker
from vaguemestre_drivers.process.cpsverbs import cps_verbs, opened_to_json
from vaguemestre_drivers.process.middlewares import middleware_loader, open_try_book
from vaguemestre_drivers.process.outlet import Outlet
from vaguemestre_drivers.process.pulses import Pulse, Pulses
from vaguemestre_drivers.process.verbs import Verb

# A service that is slow to answer is not yet a hung one.
_WATCH_ALLOWED_S: Final = WAIT_S + 9.0


def start_cards(
    settings: Mapping[str, object], outlet: Outlet, pulses: Pulses, pin: PinAsker | None
) -> Mapping[str, Verb]:
    """Start the watching of cards; return what can be asked of them. ``pin`` is who asks for PINs; None: the window."""
    port = _port(settings)
    telling = threading.Lock()

    def tell_open_cards() -> None:
        with telling:  # the last one told is the last one true
            outlet.event("cards", {"open": [opened_to_json(item) for item in desk.opened()]})

    def take(event: CardEvent) -> None:
        if event.kind is CardEventKind.CARD_REMOVED and event.insertion is not None:
            desk.left(event.insertion)
        outlet.event("readers", _readers(watch))

    pulse = pulses.of("watch")
    watch = CardWatch(port, take, alive=pulse.beat)
    access = CardAccess(port, watch.stay, holders=holders)
    desk = CpsDesk(
        access,
        watch.stay,
        load=middleware_loader(_text(settings, "pkcs11_module")),
        tries=open_try_book(_text(settings, "tries_folder")),
        pin=pin or PinDesk(),
        now=lambda: datetime.now(UTC),
        tell=tell_open_cards,
    )
    vitale = vitale_cards(access, watch, _text(settings, "vitale_library"), _text(settings, "vitale_folder"))
    _start(watch, pulse)
    return {**card_verbs(vitale), **cps_verbs(desk, _tls(settings))}


def _text(settings: Mapping[str, object], name: str) -> str:
    value = settings.get(name)
    return value if isinstance(value, str) else ""


def _tls(settings: Mapping[str, object]) -> Callable[[], CardTls] | None:
    """Return what makes the forwarder when it is first asked for; None when no way to a service is for cards."""
    host, port = _text(settings, "direct_host"), settings.get("direct_port")
    if not host or not isinstance(port, int):
        return None
    trust = Trust(hosts=frozenset({(host, port)}), authorities=_text(settings, "direct_authorities") or None)
    return cache(lambda: CardTls(trust, Path(_text(settings, "streams_folder"))))


def _port(settings: Mapping[str, object]) -> PcscPort:
    if settings.get("source") != "virtual":
        return WinscardPort()
    ports = settings.get("virtual_ports")
    return VirtualReaders([port for port in ports if isinstance(port, int)] if isinstance(ports, list) else [])


def _readers(watch: CardWatch) -> Mapping[str, object]:
    """Return the whole picture: who reads it has missed nothing."""
    trouble = watch.trouble()
    return {
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
    }


def _start(watch: CardWatch, pulse: Pulse) -> None:
    """Start the thread that watches."""

    def run() -> None:
        pulse.work(_WATCH_ALLOWED_S)
        watch.run()
        pulse.rest()

    threading.Thread(target=run, name="watch", daemon=True).start()
