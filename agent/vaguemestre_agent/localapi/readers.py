"""The routes of readers, cards and codes, and the event that tells readers. No rule lives here."""

from __future__ import annotations

import base64

from vaguemestre_agent.localapi import readerport as asked
from vaguemestre_agent.localapi.calls import Answer, Call
from vaguemestre_agent.localapi.reading import check_schema
from vaguemestre_api import wire_readers
from vaguemestre_api.codec import from_json
from vaguemestre_api.jsontypes import parse_object
from vaguemestre_api.messages import fill, message
from vaguemestre_core.scans import BoxScan, InsScan, OpaqueScan, ScanKind


async def list_readers(call: Call) -> Answer:
    """Tell the readers."""
    return Answer(content=readers_to_wire(call.backend.readers.now()))


async def list_cards(call: Call) -> Answer:
    """Tell the cards in the readers."""
    cards = tuple(card_to_wire(seen) for seen in call.backend.readers.cards(call.caller))
    return Answer(content=wire_readers.CardList(cards=cards))


async def log_in_card(call: Call) -> Answer:
    """Have a PIN asked for; the event ``card`` tells how it ends."""
    card_id = call.path["card_id"]
    attempt = call.backend.readers.log_in(call.caller, card_id)
    return Answer(content=wire_readers.CardLogin(card_id=card_id, attempt=attempt), status=202)


async def log_out_card(call: Call) -> Answer:
    """Close a card's session."""
    await call.backend.readers.log_out(call.path["card_id"])
    return Answer(status=204)


def card_to_wire(seen: asked.SeenCard) -> wire_readers.Card:
    """Return a card as it is shown."""
    reader = seen.place.reader
    return wire_readers.Card(
        card_id=seen.card_id,
        reader=reader.name,
        kind=None if reader.card is None else reader.card.value,
        situation=_situation(seen.place.situation),
        professional=None if seen.professional is None else _professional(seen.professional, seen.is_withheld),
    )


def _professional(seen: asked.SeenProfessional, is_withheld: bool) -> wire_readers.ProfessionalCard:
    return wire_readers.ProfessionalCard(
        holder=None if seen.holder is None else _holder(seen.holder),
        withheld=is_withheld,
        unread=_situation(seen.unread),
        expiry=None if seen.notice is None else seen.notice.value,
        days_left=seen.days_left,
        session=seen.session.value,
        attempt=seen.attempt,
        failure=_situation(seen.failure),
    )


def _holder(holder: asked.HolderCard) -> wire_readers.CardHolder:
    return wire_readers.CardHolder(
        national_id=holder.national_id.value,
        family_name=holder.family_name,
        given_name=holder.given_name,
        title=holder.title,
        profession=holder.profession,
        specialty=holder.specialty,
        category=holder.category.name.lower(),
        is_test=holder.is_test,
        valid_from=holder.validity.begins_at.date().isoformat(),
        valid_until=holder.validity.ends_at.date().isoformat(),
        pin=holder.pin.value,
    )


async def read_beneficiaries(call: Call) -> Answer:
    """Read a carte Vitale."""
    card_id = call.path["card_id"]
    read = await call.backend.readers.read_vitale(card_id)
    people = tuple(_beneficiary(item) for item in read.people)
    return Answer(content=wire_readers.Beneficiaries(card_id=card_id, reading=read.reading, beneficiaries=people))


async def confirm_beneficiary(call: Call) -> Answer:
    """Read the card again and tell the person chosen."""
    request = from_json(wire_readers.BeneficiaryChoice, call.body)
    person = await call.backend.readers.confirm_vitale(call.path["card_id"], request.reading, request.position)
    return Answer(content=_beneficiary(person))


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
    check_schema(metadata, "ScanRequest", "/metadata")
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
    return wire_readers.Readers(
        state=seen.state.value,
        trouble=_situation(seen.trouble),
        readers=readers,
        scanners=tuple(_scanner(item) for item in seen.scanners),
    )


def scan_event_to_wire(event: asked.ScanEvent) -> wire_readers.ScanEvent:
    """Return a code of a scanner as it is told."""
    return wire_readers.ScanEvent(scanner=event.scanner, at=event.at, code=_code(event.code))


def _scanner(item: asked.Scanner) -> wire_readers.Scanner:
    return wire_readers.Scanner(
        name=item.name,
        kind=item.kind.value,
        ready=item.is_ready,
        situation=_situation(None if item.situation is None else item.situation.value),
    )


def _situation(code: str | None) -> wire_readers.Situation | None:
    if code is None:
        return None
    said = message(code)
    # What the sentence could name is not kept: a question mark stands for it.
    return wire_readers.Situation(code=code, title=fill(said.title, {}), action=fill(said.action, {}))


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
