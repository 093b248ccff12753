"""What a sending needs: prepared documents, frozen identifiers, a context, and the ports of time and chance."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace

from vaguemestre_core.identities import OID_INS_NIR_TEST, Ins
from vaguemestre_core.ports import SendingContext
from vaguemestre_core.records import FrozenIds, ProductProfile, ProxySession
from vaguemestre_core.redaction import Secret
from vaguemestre_documents.cda.build import build_cda_n1
from vaguemestre_documents.cda.request import CdaRequest, ReplacedVersion
from vaguemestre_documents.codes import Visibility
from vaguemestre_documents.prepared import PreparedDocument
from vaguemestre_documents.xds.metadata import document_entry_from_cda
from vaguemestre_testkit import cda_samples

SENT_AT = dt.datetime(2026, 11, 24, 9, 0, tzinfo=dt.UTC)
DOCTOR = "899700000012"
CLIENT = "vaguemestre-sandbox-client"
PRODUCT = ProductProfile(
    lps_name="LOGICIEL D'ESSAI",
    lps_version="1.0",
    lps_id="0001",
    homologation_id="DMP-ESSAI-1",
    proxy_client_id=CLIENT,
    oid_root="1.2.250.1.999.1.1",
)


class SystemTime:
    """ClockPort on the real wall clock: the sandbox compares the VIHF with its own."""

    def now(self) -> dt.datetime:
        """Return the wall clock."""
        return dt.datetime.now(dt.UTC)

    def boot_s(self) -> float:
        """Return a constant: nothing here measures durations."""
        return 0.0

    def boot_id(self) -> str:
        """Return a constant."""
        return "boot"

    async def sleep(self, seconds: float) -> None:
        """Refuse: an adapter of the DMP never waits by itself."""
        raise AssertionError(seconds)


class SeededChance:
    """RandomPort of the tests."""

    def __init__(self, seed: int = 7) -> None:
        self._random = random.Random(seed)

    def bits(self, count: int) -> int:
        """Return an integer of that many random bits."""
        return self._random.getrandbits(count)

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        return self._random.random()


def prepared(
    document_id: str = cda_samples.DOCUMENT_ID,
    *,
    replaces: str | None = None,
    matricule: str | None = None,
    title: str | None = None,
    visibility: frozenset[Visibility] = frozenset(),
) -> bytes:
    """Return a container: a consultation report of Dr ESSAI."""
    request = replace(cda_samples.request(), document_id=document_id)
    if title is not None:
        request = replace(request, title=title)
    if matricule is not None:
        ins = Ins(matricule=matricule, oid=OID_INS_NIR_TEST)
        request = replace(request, patient=replace(request.patient, ins=ins))
    if replaces is not None:
        request = replace(request, version_number=2, replaces=ReplacedVersion(document_id=replaces, version_number=1))
    return contained(request, visibility)


def contained(request: CdaRequest, visibility: frozenset[Visibility] = frozenset()) -> bytes:
    """Return the container of a request."""
    cda = build_cda_n1(request)
    return PreparedDocument(cda=cda, entry=document_entry_from_cda(cda, visibility=visibility)).to_bytes()


def frozen_ids(number: int = 1) -> FrozenIds:
    """Return identifiers that differ by their number."""
    return FrozenIds(
        submission_set_id=f"1.2.250.1.999.1.1.30.{number}",
        signature_id=f"1.2.250.1.999.1.1.31.{number}",
        message_id=f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
        boundary=f"vaguemestre-{number:032d}",
        submission_at=SENT_AT,
    )


def sending_context(cookie: str = "biscuit") -> SendingContext:
    """Return a context of Dr ESSAI with that session cookie."""
    return SendingContext(
        session=ProxySession(
            national_id=DOCTOR,
            cookie=Secret(cookie),
            session_state="etat",
            opened_at=SENT_AT,
            until=SENT_AT + dt.timedelta(hours=4),
            adopted=False,
            proxy_client_id=CLIENT,
        ),
        product=PRODUCT,
    )
