"""What the window and the terminal say, in French: who asks, what for, whose card, what a wrong code costs.

Owns every sentence of the PIN question. Text of others (a program's name, a holder's) is cut and cleaned, so that it
can neither hide nor imitate ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vaguemestre_core.cpspin import MAX_TRIES, PIN_LENGTH, PinRequest, PinState, PinUse, Requester
from vaguemestre_core.redaction import REDACTED

TITLE: Final = "Vaguemestre : code de la carte CPS"
HEADING: Final = "Code porteur de votre carte"
FIELD: Final = f"Code à {PIN_LENGTH} chiffres"
ACCEPT: Final = "Valider"
CANCEL: Final = "Annuler"
PROMISE: Final = "Le code va à la carte et nulle part ailleurs."
TERMINAL_HELP: Final = "Entrée pour valider, Échap ou Ctrl-C pour annuler."

USES: Final[Mapping[PinUse, str]] = {
    PinUse.OPEN_SESSION: "travailler en votre nom jusqu'au retrait de la carte",
    PinUse.SIGN_DOCUMENTS: "signer des documents en votre nom",
    PinUse.INSI_CALL: "interroger le téléservice INSi en votre nom",
    PinUse.READ_PRIVATE: "lire vos situations d'exercice sur la carte",
}
REQUESTERS: Final[Mapping[Requester, str]] = {
    Requester.PERSON: "à l'instant, par une personne",
    Requester.BACKGROUND: "d'un travail en attente, sans geste de votre part",
}
TRIES: Final[Mapping[PinState, str]] = {
    PinState.UNKNOWN: "Nombre d'essais restants inconnu.",
    PinState.OK: f"{MAX_TRIES} essais restants.",
    PinState.LOW: f"Au plus {MAX_TRIES - 1} essais restants : un code faux a déjà été présenté.",
    PinState.LAST_TRY: "DERNIER ESSAI : un code faux bloque la carte.",
    PinState.BLOCKED: "La carte est bloquée : aucun code ne l'ouvrira.",
}
_SHOWN_MAX: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Wording:
    """The lines to show, in order; ``tries_urgent`` asks for emphasis."""

    asker: str
    requester: str
    use: str
    holder: str | None
    tries: str
    tries_urgent: bool

    def lines(self) -> tuple[str, ...]:
        """Return the lines as the terminal writes them."""
        holder = () if self.holder is None else (f"Carte de : {self.holder}",)
        who = (f"Programme : {self.asker}", f"Demande : {self.requester}", f"Pour : {self.use}", *holder)
        return (HEADING, *who, self.tries, PROMISE)

    def __repr__(self) -> str:
        return f"Wording({REDACTED})"


def wording(request: PinRequest) -> Wording:
    """Return what to show for a request."""
    return Wording(
        asker=shown(request.asker),
        requester=REQUESTERS[request.requester],
        use=USES[request.use],
        holder=None if request.holder is None else shown(request.holder.reveal()),
        tries=TRIES[request.state],
        tries_urgent=request.state in (PinState.LOW, PinState.LAST_TRY, PinState.BLOCKED),
    )


def counted(digits: int) -> str:
    """Return how far the typing is, for who cannot tell dots apart."""
    return f"{digits} chiffre{'s' if digits > 1 else ''} sur {PIN_LENGTH}"


def shown(text: str) -> str:
    """Return text of others on one line, printable, at most 60 characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _SHOWN_MAX else line[: _SHOWN_MAX - 1] + "…"
