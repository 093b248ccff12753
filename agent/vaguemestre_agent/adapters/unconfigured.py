"""What stands where no Proxy e-santé is configured: orders are accepted and wait, and everybody is told why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from vaguemestre_core.orders import WaitReason
from vaguemestre_core.outcomes import Certainty, ExistenceAnswer, Outcome, Presence, ReferenceAnswer
from vaguemestre_core.ports import ConnectRefused, SendingContext
from vaguemestre_core.records import FrozenIds, ProxySession

NOT_CONFIGURED: Final = "PROXY_NOT_CONFIGURED"


class UnconfiguredProxy:
    """``ProxyPort`` that opens nothing."""

    code: str = NOT_CONFIGURED

    async def connect(
        self, national_id: str, binding_message: str, proxy_client_id: str, channel: str
    ) -> ProxySession | ConnectRefused:
        """Refuse: there is nowhere to connect to."""
        return ConnectRefused(code=self.code, retry=False)

    async def disconnect(self, session: ProxySession) -> None:
        """Do nothing: there is no session."""


class UnconfiguredDmp:
    """``DmpPort`` that reaches nothing and sends nothing: it holds no connection and knows no address."""

    code: str = NOT_CONFIGURED
    longest_exchange_s: float = 0.0

    async def test_existence(self, prepared: bytes, context: SendingContext) -> ExistenceAnswer:
        """Answer that nothing could be asked."""
        return ExistenceAnswer(exists=None, code=self.code, waiting=WaitReason.SERVICE)

    async def sign(self, prepared: bytes, frozen_ids: FrozenIds, context: SendingContext) -> bytes | None:
        """Sign nothing."""
        return None

    async def submit(
        self,
        prepared: bytes,
        frozen_ids: FrozenIds,
        signature: bytes | None,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """Answer that nothing left."""
        return Outcome(certainty=Certainty.NOT_SENT, code=self.code, waiting=WaitReason.SERVICE)

    async def delete(
        self,
        prepared: bytes,
        frozen_ids: FrozenIds,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """Answer that nothing left."""
        return Outcome(certainty=Certainty.NOT_SENT, code=self.code, waiting=WaitReason.SERVICE)

    async def set_visibility(
        self,
        prepared: bytes,
        visibility: frozenset[str],
        frozen_ids: FrozenIds,
        context: SendingContext,
        before_first_byte: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """Answer that nothing left."""
        return Outcome(certainty=Certainty.NOT_SENT, code=self.code, waiting=WaitReason.SERVICE)

    async def look_up(self, prepared: bytes, context: SendingContext) -> ReferenceAnswer:
        """Answer that nothing could be asked."""
        return ReferenceAnswer(presence=Presence.UNKNOWN, code=self.code, waiting=WaitReason.SERVICE)
