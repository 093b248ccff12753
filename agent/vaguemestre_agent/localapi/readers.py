"""The routes of readers, cards and codes, and the event that tells readers. No rule lives here."""

from __future__ import annotations

import base64

from vaguemestre_agent.localapi import readerport as asked
from vaguemestre_agent.localapi.calls import Answer, Call
from vaguemestre_agent.localapi.refusals import RequestInvalid
from vaguemestre_api import openapi, wire_readers
from vaguemestre_api.codec import from_json
from vaguemestre_api.jsontypes import parse_object
from vaguemestre_api.messages import message
from vaguemestre_core.scans import BoxScan, InsScan, OpaqueScan, ScanKind


async def list_readers(call: Call) -> Answer:
    """Tell the readers."""
    return Answer(content=readers_to_wire(call.backend.readers.now()))


async def list_cards(call: Call) -> Answer:
    """Tell the cards in the readers."""
    cards = tuple(
        wire_readers.Card(
            card_id=seen.card_id,
            reader=seen.reader.name,
            kind=None if seen.reader.card is None else seen.reader.card.value,
            situation=_situation(seen.situation),
        )
        for seen in call.backend.readers.now().readers
        if seen.card_id is not None
    )
    return Answer(content=wire_readers.CardList(cards=cards))


async def read_beneficiaries(call: Call) -> Answer:
    """Read a carte Vitale."""
    card_id = call.path["card_id"]
    people = await call.backend.readers.read_vitale(card_id)
    content = wire_readers.Beneficiaries(card_id=card_id, beneficiaries=tuple(_beneficiary(item) for item in people))
    return Answer(content=content)


def _beneficiary(item: asked.CardPerson) -> wire_readers.Beneficiary:
    return wire_readers.Beneficiary(
        position=item.position,
        usual_name=item.usual_name,
        given_name=item.given_name,
        birth_name=item.birth_name,
        birth_date=item.birth_date,
        is_lunar=item.is_lunar,
        birth_rank=item.birth_rank,
        nir=item.nir,
        nir_key=item.nir_key,
        is_certified=item.is_certified,
    )


async def scan(call: Call) -> Answer:
    """Read codes."""
    upload = call.upload
    assert upload is not None
    metadata = parse_object(upload.metadata)
    wrong = list(openapi.schemas().violations(metadata, openapi.schemas().named("ScanRequest"), "/metadata"))
    if wrong:
        raise RequestInvalid([(f"SCHEMA_{item.keyword.upper()}", item.pointer) for item in wrong])
    request = from_json(wire_readers.ScanRequest, metadata)
    expected = None if request.expected is None else ScanKind(request.expected)
    found = await call.backend.readers.scan(call.caller, upload.body, upload.media_type, expected)
    codes = tuple(_code(item) for item in found.codes)
    return Answer(content=wire_readers.Scan(codes=codes, pages_read=found.pages_read, pages_left=found.pages_left))


def readers_to_wire(seen: asked.SeenReaders) -> wire_readers.Readers:
    """Return the readers as they are shown."""
    readers = tuple(
        wire_readers.Reader(
            name=item.reader.name,
            state=item.reader.state.value,
            card=None if item.reader.card is None else item.reader.card.value,
            card_id=item.card_id,
            is_shared=item.reader.is_shared,
            situation=_situation(item.situation),
        )
        for item in seen.readers
    )
    return wire_readers.Readers(state=seen.state.value, trouble=_situation(seen.trouble), readers=readers)


def _situation(code: str | None) -> wire_readers.Situation | None:
    if code is None:
        return None
    said = message(code)
    return wire_readers.Situation(code=code, title=said.title, action=said.action)


def _code(item: asked.SeenCode) -> wire_readers.Code:
    ins, box, opaque = None, None, None
    match item.scan:
        case InsScan() as read:
            ins = wire_readers.InsTraits(
                matricule=read.matricule,
                oid=read.oid,
                birth_name=read.birth_name,
                given_names=read.given_names,
                sex=read.sex.value,
                birth_date=read.birth_date_text,
                birth_place=read.birth_place_cog,
                hints=tuple(sorted(hint.value for hint in read.hints)),
            )
        case BoxScan() as read:
            box = wire_readers.BoxCode(
                gtin=read.gtin,
                cip13=read.cip13,
                lot=read.lot,
                expiry=None if read.expiry is None else read.expiry.isoformat(),
                expiry_day_known=read.expiry_day_known,
                serial=read.serial,
                hints=tuple(sorted(hint.value for hint in read.hints)),
            )
        case OpaqueScan() as read:
            opaque = base64.b64encode(read.content.reveal()).decode("ascii")
        case None:
            pass
    return wire_readers.Code(
        page=item.page,
        source=item.source.value,
        kind=None if item.kind is None else item.kind.value,
        withheld=item.is_withheld,
        failure=_situation(item.failure),
        ins=ins,
        box=box,
        opaque=opaque,
    )
