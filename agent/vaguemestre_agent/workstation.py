"""The readers process of this workstation, and its cards as keys under which orders may leave.

A part of the composition root: starts nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from vaguemestre_agent.adapters.dmp.direct import direct_address
from vaguemestre_agent.adapters.readers.cardkeys import SupervisedCardKeys
from vaguemestre_agent.adapters.readers.port import SupervisedReaders
from vaguemestre_agent.parts import Parts
from vaguemestre_agent.paths import AgentPaths
from vaguemestre_agent.settings import ServiceMode, ServiceSettings, Settings
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.readerports import ReadersPlaces, ReadersSource

# In the state folder: the count of PIN tries.
READERS_FOLDER: Final = "readers"


def readers_of(settings: Settings, parts: Parts, paths: AgentPaths) -> SupervisedReaders | None:
    """Return the readers process to keep alive, or None when it is switched off. Raises InvalidInput DIRECT_INVALID."""
    if settings.readers.source is ReadersSource.OFF and not settings.scanners.devices:
        return None
    # The longest path that a socket may have leaves no room for a folder of its own.
    tries, streams = paths.state / READERS_FOLDER, Path(paths.endpoint.address).parent
    places = _places(settings.services, tries, streams)
    return SupervisedReaders(settings.readers, parts.clock, parts.readers, places, settings.scanners)


def with_cards(parts: Parts, readers: SupervisedReaders | None) -> Parts:
    """Return the parts with the cards of the readers process, unless others were given."""
    if readers is None or parts.card_keys is not None:
        return parts
    keys = SupervisedCardKeys(readers)
    return replace(parts, cards=keys, card_keys=keys)


def _places(services: ServiceSettings, tries: Path, streams: Path) -> ReadersPlaces:
    kept = ReadersPlaces(tries=str(tries), streams=str(streams))
    if not services.direct_url or services.mode is ServiceMode.SHADOW:
        return kept
    host, port = direct_address(services.direct_url)
    try:
        authorities = Path(services.ca_file).read_text("ascii") if services.ca_file else ""
    except (OSError, ValueError):
        raise InvalidInput("DIRECT_INVALID", reason="authorities") from None
    return replace(kept, direct_host=host, direct_port=port, authorities=authorities)
