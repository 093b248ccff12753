"""Keys, clients and acceptances for tests of the queue."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

from vaguemestre_core.orders import ClientId, DocumentId, OrderId, OrderKind
from vaguemestre_core.ports import PreparedBuild
from vaguemestre_core.records import Acceptance, Actor, Client, FrozenIds, ProductProfile, Schedule, Scope
from vaguemestre_core.redaction import Personal, SecretBytes
from vaguemestre_core.turns import SendingRight
from vaguemestre_queue.sealing import StoreKeys, new_identity
from vaguemestre_testkit.clocks import START, FakeClock

DOCTOR = Actor(user="dr-essai", role="medecin", rpps="99700000012")
PROFESSIONAL = "899700000012"
PRODUCT = ProductProfile(
    lps_name="LGC Essai",
    lps_version="1.0",
    lps_id="0001",
    homologation_id="ESSAI-0001",
    proxy_client_id="example-client-bas",
    oid_root="1.2.250.1.999.1.1",
)
QUALIFIED = '{"identity_status":"qualifiée","has_ins":true}'


def test_keys() -> StoreKeys:
    """Return fresh keys."""
    identity, _ = new_identity()
    return StoreKeys(
        identity=SecretBytes(identity.encode()),
        authentication=SecretBytes(b"a" * 32),
        pseudonym=SecretBytes(b"p" * 32),
        recovery_recipient=new_identity()[1],
    )


test_keys.__test__ = False  # type: ignore[attr-defined]  # a maker, not a test


def rights(*professionals: str, client_id: str = "lgc-1") -> tuple[SendingRight, ...]:
    """Return the right to send orders of one client under each of these professionals, in that order."""
    clients = frozenset({ClientId(client_id)})
    return tuple(SendingRight(professional=professional, clients=clients) for professional in professionals)


def a_client(client_id: str = "lgc-1") -> Client:
    """Return a paired client with every scope."""
    return Client(
        client_id=ClientId(client_id),
        name="LGC Essai",
        secret_digest="0" * 64,
        os_identity=None,
        scopes=frozenset(Scope),
        product=PRODUCT,
        created_at=START,
    )


def an_acceptance(
    clock: FakeClock, number: int, *, content: bytes = b"%PDF-1.4 essai", **changes: object
) -> Acceptance:
    """Return an acceptance; ``number`` makes its ids."""
    made = Acceptance(
        client_id=ClientId("lgc-1"),
        client_ref=f"doc-{number}",
        actor=DOCTOR,
        idempotency_key=None,
        request_digest=hashlib.sha256(content).hexdigest(),
        kind=OrderKind.DMP_SUBMIT,
        professional=PROFESSIONAL,
        patient_key=Personal(f"patient-{number}"),
        order_id=OrderId(f"order-{number}"),
        document_id=DocumentId(f"document-{number}"),
        set_id=f"1.2.250.1.999.1.2.{number + 1}",
        unique_id=f"1.2.250.1.999.1.3.{number + 1}",
        type_code="11488-4",
        facts=QUALIFIED,
        metadata=b"{}",
        body=content,
        media_type="application/pdf",
        title=Personal("Compte rendu"),
        schedule=Schedule(
            not_before=clock.now() + timedelta(seconds=900), undo_until=clock.now() + timedelta(seconds=120), undo_s=120
        ),
        holds=frozenset(),
        fact_version=0,
        accepted_at=clock.now(),
        boot_s=clock.boot_s(),
        boot_id=clock.boot_id(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # tests name the members they change


def a_build(acceptance: Acceptance) -> PreparedBuild:
    """Return the built document of an acceptance."""
    return PreparedBuild(
        prepared=b"built:" + acceptance.body,
        type_code=acceptance.type_code,
        unique_id=acceptance.unique_id,
        set_id=acceptance.set_id,
        version=1,
    )


def frozen(number: int) -> FrozenIds:
    """Return frozen identifiers."""
    return FrozenIds(
        submission_set_id=f"1.2.250.1.999.1.4.{number + 1}",
        signature_id=f"1.2.250.1.999.1.5.{number + 1}",
        message_id=f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
        boundary=f"b{number}",
        submission_at=START,
    )
