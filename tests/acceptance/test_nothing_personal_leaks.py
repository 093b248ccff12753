"""The canary: after everything that can happen to an unmistakable patient, nothing of him is where it must not be.

Searched: the logs at DEBUG, the whole state folder, process arguments and environments, health, ledger and errors of
the API. The sandbox is left out: it is the DMP.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from vaguemestre_agent.paths import agent_paths
from vaguemestre_agent.practice.documents import INS_TEST_OID, tiny_pdf
from vaguemestre_api.client import Client, Credentials, DocumentBody
from vaguemestre_api.failures import ApiProblem
from vaguemestre_core.identities import ins_key
from vaguemestre_testkit.acceptance_kit import Life, living, pdf_document
from vaguemestre_testkit.canary import files_under, forms, hits, process_tree, processes

NUMBER = "1850199123987"
PATIENT = {
    "matricule": f"{NUMBER}{ins_key(NUMBER):02d}",
    "family name": "ZZCANARIFAMILLE",
    "given name": "QUETZALPRENOM",
    "title": "Xylophage titre d'essai",
    "text": "Wombat corps confidentiel",
    "street": "impasse Kakapo",
    "telephone": "+33799887766",
    "local id": "DOSSIER-VQX-7731",
}
linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")


def document(title: str = PATIENT["title"], **patient: object) -> DocumentBody:
    """Return a document about the canary."""
    made = pdf_document()
    value = json.loads(made.metadata) | {"title": title}
    value["patient"] |= {
        "birth_name": PATIENT["family name"],
        "given_names": PATIENT["given name"],
        "first_given_name": PATIENT["given name"],
        "birth_date": "1985-01-09",
        "ins": {"matricule": PATIENT["matricule"], "oid": INS_TEST_OID, "source": "insi"},
        "local_id": {"value": PATIENT["local id"], "oid": "1.2.250.1.999.2.1"},
        "telecoms": [{"value": f"tel:{PATIENT['telephone']}", "use": "MC"}],
        "address": {"house_number": "9", "street_name": PATIENT["street"], "postal_code": "75010", "city": "PARIS"},
        **patient,
    }
    return DocumentBody(
        metadata=json.dumps(value, ensure_ascii=False).encode(),
        body=tiny_pdf(f"{PATIENT['text']} {title}"),
        media_type="application/pdf",
    )


async def refused(call: object) -> bytes:
    """Return what the agent answers to a call that it refuses."""
    with pytest.raises(ApiProblem) as caught:
        await call  # type: ignore[misc]
    return repr((caught.value, str(caught.value), caught.value.problem)).encode()


async def live_through_everything(life: Life) -> list[tuple[str, bytes]]:
    """Let everything happen to the canary; return what was seen on the way."""
    seen: list[tuple[str, bytes]] = []
    body = {"family": PATIENT["family name"], "given": PATIENT["given name"], "dmp": "open"}
    await life.ask("PUT", f"/api/patients/{PATIENT['matricule']}", body)
    # Sent; in doubt, then settled; stored and unreadable; refused by the service.
    await life.lgc.put_document("sent", document())
    await life.reaches("sent", "sent")
    assert len(process_tree(life.child.pid)) == 2  # the agent and its worker
    seen += processes(life.child.pid)
    for action in ("cut_after_store", "garbage_xml", "soap_fault"):
        await life.fail("dmp.td21", action)
        await life.lgc.put_document(action, document(f"{PATIENT['title']} {action}"))
        await life.reaches("sent", action)
    await life.fail("dmp.td21", "xds_error", code="XDSRegistryMetadataError")
    await life.lgc.put_document("rejected", document(f"{PATIENT['title']} rejected"))
    await life.reaches("rejected", "rejected")
    # Held, cancelled, corrected, not buildable, not qualified.
    held = await life.lgc.put_document("held", document(f"{PATIENT['title']} held"), hold=True)
    await life.lgc.why(held.order.order_id)
    await life.lgc.cancel(held.order.order_id)
    bad = document()
    await life.lgc.put_document(
        "broken", DocumentBody(metadata=bad.metadata, body=bad.body[:90], media_type=bad.media_type)
    )
    await life.reaches("preparation_failed", "broken")
    await life.lgc.put_document("unqualified", document(identity_status="validée"))
    await life.reaches("preparation_failed", "unqualified")
    # Refusals of the API, with the patient in every place where a client may put him by mistake.
    seen.append(("refusal", await refused(life.lgc.put_document("x", document(birth_date=PATIENT["family name"])))))
    seen.append(("refusal", await refused(life.lgc.put_document("x", document(sex=PATIENT["given name"])))))
    unknown = document(**{"nom": PATIENT["family name"]})
    seen.append(("refusal", await refused(life.lgc.put_document("x", unknown))))
    await refused(life.lgc.document(PATIENT["family name"]))
    await refused(life.lgc.order(PATIENT["matricule"]))
    with pytest.raises(ApiProblem):
        await life.lgc.orders(after=PATIENT["matricule"], states=["no-such-state"])
    # The worker dies, the agent dies, and both go on.
    for pid in process_tree(life.child.pid)[1:]:
        os.kill(pid, signal.SIGKILL)
    await life.lgc.put_document("after the worker", document(f"{PATIENT['title']} worker"))
    await life.reaches("sent", "after the worker")
    await life.fail("dmp.td21", "hang_after_store", seconds=1.0)
    await life.lgc.put_document("killed", document(f"{PATIENT['title']} killed"))
    await life.reaches("sending", "killed")
    await life.kill_and_restart()
    await life.practice.open_session()
    await life.reaches("sent", "killed")
    seen += processes(life.child.pid)
    # What a person may read or send to the support.
    seen.append(("health", repr(await life.lgc.health()).encode()))
    seen.append(("ledger", repr(await life.lgc.ledger(limit=1000)).encode()))
    seen.append(("orders", repr(await life.lgc.orders(limit=100, titles=True)).encode()))
    seen.append(("sessions", repr(await life.lgc.session()).encode()))
    seen.append(("client", repr((life.practice.credentials, life.lgc, document())).encode()))
    return seen


async def command_line(life: Life, *arguments: str) -> bytes:
    """Return all that a command prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "vaguemestre_agent",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **life.practice.environment},
    )
    async with asyncio.timeout(20):
        printed, _ = await process.communicate()
    return printed


