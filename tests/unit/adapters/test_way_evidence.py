"""What tells an absent Internet from an absent DMP: the evidence of each sign, and the witness."""

from __future__ import annotations

import asyncio

import pytest

from vaguemestre_agent.adapters.dmp.classification import TABLE, Seen, Sign, evidence_of
from vaguemestre_agent.adapters.system.witness import TcpWitness, parse_hosts
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.outcomes import Certainty, Evidence


def test_what_the_service_decided_says_that_it_works() -> None:
    decided = {sign for sign, row in TABLE.items() if row.certainty in {Certainty.REFUSED, Certainty.DELIVERED}}
    without = {sign for sign in decided if evidence_of(Seen(sign=sign)) is not Evidence.ANSWERED}

    assert without == {Sign.VISIBILITY_FORBIDDEN}  # decided here, without an exchange


def test_what_ends_a_session_says_that_the_proxy_works_and_nothing_of_the_service() -> None:
    ending = {sign for sign, row in TABLE.items() if row.ends_session}

    assert {evidence_of(Seen(sign=sign)) for sign in ending} == {Evidence.PROXY_ANSWERED}


@pytest.mark.parametrize("sign", [Sign.HTTP_503, Sign.HTTP_504, Sign.SILENCE, Sign.HTML, Sign.FAILURE_BUSY])
def test_a_dmp_that_fails_or_answers_nonsense_is_the_service_failing(sign: Sign) -> None:
    assert evidence_of(Seen(sign=sign)) is Evidence.SERVICE_FAILED


async def test_a_host_that_accepts_a_connection_is_a_witness() -> None:
    def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        port = int(server.sockets[0].getsockname()[1])
        there = await TcpWitness([("127.0.0.1", port)]).is_reached()
    gone = await TcpWitness([("127.0.0.1", port)]).is_reached()

    assert (there, gone) == (True, False)
    assert await TcpWitness([]).is_reached() is None


def test_witnesses_are_read_from_one_text() -> None:
    assert parse_hosts("") == []
    assert parse_hosts("example.org:443 [::1]:80") == [("example.org", 443), ("::1", 80)]


@pytest.mark.parametrize("text", ["example.org", "example.org:", ":443", "example.org:0", "example.org:99999", "a:²"])
def test_a_witness_without_a_port_is_refused_with_the_name_of_the_setting(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_hosts(text)
    assert caught.value.params["key"] == "services.witness"
