"""The verb that reads the codes of an image or a PDF; the decoder is loaded when it is first asked."""

from __future__ import annotations

from collections.abc import Mapping

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_drivers.process.verbs import Asked, Reply, Verb


def code_verbs() -> Mapping[str, Verb]:
    """Return the verb, on a lane of its own."""
    return {"read_codes": Verb(lane="images", act=_read_codes)}


def _read_codes(_: Asked) -> Reply:
    raise CardTrouble(Situation.DECODER_ABSENT)
