"""Readers, cards and codes through a real agent; and its queue while the readers process is killed under it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from vaguemestre_agent.practice.home import free_ports
from vaguemestre_api import wire_readers
from vaguemestre_api.failures import ApiProblem
from vaguemestre_documents.scancodes.datamatrix import symbol
from vaguemestre_documents.scancodes.picture import png
from vaguemestre_sandbox.cards.vitale import FAMILY, OTHER_FAMILY, Vitale2Card, written_files
from vaguemestre_sandbox.cards.vpcd import InsertedCard
from vaguemestre_testkit.acceptance_kit import Life, living, pdf_document
from vaguemestre_testkit.code_samples import BOX

FNC1 = 232  # as a codeword of a Data Matrix
BACK_S = 2.0  # the figure


def with_readers(port: int) -> dict[str, str]:
    return {"VAGUEMESTRE_READERS__SOURCE": "virtual", "VAGUEMESTRE_READERS__VIRTUAL_PORTS": str(port)}


def has_card(found: wire_readers.Readers) -> bool:
    return any(reader.card_id is not None for reader in found.readers)


def is_empty(found: wire_readers.Readers) -> bool:
    return found.state == "running" and bool(found.readers) and not has_card(found)


async def back_after(life: Life, dead: int) -> float:
    """Return the seconds until another readers process shows its readers."""
    began = time.monotonic()
    await life.readers_until(lambda found: is_empty(found) and life.readers_pid() not in (None, dead))
    return time.monotonic() - began


async def test_a_vitale_is_seen_read_and_never_taken_for_the_next_one(tmp_path: Path, pki: Path) -> None:
    [port] = free_ports(1)
    async with living(tmp_path, pki, extra=with_readers(port)) as life:
        await life.readers_until(is_empty)
        card = await asyncio.to_thread(InsertedCard.insert, Vitale2Card(), port=port)
        [reader] = (await life.readers_until(has_card)).readers
        assert (reader.card, reader.state) == ("vitale2", "card")
        [listed] = await life.lgc.cards()
        assert listed.card_id == reader.card_id

        read = await life.lgc.beneficiaries(listed.card_id)
        assert [(item.usual_name, item.nir) for item in read.beneficiaries] == [
            (person.usual_name, person.full_nir) for person in FAMILY
        ]
        assert [item.is_lunar for item in read.beneficiaries] == [False, False, True]

        again = await life.lgc.confirm_beneficiary(listed.card_id, read.reading, 1)
        assert again == read.beneficiaries[1]
        with pytest.raises(ApiProblem) as nobody:
            await life.lgc.confirm_beneficiary(listed.card_id, read.reading, len(FAMILY))
        assert nobody.value.code == "VITALE_BENEFICIARY_INVALID"

        await asyncio.to_thread(card.remove)
        await life.readers_until(is_empty)
        other = Vitale2Card(written_files(OTHER_FAMILY))
        card = await asyncio.to_thread(InsertedCard.insert, other, port=port)
        found = await life.readers_until(has_card)
        with pytest.raises(ApiProblem) as over:
            await life.lgc.beneficiaries(listed.card_id)
        assert over.value.code == "CARD_STAY_OVER"
        swapped = found.readers[0].card_id
        assert swapped is not None
        assert swapped != listed.card_id
        with pytest.raises(ApiProblem) as changed:
            await life.lgc.confirm_beneficiary(swapped, read.reading, 1)
        assert changed.value.code == "CARD_CHANGED"
        lines = (await life.lgc.ledger(limit=1000)).lines
        assert not [line for line in lines if "FICTIF" in str(line) or "card" in line.kind]
        await asyncio.to_thread(card.remove)


@pytest.mark.skipif(importlib.util.find_spec("zxingcpp") is None, reason="the extra readers is not installed")
async def test_the_picture_of_a_box_is_read_by_the_readers_process(tmp_path: Path, pki: Path) -> None:
    """A picture of our own making, then one of another maker's."""
    text = BOX.removeprefix(b"]d2")
    picture = png(symbol(bytes([FNC1, *(letter + 1 for letter in text)])))
    foreign = zxings_picture_of_a_box()
    async with living(tmp_path, pki, session=False, extra=with_readers(*free_ports(1))) as life:
        await life.readers_until(is_empty)
        found = await life.lgc.scan(picture, "image/png")
        with pytest.raises(ApiProblem) as refused:
            await life.lgc.scan(b"no picture at all", "image/png")
        [box] = (await life.lgc.scan(foreign, "image/png")).codes
        with pytest.raises(ApiProblem) as cut:
            await life.lgc.scan(foreign[:30], "image/png")
    assert [(code.kind, code.source, code.box and code.box.lot) for code in found.codes] == [("box", "image", "LOT42")]
    assert refused.value.code == "PICTURE_UNSUPPORTED"
    assert box.box is not None
    assert (box.box.cip13, box.box.lot, box.box.serial) == ("3400930000014", "LOT42", "0A1B2C")
    assert cut.value.code == "PICTURE_UNREADABLE"


def zxings_picture_of_a_box() -> bytes:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    zxingcpp = pytest.importorskip("zxingcpp", reason="zxing-cpp is not installed")
    made = zxingcpp.create_barcode(
        "(01)03400930000014(17)261130(10)LOT42(21)0A1B2C", zxingcpp.BarcodeFormat.DataMatrix, gs1=True
    )
    return bytes(cv2.imencode(".png", numpy.array(made.to_image(scale=5)))[1].tobytes())


async def test_a_box_is_read_and_a_patients_code_asks_for_the_right_to_identities(tmp_path: Path, pki: Path) -> None:
    async with living(tmp_path, pki, session=False) as life:
        [box] = (await life.lgc.scan(BOX, "text/plain")).codes
        assert box.kind == "box"
        assert box.box is not None
        assert (box.box.cip13, box.box.lot, box.box.expiry) == ("3400930000014", "LOT42", "2026-11-30")
        [opaque] = (await life.lgc.scan(b"DC04 quelque chose", "text/plain", expected="2d-doc")).codes
        assert opaque.kind == "2d-doc"
        with pytest.raises(ApiProblem) as off:
            await life.lgc.scan(b"\x89PNG", "image/png")
        assert off.value.code == "READERS_OFF"
        assert (await life.lgc.readers()).state == "off"


@pytest.mark.alone
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_killed_frozen_and_crashed_readers_never_touch_the_queue(tmp_path: Path, pki: Path) -> None:
    [port] = free_ports(1)
    async with living(tmp_path, pki, extra=with_readers(port)) as life:
        await life.readers_until(is_empty)
        sent = 0
        for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV):
            pid = life.readers_pid()
            assert pid is not None
            os.kill(pid, number)
            async with asyncio.TaskGroup() as group:
                back = group.create_task(back_after(life, pid))
                for _ in range(3):
                    sent += 1
                    await life.lgc.put_document(f"cr-{sent}", pdf_document(f"Compte rendu {sent}"))
            assert back.result() <= BACK_S
            assert life.child.is_alive
        for index in range(1, sent + 1):
            await life.reaches("sent", f"cr-{index}")
        assert len(await life.bodies()) == sent
        lines = (await life.lgc.ledger(limit=1000)).lines
        assert [line.kind for line in lines].count("order.delivered") == sent
        assert (await life.lgc.verify_ledger()).lines == lines[-1].seq
