"""A DmpPort under test and the failures around it: the double in memory, or the real adapter on the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from vaguemestre_agent.adapters.dmp.adapter import EsanteDmp
from vaguemestre_agent.adapters.dmp.classification import Sign
from vaguemestre_agent.adapters.http import HttpClient, TlsFiles
from vaguemestre_agent.adapters.signing.software import SoftwareSigner
from vaguemestre_agent.profiles.loader import shipped_profile
from vaguemestre_core.outcomes import Outcome, Presence
from vaguemestre_core.ports import DmpPort, SendingContext
from vaguemestre_documents.prepared import PreparedDocument
from vaguemestre_sandbox.failures import Action, Rule, Target
from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandbox.settings import SandboxConfig
from vaguemestre_testkit.scripted_dmp import PatientDmp, ScriptedDmp, Step
from vaguemestre_testkit.sendings import (
    CLIENT,
    DOCTOR,
    SeededChance,
    SystemTime,
    frozen_ids,
    prepared,
    sending_context,
)

OTHER_ID = "1.2.250.1.999.1.1.20.2002"


class Bench(Protocol):
    """A port under test, and the failures that can be arranged around it."""

    @property
    def port(self) -> DmpPort: ...
    @property
    def context(self) -> SendingContext: ...
    async def unreachable(self) -> None: ...
    def fail_next(self, failure: str) -> None: ...
    def set_patient(self, state: PatientDmp) -> None: ...
    def bodies(self) -> int: ...
    def fail_next_change(self, failure: str) -> None: ...
    def changes(self) -> list[str]: ...


# failure → (step of the double, rule of the sandbox)
FAILURES: dict[str, tuple[Step, Rule]] = {
    "session_ended": (Step(sign=Sign.NO_SESSION), Rule(target=Target.PROXY_SEND, action=Action.SESSION_EXPIRED)),
    "token_refused": (Step(sign=Sign.API_401), Rule(target=Target.PROXY_SEND, action=Action.API_401)),
    "cut_after_storing": (
        Step(sign=Sign.CUT, stores=True),
        Rule(target=Target.DMP_TD21, action=Action.CUT_AFTER_STORE),
    ),
    "cut_before_storing": (Step(sign=Sign.CUT), Rule(target=Target.PROXY_SEND, action=Action.CUT_AFTER_BODY)),
    "cut_in_the_body": (
        Step(sign=Sign.CUT),
        Rule(target=Target.PROXY_SEND, action=Action.CUT_IN_BODY, after_bytes=1000),
    ),
    "gateway_timeout_after_storing": (
        Step(sign=Sign.HTTP_504, stores=True),
        Rule(target=Target.DMP_TD21, action=Action.STATUS_AFTER_STORE, status=504),
    ),
    "unavailable": (
        Step(sign=Sign.HTTP_503),
        Rule(target=Target.DMP_TD21, action=Action.STATUS_AFTER_READ, status=503),
    ),
    "html_after_storing": (
        Step(sign=Sign.HTML, stores=True),
        Rule(target=Target.DMP_TD21, action=Action.HTML),
    ),
    "garbage_after_storing": (
        Step(sign=Sign.NOT_XML, stores=True),
        Rule(target=Target.DMP_TD21, action=Action.GARBAGE_XML),
    ),
    "truncated_after_storing": (
        Step(sign=Sign.NOT_XML, stores=True),
        Rule(target=Target.DMP_TD21, action=Action.TRUNCATED_XML),
    ),
    "wrong_type_after_storing": (
        Step(sign=Sign.WRONG_TYPE, stores=True),
        Rule(target=Target.DMP_TD21, action=Action.WRONG_CONTENT_TYPE),
    ),
    "service_fault": (Step(sign=Sign.FAULT_RECEIVER), Rule(target=Target.DMP_TD21, action=Action.SOAP_FAULT)),
    "busy": (
        Step(sign=Sign.FAILURE_BUSY),
        Rule(target=Target.DMP_TD21, action=Action.XDS_ERROR, code="XDSRegistryBusy"),
    ),
    "internal": (
        Step(sign=Sign.FAILURE_INTERNAL),
        Rule(target=Target.DMP_TD21, action=Action.XDS_ERROR, code="XDSRepositoryError"),
    ),
    "metadata": (
        Step(sign=Sign.FAILURE_METADATA),
        Rule(target=Target.DMP_TD21, action=Action.XDS_ERROR, code="XDSRegistryMetadataError"),
    ),
    "unknown_code": (
        Step(sign=Sign.FAILURE_OTHER),
        Rule(target=Target.DMP_TD21, action=Action.XDS_ERROR, code="DMPJamaisVu"),
    ),
}


# failure → (step of the double, rule of the sandbox): what may happen to a change
CHANGE_FAILURES: dict[str, tuple[Step, Rule]] = {
    "cut_after_storing": (
        Step(sign=Sign.CUT, stores=True),
        Rule(target=Target.DMP_ITI57, action=Action.CUT_AFTER_STORE),
    ),
    "cut_before_storing": (Step(sign=Sign.HTTP_502), Rule(target=Target.DMP_ITI57, action=Action.CUT_AFTER_BODY)),
    "unavailable_after_storing": (
        Step(sign=Sign.HTTP_504, stores=True),
        Rule(target=Target.DMP_ITI57, action=Action.STATUS_AFTER_STORE, status=504),
    ),
    "garbage_after_storing": (
        Step(sign=Sign.NOT_XML, stores=True),
        Rule(target=Target.DMP_ITI57, action=Action.GARBAGE_XML),
    ),
    "service_fault": (Step(sign=Sign.FAULT_RECEIVER), Rule(target=Target.DMP_ITI57, action=Action.SOAP_FAULT)),
    "busy": (
        Step(sign=Sign.FAILURE_BUSY),
        Rule(target=Target.DMP_ITI57, action=Action.XDS_ERROR, code="XDSRegistryBusy"),
    ),
    "version": (
        Step(sign=Sign.FAILURE_VERSION),
        Rule(target=Target.DMP_ITI57, action=Action.XDS_ERROR, code="XDSMetadataVersionError"),
    ),
    "not_ours": (
        Step(sign=Sign.FAILURE_ACCESS),
        Rule(target=Target.DMP_ITI57, action=Action.XDS_ERROR, code="DMPAccessDenied"),
    ),
    "unknown_entry": (
        Step(sign=Sign.FAILURE_PREDECESSOR),
        Rule(target=Target.DMP_ITI57, action=Action.XDS_ERROR, code="UnresolvedReferenceException"),
    ),
}


class DoubleBench:
    def __init__(self) -> None:
        self.dmp = ScriptedDmp()
        self.context = sending_context()

    @property
    def port(self) -> DmpPort:
        return self.dmp

    async def unreachable(self) -> None:
        step = Step(sign=Sign.CONNECTION_REFUSED)
        self.dmp.submissions.append(step)
        self.dmp.existences.append(step)
        self.dmp.lookups.append(step)
        self.dmp.changes.append(step)

    def fail_next(self, failure: str) -> None:
        step = FAILURES[failure][0]
        self.dmp.submissions.append(step)

    def set_patient(self, state: PatientDmp) -> None:
        self.dmp.patients[PreparedDocument.from_bytes(prepared()).entry.patient_id] = state

    def bodies(self) -> int:
        return len(self.dmp.complete_bodies)

    def fail_next_change(self, failure: str) -> None:
        self.dmp.changes.append(CHANGE_FAILURES[failure][0])

    def changes(self) -> list[str]:
        return [transaction for _, transaction in self.dmp.complete_changes]


@dataclass
class SandboxBench:
    sandbox: Sandbox
    port: EsanteDmp
    context: SendingContext

    async def unreachable(self) -> None:
        await self.sandbox.listeners["proxy"].stop()

    def fail_next(self, failure: str) -> None:
        self.sandbox.book.add(FAILURES[failure][1])

    def set_patient(self, state: PatientDmp) -> None:
        entry = PreparedDocument.from_bytes(prepared()).entry
        matricule, _, rest = entry.patient_id.partition("^^^&")
        row = self.sandbox.store.patient(f"{matricule}^{rest.partition('&')[0]}")
        assert row is not None
        self.sandbox.store.put_patient(replace(row, dmp=state.value))

    def bodies(self) -> int:
        return len(self.sandbox.ledger.bodies())

    def fail_next_change(self, failure: str) -> None:
        self.sandbox.book.add(CHANGE_FAILURES[failure][1])

    def changes(self) -> list[str]:
        return [row.transaction for row in self.sandbox.ledger.changes() if row.stored]


@asynccontextmanager
async def double_bench(state_dir: Path, pki_dir: Path) -> AsyncIterator[Bench]:
    yield DoubleBench()


@asynccontextmanager
async def sandbox_bench(state_dir: Path, pki_dir: Path) -> AsyncIterator[Bench]:
    async with Sandbox.start(SandboxConfig(state_dir=state_dir, pki_dir=pki_dir)) as sandbox:
        session = sandbox.proxy.open_session(national_id=DOCTOR, client_id=CLIENT, session_state="etat")
        credential = sandbox.pki.structure_signature
        client = HttpClient(sandbox.addresses.proxy, TlsFiles(ca_file=sandbox.pki.authority.certificate_path))
        try:
            yield SandboxBench(
                sandbox=sandbox,
                port=EsanteDmp(
                    client,
                    shipped_profile("sandbox"),
                    SystemTime(),
                    SeededChance(),
                    signer=SoftwareSigner.from_files(credential.certificate_path, credential.key_path),
                ),
                context=sending_context(session.session_id),
            )
        finally:
            await client.aclose()


Opener = Callable[[], AbstractAsyncContextManager[Bench]]


class Counted:
    """before_first_byte that counts its calls."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls = 0
        self._error = error

    async def __call__(self) -> None:
        self.calls += 1
        if self._error is not None:
            raise self._error


async def submit(on: Bench, container: bytes, number: int = 1, commit: Counted | None = None) -> Outcome:
    ids = frozen_ids(number)
    signature = await on.port.sign(container, ids, on.context)
    return await on.port.submit(container, ids, signature, on.context, commit or Counted())


async def presence(on: Bench, container: bytes) -> Presence:
    return (await on.port.look_up(container, on.context)).presence
