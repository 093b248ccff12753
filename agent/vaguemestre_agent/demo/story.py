"""The story: cards are read, a document leaves, one is stopped, one is cut in mid-air and ends exactly once in the DMP.

Owns what is shown and in which order; every line comes from what the agent and the sandbox answered, never from what
was hoped. A story that does not end as it should raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaguemestre_agent.cli.orders import STATES
from vaguemestre_agent.demo.cardscene import CardScene, CardsSeen
from vaguemestre_agent.demo.waiting import until
from vaguemestre_agent.practice.agent import Practice
from vaguemestre_agent.practice.documents import DOCTOR
from vaguemestre_agent.practice.processes import Child
from vaguemestre_agent.practice.sandbox import RunningSandbox
from vaguemestre_api import wire
from vaguemestre_api.client import Client, DocumentBody
from vaguemestre_core.errors import UnexpectedError

MEDIA_TYPES: Final = {".pdf": "application/pdf", ".xml": "text/xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoDocument:
    """One document of the demonstration.

    Attributes:
        client_ref: the LGC's reference.
        name: what it is, in French.
        file: its bytes.
        metadata: its metadata.
    """

    client_ref: str
    name: str
    file: Path
    metadata: Path

    def body(self) -> DocumentBody:
        """Return the document as it is handed over."""
        return DocumentBody(
            metadata=self.metadata.read_bytes(),
            body=self.file.read_bytes(),
            media_type=MEDIA_TYPES[self.file.suffix],
        )


def demo_documents(folder: Path) -> tuple[DemoDocument, DemoDocument, DemoDocument]:
    """Return the three documents of a folder."""
    return (
        DemoDocument(
            client_ref="CR-2026-0001",
            name="compte rendu de consultation (PDF de texte)",
            file=folder / "consultation.pdf",
            metadata=folder / "consultation.json",
        ),
        DemoDocument(
            client_ref="LT-2026-0002",
            name="lettre numérisée (PDF d'image)",
            file=folder / "lettre-scannee.pdf",
            metadata=folder / "lettre-scannee.json",
        ),
        DemoDocument(
            client_ref="CM-2026-0003",
            name="certificat (CDA déjà fait par le logiciel)",
            file=folder / "certificat.cda.xml",
            metadata=folder / "certificat.cda.json",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the story ended.

    Attributes:
        documents: state of each document, by reference.
        complete_bodies: complete bodies the sandbox received.
        sent_twice: of these, those sent twice.
        ledger_lines: lines of the verified ledger.
        cards: what readers and codes gave.
    """

    documents: Mapping[str, str]
    complete_bodies: int
    sent_twice: int
    ledger_lines: int
    cards: CardsSeen


