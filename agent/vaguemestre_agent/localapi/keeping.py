"""The bodies of the routes about what is kept: erasure, and no rule of its own."""

from __future__ import annotations

from vaguemestre_agent.localapi.calls import Answer, Call
from vaguemestre_api import wire, wire_facts
from vaguemestre_api.codec import from_json
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.facts import patient_keys
from vaguemestre_core.identities import Ins, InsSource, LocalPatientId
from vaguemestre_core.keeping import ErasureReason, WaitingChoice


async def erase_patient(call: Call) -> Answer:
    """Erase a patient known by INS, by local number, or both."""
    request = from_json(wire_facts.ErasureRequest, call.body)
    # As INSi may have given it: the key of a number that is already filed here is not ours to dispute.
    ins = (
        None
        if request.ins is None
        else Ins(matricule=request.ins.matricule, oid=request.ins.oid, source=InsSource.INSI)
    )
    local = None if request.local_id is None else LocalPatientId(value=request.local_id.value, oid=request.local_id.oid)
    keys = patient_keys(ins, local)
    if not keys:
        raise InvalidInput("PATIENT_ID_MISSING", pointer="/local_id")
    report = await call.backend.keeping.erase_patient(
        keys, WaitingChoice(request.waiting), ErasureReason(request.reason), call.actor
    )
    return Answer(
        content=wire.ErasureReport(
            documents=report.documents,
            bodies=report.bodies,
            cancelled=report.cancelled,
            on_their_way=report.on_their_way,
            log_emptied=report.log_emptied,
        )
    )


async def list_backups(call: Call) -> Answer:
    """Show the backups of this store in the folder of the settings."""
    found = await call.backend.backups.known()
    return Answer(
        content=wire.BackupList(
            backups=tuple(
                wire.Backup(
                    name=facts.name,
                    made_at=facts.made_at,
                    size_bytes=facts.size_bytes,
                    orders=facts.orders,
                    open_orders=facts.open_orders,
                    bodies=facts.bodies,
                    ledger_lines=facts.anchor.seq,
                    ledger_head=facts.anchor.digest.hex(),
                    opens_with_recovery_key=facts.opens_with_recovery_key,
                    faults=facts.faults,
                )
                for facts in found
            )
        )
    )


async def make_backup(call: Call) -> Answer:
    """Have one made: it takes its time, health and the ledger tell the end."""
    await call.backend.backups.ask(call.actor)
    return Answer(status=202)
