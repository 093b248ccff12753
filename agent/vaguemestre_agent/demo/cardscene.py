"""The scene of the readers: a CPS and a carte Vitale are put in, a box and an INS code are scanned, the cards go.

Owns what is shown of it. The cards are the sandbox's and the pictures are made here; what reads them is the agent's
own readers process. Without the decoder's libraries the codes are left out, and that is said.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaguemestre_agent.cli.readers import kind_in_words
from vaguemestre_agent.demo.waiting import until
from vaguemestre_agent.practice.agent import Practice
from vaguemestre_agent.practice.sandbox import RunningSandbox
from vaguemestre_api import wire_facts, wire_inscodes, wire_readers
from vaguemestre_api.client import Client
from vaguemestre_api.failures import ApiProblem
from vaguemestre_core.errors import UnexpectedError
from vaguemestre_core.identities import PatientIdentity
from vaguemestre_documents.metadata_parsing import parse_patient
from vaguemestre_documents.scancodes.datamatrix import symbol
from vaguemestre_documents.scancodes.picture import png

DOCTORS_SLOT: Final = 0
PATIENTS_SLOT: Final = 1
FNC1: Final = 232  # codeword of a Data Matrix: what follows is GS1
BOX: Final = "0103400930000014" + "17281100" + "10LOT42"  # GTIN, expiry without a day, lot


@dataclass(frozen=True, slots=True, kw_only=True)
class CardsSeen:
    """What the agent saw.

    Attributes:
        kinds: kinds of the two cards.
        beneficiaries: persons read from the Vitale.
        codes: kinds of the codes read from pictures; none when no decoder is installed.
    """

    kinds: tuple[str, ...]
    beneficiaries: int
    codes: tuple[str, ...]


class CardScene:
    """Tells the scene.

    Args:
        practice: the agent's practice, with two virtual readers.
        sandbox: it has the cards.
        metadata: metadata of a document whose patient, of qualified identity, gets an INS code.
        say: prints one line.
    """

    def __init__(self, practice: Practice, sandbox: RunningSandbox, metadata: Path, say: Callable[[str], None]) -> None:
        self._practice = practice
        self._sandbox = sandbox
        self._patient = _patient(metadata)
        self._say = say

    async def tell(self) -> CardsSeen:
        """Tell it; return what was seen. Raises UnexpectedError DEMO_ENDED_OTHERWISE."""
        self._say("")
        self._say("── Les lecteurs, les cartes et les codes (cartes virtuelles, lues par les vrais pilotes)")
        async with self._practice.client() as client:
            await until(client, _are_ready)
            readers = (await client.readers()).readers
            self._say(f"   L'agent voit {len(readers)} lecteurs, vides.")
            doctors = await self._insert(client, DOCTORS_SLOT, "cps3", "Le docteur met sa carte")
            patients = await self._insert(client, PATIENTS_SLOT, "vitale2", "Le patient donne la sienne")
            beneficiaries = await self._beneficiaries(client, patients)
            codes = await self._codes(client)
            await self._remove(client, patients)
        return CardsSeen(kinds=(doctors.kind or "", patients.kind or ""), beneficiaries=len(beneficiaries), codes=codes)

    async def _insert(self, client: Client, slot: int, name: str, who: str) -> wire_readers.Card:
        before = {card.card_id for card in await client.cards()}
        await self._sandbox.inspection.insert_card(slot, name)
        new: list[wire_readers.Card] = []

        async def is_seen(client: Client) -> bool:
            new[:] = [card for card in await client.cards() if card.card_id not in before]
            return bool(new)

        await until(client, is_seen)
        card = new[0]
        if card.kind != name:
            raise UnexpectedError("DEMO_ENDED_OTHERWISE", step="cards")
        self._say(f"   {who}. L'agent : « {kind_in_words(card.kind)} » dans le lecteur « {card.reader} ».")
        return card

    async def _beneficiaries(self, client: Client, card: wire_readers.Card) -> tuple[wire_readers.Beneficiary, ...]:
        read = (await client.beneficiaries(card.card_id)).beneficiaries
        if not read:
            raise UnexpectedError("DEMO_ENDED_OTHERWISE", step="beneficiaries")
        self._say("   Le logiciel, qui a le droit « identity », demande les bénéficiaires de la carte Vitale :")
        for person in read:
            born = _day(person.birth_date) + (" (date lunaire)" if person.is_lunar else "")
            self._say(f"      {person.usual_name} {person.given_name}, {born}, NIR {person.nir or 'absent'}")
        return read

    async def _codes(self, client: Client) -> tuple[str, ...]:
        try:
            box = await self._scan(client, png(symbol(_box_codewords()), is_ins=False))
        except ApiProblem as refused:
            if refused.code != "DECODER_ABSENT":
                raise
            self._say(f"   Codes d'images laissés de côté : {refused.problem.title} (extra « readers »).")
            return ()
        ins = await self._scan(client, await self._ins_picture(client))
        if box.box is None or ins.ins is None or ins.ins.matricule != self._ins().matricule:
            raise UnexpectedError("DEMO_ENDED_OTHERWISE", step="codes")
        shown, traits = box.box, ins.ins
        until_day = _day(shown.expiry)
        self._say(f"   L'image d'une boîte : CIP13 {shown.cip13}, lot {shown.lot}, à utiliser jusqu'au {until_day}.")
        self._say("   L'image d'un Datamatrix INS, que l'agent a lui-même fabriqué :")
        self._say(
            f"      {traits.birth_name} {traits.given_names}, {traits.birth_date}, {traits.matricule} ; "
            "des traits lus, pas encore une identité vérifiée."
        )
        return (box.kind or "", ins.kind or "")

    async def _scan(self, client: Client, picture: bytes) -> wire_readers.Code:
        codes = (await client.scan(picture, "image/png")).codes
        if len(codes) != 1:
            raise UnexpectedError("DEMO_ENDED_OTHERWISE", step="codes")
        return codes[0]

    async def _ins_picture(self, client: Client) -> bytes:
        patient = self._patient
        request = wire_inscodes.InsCodeRequest(
            identity_status=patient.status.value,
            ins=self._ins(),
            birth_name=patient.birth_name,
            given_names=patient.given_names,
            sex=patient.sex.value,
            birth_date=patient.birth_date.value.isoformat(),
            birth_place_cog=patient.birth_place_cog or "",
        )
        return base64.b64decode((await client.make_ins_code(request)).png)

    def _ins(self) -> wire_facts.InsIdentifier:
        ins = self._patient.transmissible_ins()
        if ins is None:
            raise UnexpectedError("DEMO_ENDED_OTHERWISE", step="codes")
        return wire_facts.InsIdentifier(matricule=ins.matricule, oid=ins.oid)

    async def _remove(self, client: Client, patients: wire_readers.Card) -> None:
        for slot in (PATIENTS_SLOT, DOCTORS_SLOT):
            await self._sandbox.inspection.remove_card(slot)
        await until(client, _are_ready)
        try:
            await client.beneficiaries(patients.card_id)
        except ApiProblem as refused:
            if refused.code != "CARD_STAY_OVER":
                raise
            self._say(f"   Les cartes sont retirées. Relire la Vitale ? L'agent : « {refused.problem.title} »")
            return
        raise UnexpectedError("DEMO_ENDED_OTHERWISE", step="removal")


async def _are_ready(client: Client) -> bool:
    """Every reader is seen, and empty."""
    found = await client.readers()
    return found.state == "running" and len(found.readers) > PATIENTS_SLOT and not await client.cards()


def _patient(metadata: Path) -> PatientIdentity:
    return parse_patient(json.loads(metadata.read_text(encoding="utf-8"))["patient"])


def _day(date: str | None) -> str:
    """Return a date of eight digits, whole or with hyphens, as it is written in French; a lunar one has its zeros."""
    if date is None:
        return "sans date"
    digits = date.replace("-", "")
    return f"{digits[6:]}/{digits[4:6]}/{digits[:4]}"


def _box_codewords() -> bytes:
    return bytes([FNC1, *(ord(letter) + 1 for letter in BOX)])
