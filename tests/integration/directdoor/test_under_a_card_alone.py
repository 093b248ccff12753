"""A document reaches the DMP under a card alone: no proxy, no session; the card may be pulled at any moment."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from vaguemestre_agent.adapters.dmp.adapter import EsanteDmp
from vaguemestre_agent.adapters.dmp.direct import DirectDoor
from vaguemestre_agent.adapters.http import HttpClient, TlsFiles
from vaguemestre_agent.adapters.signing.software import SoftwareSigner
from vaguemestre_agent.profiles.loader import shipped_profile
from vaguemestre_agent.services.cardauthorities import STRUCTURE_KEY
from vaguemestre_core.cardports import KeyId, KeySession
from vaguemestre_core.errors import InvalidInput, ServiceError
from vaguemestre_core.orders import WaitReason
from vaguemestre_core.outcomes import Certainty, Evidence, Presence
from vaguemestre_core.ports import SendingContext
from vaguemestre_core.records import AuthorityMeans
from vaguemestre_drivers.cardtls.forwarder import Trust
from vaguemestre_drivers.cardtls.keys import TlsKey
from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandbox.settings import DmpProfile, SandboxConfig
from vaguemestre_testkit.card_pki import CPE, SoftCard, SoftCardAuthority, card_authority, card_of
from vaguemestre_testkit.card_station import CardStation
from vaguemestre_testkit.sendings import DOCTOR, PRODUCT, SeededChance, SystemTime, frozen_ids, prepared

EMPLOYEE = "3750000001/0000000017"
STRUCTURE = "499700000012003"
FAR = dt.datetime(2040, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """The direct way from a workstation to the sandbox's DMP."""

    sandbox: Sandbox
    cards: CardStation
    dmp: EsanteDmp

    def context(
        self, key: KeyId, means: AuthorityMeans = AuthorityMeans.CPS, structure: str | None = None
    ) -> SendingContext:
        holder = EMPLOYEE if means is AuthorityMeans.CPE else DOCTOR
        session = KeySession(
            key=key,
            means=means,
            national_id=DOCTOR,
            holder=holder,
            structure=structure,
            until=FAR,
        )
        return SendingContext(session=session, product=PRODUCT)

    def with_card(self, card: SoftCard | None = None) -> tuple[KeyId, SendingContext]:
        key = self.cards.put_in(card or card_of(DOCTOR))
        return key, self.context(key)

    def with_cpe(self, structure: str = STRUCTURE) -> SendingContext:
        card = card_of(EMPLOYEE, card_type=CPE, profession=0)
        key = self.cards.put_in(card, AuthorityMeans.CPE, structure)
        return self.context(key, AuthorityMeans.CPE, structure)

    @property
    def bodies(self) -> int:
        return self.sandbox.ledger.verdict().complete_bodies


async def committed() -> None:
    return None