@linux
async def test_nothing_of_the_patient_is_where_it_must_not_be(tmp_path: Path, pki: Path) -> None:
    home = tmp_path / "agent"
    code: list[str] = []

    async def read_code() -> None:
        """Read the first pairing code as the person does: the test must know it to search for it."""
        path = agent_paths({"VAGUEMESTRE_HOME": str(home)}).first_code
        while not path.exists():  # noqa: ASYNC110 - a file gives no event
            await asyncio.sleep(0.005)
        code.append(path.read_text("ascii").strip())

    reading = asyncio.TaskGroup()
    async with reading:
        reading.create_task(read_code())
        async with living(tmp_path, pki, extra={"VAGUEMESTRE_AGENT__LOG_LEVEL": "DEBUG"}) as life:
            seen = await live_through_everything(life)
            credentials, cookie = life.practice.credentials, life.practice.cookie
            assert credentials is not None
            assert cookie is not None
            wrong = Credentials(client_id=credentials.client_id, secret=f"{credentials.secret}x")
            endpoint = agent_paths({"VAGUEMESTRE_HOME": str(home)}).endpoint
            async with Client(endpoint, wrong, start_grace_s=0) as stranger:
                seen.append(("refusal", await refused(stranger.orders())))
                seen.append(("refusal", await refused(stranger.pair(code[0], PATIENT["family name"]))))
            seen.append(("health command", await command_line(life, "health", "--json")))
            running = files_under(home)  # while it runs: the journal (-wal) of the store is there
            assert any(name.endswith("-wal") for name, _ in running)
    needles = {
        **PATIENT,
        "secret": credentials.secret,
        "cookie": cookie[0],
        "pairing code": code[0],
        "pairing code typed": code[0].replace("-", ""),
    }
    stopped = files_under(home)
    log = next(content for name, content in stopped if name == "agent.err")

    assert b'"dmp.exchange"' in log
    assert log.count(b'"preparer.worker.started"') == 2  # the first, and the one after its death
    assert not (home / "state" / "first-pairing-code").exists()
    assert hits(needles, [*seen, *running, *stopped]) == []
    # The search is alive: what was planted in the very places just searched is found.
    (home / "state" / "planted").write_bytes(PATIENT["family name"].encode())
    assert hits(needles, files_under(home)) == ["family name in state/planted"]


@pytest.mark.parametrize(
    "hide", ["utf-8", "latin-1", "utf-16-le", "utf-16-be", "base64", "base64 utf-16", "hex", "json"]
)
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_the_search_finds_what_is_hidden(tmp_path: Path, hide: str, shift: int) -> None:
    needle = "Œuvre d'Élise Canari".replace("Œ", "O")
    text = f"{'x' * shift}{needle} y"
    hidden = {
        "base64": lambda: base64.b64encode(text.encode()),
        "base64 utf-16": lambda: base64.b64encode(text.encode("utf-16-le")),
        "hex": lambda: text.encode().hex().encode(),
        "json": lambda: json.dumps({"a": text}).encode(),
    }.get(hide, lambda: text.encode(hide))()
    (tmp_path / "log").write_bytes(b"before " + hidden + b" after")

    assert hits({"name": needle}, files_under(tmp_path)) == ["name in log"]
    assert hits({"name": "Autre personne"}, files_under(tmp_path)) == []


def test_the_search_reads_databases_and_file_names(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "queue.db") as base:
        base.execute("CREATE TABLE t (x TEXT)")
        base.execute("INSERT INTO t VALUES ('ZZCANARIFAMILLE')")
    base.close()
    (tmp_path / "QUETZALPRENOM.pdf").touch()

    found = hits({"family": "ZZCANARIFAMILLE", "given": "QUETZALPRENOM"}, files_under(tmp_path))
    assert "family in queue.db" in found
    assert any(hit.startswith("given in path") for hit in found)


@linux
async def test_the_search_reads_arguments_and_environments(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; print('up', flush=True); sys.stdin.read()",
        "ZZCANARIFAMILLE",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "LEAK": "QUETZALPRENOM"},
    )
    assert child.stdout is not None
    await child.stdout.readline()
    found = hits({"family": "ZZCANARIFAMILLE", "given": "QUETZALPRENOM"}, processes(os.getpid()))
    assert child.stdin is not None
    child.stdin.close()
    await child.wait()

    assert {hit.partition(" of ")[0] for hit in found} == {"family in cmdline", "given in environ"}


def test_a_needle_too_short_proves_nothing() -> None:
    with pytest.raises(ValueError, match="too short"):
        forms("abc")
