"""What a dead workstation held, exported elsewhere with the paper alone, is given to an empty agent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from vaguemestre_agent.practice.agent import Practice
from vaguemestre_agent.practice.home import make_home
from vaguemestre_api.client import DocumentBody
from vaguemestre_documents.cda.read import read_cda
from vaguemestre_testkit.acceptance_kit import QUICK, living, pdf_document, vaguemestre


@pytest.mark.req("PORT/va1.01")
async def test_what_a_dead_workstation_held_is_given_to_an_empty_agent(tmp_path: Path, pki: Path) -> None:
    page, other, out = tmp_path / "page.txt", tmp_path / "other", tmp_path / "export"
    async with living(tmp_path, pki) as life:
        await life.lgc.put_document("cr-1", pdf_document("Un"))
        sent = await life.reaches("sent", "cr-1")
        await life.lgc.put_document("cr-2", pdf_document("Deux"), hold=True)
        await life.until(lambda order: order.state == "ready", "cr-2")
        await life.child.stop()
        status, made = await vaguemestre(life.practice.environment, "keys", "recovery", "--print")
        assert status == 0
        page.write_text(str(made["page"]), encoding="utf-8")

        # The key store died with the workstation: only a copy of the folder and the paper are left.
        shutil.copytree(life.practice.home / "state", other / "state")
        (other / "state" / "keys.json").unlink()
        elsewhere = {"VAGUEMESTRE_HOME": str(other), "VAGUEMESTRE_AGENT__KEY_STORE": "file"}
        status, refused = await vaguemestre(elsewhere, "export", "--out", str(out))
        assert (status, refused["code"]) == (1, "KEYS_LOST")
        status, told = await vaguemestre(elsewhere, "export", "--out", str(out), "--recovery-key-file", str(page))
        assert (status, told["documents"], told["missing"]) == (0, 2, 0)
        assert not (other / "state" / "keys.json").exists()
        listed = json.loads((out / "manifest.json").read_bytes())["documents"]
        assert [(item["client_ref"], item["state"]) for item in listed] == [("cr-1", "sent"), ("cr-2", "ready")]
        # Byte for byte what the DMP holds.
        assert (out / "documents/000001/cda.xml").read_bytes() == await life.cda(sent)
        header = read_cda((out / "documents/000002/cda.xml").read_bytes())
        assert header.patient is not None
        assert header.patient.birth_name == listed[1]["birth_name"]

        home = tmp_path / "empty"
        practice = Practice(home, make_home(home, life.sandbox.facts, QUICK), life.sandbox.facts)
        child = await practice.start()
        try:
            await practice.wait_ready(child)
            await practice.pair()
            async with practice.client() as lgc:
                for item in listed:
                    folder = out / f"documents/{item['number']:06d}"
                    document = DocumentBody(
                        metadata=(folder / "metadonnees.json").read_bytes(),
                        body=(folder / "donne.pdf").read_bytes(),
                        media_type="application/pdf",
                    )
                    accepted = await lgc.put_document(item["client_ref"], document, hold=True)
                    assert (accepted.replayed, accepted.order.state) == (False, "preparing")
                    life.lgc = lgc
                    await life.until(lambda order: order.state in {"deferred", "ready"}, item["client_ref"])
        finally:
            await child.stop()
