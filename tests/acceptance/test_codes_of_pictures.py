"""The codes of an image through a real agent: its readers process decodes, the agent says what the codes are."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from vaguemestre_api.failures import ApiProblem
from vaguemestre_testkit.acceptance_kit import living


def with_readers() -> dict[str, str]:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return {"VAGUEMESTRE_READERS__SOURCE": "virtual", "VAGUEMESTRE_READERS__VIRTUAL_PORTS": str(port)}


def picture_of_a_box() -> bytes:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    zxingcpp = pytest.importorskip("zxingcpp", reason="zxing-cpp is not installed")
    made = zxingcpp.create_barcode(
        "(01)03400930000014(17)261130(10)LOT42(21)0A1B2C", zxingcpp.BarcodeFormat.DataMatrix, gs1=True
    )
    return bytes(cv2.imencode(".png", numpy.array(made.to_image(scale=5)))[1].tobytes())


async def test_the_box_of_an_image_is_read(tmp_path: Path, pki: Path) -> None:
    picture = picture_of_a_box()
    async with living(tmp_path, pki, session=False, extra=with_readers()) as life:
        [box] = (await life.lgc.scan(picture, "image/png")).codes
        assert box.box is not None
        assert (box.box.cip13, box.box.lot, box.box.serial) == ("3400930000014", "LOT42", "0A1B2C")
        with pytest.raises(ApiProblem) as cut:
            await life.lgc.scan(picture[:30], "image/png")
        assert cut.value.code == "PICTURE_UNREADABLE"
