"""Scripted failures: rules that make the simulated services hang, refuse, cut or lie.

Owns the rule book. A rule names a target, an action, and when it applies; the services ask the book at each stage.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Final


class Target(StrEnum):
    """What a rule hits; the first two are whole listeners, the others single operations."""

    PROXY = "proxy"
    DMP = "dmp"
    PROXY_CONNECT = "proxy.connect"
    PROXY_DISCONNECT = "proxy.disconnect"
    PROXY_SEND = "proxy.send"
    DMP_TD02 = "dmp.td02"
    DMP_TD21 = "dmp.td21"
    DMP_TD31 = "dmp.td31"
    DMP_TD32 = "dmp.td32"
    DMP_ITI57 = "dmp.iti57"


class Stage(StrEnum):
    """When a rule is looked up."""

    ACCEPT = "accept"
    HEADERS = "headers"
    BODY = "body"
    READ = "read"
    STORED = "stored"
    ANSWER = "answer"


class Action(StrEnum):
    """What happens. The comment beside each names its parameters."""

    REFUSE = "refuse"  # reset at accept (listener target) or before reading (operation target)
    HANG_BEFORE_READ = "hang_before_read"  # seconds; none = until released
    HANG_AFTER_READ = "hang_after_read"  # seconds; none = until released
    HANG_AFTER_STORE = "hang_after_store"  # seconds; none = until released
    THROTTLE = "throttle"  # bytes_per_second
    CUT_IN_BODY = "cut_in_body"  # after_bytes
    CUT_AFTER_BODY = "cut_after_body"  # complete body received, nothing stored
    CUT_AFTER_STORE = "cut_after_store"  # stored, no answer
    STATUS_BEFORE_READ = "status_before_read"  # status, retry_after
    STATUS_AFTER_READ = "status_after_read"  # status, nothing stored
    STATUS_AFTER_STORE = "status_after_store"  # status, stored
    LATE_STORE = "late_store"  # status (504), stored `seconds` later; none = when released
    SESSION_EXPIRED = "session_expired"  # proxy.send only: ends the session, "No session found."
    API_401 = "api_401"  # the API refuses the token
    XDS_ERROR = "xds_error"  # code: a parsed registry failure, nothing stored
    SOAP_FAULT = "soap_fault"  # nothing stored
    LIE_SUCCESS = "lie_success"  # dmp.td21, dmp.iti57: Success, nothing stored
    LIE_UNKNOWN = "lie_unknown"  # dmp.td31: no document found, dmp.td02: NF
    WRONG_HASH = "wrong_hash"  # dmp.td31: another hash
    GARBAGE_XML = "garbage_xml"
    TRUNCATED_XML = "truncated_xml"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    HTML = "html"


STAGE_OF: Final[dict[Action, Stage]] = {
    Action.REFUSE: Stage.HEADERS,
    Action.HANG_BEFORE_READ: Stage.HEADERS,
    Action.STATUS_BEFORE_READ: Stage.HEADERS,
    Action.SESSION_EXPIRED: Stage.HEADERS,
    Action.API_401: Stage.HEADERS,
    Action.THROTTLE: Stage.BODY,
    Action.CUT_IN_BODY: Stage.BODY,
    Action.HANG_AFTER_READ: Stage.READ,
    Action.CUT_AFTER_BODY: Stage.READ,
    Action.STATUS_AFTER_READ: Stage.READ,
    Action.LATE_STORE: Stage.READ,
    Action.XDS_ERROR: Stage.READ,
    Action.SOAP_FAULT: Stage.READ,
    Action.LIE_SUCCESS: Stage.READ,
    Action.HANG_AFTER_STORE: Stage.STORED,
    Action.CUT_AFTER_STORE: Stage.STORED,
    Action.STATUS_AFTER_STORE: Stage.STORED,
    Action.LIE_UNKNOWN: Stage.READ,
    Action.WRONG_HASH: Stage.READ,
    Action.GARBAGE_XML: Stage.ANSWER,
    Action.TRUNCATED_XML: Stage.ANSWER,
    Action.WRONG_CONTENT_TYPE: Stage.ANSWER,
    Action.HTML: Stage.ANSWER,
}
_ONLY_ON: Final[dict[Action, frozenset[Target]]] = {
    Action.SESSION_EXPIRED: frozenset({Target.PROXY_SEND}),
    Action.LATE_STORE: frozenset({Target.DMP_TD21, Target.DMP_ITI57}),
    Action.LIE_SUCCESS: frozenset({Target.DMP_TD21, Target.DMP_ITI57}),
    Action.LIE_UNKNOWN: frozenset({Target.DMP_TD31, Target.DMP_TD02}),
    Action.WRONG_HASH: frozenset({Target.DMP_TD31}),
    Action.XDS_ERROR: frozenset({Target.DMP_TD21, Target.DMP_TD31, Target.DMP_TD32, Target.DMP_ITI57}),
    Action.SOAP_FAULT: frozenset(
        {Target.DMP_TD02, Target.DMP_TD21, Target.DMP_TD31, Target.DMP_TD32, Target.DMP_ITI57}
    ),
}
_BEFORE_BODY: Final = frozenset({Stage.ACCEPT, Stage.HEADERS, Stage.BODY})
_NEEDS_STATUS: Final = frozenset({Action.STATUS_BEFORE_READ, Action.STATUS_AFTER_READ, Action.STATUS_AFTER_STORE})


class InvalidRuleError(ValueError):
    """A rule that could never apply, or lacks a parameter; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One scripted failure.

    `count`: how many times it applies, None for always. `probability`: chance at each look-up, drawn from a
    generator seeded with `seed`. `unique_id`: only for that document (stages after the body is read).
    """

    target: Target
    action: Action
    count: int | None = 1
    seconds: float | None = None
    after_bytes: int = 0
    bytes_per_second: int = 0
    status: int = 0
    retry_after_s: int | None = None
    code: str = ""
    unique_id: str = ""
    probability: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse rules that could never apply: InvalidRuleError."""
        if self.target in (Target.PROXY, Target.DMP) and self.action is not Action.REFUSE:
            raise InvalidRuleError("a whole listener can only be refused")
        only_on = _ONLY_ON.get(self.action)
        if only_on is not None and self.target not in only_on:
            raise InvalidRuleError(f"{self.action} applies to {', '.join(sorted(only_on))}")
        if self.unique_id and self.stage in _BEFORE_BODY:
            raise InvalidRuleError("a document cannot be matched before the body is read")
        if self.action in _NEEDS_STATUS and not 400 <= self.status <= 599:
            raise InvalidRuleError("status must be 400..599")
        if self.action is Action.THROTTLE and self.bytes_per_second <= 0:
            raise InvalidRuleError("bytes_per_second must be positive")
        if self.count is not None and self.count < 1:
            raise InvalidRuleError("count must be at least 1, or none")
        if not 0.0 < self.probability <= 1.0:
            raise InvalidRuleError("probability must be in ]0, 1]")
        if self.seconds is not None and self.seconds < 0:
            raise InvalidRuleError("seconds must not be negative")

    @property
    def stage(self) -> Stage:
        """The moment at which the rule is looked up."""
        return Stage.ACCEPT if self.target in (Target.PROXY, Target.DMP) else STAGE_OF[self.action]