@pytest.fixture(params=[True, False], ids=["unix", "loopback"])
def unix(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
async def station(tmp_path: Path, pki: Path, unix: bool) -> AsyncIterator[Station]:
    authority = card_authority().write(tmp_path / "cards.pem")
    config = SandboxConfig(state_dir=tmp_path / "state", pki_dir=pki, card_authority=authority)
    async with Sandbox.start(config) as sandbox:
        url = urlsplit(sandbox.addresses.direct)
        assert url.hostname is not None
        assert url.port is not None
        trust = Trust(
            hosts=frozenset({(url.hostname, url.port)}),
            authorities=sandbox.pki.authority.certificate_path.read_text("ascii"),
        )
        cards = CardStation(trust, tmp_path / "streams", unix=unix)
        keys = sandbox.pki
        structure = HttpClient(
            sandbox.addresses.direct,
            TlsFiles(
                ca_file=keys.authority.certificate_path,
                certificate_file=keys.structure_client.certificate_path,
                key_file=keys.structure_client.key_path,
            ),
        )
        signature = keys.structure_signature
        door = DirectDoor(
            shipped_profile("sandbox"),
            sandbox.addresses.direct,
            cards=cards,
            keys=cards,
            structure=structure,
            signer=SoftwareSigner(signature.certificate_path.read_bytes(), signature.key_path.read_bytes()),
        )
        dmp = EsanteDmp(None, shipped_profile("sandbox"), SystemTime(), SeededChance(), signer=None, direct=door)
        try:
            yield Station(sandbox=sandbox, cards=cards, dmp=dmp)
        finally:
            await door.aclose()
            await structure.aclose()


@pytest.mark.req("SC.DMP/ALI/PROG.06")
async def test_a_document_leaves_under_the_card_alone_and_is_found_again(station: Station) -> None:
    _, context = station.with_card()
    exists = await station.dmp.test_existence(prepared(), context)
    outcome = await station.dmp.submit(prepared(), frozen_ids(), None, context, committed)
    found = await station.dmp.look_up(prepared(), context)

    assert (exists.exists, exists.active) == (True, True)
    assert outcome.certainty is Certainty.DELIVERED, outcome
    assert found.presence is Presence.SAME
    assert station.bodies == 1
    assert station.cards.handshakes == 3


async def test_hidden_shown_and_deleted_under_the_card(station: Station) -> None:
    _, context = station.with_card()
    await station.dmp.submit(prepared(), frozen_ids(), None, context, committed)
    hidden = await station.dmp.set_visibility(prepared(), frozenset({"MASQUE_PS"}), frozen_ids(2), context, committed)
    deleted = await station.dmp.delete(prepared(), frozen_ids(3), context, committed)

    assert (hidden.certainty, deleted.certainty) == (Certainty.DELIVERED, Certainty.DELIVERED)


async def test_a_card_pulled_before_anything_lets_nothing_leave(station: Station) -> None:
    key, context = station.with_card()
    station.cards.pull(key)
    outcome = await station.dmp.submit(prepared(), frozen_ids(), None, context, committed)
    with pytest.raises(ServiceError, match="CARD_TAKEN_OUT"):
        await station.dmp.sign(prepared(), frozen_ids(), context)

    assert (outcome.certainty, outcome.code, outcome.waiting) == (Certainty.NOT_SENT, "CARD_TAKEN_OUT", WaitReason.AUTH)
    assert outcome.evidence is Evidence.NONE
    assert station.bodies == 0


@pytest.mark.parametrize("step", ["sign", "tls"])
async def test_a_card_pulled_while_it_works_lets_nothing_leave(station: Station, step: str) -> None:
    key, context = station.with_card()
    started: list[str] = []

    async def commit() -> None:
        started.append("body")

    station.cards.before[step] = lambda: station.cards.pull(key)
    outcome = await station.dmp.submit(prepared(), frozen_ids(), None, context, commit)

    assert (outcome.certainty, outcome.waiting) == (Certainty.NOT_SENT, WaitReason.AUTH)
    assert started == []
    assert station.bodies == 0


async def test_a_card_pulled_between_the_handshake_and_the_body_lets_nothing_leave(station: Station) -> None:
    key, context = station.with_card()
    signature = await station.dmp.sign(prepared(), frozen_ids(), context)
    open_tls = station.cards.open_tls

    async def then_pulled(key_id: KeyId, host: str, port: int, within_s: float) -> str:
        address = await open_tls(key_id, host, port, within_s)
        station.cards.pull(key)
        return address

    station.cards.open_tls = then_pulled  # type: ignore[method-assign,assignment]
    outcome = await station.dmp.submit(prepared(), frozen_ids(), signature, context, committed)

    assert (outcome.certainty, outcome.code) == (Certainty.NOT_SENT, "CARD_TAKEN_OUT")
    assert station.bodies == 0


async def test_a_card_pulled_once_the_body_has_begun_does_not_cut_it(station: Station) -> None:
    key, context = station.with_card()

    async def commit() -> None:
        station.cards.pull(key)

    outcome = await station.dmp.submit(prepared(), frozen_ids(), None, context, commit)

    assert outcome.certainty is Certainty.DELIVERED
    assert station.bodies == 1


async def test_a_cpe_feeds_looks_up_and_deletes_for_its_structure(station: Station) -> None:
    context = station.with_cpe()
    exists = await station.dmp.test_existence(prepared(), context)
    fed = await station.dmp.submit(prepared(), frozen_ids(), None, context, committed)
    found = await station.dmp.look_up(prepared(), context)
    deleted = await station.dmp.delete(prepared(), frozen_ids(3), context, committed)

    assert exists.exists is True
    assert fed.certainty is Certainty.DELIVERED, fed
    assert found.presence is Presence.SAME
    assert deleted.certainty is Certainty.DELIVERED, deleted


async def test_the_dmp_refuses_what_a_cpe_may_not_do(station: Station) -> None:
    _, own = station.with_card()
    await station.dmp.submit(prepared(), frozen_ids(), None, own, committed)
    context = station.with_cpe()
    hidden = await station.dmp.set_visibility(prepared(), frozenset({"MASQUE_PS"}), frozen_ids(2), context, committed)

    assert (hidden.certainty, hidden.code, hidden.service_code) == (
        Certainty.REFUSED,
        "DMP_ACCESS_DENIED",
        "DMPAccessDenied",
    )


async def test_another_structures_document_does_not_leave_under_a_cpe(station: Station) -> None:
    context = station.with_cpe("499700000020001")
    outcome = await station.dmp.submit(prepared(), frozen_ids(), None, context, committed)

    assert (outcome.certainty, outcome.code, outcome.waiting) == (
        Certainty.NOT_SENT,
        "STRUCTURE_MISMATCH",
        WaitReason.AUTH,
    )
    assert station.bodies == 0


@pytest.mark.req("SC.DMP/CONF.22")
async def test_the_structures_certificate_feeds_without_any_card(station: Station) -> None:
    context = station.context(STRUCTURE_KEY, AuthorityMeans.STRUCTURE, STRUCTURE)
    outcome = await station.dmp.submit(prepared(), frozen_ids(), None, context, committed)

    assert outcome.certainty is Certainty.DELIVERED, outcome
    assert station.cards.handshakes == 0


@pytest.mark.parametrize(
    "make",
    [
        partial(card_of, DOCTOR, signature_holder="899700000020"),
        partial(card_of, DOCTOR, profession=60),
        partial(card_of, DOCTOR, card_type=3),
    ],
    ids=["two_persons", "other_profession", "kind"],
)
async def test_an_assertion_that_is_not_the_cards_is_refused(station: Station, make: Callable[[], SoftCard]) -> None:
    _, context = station.with_card(make())
    outcome = await station.dmp.submit(prepared(), frozen_ids(), None, context, committed)

    assert (outcome.certainty, outcome.code) == (Certainty.NOT_SENT, "DMP_VIHF_REFUSED")


async def test_a_card_acting_for_somebody_else_or_revoked_is_refused(station: Station) -> None:
    key = station.cards.put_in(card_of("899700000020"))
    outcome = await station.dmp.submit(prepared(), frozen_ids(), None, station.context(key), committed)
    station.sandbox.dmp.set_profile(replace(DmpProfile(), revoked_holders=DOCTOR))
    _, context = station.with_card()
    revoked = await station.dmp.test_existence(prepared(), context)

    assert (outcome.certainty, outcome.code) == (Certainty.NOT_SENT, "DMP_VIHF_REFUSED")
    assert (revoked.exists, revoked.code) == (None, "DMP_VIHF_REFUSED")


async def test_a_card_of_another_authority_does_not_get_in(station: Station) -> None:
    _, context = station.with_card(SoftCardAuthority().issue(DOCTOR))
    outcome = await station.dmp.submit(prepared(), frozen_ids(), None, context, committed)

    # TLS 1.2: the refusal is seen in the handshake, before a stream exists: nothing left, for certain.
    assert (outcome.certainty, outcome.code) == (Certainty.NOT_SENT, "DIRECT_TLS_FAILED")
    assert station.bodies == 0


async def test_the_door_wants_a_certificate_and_another_host_is_never_reached(station: Station) -> None:
    base = station.sandbox.addresses.direct
    async with httpx.AsyncClient(verify=station.sandbox.pki.client_context(None), trust_env=False) as nobody:
        with pytest.raises(httpx.TransportError):
            await nobody.post(base + "/si-dmp-server/v2/services/repository", content=b"x")
    key, _ = station.with_card()
    with pytest.raises(InvalidInput, match="CARD_TLS_HOST_FORBIDDEN"):
        await station.cards.open_tls(key, "127.0.0.1", 9, 1.0)


async def test_a_dmp_that_is_not_there_is_a_certainty(station: Station) -> None:
    _, context = station.with_card()
    await station.sandbox.listeners["direct"].close()
    outcome = await station.dmp.submit(prepared(), frozen_ids(), None, context, committed)

    assert (outcome.certainty, outcome.code, outcome.waiting) == (
        Certainty.NOT_SENT,
        "DIRECT_CONNECTION_REFUSED",
        WaitReason.NETWORK,
    )


def test_a_key_shows_nothing() -> None:
    assert repr(TlsKey(chain=(b"secret",), sign=lambda block, _: block)) == "TlsKey(<redacted>)"
