"""A real agent over the real PC/SC service, in a namespace of its own: cards come and go, and so does the service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from vaguemestre_api import wire_readers
from vaguemestre_api.failures import ApiProblem
from vaguemestre_sandbox.cards.vitale import FAMILY
from vaguemestre_testkit import pcsclab
from vaguemestre_testkit.acceptance_kit import living

REAL = {"VAGUEMESTRE_READERS__SOURCE": "pcsc", "VAGUEMESTRE_READERS__SILENT_S": "5"}
inside = pytest.mark.skipif(not pcsclab.is_inside(), reason="run by the test outside, in a namespace of its own")


@pytest.fixture
def service() -> Iterator[pcsclab.PcscService]:
    lent = pcsclab.PcscService()
    lent.start()
    yield lent
    lent.close()


def kinds(found: wire_readers.Readers) -> list[str | None]:
    return [reader.card for reader in found.readers]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_an_agent_over_a_real_service() -> None:
    pytest.importorskip("smartcard", reason="pyscard is not installed")
    assert "2 passed" in pcsclab.run_tests(Path(__file__), timeout_s=150)


@inside
async def test_a_vitale_comes_is_read_and_goes(tmp_path: Path, pki: Path, service: pcsclab.PcscService) -> None:
    async with living(tmp_path, pki, session=False, extra=REAL) as life:
        found = await life.readers_until(lambda now: kinds(now) == [None, None])
        assert tuple(reader.name for reader in found.readers) == pcsclab.READERS

        await life.sandbox.inspection.insert_card(0, "cps3")
        await life.sandbox.inspection.insert_card(1, "vitale2")
        found = await life.readers_until(lambda now: kinds(now) == ["cps3", "vitale2"])
        card_id = found.readers[1].card_id
        assert card_id is not None
        read = (await life.lgc.beneficiaries(card_id)).beneficiaries
        assert [(item.usual_name, item.nir) for item in read] == [
            (person.usual_name, person.full_nir) for person in FAMILY
        ]

        await life.sandbox.inspection.remove_card(1)
        await life.readers_until(lambda now: kinds(now) == ["cps3", None])
        with pytest.raises(ApiProblem) as over:
            await life.lgc.beneficiaries(card_id)
        assert over.value.code == "CARD_STAY_OVER"


@inside
async def test_a_service_that_is_killed_is_told_and_found_again(
    tmp_path: Path, pki: Path, service: pcsclab.PcscService
) -> None:
    async with living(tmp_path, pki, session=False, extra=REAL) as life:
        await life.readers_until(lambda now: kinds(now) == [None, None])
        await life.sandbox.inspection.insert_card(0, "vitale2")
        found = await life.readers_until(lambda now: kinds(now) == ["vitale2", None])
        first = found.readers[0].card_id
        assert first is not None

        await asyncio.to_thread(service.kill)
        gone = await life.readers_until(lambda now: now.trouble is not None)
        assert gone.trouble is not None
        assert (gone.trouble.code, gone.readers) == ("PCSC_STOPPED", ())

        await asyncio.to_thread(service.start)
        await life.readers_until(lambda now: kinds(now) == [None, None])
        await life.sandbox.inspection.insert_card(0, "vitale2")
        found = await life.readers_until(lambda now: kinds(now) == ["vitale2", None])
        again = found.readers[0].card_id
        assert again not in (None, first)
        with pytest.raises(ApiProblem) as over:
            await life.lgc.beneficiaries(first)
        assert over.value.code == "CARD_STAY_OVER"
        assert len((await life.lgc.beneficiaries(str(again))).beneficiaries) == len(FAMILY)
