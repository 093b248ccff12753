"""An export holds what the agent holds, structured, dated, readable without it, and can be given again."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.export.writing import ExportCounts, write_export
from vaguemestre_agent.practice.documents import metadata, tiny_pdf
from vaguemestre_agent.services.values import DocumentUpload
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.orders import OrderId
from vaguemestre_documents.cda.build import build_cda_n1
from vaguemestre_documents.cda.read import read_cda
from vaguemestre_documents.portability import Described, ExportedDocument, ExportManifest, describe
from vaguemestre_documents.preparation import FrozenIdentifiers, PreparationRequest, PreparationResult, prepare
from vaguemestre_queue import snapshot
from vaguemestre_queue.context import Context
from vaguemestre_queue.holdings import Holding, held
from vaguemestre_queue.opening import DATABASE_FILE
from vaguemestre_queue.sealing import Sealer, StoreKeys
from vaguemestre_testkit import cda_samples
from vaguemestre_testkit.clocks import START, FakeClock, NoFailpoints
from vaguemestre_testkit.orders import test_keys
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office

FIELDS = ("birth_name", "given_names", "birth_date", "sex", "ins", "date", "type_code")
DAY = START.date()


async def put(practice: Office, number: int) -> OrderId:
    upload = DocumentUpload(
        client_ref=f"cr-{number}",
        metadata=metadata(f"Compte rendu {number}"),
        body=tiny_pdf(str(number)),
        media_type="application/pdf",
        actor=SECRETARY,
    )
    return (await practice.backend.put_document(practice.client, upload)).order.order_id


def context_of(keys: StoreKeys) -> Context:
    return Context(sealer=Sealer(keys), clock=FakeClock(), failpoints=NoFailpoints(), incarnation=0)


def export(
    state: Path, keys: StoreKeys, target: Path, since: date = DAY, until: date = DAY + timedelta(days=9)
) -> ExportCounts:
    """Export a store as the command does, in UTC days."""
    database = target.with_name("snapshot.db")
    database.unlink(missing_ok=True)
    snapshot.take(state / DATABASE_FILE, database)
    first, last = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (since, until))
    with snapshot.opened(database) as connection:
        holdings = held(connection, context_of(keys), first, last + timedelta(days=1))
        return write_export(target, holdings, since, until, START)


def documents(target: Path) -> list[dict[str, object]]:
    found = json.loads((target / "manifest.json").read_bytes())
    assert found["format"] == "vaguemestre-export/1"
    listed = found["documents"]
    assert isinstance(listed, list)
    return listed


@pytest.mark.req("PORT/va1.01")
async def test_an_export_names_each_document_and_can_be_given_again(tmp_path: Path) -> None:
    keys, state, target = test_keys(), tmp_path / "state", tmp_path / "export"
    async with office(state, keys=keys) as practice:
        for number in range(3):
            await practice.preparation.prepare(await practice.store.order(await put(practice, number)))
        assert export(state, keys, target) == ExportCounts(documents=3, missing=0)  # while it runs
    listed = documents(target)
    assert [document["client_ref"] for document in listed] == ["cr-0", "cr-1", "cr-2"]
    given = json.loads(metadata("Compte rendu 0"))["patient"]
    for document in listed:
        assert all(document[name] for name in FIELDS), document
        files = document["files"]
        assert isinstance(files, list)
        names = {Path(file["path"]).name: target / file["path"] for file in files}
        assert set(names) == {"donne.pdf", "metadonnees.json", "cda.xml"}
        for file in files:
            assert hashlib.sha256((target / file["path"]).read_bytes()).hexdigest() == file["sha256"]
        # The CDA reads without us, and what was given can be given again: it is prepared as it was.
        header = read_cda(names["cda.xml"].read_bytes())
        assert header.patient is not None
        assert document["ins"] in {item.extension for item in header.patient.ids}
        assert (document["birth_name"], document["date"]) == (header.patient.birth_name, header.effective_time)
        again = prepare(
            PreparationRequest(
                media_type="application/pdf",
                body=names["donne.pdf"].read_bytes(),
                metadata=names["metadonnees.json"].read_bytes(),
                identifiers=FrozenIdentifiers(document_id="1.2.3.4", set_id="1.2.3.5", version=1),
                now=START,
                for_dmp=True,
            )
        )
        assert isinstance(again, PreparationResult)
        ins = again.document.ins()
        assert ins is not None
        assert ins.matricule == given["ins"]["matricule"]
    table = list(csv.reader(io.StringIO((target / "manifest.csv").read_text("utf-8-sig")), delimiter=";"))
    assert [row[table[0].index("client_ref")] for row in table[1:]] == ["cr-0", "cr-1", "cr-2"]
    assert {"birth_name", "given_names", "birth_date", "sex", "ins", "date", "type_label"} <= set(table[0])


@pytest.mark.req("PORT/va1.01")
async def test_only_the_days_asked_are_exported(tmp_path: Path) -> None:
    keys, state = test_keys(), tmp_path / "state"
    async with office(state, keys=keys) as practice:
        for number in range(4):
            await put(practice, number)
            practice.clock.advance(86400)
        for since, until, expected in (
            (0, 0, ["cr-0"]),
            (1, 2, ["cr-1", "cr-2"]),
            (0, 9, ["cr-0", "cr-1", "cr-2", "cr-3"]),
        ):
            target = tmp_path / f"export-{since}-{until}"
            export(state, keys, target, DAY + timedelta(days=since), DAY + timedelta(days=until))
            assert [document["client_ref"] for document in documents(target)] == expected
        assert export(state, keys, tmp_path / "none", date(2001, 1, 1), date(2001, 1, 2)).documents == 0


async def test_a_document_whose_content_is_gone_is_listed_and_says_so(tmp_path: Path) -> None:
    keys, state, target = test_keys(), tmp_path / "state", tmp_path / "export"
    async with office(state, keys=keys) as practice:
        gone, broken, forged = [await put(practice, number) for number in range(3)]
        await put(practice, 3)
        with closing(sqlite3.connect(state / DATABASE_FILE)) as raw, raw:
            raw.execute("DELETE FROM bodies WHERE order_id = ?", [gone])
            raw.execute("UPDATE bodies SET envelope = zeroblob(500) WHERE order_id = ?", [broken])
            raw.execute("UPDATE orders SET client_ref = 'cr-x' WHERE order_id = ?", [forged])
        assert export(state, keys, target) == ExportCounts(documents=1, missing=2)
    listed = documents(target)
    assert [(document["client_ref"], document["missing"], bool(document["files"])) for document in listed] == [
        ("cr-0", "BODY_GONE", False),
        ("cr-1", "BODY_UNREADABLE", False),
        ("cr-3", "", True),
    ]
    assert listed[2]["birth_name"]  # not built yet: named by the metadata it was given with


async def test_a_zip_file_holds_the_same_and_nothing_is_replaced(tmp_path: Path) -> None:
    keys, state, target = test_keys(), tmp_path / "state", tmp_path / "export.zip"
    async with office(state, keys=keys) as practice:
        await put(practice, 1)
        export(state, keys, target)
        with zipfile.ZipFile(target) as archive:
            assert archive.testzip() is None
            assert sorted(archive.namelist()) == [
                "LISEZMOI.txt",
                "documents/000001/donne.pdf",
                "documents/000001/metadonnees.json",
                "manifest.csv",
                "manifest.json",
            ]
        with pytest.raises(InvalidInput, match="EXPORT_TARGET_EXISTS"):
            export(state, keys, target)


def _fail(_: str) -> Holding:
    raise OSError


async def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    keys, state = test_keys(), tmp_path / "state"
    async with office(state, keys=keys) as practice:
        await put(practice, 1)
        with pytest.raises(InvalidInput, match="FILE_UNWRITABLE"):
            write_export(tmp_path / "no" / "where", [], DAY, DAY, START)

        for name in ("folder", "file.zip"):
            with pytest.raises(InvalidInput, match="FILE_UNWRITABLE"):
                write_export(tmp_path / name, map(_fail, [name]), DAY, DAY, START)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["state"]


def test_a_ready_cda_is_described_by_itself() -> None:
    cda = build_cda_n1(cda_samples.request())
    described = describe(b"{}", "text/xml", cda, None)
    assert described == describe(b"{}", "application/pdf", b"", cda)
    assert (described.ins, described.birth_date, described.sex) == (cda_samples.MATRICULE, "20260218", "F")


def test_metadata_that_were_refused_describe_nobody() -> None:
    assert describe(b"[]", "application/pdf", b"%PDF", None) == Described()


def test_a_cell_that_a_spreadsheet_would_run_is_made_text() -> None:
    document = ExportedDocument(
        number=1,
        described=replace(Described(), title="=HYPERLINK(1)"),
        client_ref="@cmd",
        accepted_at="",
        state="sent",
        unique_id="",
        set_id="",
        version=1,
    )
    text = ExportManifest(made_at="", since="", until="", documents=[document]).to_csv().decode("utf-8-sig")
    assert "'=HYPERLINK(1)" in text
    assert ";'@cmd;" in text
    assert "HYPERLINK" not in repr(document)
