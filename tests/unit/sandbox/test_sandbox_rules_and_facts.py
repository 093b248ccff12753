"""The sandbox's rule book and its own reading of a CDA."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre_sandbox.cdafacts import UnreadableCdaError, read_cda, xds_time
from vaguemestre_sandbox.failures import Action, InvalidRuleError, Rule, RuleBook, Stage, Target
from vaguemestre_sandbox.nomenclature import PATIENTS, class_of_type, format_of_template, ins_key_is_right
from vaguemestre_sandbox.pki import open_pki
from vaguemestre_sandbox.proxy import InvalidConnectError, read_connect
from vaguemestre_sandbox.registry import values
from vaguemestre_sandbox.soap import SoapFaultError, read_request
from vaguemestre_sandbox.xmlsafe import UnreadableXmlError, parse
from vaguemestre_sandboxkit import messages
from vaguemestre_sandboxkit.messages import Sample


@pytest.mark.parametrize(
    "members",
    [
        {"target": Target.PROXY, "action": Action.HTML},
        {"target": Target.DMP_TD31, "action": Action.LATE_STORE},
        {"target": Target.DMP_TD21, "action": Action.CUT_IN_BODY, "unique_id": "1.2"},
        {"target": Target.DMP_TD21, "action": Action.STATUS_AFTER_READ},
        {"target": Target.DMP_TD21, "action": Action.THROTTLE},
        {"target": Target.DMP_TD21, "action": Action.HTML, "count": 0},
        {"target": Target.DMP_TD21, "action": Action.HTML, "probability": 0.0},
        {"target": Target.DMP_TD21, "action": Action.HANG_AFTER_READ, "seconds": -1.0},
        {"target": Target.DMP_TD21, "action": Action.SESSION_EXPIRED},
    ],
)
def test_a_rule_that_could_never_apply_is_refused(members: dict[str, object]) -> None:
    with pytest.raises(InvalidRuleError):
        Rule(**members)  # type: ignore[arg-type]


def test_rules_apply_in_order_and_are_used_up() -> None:
    book = RuleBook()
    book.add(Rule(target=Target.DMP_TD21, action=Action.CUT_AFTER_BODY, unique_id="1.2", count=1))
    book.add(Rule(target=Target.DMP_TD21, action=Action.STATUS_AFTER_READ, status=503, count=2))
    kinds = [
        None if armed is None else armed.rule.action
        for armed in (
            book.take(Target.DMP_TD21, Stage.READ, ("9.9",)),
            book.take(Target.DMP_TD21, Stage.READ, ("1.2",)),
            book.take(Target.DMP_TD31, Stage.READ, ("1.2",)),
            book.take(Target.DMP_TD21, Stage.READ, ("1.2",)),
            book.take(Target.DMP_TD21, Stage.READ, ("1.2",)),
        )
    ]
    assert kinds == [Action.STATUS_AFTER_READ, Action.CUT_AFTER_BODY, None, Action.STATUS_AFTER_READ, None]
    assert len(book.spent()) == 2


def test_a_seed_makes_chance_repeat_itself() -> None:
    def draw(seed: int) -> list[bool]:
        book = RuleBook()
        book.add(Rule(target=Target.DMP_TD21, action=Action.HTML, count=None, probability=0.5, seed=seed))
        return [book.take(Target.DMP_TD21, Stage.ANSWER) is not None for _ in range(64)]

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)
    assert 10 < sum(draw(7)) < 54


@pytest.mark.parametrize(
    ("cda", "xds"),
    [
        ("20261123101500+0100", "20261123091500"),
        ("20261231233000-0200", "20270101013000"),
        ("202611231015+0100", "202611230915"),
        ("20261123", "20261123"),
        ("2026", "2026"),
        ("20261123101500", ""),
        ("20261332101500+0100", ""),
        ("hier", ""),
    ],
)
def test_instants_become_utc(cda: str, xds: str) -> None:
    assert xds_time(cda) == xds


def test_the_facts_of_a_cda_are_read() -> None:
    facts = read_cda(messages.cda(Sample(unique_id="1.2.3")))
    assert facts.id_root == "1.2.3"
    assert facts.patients == ((messages.PATIENT, messages.OID),)
    assert facts.effective_time == "20261123091500"
    assert facts.practice_setting.code == "AMBULATOIRE"
    assert facts.authors[0].id_extension == messages.DOCTOR
    assert facts.body_media_type == "application/pdf"


@given(st.binary(max_size=300))
def test_any_bytes_are_a_cda_or_refused(data: bytes) -> None:
    with pytest.raises(UnreadableCdaError):
        read_cda(data)


@given(st.binary(max_size=300), st.sampled_from(["application/soap+xml", "multipart/related", "text/xml", ""]))
def test_any_request_is_read_or_faulted(data: bytes, content_type: str) -> None:
    with pytest.raises(SoapFaultError):
        read_request(content_type, data)


def test_entities_and_document_types_are_refused() -> None:
    with pytest.raises(UnreadableXmlError):
        parse(b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>')
    with pytest.raises(UnreadableXmlError):
        parse(b'<!DOCTYPE a SYSTEM "x"><a/>')


def test_the_fictitious_matricules_have_right_keys_and_the_test_oid() -> None:
    assert all(ins_key_is_right(patient.matricule) for patient in PATIENTS)
    assert ins_key_is_right("297022A02077878")
    assert not ins_key_is_right("226027505612369")
    assert not ins_key_is_right("22602750561236")
    assert not ins_key_is_right("22602750561X368")


def test_the_code_tables_are_shipped() -> None:
    assert class_of_type()[("59283-2", "2.16.840.1.113883.6.1")] == {"10"}
    assert ("urn:ihe:pcc:ips:2020", "1.3.6.1.4.1.19376.1.2.3") in format_of_template()["1.2.250.1.213.1.1.1.51"]


def test_query_values_lose_their_quotes() -> None:
    text = messages.stored_query("q", {"$A": "('x','y''z')", "$B": "'w'", "$C": "20260101"})
    query = parse(text.encode())[1]
    assert values(query, "$A") == ("x", "y'z")
    assert values(query, "$B") == ("w",)
    assert values(query, "$C") == ("20260101",)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"no", "[body is not a JSON object]"),
        (
            b"{}",
            "[nationalId is missing, bindingMessage is missing, clientId is missing, channel is missing]",
        ),
        (
            b'{"nationalId":"8","bindingMessage":"4","clientId":"c","channel":"FAX"}',
            "[channel value FAX is invalid, bindingMessage value is invalid]",
        ),
    ],
)
def test_every_fault_of_a_connection_is_told_at_once(body: bytes, message: str) -> None:
    with pytest.raises(InvalidConnectError) as caught:
        read_connect(body, strict_binding=True)
    assert str(caught.value) == message


def test_the_pki_is_made_once_and_its_keys_are_private(tmp_path: Path) -> None:
    first = open_pki(tmp_path)
    again = open_pki(tmp_path)
    assert first.server.certificate == again.server.certificate
    assert first.structure_signature.certificate.subject != first.authority.certificate.subject
    if sys.platform != "win32":
        assert first.structure_signature.key_path.stat().st_mode & 0o077 == 0
