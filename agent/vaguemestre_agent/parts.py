"""What an agent stands on: ports to the machine, its key store, what tells a store from its copies.

A part of the composition root: picks adapters, starts nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from vaguemestre_agent.adapters.keystore.stores import FileKeyStore, KeyStore, SystemKeyStore
from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_agent.adapters.system.failpoints import Unarmed
from vaguemestre_agent.adapters.system.machine import machine_identity
from vaguemestre_agent.adapters.system.random import SystemRandom
from vaguemestre_agent.adapters.system.witnesses import FileWitness, KeyStoreWitness
from vaguemestre_agent.paths import AgentPaths
from vaguemestre_agent.settings import KeyStoreKind, Settings
from vaguemestre_core.cardports import CardKeysPort, CardPresencePort, NoCards
from vaguemestre_core.ports import ClockPort, DmpPort, FailpointPort, RandomPort, StorePort
from vaguemestre_queue.incarnation import Witness
from vaguemestre_queue.opening import Surroundings

KEYS_FILE: Final = "keys.json"


def _same_store(store: StorePort) -> StorePort:
    return store


def _same_dmp(dmp: DmpPort) -> DmpPort:
    return dmp


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What may be replaced in an agent: real by default; the self-tests seed bugs here.

    Attributes:
        clock, random, failpoints: ports to the machine.
        around_store, around_dmp: wrappers.
        machine: tells the identities of the machine.
        recovering: False leaves what was on the way on the way.
        cards: which cards are open.
        card_keys: what their keys can do, or None without readers.
        worker: how the preparation's worker is started; None: this interpreter and its module.
        readers: how the readers process is started; None: the same.
    """

    clock: ClockPort = field(default_factory=SystemClock)
    random: RandomPort = field(default_factory=SystemRandom)
    failpoints: FailpointPort = field(default_factory=Unarmed)
    around_store: Callable[[StorePort], StorePort] = _same_store
    around_dmp: Callable[[DmpPort], DmpPort] = _same_dmp
    machine: Callable[[], tuple[str, ...]] = machine_identity
    recovering: bool = True
    cards: CardPresencePort = field(default_factory=NoCards)
    card_keys: CardKeysPort | None = None
    worker: tuple[str, ...] | None = None
    readers: tuple[str, ...] | None = None


def key_store(settings: Settings, paths: AgentPaths) -> KeyStore:
    """Return the key store the settings ask for."""
    if settings.agent.key_store is KeyStoreKind.FILE:
        return FileKeyStore(paths.state / KEYS_FILE)
    return SystemKeyStore(paths.state.name)


def surroundings(settings: Settings, paths: AgentPaths, parts: Parts) -> Surroundings:
    """Return what tells the store from its copies."""
    witnesses: list[Witness] = [FileWitness(paths.config)]
    if settings.agent.key_store is KeyStoreKind.SYSTEM:  # a file of the state folder would be copied with it
        witnesses.append(KeyStoreWitness(key_store(settings, paths)))
    return Surroundings(machine=parts.machine(), witnesses=witnesses)


def station_name(settings: Settings) -> str:
    """Return the name of this workstation in the ledger and traces."""
    return settings.agent.station or socket.gethostname()
