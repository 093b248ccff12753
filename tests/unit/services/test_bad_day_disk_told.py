"""A bad day of the disk as the doctor reads it: told although reads still work, forgotten when it is over."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from vaguemestre_core.errors import StoreError
from vaguemestre_core.orders import OrderState
from vaguemestre_queue.store import Store
from vaguemestre_testkit.practice_kit import office


async def test_a_refused_deposit_is_told_until_a_write_works_again(tmp_path: Path) -> None:
    async with office(tmp_path) as practice:
        kept = await practice.deposit("cr-1")
        connection = cast("Store", practice.real)._connection
        connection.run("PRAGMA query_only = ON")
        with pytest.raises(StoreError, match="STORE_READ_ONLY"):
            await practice.deposit("cr-2")
        told = practice.dispatch.trouble
        health = await practice.backend.health()
        connection.run("PRAGMA query_only = OFF")
        async with practice.at_work():
            await practice.reaches(kept, OrderState.DEFERRED)
            await practice.pass_time(5, lambda: practice.dispatch.trouble is None)
            after = await practice.deposit("cr-2")

    assert told == "STORE_READ_ONLY"
    assert not health.ready
    assert health.counts["preparing"] == 1  # what was accepted is there, and is read
    assert after.state is OrderState.PREPARING
