"""What a thief reads in a state folder without its keys: no patient, no document; counts, times and types."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderEvent
from vaguemestre_core.redaction import Personal, SecretBytes
from vaguemestre_queue.opening import DATABASE_FILE, open_store
from vaguemestre_queue.sealing import Sealer
from vaguemestre_testkit.canary import files_under, hits
from vaguemestre_testkit.clocks import FakeClock, NoFailpoints, SeededRandom
from vaguemestre_testkit.orders import DOCTOR, a_build, a_client, an_acceptance, frozen, test_keys

PATIENT = {
    "name": "ZZCANARIFAMILLE",
    "matricule": "255069999999934",
    "title": "QUETZAL compte rendu",
    "body": "PHRASECANARIDUDOCUMENT",
}
KEYS_MD = Path(__file__).resolve().parents[3] / "docs" / "keys.md"


async def lived(folder: Path) -> None:
    """Leave a store that has met the canary in every way."""
    clock = FakeClock()
    async with open_store(folder, test_keys(), clock, SeededRandom(), NoFailpoints()) as store:
        await store.add_client(a_client(), DOCTOR)
        for number in (1, 2):
            made = replace(
                an_acceptance(clock, number, content=f"%PDF-1.4 {PATIENT['body']}".encode()),
                patient_key=Personal(PATIENT["matricule"]),
                title=Personal(PATIENT["title"]),
                metadata=f'{{"name": "{PATIENT["name"]}", "ins": "{PATIENT["matricule"]}"}}'.encode(),
            )
            await store.accept(made)
            await store.save_prepared(made.order_id, a_build(made), frozen(number))
        await store.apply(made.order_id, OrderEvent.SEND_NOW, DOCTOR)


async def test_the_folder_without_its_keys_names_no_patient(tmp_path: Path) -> None:
    await lived(tmp_path)

    assert hits(PATIENT, files_under(tmp_path)) == []


async def test_sealed_bodies_and_titles_need_the_store_s_own_keys(tmp_path: Path) -> None:
    await lived(tmp_path)
    thief = Sealer(replace(test_keys(), pseudonym=SecretBytes(b"t" * 32)))
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as base:
        envelopes = [row[0] for row in base.execute("SELECT envelope FROM bodies")]
        titles = [row[0] for row in base.execute("SELECT title FROM documents")]
        patients = {row[0] for row in base.execute("SELECT patient FROM documents")}

    assert (len(envelopes), len(titles)) == (4, 2)
    for sealed in envelopes:
        with pytest.raises(StoreError, match="BODY_UNREADABLE"):
            thief.open(sealed)
    assert [thief.open_card(title) for title in titles] == [None, None]
    assert thief.pseudonym("patient", Personal(PATIENT["matricule"])) not in patients


async def test_what_remains_visible_is_what_the_page_says(tmp_path: Path) -> None:
    await lived(tmp_path)
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as base:
        order = base.execute(
            "SELECT client_ref, type_code, professional, state, accepted_at_us > 0 FROM orders ORDER BY seq LIMIT 1"
        ).fetchone()
        same_patient = base.execute("SELECT count(DISTINCT patient) FROM documents").fetchone()
        sizes = base.execute("SELECT min(length(envelope)) FROM bodies").fetchone()
    said = KEYS_MD.read_text("utf-8")
    section = said[said.index("## Disque volé") :]

    assert order == ("doc-1", "11488-4", "899700000012", "deferred", 1)
    assert (same_patient, sizes[0] > 0) == ((1,), True)
    for visible in ("référence", "type", "professionnel", "état", "heure", "même patient", "taille"):
        assert visible in section