class Story:
    """Tells the demonstration.

    Args:
        practice: the agent's practice.
        sandbox: the simulated services.
        documents: the three documents.
        say: prints one line.
        running: the agents started, the living one last.
    """

    def __init__(
        self,
        practice: Practice,
        sandbox: RunningSandbox,
        documents: tuple[DemoDocument, DemoDocument, DemoDocument],
        say: Callable[[str], None],
        running: list[Child],
    ) -> None:
        self._running = running
        self._practice = practice
        self._sandbox = sandbox
        self._documents = documents
        self._say = say

    async def tell(self) -> Ending:
        """Tell it all; return how it ended. Raises UnexpectedError DEMO_ENDED_OTHERWISE."""
        sent, stopped, cut = self._documents
        cards = await CardScene(self._practice, self._sandbox, sent.metadata, self._say).tell()
        self._title("Le docteur se connecte (Pro Santé Connect, par le Proxy e-santé)")
        await self._open_session()
        await self._one_is_sent(sent)
        await self._one_is_stopped(stopped)
        await self._one_is_cut(cut)
        return await self._receipts(cards)

    def _title(self, text: str) -> None:
        self._say("")
        self._say(f"── {text}")

    async def _open_session(self) -> None:
        async with self._practice.client() as client:
            offer = await client.open_session(DOCTOR)
            self._say(f"   Le logiciel affiche le code {offer.binding_code} ; le docteur voit le même et accepte.")
            await until(client, self._has_session)
        self._say(
            "   Session ouverte. Le poste ne détient aucun jeton Pro Santé Connect, et rien n'est écrit sur disque."
        )

    async def _has_session(self, client: Client) -> bool:
        return bool(await client.session())

    async def _one_is_sent(self, document: DemoDocument) -> None:
        self._title(f"1. Un {document.name}")
        async with self._practice.client() as client:
            order = await self._deposit(client, document)
            self._say(f"   Part dans {_seconds_left(order)} s ; d'ici là, le docteur peut l'arrêter.")
            order = await self._until_state(client, document, "sent")
        self._say(
            f"   {_state_in_french(order).capitalize()}. Accusé du DMP : {order.receipt.get('registry_status', '?')}."
        )
        self._say(f"   Identifiant du document : {order.unique_id}")

    async def _one_is_stopped(self, document: DemoDocument) -> None:
        self._title(f"2. Une {document.name}, arrêtée à temps")
        async with self._practice.client() as client:
            order = await self._deposit(client, document)
            answer = await client.cancel(order.order_id)
        if answer.answer != "cancelled":
            raise UnexpectedError("DEMO_ENDED_OTHERWISE", step="stopped")
        held = await self._sandbox.inspection.held()
        if order.unique_id in held:
            raise UnexpectedError("DEMO_ENDED_OTHERWISE", step="stopped")
        self._say("   Le docteur annule : « annulé ». Le DMP n'a rien reçu, et rien ne partira.")

    async def _one_is_cut(self, document: DemoDocument) -> None:
        self._title(f"3. Un {document.name}, coupé en plein envoi")
        await self._sandbox.inspection.add_rule({"target": "dmp.td21", "action": "hang_after_store", "seconds": 30})
        async with self._practice.client() as client:
            await self._deposit(client, document)
            await self._until_state(client, document, "sending")
            await until(client, lambda _: self._is_held_by_the_dmp(document))
        self._say(
            "   L'envoi est parti, la réponse ne vient pas, et l'agent est tué net, comme par une panne de courant."
        )
        await self._running[-1].kill()
        await self._sandbox.inspection.clear_rules()
        child = await self._practice.start()
        self._running.append(child)
        await self._practice.wait_ready(child)
        async with self._practice.client() as client:
            order = (await client.document(document.client_ref)).orders[0]
            self._say(f"   L'agent redémarre et dit la vérité : « {_state_in_french(order)} ». Il ne renvoie rien.")
            self._say("   La session est morte avec lui : le docteur se connecte de nouveau.")
            await self._open_session()
            self._say("   L'agent demande au DMP s'il connaît l'identifiant de ce document.")
            order = await self._until_state(client, document, "sent")
        verdict = await self._sandbox.inspection.verdict()
        if verdict.sent_twice:
            raise UnexpectedError("DEMO_ENDED_OTHERWISE", step="cut")
        self._say(f"   {_state_in_french(order).capitalize()} : le DMP l'a, une seule fois.")
        self._say(f"   En tout, {verdict.complete_bodies} envois complets ont été reçus, 0 en double.")

    async def _is_held_by_the_dmp(self, document: DemoDocument) -> bool:
        async with self._practice.client() as client:
            order = (await client.document(document.client_ref)).orders[0]
        return order.unique_id in await self._sandbox.inspection.held()

    async def _receipts(self, cards: CardsSeen) -> Ending:
        self._title("Les accusés, dans le registre de l'agent")
        states: dict[str, str] = {}
        async with self._practice.client() as client:
            for document in self._documents:
                order = (await client.document(document.client_ref)).orders[0]
                states[document.client_ref] = order.state
                self._say(f"   {document.client_ref}  {_state_in_french(order)}")
                for name, value in sorted(order.receipt.items()):
                    self._say(f"      {name} : {value}")
            checked = await client.verify_ledger()
        self._say(f"   Registre vérifié : {checked.lines} lignes enchaînées.")
        verdict = await self._sandbox.inspection.verdict()
        return Ending(
            documents=states,
            complete_bodies=verdict.complete_bodies,
            sent_twice=verdict.sent_twice,
            ledger_lines=checked.lines,
            cards=cards,
        )

    async def _deposit(self, client: Client, document: DemoDocument) -> wire.Order:
        accepted = await client.put_document(document.client_ref, document.body(), idempotency_key=document.client_ref)
        self._say(f"   Le logiciel le confie à l'agent : accepté, et déjà durable sur disque ({document.client_ref}).")
        return accepted.order

    async def _until_state(self, client: Client, document: DemoDocument, state: str) -> wire.Order:
        found: list[wire.Order] = []

        async def reached(client: Client) -> bool:
            found[:] = [(await client.document(document.client_ref)).orders[0]]
            return found[0].state == state

        await until(client, reached)
        return found[0]


def _seconds_left(order: wire.Order) -> int:
    assert order.not_before is not None
    return round((order.not_before - order.accepted_at).total_seconds())


def _state_in_french(order: wire.Order) -> str:
    return STATES[order.state]
