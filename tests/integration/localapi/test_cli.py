"""The command line as a person runs it: real process or real ``main``, real socket, French sentences, exit statuses."""

from __future__ import annotations

import asyncio
import io
import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vaguemestre_agent.cli.commands import COMMANDS
from vaguemestre_agent.cli.main import main
from vaguemestre_agent.paths import HOME_VARIABLE, agent_paths
from vaguemestre_core.orders import OrderEvent
from vaguemestre_core.records import Actor, Scope
from vaguemestre_testkit.api_server import serving
from vaguemestre_testkit.memory_backend import MemoryBackend

Run = Callable[..., tuple[int, str, str]]
PRODUCT = {
    "lps_name": "LGC", "lps_version": "1", "lps_id": "1", "homologation_id": "H", "proxy_client_id": "p",
    "oid_root": "1.2.250.1.999",
}  # fmt: skip


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in list(os.environ):
        if name.startswith("VAGUEMESTRE_"):
            monkeypatch.delenv(name)
    with tempfile.TemporaryDirectory(prefix="vg") as folder:
        monkeypatch.setenv(HOME_VARIABLE, folder)
        yield Path(folder)


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def do(*words: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        status = main(list(words))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return do


@contextmanager
def agent(backend: MemoryBackend) -> Iterator[asyncio.AbstractEventLoop]:
    """Run the API in a thread of its own, as another process would."""
    started, loops = threading.Event(), []
    stop = asyncio.Event()

    async def serve() -> None:
        async with serving(backend, Path(agent_paths(os.environ).endpoint.address)):
            loops.append(asyncio.get_running_loop())
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    try:
        yield loops[0]
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(10)


@pytest.fixture
def backend(home: Path) -> Iterator[MemoryBackend]:
    backend = MemoryBackend()
    with agent(backend):
        yield backend


@pytest.fixture
def paired(backend: MemoryBackend, run: Run, home: Path) -> MemoryBackend:
    code, _ = asyncio.run(backend.open_pairing(frozenset(Scope), Actor(user="test")))
    product = home / "product.json"
    product.write_text(json.dumps(PRODUCT))
    status, _, error = run("pair", "--code-stdin", "--product", str(product), stdin=code + "\n")
    assert (status, error) == (0, "")
    return backend


@pytest.fixture
def document(home: Path) -> tuple[str, str]:
    body, metadata = home / "cr.pdf", home / "cr.json"
    body.write_bytes(b"%PDF-1.4 essai")
    metadata.write_text(json.dumps({"title": "Bilan de DUPONT"}))
    return str(body), str(metadata)


def test_help_lists_the_commands_and_imports_none(home: Path) -> None:
    code = (
        "import sys; from vaguemestre_agent.cli.main import main; main(['--help']);"
        "print([name for name in ('aiohttp', 'lxml', 'sqlite3', 'asyncio') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stderr.strip() == "[]"
    for name, entry in COMMANDS.items():
        assert (f"  {name}" in done.stdout) == entry.is_installed()


@pytest.mark.parametrize("name", [name for name, entry in COMMANDS.items() if not entry.passes_through])
def test_each_command_has_its_help(run: Run, name: str) -> None:
    if not COMMANDS[name].is_installed():
        pytest.skip("not installed here")
    status, out, _ = run(name, "--help")

    assert status == 0
    assert f"vaguemestre {name}" in out


def test_an_unknown_command_is_a_usage_error(run: Run) -> None:
    status, _, error = run("nothing")

    assert status == 2
    assert "commande inconnue" in error


def test_without_an_agent_one_sentence_one_action_status_3(run: Run) -> None:
    status, out, error = run("health")

    assert (status, out) == (3, "")
    assert "L'agent ne tourne pas." in error
    assert "→" in error
    assert "Traceback" not in error


def test_errors_are_json_when_asked(run: Run) -> None:
    for words in (("--json", "health"), ("health", "--json")):
        status, _, error = run(*words)
        assert status == 3
        assert json.loads(error)["code"] == "AGENT_NOT_RUNNING"


def test_without_pairing_status_5(run: Run, backend: MemoryBackend) -> None:
    status, _, error = run("orders", "list")

    assert status == 5
    assert "NOT_PAIRED" in error


def test_the_pairing_secret_is_kept_in_a_private_file_and_shown_nowhere(
    paired: MemoryBackend, run: Run, home: Path
) -> None:
    path = agent_paths(os.environ).credentials
    secret = json.loads(path.read_text())["secret"]
    status, out, error = run("pair", "list")

    assert status == 0
    assert secret not in out + error
    if sys.platform != "win32":  # there the folder's access list decides, not mode bits
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
        assert run("pair", "list")[0] == 5


def test_the_first_code_is_found_by_itself(backend: MemoryBackend, run: Run) -> None:
    code, _ = asyncio.run(backend.open_pairing(frozenset(Scope), Actor(user="test")))
    first = agent_paths(os.environ).first_code
    first.parent.mkdir(parents=True, exist_ok=True)
    first.write_text(code)

    assert run("pair")[0] == 0
    assert run("orders", "list")[:2] == (0, "Aucun ordre.\n")


def test_a_document_from_deposit_to_cancellation(paired: MemoryBackend, run: Run, document: tuple[str, str]) -> None:
    body, metadata = document
    status, out, _ = run("documents", "put", "cr-1", body, "--metadata", metadata, "--rpps", "10003456789", "--json")
    order = json.loads(out)["order"]

    assert status == 0
    assert order["actor"]["rpps"] == "10003456789"
    assert "Déjà accepté." in run("documents", "put", "cr-1", body, "--metadata", metadata)[1]
    assert "cr-1 : en attente" in run("documents", "show", "cr-1")[1]
    assert "DUPONT" not in run("orders", "list")[1]
    assert "DUPONT" in run("orders", "list", "--titles")[1]
    assert "bloqué (person)" in run("orders", "hold", order["order_id"])[1]
    assert "Une personne a bloqué" in run("orders", "why", order["order_id"])[1]
    assert run("orders", "release", order["order_id"])[0] == 0
    assert run("orders", "cancel", order["order_id"])[:2] == (0, "Annulé : rien n'est parti.\n")
    assert run("orders", "reconcile", "cr-1", "cr-2")[1].split() == [
        "DOCUMENT",
        "ÉTAT",
        "cr-1",
        "arrêté",
        "cr-2",
        "inconnu",
    ]


def test_a_document_is_hidden_then_deleted(paired: MemoryBackend, run: Run, document: tuple[str, str]) -> None:
    body, metadata = document
    run("documents", "put", "cr-1", body, "--metadata", metadata)
    _, out, _ = run("documents", "visibility", "cr-1", "--mask", "INVISIBLE_PATIENT", "--json")
    assert json.loads(out)["answer"] == "corrected"
    assert "l'envoi est annulé" in run("documents", "delete", "cr-1", "--motive", "feeding_error")[1]
    assert run("documents", "delete", "cr-1")[0] == 2


def test_a_cancellation_that_is_not_one_has_another_status(
    paired: MemoryBackend, run: Run, document: tuple[str, str]
) -> None:
    body, metadata = document
    for ref, last, expected in (("a", OrderEvent.DOUBT, 4), ("b", OrderEvent.DELIVERED, 1)):
        _, out, _ = run("documents", "put", ref, body, "--metadata", metadata, "--json")
        order_id = json.loads(out)["order"]["order_id"]
        paired.listeners.clear()
        paired.advance(order_id, OrderEvent.PREPARED, OrderEvent.DUE, OrderEvent.CLAIM, OrderEvent.FIRST_BYTE, last)
        assert run("orders", "cancel", order_id)[0] == expected


def test_refusals_show_title_action_and_support_number(paired: MemoryBackend, run: Run) -> None:
    status, _, error = run("orders", "show", "o-0")

    assert status == 1
    assert "n'existe pas" in error
    assert "Numéro de support" in error


def test_events_are_printed_and_resumed(paired: MemoryBackend, run: Run, document: tuple[str, str]) -> None:
    body, metadata = document
    _, out, _ = run("events", "--count", "1", "--json")
    after = json.loads(out)["resume_after"]
    run("documents", "put", "cr-1", body, "--metadata", metadata)

    status, out, _ = run("events", "--after", str(after), "--count", "1")

    assert status == 0
    assert "order.accepted  cr-1" in out


def test_the_session_cookie_comes_from_standard_input(paired: MemoryBackend, run: Run) -> None:
    status, out, error = run("session", "adopt", "899700000012", "--until-s", "60", stdin="COOKIE-SECRET\n")

    assert status == 0
    assert "COOKIE-SECRET" not in out + error
    assert "899700000012" in run("session", "show")[1]
    assert run("session", "close", "899700000012")[0] == 0
    assert "Comparez le code 42" in run("session", "open", "899700000012")[1]


def test_the_ledger_is_verified_and_exported(paired: MemoryBackend, run: Run, home: Path) -> None:
    assert "Registre intact" in run("ledger", "verify")[1]
    status, _, _ = run("ledger", "export", "--output", str(home / "ledger.jsonl"))
    lines = [json.loads(line) for line in (home / "ledger.jsonl").read_text().splitlines()]

    assert status == 0
    assert [line["seq"] for line in lines] == list(range(1, len(paired.lines) + 1))


def test_a_file_that_is_not_there_is_said(paired: MemoryBackend, run: Run) -> None:
    status, _, error = run("documents", "put", "a", "/nowhere.pdf", "--metadata", "/nowhere.json")

    assert status == 1
    assert "FILE_UNREADABLE" in error


def test_openapi_and_version_need_no_agent(run: Run) -> None:
    assert json.loads(run("openapi")[1])["openapi"].startswith("3.1")
    assert json.loads(run("version", "--json")[1])["version"]


def test_home_wins_over_the_environment(run: Run, backend: MemoryBackend, tmp_path: Path) -> None:
    assert run("health")[0] == 0
    assert run("--home", str(tmp_path), "health")[0] == 3


def test_a_bug_is_no_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("DUPONT")

    monkeypatch.setattr("vaguemestre_agent.cli.version.metadata.version", broken)
    status, out, error = run("version")

    assert status == 70
    assert "DUPONT" not in out + error
    assert "RuntimeError" in error


def test_requirements_are_matched_with_tests_and_evidence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "requirements-ids.json").write_text(
        json.dumps({"requirements": [{"id": f"R.{n}", "chapter": n, "label": "Fait"} for n in range(1, 5)]})
    )
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(
        "import pytest\n@pytest.mark.req('R.1', 'R.2')\ndef test_one(): ...\n"
        "@pytest.mark.req('R.3')\nclass TestB:\n    def test_two(self): ...\n"
    )
    (tmp_path / "evidence").mkdir()
    left = {"outcome": "passed", "date": "2026-01-02T03:04:05+00:00", "version": "1", "platform": "x"}
    (tmp_path / "evidence" / "requirements.json").write_text(
        json.dumps({"R.1": {"t": left}, "R.3": {"t": {**left, "outcome": "failed"}}})
    )

    status, out, _ = run("requirements", "--root", str(tmp_path), "--json")

    found = {item["id"]: (item["status"], item["tests"]) for item in json.loads(out)}
    assert status == 1
    assert found == {
        "R.1": ("prouvée", ["tests/test_a.py::test_one"]),
        "R.2": ("sans preuve", ["tests/test_a.py::test_one"]),
        "R.3": ("échec", ["tests/test_a.py::TestB::test_two"]),
        "R.4": ("sans test", []),
    }
    assert run("requirements", "--root", str(tmp_path), "R.1")[0] == 0
    assert run("requirements", "--root", str(tmp_path / "none"))[0] == 1


INS = {"matricule": "255069999999934", "oid": "1.2.250.1.213.1.4.10"}


def _deposit(run: Run, home: Path, reference: str) -> None:
    (home / "cr.pdf").write_bytes(b"%PDF-1.4")
    (home / "cr.json").write_text(json.dumps({"title": "CR", "patient": {"ins": INS}}))
    assert run("documents", "put", reference, str(home / "cr.pdf"), "--metadata", str(home / "cr.json"))[0] == 0


def test_wishes_and_events_are_told_without_an_identifier_in_the_arguments(
    paired: MemoryBackend, run: Run, home: Path
) -> None:
    _deposit(run, home, "cr-1")
    identifiers = json.dumps({"ins": INS})
    told = ("patients", "consent", "p-1", "feeding", "--refused", "--identifiers", "-")
    status, out, error = run(*told, stdin=identifiers)
    assert (status, error) == (0, "")
    assert "Bloqués : 1" in out
    assert run(*told, stdin="{")[0] == 1
    status, out, _ = run("patients", "show", "p-1")
    assert status == 0
    assert "✗ alimenter le DMP" in out
    assert INS["matricule"] not in out
    status, out, _ = run("--json", "patients", "consent", "p-1", "feeding", "--granted")
    assert (status, len(json.loads(out)["freed"])) == (0, 1)
    status, out, _ = run("--json", "patients", "identity-event", "p-1", "trait_changed")
    assert (status, len(json.loads(out)["held"])) == (0, 1)
    assert run("patients", "show", "inconnu")[0] == 1


def test_delegations_are_given_shown_and_withdrawn(paired: MemoryBackend, run: Run, home: Path) -> None:
    _deposit(run, home, "cr-1")
    status, out, _ = run("delegations", "withdraw", "899700000012", "this")
    assert (status, "Bloqués : 1" in out) == (0, True)
    status, out, _ = run("delegations", "list", "899700000012")
    assert (status, "retirée" in out) == (0, True)
    status, out, _ = run("delegations", "grant", "899700000012", "this", "--type", "11488-4")
    assert (status, "libérés : 1" in out) == (0, True)


@pytest.mark.req("SC.DMP/HISTO.05")
def test_a_batch_is_deposited_from_a_list(paired: MemoryBackend, run: Run, home: Path) -> None:
    (home / "cr.pdf").write_bytes(b"%PDF-1.4")
    (home / "vide.pdf").write_bytes(b"")
    listing = home / "lot.json"

    def put(*items: dict[str, object]) -> tuple[int, str, str]:
        listing.write_text(json.dumps({"documents": list(items)}))
        return run("documents", "put-batch", str(listing))

    good: dict[str, object] = {"client_ref": "h-1", "file": "cr.pdf", "metadata": {"title": "Ancien"}}
    empty: dict[str, object] = {"client_ref": "h-2", "file": "vide.pdf", "metadata": {}}
    foreign: dict[str, object] = {**good, "client_ref": "h-3", "metadata": {"identity_status": "récupérée"}}
    status, out, _ = put(good, empty)
    assert status == 1
    assert "h-1 : accepté" in out
    assert "h-2 : refusé" in out
    status, _, error = put(good, foreign)
    assert (status, "INS_NOT_QUALIFIED" in error) == (1, True)
    assert put({"client_ref": "h-4"})[0] == 1


def test_erasing_names_the_patient_on_the_input_and_never_repeats_it(
    paired: MemoryBackend, run: Run, home: Path
) -> None:
    who = json.dumps({"local_id": {"value": "P-4242", "oid": "1.2.250.1.999.9"}})
    status, out, error = run("patients", "erase", "--reason", "patient_request", stdin=who)
    assert (status, out) == (1, "")
    assert "PATIENT_UNKNOWN" in error
    assert "4242" not in error
    status, _, error = run("patients", "erase", "--reason", "patient_request", stdin="P-4242")
    assert status == 1
    assert "PATIENT_FILE_INVALID" in error
    assert "4242" not in error
    assert run("patients", "erase", "--reason", "because", stdin=who)[0] == 2


def test_backups_of_the_agent_are_listed_and_asked_for(paired: MemoryBackend, run: Run) -> None:
    status, out, _ = run("backup", "list")
    assert (status, out.strip()) == (0, "Aucune sauvegarde.")
    status, _, error = run("backup", "now")
    assert status == 1
    assert "BACKUP_NOT_CONFIGURED" in error


def test_without_a_store_there_is_nothing_to_save_or_export(
    home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAGUEMESTRE_AGENT__KEY_STORE", "file")
    status, _, error = run("backup", "create", str(home / "a.vgmbak"))
    assert (status, "KEYS_LOST" in error) == (1, True)
    status, _, error = run("backup", "verify", str(home / "a.vgmbak"))
    assert (status, "KEYS_LOST" in error) == (1, True)
    status, _, error = run("export", "--out", str(home / "out"))
    assert (status, "STORE_MISSING" in error) == (1, True)
    status, _, error = run("export", "--out", str(home / "out"), "--from", "2026-02-01", "--to", "2026-01-01")
    assert (status, "EXPORT_DATES_INVALID" in error) == (1, True)
