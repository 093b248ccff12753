"""The simulated proxy keeps its contract: connect, disconnect, both 401s, traces."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace

import httpx
import pytest

from vaguemestre_sandbox.psc import Prompt
from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandbox.settings import SandboxConfig
from vaguemestre_sandboxkit import messages
from vaguemestre_sandboxkit.client import CONNECT, SUCCESS, TD02, Caller
from vaguemestre_sandboxkit.messages import Sample
from vaguemestre_sandboxkit.waiting import until

SAMPLE = Sample(unique_id="1.2.250.1.999.8.1")
NO_SESSION = {"code": "401", "message": "No session found."}


async def script(caller: Caller, decision: str, **more: object) -> None:
    body = {"national_id": messages.DOCTOR, "decision": decision, **more}
    assert (await caller.inspect.post("/api/scripts", json=body)).status_code == 201


async def pending(caller: Caller) -> Prompt:
    await until(caller.sandbox.psc.pending)
    return caller.sandbox.psc.pending()[0]


async def test_tls_is_required_and_the_server_is_of_the_test_authority(sandbox: Sandbox, caller: Caller) -> None:
    assert (await caller.http.get("/check/alive")).text == "OK"
    async with httpx.AsyncClient(trust_env=False) as stranger:
        with pytest.raises(httpx.ConnectError):
            await stranger.get(sandbox.addresses.proxy + "/check/alive")
        with pytest.raises(httpx.TransportError):
            await stranger.get(sandbox.addresses.proxy.replace("https", "http") + "/check/alive")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(sandbox.pki.authority.certificate_path)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with httpx.AsyncClient(verify=old, trust_env=False) as recent:
        assert (await recent.get(sandbox.addresses.proxy + "/check/alive")).status_code == 200


async def test_connect_then_replay_then_disconnect(caller: Caller) -> None:
    first = await caller.connect()
    assert first.status_code == 200
    assert first.json()["proxy_session_id"] == first.cookies["proxy_session_id"]
    assert first.json()["session_state"]
    assert "Path=/" in first.headers["Set-Cookie"]
    again = await caller.connect()
    assert (again.status_code, again.content) == (304, b"")
    bad = await caller.http.post("/connect", json={**CONNECT, "channel": ""})
    assert bad.status_code == 400
    gone = await caller.http.delete("/disconnect")
    assert gone.status_code == 200
    assert "proxy_session_id" not in caller.http.cookies
    late = await caller.http.delete("/disconnect")
    assert (late.status_code, late.json()) == (401, {"code": "401", "message": "Session ID not found."})


async def test_bad_input_is_described(caller: Caller) -> None:
    answer = await caller.http.post("/connect", json={"nationalId": "899700000012", "channel": "FAX"})
    assert answer.status_code == 400
    assert answer.json() == {
        "code": "400",
        "message": "[bindingMessage is missing, clientId is missing, channel value FAX is invalid]",
        "metadata": {"nationalId": "899700000012"},
    }
    unknown = await caller.http.post("/connect", json={**CONNECT, "clientId": "autre"})
    assert unknown.status_code == 404
    assert unknown.json()["message"] == "User National ID or Software Client ID Not Found."


async def test_refusals_of_pro_sante_connect(caller: Caller) -> None:
    await script(caller, "deny", after_polls=2)
    refused = await caller.connect()
    assert refused.status_code == 401
    assert refused.json()["message"] == "400 - access_denied : the user denied the request"
    assert "set-cookie" not in refused.headers
    await script(caller, "expire", after_polls=1)
    assert (await caller.connect()).json()["message"].startswith("400 - expired_token")
    for status in (502, 503, 504):
        await script(caller, "unavailable", status=status)
        answer = await caller.connect()
        assert (answer.status_code, answer.content) == (status, b"")
    await script(caller, "accept", after_polls=3)
    assert (await caller.connect()).status_code == 200
    assert caller.sandbox.psc.past()[-1].polls == 3
    stranger = await caller.http.post(
        "/connect", json={**CONNECT, "nationalId": "899799999999"}, headers={"Cookie": ""}
    )
    assert stranger.status_code in (304, 401)


async def test_a_late_refusal_may_be_a_500(config: SandboxConfig) -> None:
    shaped = replace(config, proxy=replace(config.proxy, late_refusal_is_500=True))
    async with Sandbox.start(shaped) as sandbox:
        caller = Caller(sandbox)
        try:
            await script(caller, "deny")
            assert (await caller.connect()).status_code == 500
        finally:
            await caller.close()


@pytest.mark.parametrize(("decision", "status"), [("accept", 200), ("deny", 401)])
async def test_connect_blocks_until_the_tester_answers(caller: Caller, decision: str, status: int) -> None:
    await caller.inspect.put("/api/approval-mode", json={"mode": "manual"})
    async with asyncio.TaskGroup() as group:
        connecting = group.create_task(caller.connect())
        prompt = await pending(caller)
        page = (await caller.inspect.get("/")).text
        assert "<strong>42</strong>" in page
        shown = (await caller.inspect.get("/api/approvals")).json()["pending"]
        assert [row["binding_message"] for row in shown] == ["42"]
        assert not connecting.done()
        answer = await caller.inspect.post(f"/approvals/{prompt.prompt_id}", data={"decision": decision})
        assert answer.status_code == 303
    assert connecting.result().status_code == status


async def test_a_prompt_nobody_answers_expires(config: SandboxConfig) -> None:
    shaped = replace(config, proxy=replace(config.proxy, ciba_expires_in_s=0.05))
    async with Sandbox.start(shaped) as sandbox:
        caller = Caller(sandbox)
        try:
            await caller.inspect.put("/api/approval-mode", json={"mode": "manual"})
            answer = await caller.connect()
            assert answer.status_code == 401
            assert "expired_token" in answer.json()["message"]
        finally:
            await caller.close()


async def test_both_401_are_told_apart(caller: Caller) -> None:
    none = await caller.feed(SAMPLE)
    assert (none.http, none.content_type.partition(";")[0]) == (401, "application/json")
    assert httpx.Response(401, content=none.body).json() == NO_SESSION
    await caller.connect()
    await caller.inspect.delete("/api/tokens")
    api = await caller.feed(SAMPLE)
    assert api.http == 401
    assert b"invalid_token" in api.body
    assert b"No session found" not in api.body
    assert len(caller.sandbox.proxy.sessions()) == 1


async def test_a_session_ends_by_age_by_force_and_is_given_by_the_tester(caller: Caller) -> None:
    await caller.connect()
    await caller.inspect.post("/api/clock", json={"advance_s": 14401})
    assert (await caller.feed(SAMPLE)).http == 401
    caller.http.cookies.clear()
    await caller.connect()
    assert (await caller.inspect.delete("/api/sessions")).json() == {"ended": 1}
    assert httpx.Response(401, content=(await caller.feed(SAMPLE)).body).json() == NO_SESSION
    given = await caller.inspect.post("/api/sessions", json={"national_id": messages.DOCTOR})
    caller.http.cookies.clear()
    caller.http.cookies.set("proxy_session_id", given.json()["proxy_session_id"])
    assert (await caller.feed(SAMPLE)).status == SUCCESS
    assert caller.sandbox.ledger.verdict().complete_bodies == 1


async def test_all_methods_are_relayed_and_unknown_backends_are_not(caller: Caller) -> None:
    await caller.connect()
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert (await caller.http.request(method, "/send/dmp/patients")).status_code == 405
    assert (await caller.http.post("/send/autre/x")).status_code == 404
    assert (await caller.http.post("/send/dmp/autre", content=b"x")).status_code == 404


async def test_traces_have_their_mandatory_members(caller: Caller) -> None:
    await script(caller, "deny")
    await caller.connect()
    await caller.connect()
    await caller.connect()
    await caller.soap("patients", TD02, messages.existence_query())
    await caller.http.delete("/disconnect")
    traces = (await caller.http.get("/traces", params={"start": "2020-01-01T00:00:00Z"})).json()
    assert [trace["type"] for trace in traces] == [
        "CONNECT_FAILURE",
        "CONNECT_SUCCESS",
        "CONNECT_REPLAY",
        "SEND",
        "DISCONNECT",
    ]
    for trace in traces:
        assert trace["IdRPPS"] == messages.DOCTOR
        assert trace["ipAddress"] == "127.0.0.1"
        assert len(trace["ports"]) == 1
        assert trace["timestamp"].endswith("Z")
        if trace["type"] != "CONNECT_FAILURE":
            assert trace["clientId"] == "vaguemestre-sandbox-client"
            assert trace["proxy_id_session"]
            assert trace["session_state"]
    assert traces[3]["apiRequest"] == {"nomApiPsc": "dmp", "methode": "POST", "path": "/patients"}
    assert (await caller.http.get("/traces")).status_code == 400
    assert (await caller.http.get("/traces", params={"start": "2999-01-01T00:00:00Z"})).json() == []
