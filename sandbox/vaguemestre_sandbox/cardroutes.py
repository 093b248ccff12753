"""Routes of the inspection port for readers and cards: what is in them, put one in, pull it.

GET    /api/cards                  readers and the cards that can be put in
PUT    /api/readers/{slot}/card    {"card": name, "pulled_at": n}
DELETE /api/readers/{slot}/card
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from aiohttp import web

from vaguemestre_sandbox.cards.catalogue import offers
from vaguemestre_sandbox.cards.rack import CardRack, ReaderAbsent
from vaguemestre_sandbox.testerinput import BadRequestError, path_integer, read_object, text, whole


class CardRoutes:
    """Handlers over one rack."""

    def __init__(self, rack: CardRack) -> None:
        self._rack = rack

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to the inspection port, whose guard covers them."""
        return [
            web.get("/api/cards", self._cards),
            web.put("/api/readers/{slot}/card", self._insert),
            web.delete("/api/readers/{slot}/card", self._remove),
        ]

    async def _cards(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(
            {
                "readers": [asdict(row) for row in self._rack.rows()],
                "cards": [{"name": offer.name, "title": offer.title} for offer in offers().values()],
            }
        )

    async def _insert(self, request: web.Request) -> web.StreamResponse:
        slot = self._slot(request)
        asked = await read_object(request)
        name, pulled_at = text(asked, "card"), whole(asked, "pulled_at", None)
        if name not in offers():
            raise BadRequestError(f"carte inconnue : {name}")
        if pulled_at is not None and pulled_at < 1:
            raise BadRequestError("pulled_at: 1 ou plus")
        try:
            await asyncio.to_thread(self._rack.insert, slot, name, pulled_at=pulled_at)
        except ReaderAbsent:
            port = self._rack.ports[slot]
            return web.json_response({"error": f"aucun lecteur n'écoute sur le port {port}"}, status=409)
        return web.json_response(asdict(self._rack.rows()[slot]))

    async def _remove(self, request: web.Request) -> web.StreamResponse:
        slot = self._slot(request)
        removed = await asyncio.to_thread(self._rack.remove, slot)
        return web.json_response({"removed": removed})

    def _slot(self, request: web.Request) -> int:
        slot = path_integer(request, "slot")
        if slot >= len(self._rack.ports):
            raise web.HTTPNotFound
        return slot
