"""The drop folder over a real store and real files: taken once whatever happens, nothing hostile is opened."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_agent.dropfolder.door import DropDoor
from vaguemestre_agent.dropfolder.folder import BODY_PATIENCE_S, DropFolder
from vaguemestre_agent.dropfolder.names import is_good_stem, stand_in
from vaguemestre_agent.practice.documents import metadata, tiny_pdf
from vaguemestre_agent.settings import parse_settings
from vaguemestre_core.errors import InvalidInput, NotFound, ServiceError, StoreError
from vaguemestre_core.orders import OrderState
from vaguemestre_core.records import Order, OrderFilter
from vaguemestre_testkit.practice_kit import SECRETARY, Office, office

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links and rights of a POSIX system")


class Cut(BaseException):
    """The power is cut."""


@dataclass
class Failpoints:
    """Cuts at the Nth step, or does something there."""

    cut_at: int = 0
    act: dict[str, Callable[[], None]] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list)

    def hit(self, name: str) -> None:
        self.passed.append(name)
        if len(self.passed) == self.cut_at:
            raise Cut
        self.act.pop(name, lambda: None)()


@dataclass
class Desk:
    """A practice with a drop folder."""

    practice: Office
    path: Path
    failpoints: Failpoints
    door: DropDoor

    def restart(self, failpoints: Failpoints | None = None) -> None:
        """Forget all that is in memory."""
        self.failpoints = failpoints or Failpoints()
        self.door = door(self.practice, self.path, self.failpoints)

    def drop(self, stem: str = "lettre", body: bytes | None = None, **change: object) -> None:
        """Write a pair as a program does: the document, then the request by a rename."""
        (self.path / f"{stem}.pdf").write_bytes(tiny_pdf("Lettre") if body is None else body)
        value = {
            "client_ref": "cr-1",
            "actor": {"user": "u-1", "role": "medecin"},
            "metadata": json.loads(metadata("Lettre")),
            **change,
        }
        temporary = self.path / f"{stem}.tmp"
        temporary.write_text(json.dumps({k: v for k, v in value.items() if v is not ...}), encoding="utf-8")
        temporary.replace(self.path / f"{stem}.json")

    async def look(self, seconds: float = 3.0) -> None:
        """Look twice, with time in between."""
        await self.door.look()
        self.practice.clock.advance(seconds)
        await self.door.look()

    def read(self, name: str) -> Any:
        return json.loads((self.path / name).read_text("utf-8"))

    def code(self, stem: str = "lettre") -> str:
        """Return the code of a refusal."""
        answer = self.read(f"{stem}.answer.json")
        assert answer["accepted"] is False
        assert answer["problem"]["title"]
        return str(answer["problem"]["code"])

    def left(self) -> set[str]:
        """Return what is in the folder, replies aside."""
        return {p.name for p in self.path.iterdir() if not p.is_dir() or p.is_symlink()} - {
            p.name for p in self.path.glob("*.*.json")
        }

    def away(self, where: str) -> list[str]:
        return sorted(path.suffix for path in (self.path / where).iterdir())

    async def orders(self) -> int:
        return len(await self.practice.store.orders(OrderFilter(limit=100)))


async def sent_by_hand(practice: Office, order: Order) -> Order:
    """Prepare an order, let its time pass and send it, without any loop."""
    await practice.preparation.prepare(order)
    practice.clock.advance(1000)
    await practice.store.due(practice.clock.now(), practice.clock.boot_s(), practice.clock.boot_id(), 100)
    claimed = await practice.store.claim("dmp", practice.rights(), practice.clock.now())
    assert claimed is not None
    await practice.dispatch.send(claimed)
    sent = await practice.now(order)
    assert sent.state is OrderState.SENT
    return sent


def door(practice: Office, path: Path, failpoints: Failpoints) -> DropDoor:
    folder = DropFolder(path, 2.0, failpoints.hit)
    return DropDoor(practice.backend, folder, practice.client.client_id, practice.clock, failpoints, 1.0)


@asynccontextmanager
async def at_desk(tmp_path: Path) -> AsyncIterator[Desk]:
    path = tmp_path / "dépôt"
    path.mkdir(mode=0o700)
    async with office(tmp_path / "state") as practice:
        desk = Desk(practice, path, Failpoints(), door(practice, path, Failpoints()))
        desk.restart()
        yield desk


async def test_a_pair_is_taken_answered_put_away_and_told_its_receipt(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        desk.drop(send_now=True, sha256=hashlib.sha256(tiny_pdf("Lettre")).hexdigest().upper())
        await desk.look()
        answer = desk.read("lettre.answer.json")
        order = await desk.practice.store.order(answer["order_id"])
        assert answer["accepted"] is True
        assert (order.client_ref, order.actor.user, order.client_id) == ("cr-1", "u-1", desk.practice.client.client_id)
        assert desk.left() == set()
        assert desk.away("done") == [".json", ".pdf"]
        await desk.practice.adopt()
        sent = await sent_by_hand(desk.practice, order)
        await desk.door.look()
        receipt = desk.read("lettre.receipt.json")
        assert (receipt["state"], receipt["unique_id"]) == ("sent", sent.unique_id)
        assert receipt["receipt"] == dict(sent.receipt)
        assert list((desk.path / "tracking").iterdir()) == []


async def test_nothing_is_taken_before_it_is_complete_and_still(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        (desk.path / "lettre.pdf").write_bytes(b"%PDF-1.4 half")
        (desk.path / "lettre.tmp").write_text("{}")
        await desk.look(100)
        assert await desk.orders() == 0
        desk.drop()
        await desk.look(1.0)
        assert await desk.orders() == 0
        (desk.path / "lettre.pdf").write_bytes(tiny_pdf("Lettre, suite"))
        await desk.look(1.9)
        assert await desk.orders() == 0
        assert desk.left() >= {"lettre.pdf", "lettre.json"}
        desk.practice.clock.advance(2.0)
        await desk.door.look()
        assert await desk.orders() == 1


async def test_a_cut_at_any_step_neither_loses_nor_doubles(tmp_path: Path) -> None:
    steps: list[str] = []
    for cut_at in range(1, 40):
        folder = tmp_path / str(cut_at)
        folder.mkdir()
        async with at_desk(folder) as desk:
            desk.restart(Failpoints(cut_at=cut_at))
            desk.drop()
            cut = False
            try:
                await desk.look()
                order_id = desk.read("lettre.answer.json")["order_id"]
                await desk.practice.backend.cancel(desk.practice.client, order_id, SECRETARY)
                await desk.door.look()
            except Cut:
                cut = True
                steps.append(desk.failpoints.passed[-1])
                desk.restart()
                await desk.look()
            answer = desk.read("lettre.answer.json")
            assert answer["accepted"] is True
            assert await desk.orders() == 1
            assert desk.left() == set(), cut_at
            assert desk.away("done") == [".json", ".pdf"]
            _, order = await desk.practice.backend.cancel(desk.practice.client, answer["order_id"], SECRETARY)
            await desk.door.look()
            assert desk.read("lettre.outcome.json")["problem"]["code"] == "CANCELLED"
            assert order.state is OrderState.CANCELLED
            assert list((desk.path / "tracking").iterdir()) == []
        if not cut:
            break
    assert set(steps) == {"drop.read", "drop.accepted", "drop.written", "drop.answered", "drop.moved", "drop.told"}
    assert len(steps) == 9


async def test_a_cut_of_a_refusal_is_made_good(tmp_path: Path) -> None:
    for cut_at in range(1, 6):
        folder = tmp_path / str(cut_at)
        folder.mkdir()
        async with at_desk(folder) as desk:
            desk.restart(Failpoints(cut_at=cut_at))
            desk.drop(body=b"")
            with pytest.raises(Cut):
                await desk.look()
            desk.restart()
            await desk.look()
            assert desk.code() == "BODY_EMPTY"
            assert desk.left() == set()
            assert desk.away("refused") == [".json", ".pdf"]


async def test_the_same_pair_again_is_a_replay_and_another_is_a_correction(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        desk.drop()
        await desk.look()
        first = desk.read("lettre.answer.json")
        desk.drop()
        await desk.look()
        again = desk.read("lettre.answer.json")
        assert (again["order_id"], again["replayed"]) == (first["order_id"], True)
        desk.drop(body=tiny_pdf("Corrigee"))
        await desk.look()
        corrected = desk.read("lettre.answer.json")
        assert corrected["superseded"] == first["order_id"]
        assert await desk.orders() == 2
        await desk.practice.backend.cancel(desk.practice.client, corrected["order_id"], SECRETARY)
        for change, orders in (({}, 2), ({"request_id": "2"}, 3)):
            desk.drop(body=tiny_pdf("Corrigee"), **change)
            await desk.look()
            assert await desk.orders() == orders
        assert desk.read("lettre.answer.json")["state"] == "preparing"


async def test_a_pair_written_anew_while_the_first_is_taken_is_taken_next(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        desk.drop()
        desk.failpoints.act["drop.answered"] = lambda: desk.drop(client_ref="cr-2", body=tiny_pdf("Autre"))
        await desk.look()
        assert desk.left() == {"lettre.pdf", "lettre.json"}
        await desk.look()
        assert desk.read("lettre.answer.json")["client_ref"] == "cr-2"
        assert await desk.orders() == 2
        assert desk.left() == set()


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"metadata": {"type_code": 5}}, "METADATA_INVALID", "/type_code"),
        ({"metadata": "x"}, "DROP_REQUEST_INVALID", "/metadata"),
        ({"secret": "x"}, "DROP_REQUEST_INVALID", "/secret"),
        ({"client_ref": ...}, "DROP_REQUEST_INVALID", "/client_ref"),
        ({"client_ref": "a\nb"}, "CLIENT_REF_INVALID", None),
        ({"actor": ...}, "REQUEST_INVALID", "/actor"),
        ({"actor": {"user": "u", "role": "r", "rpps": "1"}}, "REQUEST_INVALID", "/actor/rpps"),
        ({"hold": "true"}, "DROP_REQUEST_INVALID", "/hold"),
        ({"hold": True, "send_now": True}, "OPTIONS_CONTRADICTORY", "/send_now"),
        ({"sha256": "0" * 64}, "DROP_BODY_DIFFERS", "/sha256"),
        ({"sha256": "x"}, "DROP_REQUEST_INVALID", "/sha256"),
    ],
)
async def test_a_refusal_says_why_and_where(
    tmp_path: Path, change: dict[str, object], code: str, pointer: str | None
) -> None:
    async with at_desk(tmp_path) as desk:
        desk.drop(**change)  # type: ignore[arg-type]  # members of the request
        await desk.look()
        assert desk.code() == code
        pointers = [item["pointer"] for item in desk.read("lettre.answer.json")["errors"]]
        assert pointer is None or pointer in pointers
        assert await desk.orders() == 0
        assert desk.away("refused") == [".json", ".pdf"]


async def test_a_file_that_is_no_request_is_refused(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        for content, code in (
            (b"{", "JSON_INVALID"),
            (b"[" * 5000, "JSON_INVALID"),
            (b" " * 400_000, "BODY_TOO_LARGE"),
        ):
            desk.drop()
            (desk.path / "lettre.json").write_bytes(content)
            await desk.look()
            assert desk.code() == code
        assert len(desk.away("refused")) == 6


async def test_a_document_that_never_comes_or_comes_twice_is_refused(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        desk.drop("seule")
        (desk.path / "seule.pdf").unlink()
        await desk.look(BODY_PATIENCE_S - 1)
        assert not (desk.path / "seule.answer.json").exists()
        desk.practice.clock.advance(2)
        await desk.door.look()
        assert desk.code("seule") == "DROP_BODY_MISSING"
        desk.drop("double")
        (desk.path / "double.XML").write_text("<x/>")
        await desk.look()
        assert desk.code("double") == "DROP_BODY_AMBIGUOUS"
        assert desk.left() == set()


async def test_extensions_in_capitals_are_the_same(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        desk.drop("Lettre 17 été")
        (desk.path / "Lettre 17 été.pdf").replace(desk.path / "Lettre 17 été.PDF")
        (desk.path / "Lettre 17 été.json").replace(desk.path / "Lettre 17 été.JSON")
        await desk.look()
        assert desk.read("Lettre 17 été.answer.json")["accepted"] is True
        assert desk.left() == set()


@POSIX
@pytest.mark.parametrize(
    "name",
    [
        *("a:b.json", "con.json", "NUL.x.pdf", "..json", ".caché.json", "~x.pdf", "a\nb.json", "a*.pdf"),
        *("fin .json", "x" * 130 + ".json", "a\\b.json"),
    ],
)
async def test_a_hostile_name_is_moved_away_unopened(tmp_path: Path, name: str) -> None:
    async with at_desk(tmp_path) as desk:
        (desk.path / name).write_bytes(b"{}")
        await desk.door.look()
        assert desk.code(stand_in(name)) == "DROP_NAME_REFUSED"
        assert desk.left() == set()
        assert len(desk.away("refused")) == 1
        assert await desk.orders() == 0


@POSIX
async def test_links_pipes_and_folders_are_never_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(tiny_pdf("Secret"))
    async with at_desk(tmp_path) as desk:
        desk.drop("lien")
        (desk.path / "lien.pdf").unlink()
        (desk.path / "lien.pdf").symlink_to(secret)
        desk.drop("tube")
        (desk.path / "tube.pdf").unlink()
        os.mkfifo(desk.path / "tube.pdf")
        desk.drop("dossier")
        (desk.path / "dossier.json").unlink()
        (desk.path / "dossier.json").mkdir()
        (desk.path / "reponse.answer.json").symlink_to(secret)
        desk.drop("reponse", client_ref="cr-9")
        await desk.look()
        assert {desk.code(stem) for stem in ("lien", "tube", "dossier")} == {"DROP_NOT_A_FILE"}
        assert await desk.orders() == 1
        assert desk.read("reponse.answer.json")["accepted"] is True
        assert not (desk.path / "reponse.answer.json").is_symlink()
        assert any(path.is_symlink() for path in (desk.path / "refused").iterdir())
    assert secret.read_bytes() == tiny_pdf("Secret")


@POSIX
@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda path: path.chmod(0o755), "DROP_FOLDER_NOT_PRIVATE"),
        (lambda path: (path.rmdir(), path.symlink_to(path.parent)), "DROP_FOLDER_NOT_A_FOLDER"),
        (lambda path: path.rmdir(), "DROP_FOLDER_MISSING"),
        (lambda path: (path / "done").symlink_to(path.parent), "DROP_FOLDER_NOT_A_FOLDER"),
    ],
)
async def test_a_folder_that_others_can_reach_is_not_watched(
    tmp_path: Path, spoil: Callable[[Path], object], code: str
) -> None:
    async with at_desk(tmp_path) as desk:
        spoil(desk.path)
        with pytest.raises(ServiceError) as caught:
            await desk.door.look()
        assert caught.value.code == code


async def test_trouble_of_ours_refuses_nothing(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        desk.drop()
        desk.practice.failing.fail("accept", StoreError("STORE_FULL"))
        with pytest.raises(StoreError):
            await desk.look()
        assert desk.left() == {"lettre.pdf", "lettre.json"}
        await desk.door.look()
        assert desk.read("lettre.answer.json")["accepted"] is True


async def test_a_revoked_client_takes_nothing(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        desk.drop()
        await desk.practice.backend.revoke(desk.practice.client.client_id, SECRETARY)
        with pytest.raises(NotFound) as caught:
            await desk.look()
        assert caught.value.code == "DROP_CLIENT_UNKNOWN"
        assert desk.left() == {"lettre.pdf", "lettre.json"}


async def test_a_tracking_file_of_somebody_else_leads_nowhere(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        desk.drop()
        await desk.look()
        order_id = desk.read("lettre.answer.json")["order_id"]
        (desk.path / "tracking" / f"{order_id}.json").write_text('{"stem": "../../x"}')
        (desk.path / "tracking" / "o-2.json").write_text("[")
        await desk.practice.backend.cancel(desk.practice.client, order_id, SECRETARY)
        await desk.door.look()
        assert list((desk.path / "tracking").iterdir()) == []
    assert list(tmp_path.rglob("x.outcome.json")) == []


async def test_no_name_and_no_content_goes_to_the_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with at_desk(tmp_path) as desk:
        desk.drop("DUPONT Jeanne")
        desk.drop("DURAND Paul", client_ref="", metadata={"title": "DURAND"})
        await desk.look()
        assert {desk.read(f"{stem}.answer.json")["accepted"] for stem in ("DUPONT Jeanne", "DURAND Paul")} == {
            True,
            False,
        }
        lines = [line.detail for line in await desk.practice.store.ledger(0)]
    text = "\n".join([caplog.text, *(repr(vars(record)) for record in caplog.records), repr(lines)])
    assert not any(name in text for name in ("DUPONT", "DURAND", "Jeanne", "Paul"))


@given(st.text(min_size=1, max_size=140))
def test_a_good_stem_stays_in_its_folder(stem: str) -> None:
    if is_good_stem(stem):
        path = Path("/depot") / f"{stem}.json"
        assert path.parent == Path("/depot")
        assert path.name == f"{stem}.json"
        assert not stem.startswith(".")
    assert is_good_stem(stand_in(stem))


def test_the_folder_is_a_setting_that_is_off_by_default() -> None:
    assert parse_settings({}).dropfolder.path == ""
    assert parse_settings({"dropfolder": {"path": "D:/Depot", "poll_s": 3}}).dropfolder.path == "D:/Depot"
    with pytest.raises(InvalidInput) as caught:
        parse_settings({"dropfolder": {"poll_s": 0}})
    assert caught.value.code == "SETTING_INVALID"
