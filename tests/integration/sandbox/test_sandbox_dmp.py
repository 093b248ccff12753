from __future__ import annotations

from vaguemestre_sandboxkit import messages
from vaguemestre_sandboxkit.client import SUCCESS, TD02, Caller
from vaguemestre_sandboxkit.messages import Sample


async def test_a_good_document_is_stored_found_and_given_back(caller: Caller) -> None:
    await caller.connect()
    answer = await caller.feed(Sample(unique_id="1.2.250.1.999.7.1"))
    print(answer.body.decode())
    assert answer.status == SUCCESS
    found = await caller.lookup("1.2.250.1.999.7.1")
    print(found.body.decode())
    assert found.count == 1


async def test_existence(caller: Caller) -> None:
    await caller.connect()
    answer = await caller.soap("patients", TD02, messages.existence_query())
    print(answer.body.decode())
    assert b'queryResponseCode code="OK"' in answer.body