@dataclass(slots=True, kw_only=True)
class ArmedRule:
    """A rule in the book, with what is left of it."""

    rule_id: int
    rule: Rule
    left: int | None
    applied: int
    released: asyncio.Event
    random: Random = field(repr=False)


class RuleBook:
    """The rules in force, in the order they were added; the first that applies wins."""

    def __init__(self) -> None:
        self._rules: list[ArmedRule] = []
        self._spent: list[ArmedRule] = []
        self._next_id = 1

    def add(self, rule: Rule) -> int:
        """Arm `rule` and return its number."""
        armed = ArmedRule(
            rule_id=self._next_id,
            rule=rule,
            left=rule.count,
            applied=0,
            released=asyncio.Event(),
            random=Random(rule.seed),  # noqa: S311 - reproducible failures, not secrets
        )
        self._next_id += 1
        self._rules.append(armed)
        return armed.rule_id

    def take(self, target: Target, stage: Stage, unique_ids: tuple[str, ...] = ()) -> ArmedRule | None:
        """Return the rule that applies now, one use consumed, or None."""
        for armed in self._rules:
            rule = armed.rule
            if rule.target is not target or rule.stage is not stage:
                continue
            if rule.unique_id and rule.unique_id not in unique_ids:
                continue
            if rule.probability < 1.0 and armed.random.random() >= rule.probability:
                continue
            armed.applied += 1
            if armed.left is not None:
                armed.left -= 1
                if armed.left == 0:
                    self._rules.remove(armed)
                    self._spent.append(armed)
            return armed
        return None

    def armed(self) -> tuple[ArmedRule, ...]:
        """Return the rules still in force."""
        return tuple(self._rules)

    def spent(self) -> tuple[ArmedRule, ...]:
        """Return the rules used up since the last clear."""
        return tuple(self._spent)

    def release(self, rule_id: int) -> bool:
        """Free whatever hangs on that rule; False when the number is unknown."""
        found = False
        for armed in (*self._rules, *self._spent):
            if armed.rule_id == rule_id:
                armed.released.set()
                found = True
        return found

    def clear(self) -> None:
        """Forget every rule and free whatever hangs."""
        for armed in (*self._rules, *self._spent):
            armed.released.set()
        self._rules.clear()
        self._spent.clear()

    def remove(self, rule_id: int) -> bool:
        """Disarm one rule and free what hangs on it; False when the number is unknown."""
        found = self.release(rule_id)
        self._rules = [armed for armed in self._rules if armed.rule_id != rule_id]
        return found


async def hang(armed: ArmedRule) -> None:
    """Wait the rule's seconds, or until it is released when it has none."""
    if armed.rule.seconds is None:
        await armed.released.wait()
        return
    try:
        async with asyncio.timeout(armed.rule.seconds):
            await armed.released.wait()
    except TimeoutError:
        return
