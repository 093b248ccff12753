"""The verb that reads a file: its answer, its refusals, and a decoder that is not installed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from vaguemestre_core.cards import CardTrouble
from vaguemestre_core.errors import InvalidInput
from vaguemestre_drivers.datamatrix.files import FileReader
from vaguemestre_drivers.datamatrix.native import DecoderMissing
from vaguemestre_drivers.datamatrix.plan import STILL, Pass, Wish
from vaguemestre_drivers.process.codeverbs import code_verbs
from vaguemestre_drivers.process.verbs import Asked

if TYPE_CHECKING:
    from vaguemestre_drivers.datamatrix.native import Grey
    from vaguemestre_drivers.datamatrix.port import Decoding


def asked(content: bytes, *, allowed_s: float = 10.0) -> Asked:
    return Asked(arguments={"media_type": "image/png"}, content=content, allowed_s=allowed_s)


def picture_of_two() -> bytes:
    import cv2
    import numpy as np
    import zxingcpp

    page = np.full((260, 520), 255, np.uint8)
    for place, text in ((20, "alpha-one"), (280, "beta-two")):
        made = np.array(zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode).to_image(scale=4))
        page[20 : 20 + made.shape[0], place : place + made.shape[1]] = made
    return bytes(cv2.imencode(".png", page)[1].tobytes())


def codes(content: bytes, *, allowed_s: float = 10.0) -> list[dict[str, object]]:
    found = code_verbs()["read_codes"].act(asked(content, allowed_s=allowed_s)).values["codes"]
    assert isinstance(found, list)
    return found


def test_codes_are_answered_with_their_page_and_identifier(native: None) -> None:
    found = codes(picture_of_two())
    assert {base64.b64decode(str(one["content"])) for one in found} == {b"alpha-one", b"beta-two"}
    assert {(one["page"], one["source"]) for one in found} == {(0, "image")}
    assert all(str(one["symbology"]).startswith("]Q") for one in found)


def test_an_answer_shows_nothing_of_what_was_read(native: None) -> None:
    reply = code_verbs()["read_codes"].act(asked(picture_of_two()))
    assert "YWxwaGEtb25l" not in repr(reply)


def test_no_time_means_that_no_pass_starts(native: None) -> None:
    assert codes(picture_of_two(), allowed_s=1.0) == []


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(InvalidInput, match="PICTURE_UNSUPPORTED"):
        codes(b"no picture")


class Absent:
    """A decoder whose library is not installed."""

    def decode(
        self, image: Grey, *, budget_s: float, plan: Sequence[Pass] = STILL, wish: Wish = Wish.FIRST
    ) -> Decoding:
        raise DecoderMissing(library="zxing-cpp")


def test_a_decoder_that_is_not_installed_is_a_situation(native: None) -> None:
    with pytest.raises(CardTrouble, match="DECODER_ABSENT") as refused:
        code_verbs(FileReader(Absent()))["read_codes"].act(asked(picture_of_two()))
    assert refused.value.params == {"library": "zxing-cpp"}
