"""The body of the route that makes a Datamatrix INS; the rules are the documents' own. Nothing of it is kept."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt

from vaguemestre_agent.localapi.calls import Answer, Call
from vaguemestre_api import wire_inscodes
from vaguemestre_api.codec import from_json
from vaguemestre_core.errors import InvalidInput
from vaguemestre_core.identities import BirthDate, IdentityStatus, Ins, InsSource, PatientIdentity, Sex
from vaguemestre_documents.scancodes.ins_writing import ins_symbol
from vaguemestre_documents.scancodes.picture import DEFAULT_MODULE_PX, png


async def make_ins_code(call: Call) -> Answer:
    """Return the picture of a qualified identity's code."""
    request = from_json(wire_inscodes.InsCodeRequest, call.body)
    status, sex = IdentityStatus(request.identity_status), Sex(request.sex)
    # Told before what makes an identity complete: these two have no code, whatever else they hold.
    if status is not IdentityStatus.QUALIFIEE:
        raise InvalidInput("INS_CODE_REFUSED", reason="not_qualified", pointer="/identity_status")
    if sex is Sex.INDETERMINE:
        raise InvalidInput("INS_CODE_REFUSED", reason="sex", pointer="/sex")
    identity = PatientIdentity(
        birth_name=request.birth_name,
        given_names=request.given_names,
        first_given_name=request.given_names.split(" ")[0],
        birth_date=BirthDate(value=_day(request.birth_date)),
        sex=sex,
        status=status,
        birth_place_cog=request.birth_place_cog,
        # A qualified identity holds what INSi gave: its key is not ours to dispute.
        ins=Ins(matricule=request.ins.matricule, oid=request.ins.oid, source=InsSource.INSI),
    )
    module_px = DEFAULT_MODULE_PX if request.module_px is None else request.module_px
    picture, modules = await asyncio.to_thread(_drawn, identity, module_px)
    return Answer(content=wire_inscodes.InsCode(png=base64.b64encode(picture).decode(), modules=modules))


def _drawn(identity: PatientIdentity, module_px: int) -> tuple[bytes, int]:
    made = ins_symbol(identity)
    return png(made, module_px=module_px), made.side


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise InvalidInput("TRAIT_INVALID", trait="birth_date", reason="not_a_date", pointer="/birth_date") from None
