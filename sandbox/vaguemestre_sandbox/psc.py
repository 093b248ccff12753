"""The Pro Santé Connect double behind the proxy: CIBA in poll mode, scripted or answered by the tester.

Owns the pending prompts. It is called in process by the simulated proxy and speaks no HTTP.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from vaguemestre_sandbox.nomenclature import DOCTORS
from vaguemestre_sandbox.settings import ApprovalMode, ProxyProfile

_HISTORY: Final = 200


class Decision(StrEnum):
    """How a prompt ends."""

    ACCEPT = "accept"
    DENY = "deny"
    EXPIRE = "expire"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What one professional does at the next prompts. `after_polls`: answers at that poll (0 = at once)."""

    decision: Decision
    after_polls: int = 0
    status: int = 503
    count: int | None = 1


@dataclass(slots=True, kw_only=True)
class Prompt:
    """One prompt on a phone or card tool."""

    prompt_id: str
    national_id: str
    binding_message: str
    channel: str
    client_id: str
    polls: int = 0
    decision: Decision | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)


class PscRefusalError(Exception):
    """PSC refused: HTTP status and OAuth error of its answer; `late` when seen while polling."""

    def __init__(self, status: int, error: str, description: str, *, late: bool) -> None:
        super().__init__(f"{status} - {error} : {description}")
        self.status = status
        self.error = error
        self.description = description
        self.late = late


class PscUnavailableError(Exception):
    """PSC answered 502, 503 or 504."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class PscDouble:
    """Prompts, scripts and their outcomes."""

    def __init__(self, profile: ProxyProfile) -> None:
        self._profile = profile
        self.mode = profile.approval_mode
        self._scripts: dict[str, list[Script]] = {}
        self._pending: dict[str, Prompt] = {}
        self._past: list[Prompt] = []

    def set_script(self, national_id: str, script: Script) -> None:
        """Add what this professional does at the next prompts."""
        self._scripts.setdefault(national_id, []).append(script)

    def clear(self) -> None:
        """Forget scripts; deny what is pending."""
        self._scripts.clear()
        for prompt_id in list(self._pending):
            self.decide(prompt_id, Decision.DENY)
        self._past.clear()

    def pending(self) -> tuple[Prompt, ...]:
        """Return the prompts that wait for an answer."""
        return tuple(self._pending.values())

    def past(self) -> tuple[Prompt, ...]:
        """Return the prompts answered, oldest first."""
        return tuple(self._past)

    def decide(self, prompt_id: str, decision: Decision) -> bool:
        """Answer one prompt; False when it no longer waits."""
        prompt = self._pending.get(prompt_id)
        if prompt is None:
            return False
        prompt.decision = decision
        prompt.changed.set()
        return True

    async def authenticate(self, *, national_id: str, binding_message: str, channel: str, client_id: str) -> str:
        """Prompt the professional and wait; return session_state.

        Raises PscRefusalError, PscUnavailableError. Safe to cancel: the prompt disappears.
        """
        script = self._take_script(national_id)
        if script is not None and script.decision is Decision.UNAVAILABLE and script.after_polls == 0:
            raise PscUnavailableError(script.status)
        if all(doctor.national_id != national_id for doctor in DOCTORS):
            raise PscRefusalError(400, "unknown_user_id", "login_hint is unknown", late=False)
        prompt = Prompt(
            prompt_id=secrets.token_hex(8),
            national_id=national_id,
            binding_message=binding_message,
            channel=channel,
            client_id=client_id,
        )
        self._pending[prompt.prompt_id] = prompt
        try:
            async with asyncio.timeout(self._profile.ciba_expires_in_s):
                while prompt.decision is None:
                    await self._poll(prompt, script)
        except TimeoutError:
            prompt.decision = Decision.EXPIRE
        finally:
            self._pending.pop(prompt.prompt_id, None)
            self._past = [*self._past, prompt][-_HISTORY:]
        match prompt.decision:
            case Decision.ACCEPT:
                return secrets.token_hex(16)
            case Decision.UNAVAILABLE:
                raise PscUnavailableError(503 if script is None else script.status)
            case Decision.EXPIRE:
                raise PscRefusalError(400, "expired_token", "auth_req_id has expired", late=True)
            case _:
                raise PscRefusalError(400, "access_denied", "the user denied the request", late=True)

    def _take_script(self, national_id: str) -> Script | None:
        scripts = self._scripts.get(national_id)
        if not scripts:
            return None
        script = scripts[0]
        if script.count is not None:
            scripts.pop(0)
            if script.count > 1:
                scripts.insert(
                    0,
                    Script(
                        decision=script.decision,
                        after_polls=script.after_polls,
                        status=script.status,
                        count=script.count - 1,
                    ),
                )
        return script

    async def _poll(self, prompt: Prompt, script: Script | None) -> None:
        if script is not None and prompt.polls >= script.after_polls:
            prompt.decision = script.decision
            return
        if script is None and self.mode is ApprovalMode.AUTO:
            prompt.decision = Decision.ACCEPT
            return
        try:
            async with asyncio.timeout(self._profile.ciba_poll_interval_s):
                await prompt.changed.wait()
        except TimeoutError:
            prompt.polls += 1
