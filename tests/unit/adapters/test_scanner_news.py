"""What the readers process says of scanners: read into pictures and codes; a malformed word changes nothing."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.readers.port import SupervisedReaders
from vaguemestre_agent.adapters.readers.scannernews import told_scanners
from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_core.cards import Situation
from vaguemestre_core.readerports import ReadersPicture, ReadersSettings, ReadersSource, ScannedCode, Scanner
from vaguemestre_core.scannersettings import ScannerKind, ScannerSettings
from vaguemestre_drivers.scanners.starting import scanners_of

# A readers process of our frames that says a few words and waits for its end.
TALKER = """
import sys
from vaguemestre_core.frames import Frame, encode_frame
WORDS = [({words})]
for header, content in WORDS:
    sys.stdout.buffer.write(encode_frame(Frame(header=header, content=content)))
sys.stdout.buffer.flush()
sys.stdin.buffer.read()
"""
READY = "({'event': 'ready', 'pid': 1}, b'')"
SCAN = "({'event': 'scanned', 'scanner': 'serial COM3', 'source': 'serial', 'symbology': None}, b'12')"


async def heard(folder: Path, *words: str) -> tuple[list[ReadersPicture], list[ScannedCode]]:
    """Return what was shown and scanned until the code that ends the words."""
    script = folder / "talker.py"
    script.write_text(TALKER.replace("({words})", ", ".join([READY, *words, SCAN])))
    port = SupervisedReaders(
        ReadersSettings(source=ReadersSource.PCSC, silent_s=20.0),
        SystemClock(),
        (sys.executable, str(script)),
        scanners=ScannerSettings(serial="COM3 0c2e:0b61"),
    )
    pictures: list[ReadersPicture] = []
    codes: list[ScannedCode] = []
    last = asyncio.Event()

    def scanned(code: ScannedCode) -> None:
        codes.append(code)
        if code.raw.content.reveal() == b"12":
            last.set()

    port.listen(pictures.append)
    port.listen_scans(scanned)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        living = group.create_task(port.run())
        await last.wait()
        living.cancel()
    return pictures, codes


SERIAL = Scanner(name="serial COM3", kind=ScannerKind.SERIAL)
OTHER = Scanner(name="serial 0c2e:0b61", kind=ScannerKind.SERIAL)


async def test_a_scanner_comes_and_goes_in_the_picture(tmp_path: Path) -> None:
    pictures, codes = await heard(
        tmp_path,
        "({'event': 'scanner', 'name': 'serial COM3', 'situation': None}, b'')",
        "({'event': 'scanner', 'name': 'serial 0c2e:0b61', 'situation': 'SCANNER_HELD'}, b'')",
        "({'event': 'readers', 'trouble': None, 'readers': []}, b'')",
        "({'event': 'scanner', 'name': 'serial COM3', 'situation': 'SCANNER_ABSENT'}, b'')",
    )
    held = Scanner(name=OTHER.name, kind=OTHER.kind, situation=Situation.SCANNER_HELD)
    ready = Scanner(name=SERIAL.name, kind=SERIAL.kind, is_ready=True)
    absent = Scanner(name=SERIAL.name, kind=SERIAL.kind, situation=Situation.SCANNER_ABSENT)
    assert [picture.scanners for picture in pictures] == [
        (SERIAL, OTHER),
        (ready, OTHER),
        (ready, held),
        (absent, held),
        (SERIAL, OTHER),  # the process is gone: nothing is known
    ]
    assert [code.raw.content.reveal() for code in codes] == [b"12"]


@pytest.mark.parametrize(
    "word",
    [
        "({'event': 'scanner', 'name': 'serial COM3', 'situation': 'PIGEON'}, b'')",
        "({'event': 'scanner', 'name': 'serial COM3'}, b'')",
        "({'event': 'scanner', 'name': 'camera 3', 'situation': None}, b'')",
        "({'event': 'scanned', 'scanner': 'x', 'source': 'serial', 'symbology': None}, b'')",
        "({'event': 'scanned', 'scanner': 'x', 'source': 'serial', 'symbology': 'd2'}, b'1')",
        "({'event': 'scanned', 'scanner': 'x', 'source': 'pigeon', 'symbology': None}, b'1')",
        "({'event': 'scanned', 'source': 'serial', 'symbology': None}, b'1')",
        "({'event': 'of a later version'}, b'')",
    ],
)
async def test_a_word_that_is_none_changes_nothing(tmp_path: Path, word: str) -> None:
    pictures, codes = await heard(tmp_path, word)
    assert {picture.scanners for picture in pictures} == {(SERIAL, OTHER)}
    assert len(codes) == 1


def test_the_readers_process_understands_every_device_of_the_settings() -> None:
    settings = ScannerSettings(serial="COM3 0c2e:0b61", keyboards="/dev/input/x 1234:5678", camera=2)
    assert [item.name for item in scanners_of(told_scanners(settings))] == [item.name for item in settings.devices]
