"""The verb that reads the codes of an image or a PDF; native libraries are loaded when it is first asked."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

from vaguemestre_core.cards import CardTrouble, Situation
from vaguemestre_drivers.datamatrix.decoding import NativeDecoder
from vaguemestre_drivers.datamatrix.files import FILE_BUDGET_S, FileReader
from vaguemestre_drivers.datamatrix.native import DecoderMissing
from vaguemestre_drivers.process.verbs import Asked, Reply, Verb

ONE_PASS_S: Final = 2.0
"""What a pass on the largest picture may take beyond the budget: the watchdog must not end the process before."""


def code_verbs(reader: FileReader | None = None) -> Mapping[str, Verb]:
    """Return the verb, on a lane of its own.

    It reads the content that it is asked with, whatever type that was said to have: its first bytes tell. It answers
    ``codes`` (``page`` from 0, ``source``, ``symbology``, ``content`` in base64), ``pages_read`` and ``pages_left``.
    """
    files = reader if reader is not None else FileReader(NativeDecoder())

    def read_codes(asked: Asked) -> Reply:
        """Read a file. Raises InvalidInput as ``FileReader.read_file`` does, CardTrouble DECODER_ABSENT."""
        budget_s = min(FILE_BUDGET_S, max(0.0, asked.allowed_s - ONE_PASS_S))
        try:
            reading = files.read_file(asked.content, budget_s=budget_s)
        except DecoderMissing as missing:
            raise CardTrouble(Situation.DECODER_ABSENT, **missing.params) from None
        codes = [
            {
                "page": one.page,
                "source": one.source.value,
                "symbology": one.symbol.symbology,
                "content": base64.b64encode(one.symbol.content.reveal()).decode("ascii"),
            }
            for one in reading.found
        ]
        return Reply(values={"codes": codes, "pages_read": reading.pages_read, "pages_left": reading.pages_left})

    return {"read_codes": Verb(lane="images", act=read_codes)}
