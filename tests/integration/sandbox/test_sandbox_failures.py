"""Each scripted failure does what it says, and the wire ledger tells what happened."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest
from lxml import etree

from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandboxkit import messages
from vaguemestre_sandboxkit.client import SUCCESS, TD02, Answer, Caller
from vaguemestre_sandboxkit.messages import Sample
from vaguemestre_sandboxkit.waiting import until

SAMPLE = Sample(unique_id="1.2.250.1.999.9.1")


@pytest.fixture(autouse=True)
async def connected(caller: Caller) -> None:
    assert (await caller.connect()).status_code == 200


def outcomes(sandbox: Sandbox) -> list[tuple[str, str, bool]]:
    return [(row.outcome.value, row.code, row.stored) for row in sandbox.ledger.bodies()]


@pytest.mark.parametrize(
    ("rule", "http", "expected"),
    [
        ({"action": "cut_after_body"}, 502, ("cut", "", False)),
        ({"action": "cut_after_store"}, 502, ("stored_cut", "", True)),
        ({"action": "status_before_read", "status": 503}, 503, ("dropped", "http_503", False)),
        ({"action": "status_after_read", "status": 500}, 500, ("dropped", "http_500", False)),
        ({"action": "status_after_store", "status": 504}, 504, ("stored_unsaid", "http_504", True)),
        ({"action": "xds_error", "code": "XDSRegistryBusy"}, 200, ("refused", "XDSRegistryBusy", False)),
        ({"action": "soap_fault"}, 500, ("refused", "fault", False)),
        ({"action": "lie_success"}, 200, ("dropped", "lie_success", False)),
        ({"action": "garbage_xml"}, 200, ("stored_unsaid", "garbage_xml", True)),
        ({"action": "truncated_xml"}, 200, ("stored_unsaid", "truncated_xml", True)),
        ({"action": "wrong_content_type"}, 200, ("stored_unsaid", "wrong_content_type", True)),
        ({"action": "html"}, 200, ("stored_unsaid", "html", True)),
        ({"action": "api_401"}, 401, ("refused", "http_401", False)),
        ({"action": "refuse"}, 502, ("dropped", "http_502", False)),
        ({"action": "cut_in_body", "after_bytes": 500}, 502, ("dropped", "http_502", False)),
        ({"action": "throttle", "bytes_per_second": 400000}, 200, ("stored", "", True)),
    ],
)
async def test_failures_of_the_dmp(
    caller: Caller, sandbox: Sandbox, rule: dict[str, object], http: int, expected: tuple[str, str, bool]
) -> None:
    await caller.rule(target="dmp.td21", **rule)
    answer = await caller.feed(SAMPLE)
    assert answer.http == http
    assert outcomes(sandbox) == [expected]
    held = sandbox.store.document(SAMPLE.unique_id) is not None
    assert held is expected[2]
    # The rule was for once, and looking the reference up tells the truth.
    found = await caller.lookup(SAMPLE.unique_id)
    assert found.count == int(held)
    assert sandbox.ledger.answers()[-1].valid is not held
    again = await caller.feed(replace(SAMPLE, lot_id="1.2.250.1.999.9.77"))
    assert (again.status == SUCCESS) is not held
    assert sandbox.ledger.verdict().sent_twice == int(held)


async def test_answers_are_spoiled_as_said(caller: Caller) -> None:
    def parses(answer: Answer) -> bool:
        try:
            etree.fromstring(answer.body)
        except etree.XMLSyntaxError:
            return False
        return True

    for action in ("garbage_xml", "truncated_xml"):
        await caller.rule(target="dmp.td02", action=action)
        assert not parses(await caller.soap("patients", TD02, messages.existence_query()))
    await caller.rule(target="dmp.td02", action="html")
    assert (await caller.soap("patients", TD02, messages.existence_query())).content_type.startswith("text/html")
    await caller.rule(target="dmp.td02", action="wrong_content_type")
    wrong = await caller.soap("patients", TD02, messages.existence_query())
    assert wrong.content_type == "application/octet-stream"
    assert parses(wrong)
    await caller.rule(target="dmp.td02", action="lie_unknown")
    assert b'"NF"' in (await caller.soap("patients", TD02, messages.existence_query())).body
    await caller.rule(target="dmp.td02", action="status_before_read", status=429, retry_after_s=7)
    response = await caller.http.post("/send/dmp/patients", content=b"x")
    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")


@pytest.mark.parametrize(
    ("rule", "http", "expected"),
    [
        ({"action": "cut_after_body"}, 0, [("cut", "", False)]),
        ({"action": "cut_after_store"}, 0, [("stored", "", True)]),
        ({"action": "cut_in_body", "after_bytes": 900}, 0, []),
        ({"action": "refuse"}, 0, []),
        ({"action": "status_before_read", "status": 503}, 503, []),
        ({"action": "status_after_read", "status": 502}, 502, [("dropped", "http_502", False)]),
        ({"action": "status_after_store", "status": 504}, 504, [("stored", "", True)]),
        ({"action": "session_expired"}, 401, []),
        ({"action": "api_401"}, 401, []),
        ({"action": "html"}, 200, [("stored", "", True)]),
    ],
)
async def test_failures_of_the_proxy(
    caller: Caller, sandbox: Sandbox, rule: dict[str, object], http: int, expected: list[tuple[str, str, bool]]
) -> None:
    await caller.rule(target="proxy.send", **rule)
    if http == 0:
        with pytest.raises(httpx.TransportError):
            await caller.feed(SAMPLE)
    else:
        assert (await caller.feed(SAMPLE)).http == http
    assert outcomes(sandbox) == expected
    if rule["action"] == "session_expired":
        assert sandbox.proxy.sessions() == ()


async def test_a_connection_is_refused_at_accept_or_the_port_is_closed(caller: Caller, sandbox: Sandbox) -> None:
    rule_id = await caller.rule(target="proxy", action="refuse", count=None)
    fresh = Caller(sandbox)
    try:
        with pytest.raises(httpx.TransportError):
            await fresh.http.get("/check/alive")
        assert (await caller.inspect.delete(f"/api/rules/{rule_id}")).status_code == 204
        await caller.inspect.put("/api/listeners/proxy", json={"listening": False})
        with pytest.raises(httpx.ConnectError):
            await fresh.http.get("/check/alive")
        await caller.inspect.put("/api/listeners/proxy", json={"listening": True})
        assert (await fresh.http.get("/check/alive")).text == "OK"
        await caller.inspect.put("/api/listeners/dmp", json={"listening": False})
        closed = await caller.feed(SAMPLE)
        assert closed.http in (502, 503)
    finally:
        await fresh.close()


@pytest.mark.parametrize("target", ["dmp.td21", "proxy.send"])
@pytest.mark.parametrize("action", ["hang_before_read", "hang_after_read", "hang_after_store"])
async def test_a_hang_lasts_until_released(caller: Caller, sandbox: Sandbox, target: str, action: str) -> None:
    rule_id = await caller.rule(target=target, action=action)
    async with asyncio.TaskGroup() as group:
        feeding = group.create_task(caller.feed(SAMPLE))
        if (target, action) == ("proxy.send", "hang_before_read"):
            await until(sandbox.book.spent)
            assert sandbox.ledger.bodies() == ()
        else:
            await until(sandbox.ledger.bodies)
            await until(sandbox.book.spent)
            lookup = await caller.lookup(SAMPLE.unique_id)
            row = sandbox.ledger.answers()[-1]
            is_held = action == "hang_after_store"
            assert lookup.count == int(is_held)
            assert not row.valid
            assert row.in_processing is (not (target == "proxy.send" and is_held))
        assert not feeding.done()
        assert (await caller.inspect.post(f"/api/rules/{rule_id}/release")).status_code == 204
    assert feeding.result().status == SUCCESS


async def test_a_timed_hang_ends_by_itself(caller: Caller) -> None:
    await caller.rule(target="dmp.td21", action="hang_after_read", seconds=0.02)
    assert (await caller.feed(SAMPLE)).status == SUCCESS


async def test_a_late_store_answers_504_then_stores(caller: Caller, sandbox: Sandbox) -> None:
    rule_id = await caller.rule(target="dmp.td21", action="late_store", status=504)
    assert (await caller.feed(SAMPLE)).http == 504
    assert (await caller.lookup(SAMPLE.unique_id)).count == 0
    assert sandbox.ledger.answers()[-1].in_processing
    assert not sandbox.ledger.answers()[-1].valid
    await caller.inspect.post(f"/api/rules/{rule_id}/release")
    await until(lambda: not sandbox.ledger.verdict().processing)
    assert outcomes(sandbox) == [("stored_unsaid", "late", True)]
    assert (await caller.lookup(SAMPLE.unique_id)).count == 1


async def test_lies_about_a_reference(caller: Caller, sandbox: Sandbox) -> None:
    await caller.feed(SAMPLE)
    await caller.rule(target="dmp.td31", action="lie_unknown")
    assert (await caller.lookup(SAMPLE.unique_id)).count == 0
    row = sandbox.ledger.answers()[-1]
    assert (row.found, row.held, row.valid) == (False, True, False)
    await caller.rule(target="dmp.td31", action="wrong_hash")
    assert b"0000000000000000000000000000000000000000" in (await caller.lookup(SAMPLE.unique_id)).body


@pytest.mark.parametrize("target", ["dmp.td31", "proxy.send"])
@pytest.mark.parametrize("action", ["cut_after_store", "truncated_xml"])
async def test_an_answer_that_never_arrived_has_no_value(
    caller: Caller, sandbox: Sandbox, target: str, action: str
) -> None:
    await caller.rule(target=target, action=action)
    if (target, action) == ("proxy.send", "cut_after_store"):
        with pytest.raises(httpx.TransportError):
            await caller.lookup(SAMPLE.unique_id)
    else:
        await caller.lookup(SAMPLE.unique_id)
    rows = sandbox.ledger.answers()
    assert [row.delivered for row in rows] == [False]
    assert not rows[0].valid


async def test_a_search_over_the_patient_answers_about_every_body_of_that_patient(
    caller: Caller, sandbox: Sandbox
) -> None:
    await caller.rule(target="dmp.td21", action="cut_after_body")
    await caller.feed(SAMPLE)
    query = messages.stored_query(
        messages.FIND_DOCUMENTS,
        {
            "$XDSDocumentEntryPatientId": f"'{messages.PATIENT}^^^&{messages.OID}&ISO^NH'",
            "$XDSDocumentEntryStatus": "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')",
        },
    )
    await caller.soap("registry", "urn:ihe:iti:2007:RegistryStoredQuery", query)
    row = sandbox.ledger.answers()[-1]
    assert (row.unique_id, row.found, row.explicit, row.valid) == (SAMPLE.unique_id, False, False, True)


async def test_a_rule_may_be_for_one_document_only(caller: Caller) -> None:
    await caller.rule(target="dmp.td21", action="cut_after_body", unique_id="1.2.250.1.999.9.2")
    assert (await caller.feed(SAMPLE)).status == SUCCESS
    assert (await caller.feed(replace(SAMPLE, unique_id="1.2.250.1.999.9.2"))).http == 502


async def test_failures_of_connect(caller: Caller) -> None:
    caller.http.cookies.clear()
    for status in (500, 502, 503, 504):
        await caller.rule(target="proxy.connect", action="status_before_read", status=status)
        assert (await caller.connect()).status_code == status
    for action in ("refuse", "cut_after_body", "cut_after_store"):
        await caller.rule(target="proxy.connect", action=action)
        with pytest.raises(httpx.TransportError):
            await caller.connect()
    assert len(caller.sandbox.proxy.sessions()) == 2


async def test_a_body_the_caller_never_finished_does_not_count(caller: Caller, sandbox: Sandbox) -> None:
    content_type, body = caller.feeding(SAMPLE)
    cookie = caller.http.cookies["proxy_session_id"]
    port = int(sandbox.addresses.proxy.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=sandbox.pki.client_context(None))
    writer.write(
        f"POST /send/dmp/repository HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n"
        f"Cookie: proxy_session_id={cookie}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    )
    writer.write(body[:-1])
    await writer.drain()
    writer.transport.abort()
    del reader
    assert (await caller.feed(SAMPLE)).status == SUCCESS
    assert sandbox.ledger.verdict().complete_bodies == 1
