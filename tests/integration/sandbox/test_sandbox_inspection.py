"""The inspection page and API, restarts, and the process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from lxml import etree

from vaguemestre_sandbox.cli import build_parser, config_of
from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandbox.settings import SandboxConfig
from vaguemestre_sandboxkit import messages
from vaguemestre_sandboxkit.client import SUCCESS, Caller
from vaguemestre_sandboxkit.messages import Sample

SAMPLE = Sample(unique_id="1.2.250.1.999.10.1")


async def test_the_page_shows_everything_and_is_well_formed_french_and_closed(caller: Caller) -> None:
    await caller.connect()
    await caller.rule(target="dmp.td21", action="cut_after_store")
    tricky = replace(SAMPLE, title="<b>Compte rendu & suites</b>")
    await caller.feed(tricky)
    await caller.feed(replace(tricky, lot_id="1.2.250.1.999.10.8"))
    await caller.lookup(SAMPLE.unique_id)
    await caller.rule(target="proxy.send", action="html", count=None, unique_id="9.9")
    response = await caller.inspect.get("/", params={"actualiser": "5"})
    root = etree.fromstring(response.text.encode())
    x = {"h": "http://www.w3.org/1999/xhtml"}
    assert root.get("lang") == "fr"
    assert root.xpath("//h:meta[@http-equiv='refresh']/@content", namespaces=x) == ["5"]
    assert root.xpath("//h:script | //h:style | //@style | //@onclick", namespaces=x) == []
    links = [text for found in root.iter() for name in ("href", "src", "action") if (text := found.get(name))]
    assert all(link.startswith(("/", "#")) for link in links)
    assert root.xpath("count(//h:main)", namespaces=x) == 1.0
    labels = [found.get("aria-labelledby") for found in root.iterfind(".//h:section", x)]
    assert labels == [found.get("id") for found in root.iterfind(".//h:h2", x)]
    assert len(labels) == 9
    assert all(found.find("h:caption", x) is not None for found in root.iterfind(".//h:table", x))
    text = str(root.xpath("string()"))
    for shown in ("<b>Compte rendu & suites</b>", "1 renvoi(s)", "enregistré, puis connexion coupée", "proxy.send"):
        assert shown in text
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for secret in (caller.http.cookies["proxy_session_id"], caller.sandbox.proxy.sessions()[0].api_token):
        assert secret not in response.text
    assert (await caller.inspect.get("/style.css")).headers["Content-Type"].startswith("text/css")
    quiet = etree.fromstring((await caller.inspect.get("/", params={"actualiser": "1"})).text.encode())
    assert quiet.xpath("//h:meta[@http-equiv='refresh']", namespaces=x) == []


async def test_documents_and_bodies_can_be_taken_out(caller: Caller) -> None:
    await caller.connect()
    content_type, body = caller.feeding(SAMPLE)
    await caller.post("repository", content_type, body)
    base = f"/documents/{SAMPLE.unique_id}"
    assert (await caller.inspect.get(base + "/cda")).content == messages.cda(SAMPLE)
    pdf = await caller.inspect.get(base + "/body")
    assert pdf.headers["Content-Type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-1.4")
    order = (await caller.inspect.get("/api/bodies")).json()["bodies"][0]["order"]
    raw = await caller.inspect.get(f"/api/bodies/{order}/raw")
    assert (raw.content, raw.headers["X-Content-Type"]) == (body, content_type)
    assert b"ExtrinsicObject" in (await caller.inspect.get(f"/api{base}/entry")).content
    listed = (await caller.inspect.get("/api/documents")).json()["documents"]
    assert [row["unique_id"] for row in listed] == [SAMPLE.unique_id]
    for unknown in ("/documents/9.9/cda", "/documents/9.9/body", "/api/bodies/999/raw", "/api/bodies/x/raw"):
        assert (await caller.inspect.get(unknown)).status_code == 404


async def test_foreign_hosts_and_origins_are_refused(caller: Caller) -> None:
    for headers in ({"Host": "exemple.test"}, {"Origin": "https://exemple.test"}):
        assert (await caller.inspect.get("/api/verdict", headers=headers)).status_code == 403
        assert (await caller.inspect.post("/api/reset", headers=headers)).status_code == 403


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("POST", "/api/rules", {"target": "dmp.td21", "action": "inconnue"}),
        ("POST", "/api/rules", {"target": "dmp.td21", "action": "html", "autre": 1}),
        ("POST", "/api/rules", {"target": "dmp.td21", "action": "html", "count": "deux"}),
        ("POST", "/api/rules", {"target": "dmp.td21", "action": "status_after_read"}),
        ("POST", "/api/rules", []),
        ("PUT", "/api/patients/226027505612369", {}),
        ("PUT", "/api/patients/226027505612368", {"dmp": "entrouvert"}),
        ("PUT", "/api/patients/226027505612368", {"ens": "oui"}),
        ("PATCH", "/api/profile", {"inconnu": True}),
        ("PATCH", "/api/profile", {"hash_required": 1}),
        ("PUT", "/api/approval-mode", {"mode": "jamais"}),
        ("POST", "/api/scripts", {"decision": "accept"}),
        ("POST", "/api/clock", {"advance_s": "1"}),
        ("POST", "/api/sessions", {}),
    ],
)
async def test_wrong_orders_are_refused_with_a_reason(caller: Caller, method: str, url: str, body: object) -> None:
    answer = await caller.inspect.request(method, url, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


async def test_a_form_of_another_type_is_not_an_order(caller: Caller) -> None:
    answer = await caller.inspect.post("/api/rules", content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 400


async def test_reset_forgets_all_but_the_fictitious_people(caller: Caller) -> None:
    await caller.connect()
    await caller.feed(SAMPLE)
    await caller.inspect.put(f"/api/patients/{messages.PATIENT}", json={"dmp": "closed"})
    await caller.rule(target="dmp.td21", action="html", count=None)
    assert (await caller.inspect.post("/api/reset")).status_code == 204
    verdict = (await caller.inspect.get("/api/verdict")).json()
    assert (verdict["complete_bodies"], verdict["held"], verdict["documents"]) == (0, 0, 0)
    assert (await caller.inspect.get("/api/rules")).json() == {"rules": [], "spent": []}
    assert (await caller.inspect.get("/api/sessions")).json() == {"sessions": []}
    patients = (await caller.inspect.get("/api/patients")).json()["patients"]
    assert {row["dmp"] for row in patients if row["matricule"] == messages.PATIENT} == {"open"}
    await caller.connect()
    assert (await caller.feed(SAMPLE)).status == SUCCESS


async def test_a_new_patient_may_be_created(caller: Caller) -> None:
    made = await caller.inspect.put("/api/patients/190087511204436", json={"family": "NOUVEAU", "sex": "M"})
    assert made.json()["family"] == "NOUVEAU"
    await caller.connect()
    sample = replace(SAMPLE, matricule="190087511204436", family="NOUVEAU", sex="M")
    assert (await caller.feed(sample)).status == SUCCESS


async def test_a_restart_keeps_what_the_dmp_holds_and_what_was_on_the_wire(config: SandboxConfig) -> None:
    async with Sandbox.start(config) as first:
        caller = Caller(first)
        await caller.connect()
        await caller.feed(SAMPLE)
        await caller.lookup(SAMPLE.unique_id)
        await caller.close()
        before = first.ledger.verdict()
    async with Sandbox.start(config) as second:
        caller = Caller(second)
        try:
            assert second.ledger.verdict() == before
            assert second.ledger.answers()[0].found
            assert (await caller.feed(SAMPLE)).http == 401
            await caller.connect()
            assert (await caller.lookup(SAMPLE.unique_id)).count == 1
            again = await caller.feed(replace(SAMPLE, lot_id="1.2.250.1.999.10.7"))
            assert again.codes == ["XDSDuplicateUniqueIdInRegistry"]
            assert second.ledger.verdict().sent_twice == 1
        finally:
            await caller.close()


async def test_a_body_held_just_before_a_kill_is_known_as_stored(config: SandboxConfig) -> None:
    async with Sandbox.start(config) as first:
        caller = Caller(first)
        await caller.connect()
        await caller.feed(SAMPLE)
        await caller.feed(replace(SAMPLE, unique_id="1.2.250.1.999.10.2"))
        await caller.close()
    with sqlite3.connect(config.state_dir / "sandbox.sqlite3") as database:
        database.execute("UPDATE body SET outcome='processing', stored=0, finished_order=NULL")
        database.execute("DELETE FROM document WHERE unique_id='1.2.250.1.999.10.2'")
    database.close()
    async with Sandbox.start(config) as second:
        rows = {row.unique_id: row.outcome.value for row in second.ledger.bodies()}
    assert rows == {SAMPLE.unique_id: "stored_cut", "1.2.250.1.999.10.2": "interrupted"}


async def test_the_process_says_ready_last_and_survives_a_kill(tmp_path: Path) -> None:
    async def launch() -> tuple[asyncio.subprocess.Process, dict[str, str]]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "vaguemestre_sandbox",
            "--state-dir",
            str(tmp_path),
            "--port",
            "0",
            "--json",
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(20):
            description = json.loads(await process.stdout.readline())
            assert (await process.stdout.readline()).rstrip() == b"ready"  # CR LF on Windows
        return process, description

    process, description = await launch()
    async with httpx.AsyncClient(trust_env=False) as client:
        put = await client.put(description["inspection"] + "/api/patients/190087511204436", json={})
        assert put.status_code == 200
        for name in ("ca", "client_certificate", "client_key", "signature_certificate", "signature_key"):
            assert Path(description[name]).read_bytes().startswith(b"-----BEGIN")
        process.kill()
        await process.wait()
        process, again = await launch()
        assert Path(again["ca"]).read_bytes() == Path(description["ca"]).read_bytes()
        patients = (await client.get(again["inspection"] + "/api/patients")).json()["patients"]
    assert "190087511204436" in [row["matricule"] for row in patients]
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        code = await process.wait()
    if sys.platform != "win32":
        assert code == 0


def test_options_become_settings(tmp_path: Path) -> None:
    options = build_parser().parse_args(
        ["--state-dir", str(tmp_path), "--port-base", "4100", "--no-vihf-signature", "--approval", "manual"]
    )
    config = config_of(options)
    assert (config.proxy_port, config.dmp_port, config.inspection_port, config.direct_port) == (4100, 4101, 4102, 4103)
    assert not config.dmp.vihf_signature_required
    assert config.dmp.lot_signature_required
    assert config.proxy.approval_mode.value == "manual"
