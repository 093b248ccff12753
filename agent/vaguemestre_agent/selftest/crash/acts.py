"""What the users of an LGC ask of the agent, drawn at chance: deposit, correct, cancel, hold, release, delete, show.

Owns the writing down of each wish before it is asked and of each promise once it is read. Never judges.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from random import Random
from typing import Final

from vaguemestre_agent.practice.documents import metadata, tiny_pdf
from vaguemestre_agent.selftest.crash.journal import Deposit, Journal, Wish
from vaguemestre_api import wire
from vaguemestre_api.client import Client, DocumentBody
from vaguemestre_api.failures import ApiProblem

MOVING: Final = ("preparing", "deferred", "ready", "claimed", "sending", "in_doubt")
_RECENT: Final = 8  # documents asked about: those that may still be on their way
_CONTENT: Final = frozenset({"dmp.submit", "dmp.replace"})


@unique
class Act(StrEnum):
    """What a user does."""

    SUBMIT = "submit"
    REPLACE = "replace"
    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"
    SEND_NOW = "send_now"
    DELETE = "delete"
    SHOW = "visibility"


# What happens how often, of a hundred acts.
_DAY: Final[Sequence[tuple[Act, int]]] = (
    (Act.SUBMIT, 42),
    (Act.REPLACE, 18),
    (Act.CANCEL, 7),
    (Act.HOLD, 5),
    (Act.RELEASE, 6),
    (Act.SEND_NOW, 4),
    (Act.DELETE, 9),
    (Act.SHOW, 9),
)


@dataclass(slots=True)
class Office:
    """One LGC of the practice and the one who uses it.

    Attributes:
        number: 0 or 1.
        client: its connection to the agent.
        journal: where its wishes are written down.
        random: its chance.
    """

    number: int
    client: Client
    journal: Journal
    random: Random

    async def repeat(self) -> None:
        """Deposit again what was never answered: same reference, same key."""
        for deposit in self.journal.pending(self.number):
            await self._deposit(deposit)

    async def submit(self, *, hidden: bool | None = None) -> Deposit:
        """Deposit a new document."""
        number = sum(deposit.office == self.number for deposit in self.journal.deposits) + 1
        drawn = self.random.random() < 0.35
        deposit = self.journal.new(self.number, f"doc-{number:06d}", hidden=drawn if hidden is None else hidden)
        await self._deposit(deposit)
        return deposit

    async def something(self) -> None:
        """Do something, at chance; a refusal of the agent is an answer."""
        act = self.random.choices([act for act, _ in _DAY], [often for _, often in _DAY])[0]
        with contextlib.suppress(ApiProblem):
            await self.do(act)

    async def do(self, act: Act, deposit: Deposit | None = None) -> None:
        """Do one thing, to that document or to a recent one. Raises what the client raises."""
        if act is Act.SUBMIT:
            await self.submit()
            return
        if act is Act.RELEASE:
            await self._release_one()
            return
        recent = self.journal.recent(self.number, _RECENT)
        if deposit is None and not recent:
            return
        await _TO_ONE[act](self, deposit or self.random.choice(recent))

    async def release_all(self) -> None:
        """Lift every hold of a person."""
        for order in await self._held():
            with contextlib.suppress(ApiProblem):
                await self.client.release(order.order_id)

    async def is_moving(self) -> bool:
        """Say whether some order of this LGC may still move by itself."""
        return bool((await self.client.orders(states=MOVING, limit=1)).orders)

    async def moving(self) -> frozenset[str]:
        """Return which orders of this LGC may still move by themselves."""
        return frozenset(order.order_id for order in await self._all_moving())

    async def is_doubtful(self) -> bool:
        """Say whether an order of this LGC is in doubt."""
        return bool((await self.client.orders(states=("in_doubt",), limit=1)).orders)

    async def _deposit(self, deposit: Deposit) -> None:
        title = deposit.title(deposit.wanted)
        body = DocumentBody(
            metadata=metadata(title, int(deposit.client_ref[-1]) % 2, sorted(deposit.wanted.visibility)),
            body=tiny_pdf(title),
            media_type="application/pdf",
        )
        await self.client.put_document(
            deposit.client_ref, body, idempotency_key=f"{deposit.client_ref}-v{deposit.wanted.number}"
        )
        self.journal.deposited(deposit)

    async def replace(self, deposit: Deposit) -> None:
        """Deposit a further version."""
        self.journal.next_version(deposit)
        await self._deposit(deposit)

    async def cancel(self, deposit: Deposit) -> None:
        """Ask to cancel the version wanted, unless it has left and something else was asked since."""
        order = (await self.client.document(deposit.client_ref)).orders[0]
        if order.kind not in _CONTENT:
            return  # the version itself has left
        self.journal.cancel_asked(deposit)
        if (await self.client.cancel(order.order_id)).answer == "cancelled":
            self.journal.cancelled(deposit)

    async def hold(self, deposit: Deposit) -> None:
        """Hold what was asked last."""
        await self.client.hold((await self.client.document(deposit.client_ref)).orders[0].order_id)

    async def send_now(self, deposit: Deposit) -> None:
        """Let what was asked last leave at once."""
        await self.client.send_now((await self.client.document(deposit.client_ref)).orders[0].order_id)

    async def delete(self, deposit: Deposit) -> None:
        """Have it deleted."""
        self.journal.delete(deposit, Wish.ASKED)
        await self.client.delete_document(
            deposit.client_ref, "feeding_error", idempotency_key=f"{deposit.client_ref}-delete"
        )
        self.journal.delete(deposit, Wish.PROMISED)

    async def show(self, deposit: Deposit) -> None:
        """Have its visibility changed."""
        if deposit.change is not Wish.PROMISED:
            self.journal.change(deposit, Wish.ASKED)
        await self.client.set_visibility(
            deposit.client_ref, sorted(deposit.changed_to), idempotency_key=f"{deposit.client_ref}-visibility"
        )
        self.journal.change(deposit, Wish.PROMISED)

    async def _release_one(self) -> None:
        held = await self._held()
        if held:
            await self.client.release(self.random.choice(held).order_id)

    async def _held(self) -> list[wire.Order]:
        return [order for order in await self._all_moving() if order.holds]

    async def _all_moving(self) -> list[wire.Order]:
        """Return them all: a long storm leaves hundreds."""
        found: list[wire.Order] = []
        after: str | None = None
        while True:
            page = await self.client.orders(states=MOVING, limit=200, after=after)
            found += page.orders
            if page.next is None:
                return found
            after = page.next


_TO_ONE: Final[Mapping[Act, Callable[[Office, Deposit], Awaitable[None]]]] = {
    Act.REPLACE: Office.replace,
    Act.CANCEL: Office.cancel,
    Act.HOLD: Office.hold,
    Act.SEND_NOW: Office.send_now,
    Act.DELETE: Office.delete,
    Act.SHOW: Office.show,
}
