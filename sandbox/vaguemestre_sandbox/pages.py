"""The French inspection page: one accessible HTML document, no script, no outside resource.

Owns the HTML and its style sheet; receives rows and returns text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from vaguemestre_sandbox.failures import ArmedRule
from vaguemestre_sandbox.ledger import AnswerRow, BodyRow, Outcome, Verdict
from vaguemestre_sandbox.proxy import ProxySession
from vaguemestre_sandbox.psc import Prompt
from vaguemestre_sandbox.store import DocumentRow, PatientRow

_SHOWN: Final = 200
_OUTCOMES: Final = {
    Outcome.PROCESSING: "en cours de traitement",
    Outcome.STORED: "enregistré",
    Outcome.STORED_CUT: "enregistré, puis connexion coupée",
    Outcome.STORED_UNSAID: "enregistré, mais la réponse ne l’a pas dit",
    Outcome.REFUSED: "refusé",
    Outcome.CUT: "non enregistré, connexion coupée",
    Outcome.DROPPED: "non enregistré, et la réponse ne l’a pas dit",
    Outcome.INTERRUPTED: "non enregistré, service arrêté en cours de route",
}
_DMP_STATES: Final = {"open": "ouvert", "closed": "fermé", "none": "inexistant"}

_STATUSES: Final = {"Approved": "en vigueur", "Deprecated": "remplacé", "Archived": "archivé", "Deleted": "supprimé"}
_VISIBILITIES: Final = {
    "INVISIBLE_PATIENT": "invisible au patient",
    "INVISIBLE_REPRESENTANTS_LEGAUX": "invisible aux représentants légaux",
    "MASQUE_PS": "masqué aux professionnels",
}

STYLE: Final = """
:root { color-scheme: light dark; --line: #8a8f98; --bad: #b00020; --good: #0a6b2d; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #7bd88f; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 0 1rem 3rem; }
a.skip { position: absolute; left: -99rem; } a.skip:focus { left: 1rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; padding: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: left; padding: .25rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; }
td.code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
dl.counts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; }
dl.counts div { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .75rem; }
dl.counts dt { font-size: .9rem; } dl.counts dd { margin: 0; font-size: 1.7rem; font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; } .good { color: var(--good); font-weight: 600; }
form { display: inline; } button { font: inherit; padding: .3rem .8rem; }
:focus-visible { outline: 3px solid #2563eb; outline-offset: 2px; }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageState:
    """Everything that the page shows."""

    now: str
    refresh_s: int
    verdict: Verdict
    patients: tuple[PatientRow, ...]
    documents: tuple[DocumentRow, ...]
    bodies: tuple[BodyRow, ...]
    changes: tuple[BodyRow, ...]
    answers: tuple[AnswerRow, ...]
    sessions: tuple[ProxySession, ...]
    pending: tuple[Prompt, ...]
    rules: tuple[ArmedRule, ...]


def render_page(state: PageState) -> str:
    """Return the whole page, well formed as XML too."""
    refresh = f'<meta http-equiv="refresh" content="{state.refresh_s}"/>' if state.refresh_s else ""
    sections = (
        ("verdict", "Verdict du fil", _verdict(state)),
        ("validations", "Validations en attente", _pending(state)),
        ("documents", "Documents détenus", _documents(state)),
        ("corps", "Corps complets reçus", _bodies(state)),
        ("modifications", "Modifications complètes reçues", _changes(state)),
        ("reponses", "Réponses de recherche", _answers(state)),
        ("patients", "Patients fictifs", _patients(state)),
        ("sessions", "Sessions du proxy", _sessions(state)),
        ("pannes", "Pannes programmées", _rules(state)),
    )
    menu = "".join(f'<li><a href="#{key}">{title}</a></li>' for key, title, _ in sections)
    body = "".join(
        f'<section aria-labelledby="{key}"><h2 id="{key}">{title}</h2>{content}</section>'
        for key, title, content in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="fr" xmlns="http://www.w3.org/1999/xhtml"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f'{refresh}<title>Bac à sable Vaguemestre</title><link rel="stylesheet" href="/style.css"/></head><body>'
        '<a class="skip" href="#contenu">Aller au contenu</a>'
        "<header><h1>Bac à sable Vaguemestre</h1><p>Services nationaux simulés, personnes inventées. "
        f"Heure du bac à sable : <time>{escape(state.now)}</time>. {_refresh_links(state.refresh_s)}</p>"
        f'<nav aria-label="Sections"><ul>{menu}</ul></nav></header><main id="contenu">{body}</main></body></html>'
    )


def _refresh_links(current: int) -> str:
    if current:
        return f'Actualisation toutes les {current} s. <a href="/">Arrêter l’actualisation</a>'
    return '<a href="/?actualiser=5">Actualiser toutes les 5 s</a>'


def _table(caption: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table; cells are HTML already."""
    if not rows:
        return f"<p>{caption} : aucun élément.</p>"
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wide" role="region" aria-label="{caption}" tabindex="0"><table><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    ).replace("<td><code>", '<td class="code"><code>')


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _yes(value: bool) -> str:
    return "oui" if value else "non"


def _verdict(state: PageState) -> str:
    verdict = state.verdict
    counts = (
        ("Documents détenus", len(state.documents), ""),
        ("Documents vus sur le fil", verdict.documents, ""),
        ("Corps complets reçus", verdict.complete_bodies, ""),
        ("Envoyés deux fois", verdict.sent_twice, "bad" if verdict.sent_twice else "good"),
        ("En cours de traitement", verdict.processing, ""),
        ("« Inconnu » valables", verdict.unknown_valid, ""),
        ("« Inconnu » sans valeur", verdict.unknown_invalid, ""),
    )
    cells = "".join(
        f"<div><dt>{name}</dt><dd{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{value}</dd></div>"
        for name, value, kind in counts
    )
    told = (
        f'<p class="bad">{verdict.sent_twice} renvoi(s) sans réponse « inconnu » valable.</p>'
        if verdict.sent_twice
        else '<p class="good">Aucun document envoyé deux fois.</p>'
    )
    return f'<dl class="counts">{cells}</dl>{told}'


def _pending(state: PageState) -> str:
    rows = [
        (
            _code(prompt.national_id),
            f"<strong>{escape(prompt.binding_message)}</strong>",
            "carte" if prompt.channel == "CARD" else "téléphone",
            "".join(
                f'<form method="post" action="/approvals/{escape(prompt.prompt_id)}">'
                f'<button name="decision" value="{value}">{label}</button></form> '
                for value, label in (("accept", "Accepter"), ("deny", "Refuser"))
            ),
        )
        for prompt in state.pending
    ]
    return _table("Validations demandées", ("Professionnel", "Code affiché", "Moyen", "Réponse"), rows)


def _documents(state: PageState) -> str:
    rows = [
        (
            _code(row.unique_id),
            escape(row.title),
            _code(row.patient.partition("^")[0]),
            f"<time>{escape(row.stored_at)}</time>",
            _STATUSES[row.status],
            str(row.version),
            "<br/>".join(_VISIBILITIES[code] for code in row.visibility) or "sans restriction",
            f'<a href="/documents/{escape(row.unique_id)}/cda">CDA</a> '
            f'<a href="/documents/{escape(row.unique_id)}/body">corps</a> '
            f'<a href="/api/documents/{escape(row.unique_id)}/entry">métadonnées</a>',
        )
        for row in state.documents[-_SHOWN:]
    ]
    heads = ("Identifiant unique", "Titre", "Matricule", "Enregistré le", "État", "Version", "Visibilité", "Contenu")
    return _table("Documents détenus par le DMP simulé", heads, rows)


def _bodies(state: PageState) -> str:
    rows = [
        (
            str(row.order),
            f"<time>{escape(row.at)}</time>",
            _code(row.unique_id or "illisible"),
            f"{_OUTCOMES[row.outcome]}{f' ({escape(row.code)})' if row.code else ''}",
            "–" if row.finished_order is None else str(row.finished_order),
            _code(row.sha256[:16]),
        )
        for row in state.bodies[-_SHOWN:]
    ]
    heads = ("Ordre", "Reçu le", "Identifiant unique", "Issue", "Fin", "SHA-256 (début)")
    return _table("Corps complets reçus en TD2.1", heads, rows)


def _changes(state: PageState) -> str:
    rows = [
        (
            str(row.order),
            f"<time>{escape(row.at)}</time>",
            _code(row.unique_id or "illisible"),
            escape(row.transaction),
            f"{_OUTCOMES[row.outcome]}{f' ({escape(row.code)})' if row.code else ''}",
        )
        for row in state.changes[-_SHOWN:]
    ]
    heads = ("Ordre", "Reçue le", "Identifiant unique", "Transaction", "Issue")
    return _table("Modifications complètes reçues (ITI-57)", heads, rows)


def _answers(state: PageState) -> str:
    rows = [
        (
            str(row.order),
            f"<time>{escape(row.at)}</time>",
            _code(row.unique_id),
            "trouvé" if row.found else ("inconnu, valable" if row.valid else "inconnu, sans valeur"),
            _yes(row.in_processing),
            _yes(row.delivered),
        )
        for row in state.answers[-_SHOWN:]
    ]
    heads = ("Ordre", "Donnée le", "Identifiant unique", "Réponse", "Corps en cours", "Remise")
    return _table("Réponses données en TD3.1", heads, rows)


def _patients(state: PageState) -> str:
    rows = [
        (
            _code(row.matricule),
            escape(f"{row.family} {row.given}"),
            _DMP_STATES[row.dmp],
            escape(row.authorization),
            _yes(row.ens),
        )
        for row in state.patients
    ]
    return _table("Patients", ("Matricule", "Identité", "DMP", "Autorisation", "Mon espace santé"), rows)


def _sessions(state: PageState) -> str:
    rows = [
        (
            _code(session.national_id),
            _code(session.client_id),
            f"<time>{session.opened_at.isoformat(timespec='seconds')}</time>",
            f"<time>{session.ends_at.isoformat(timespec='seconds')}</time>",
        )
        for session in state.sessions
    ]
    return _table("Sessions ouvertes", ("Professionnel", "Logiciel", "Ouverte", "Finit"), rows)


def _rules(state: PageState) -> str:
    rows = [
        (
            str(armed.rule_id),
            _code(armed.rule.target),
            _code(armed.rule.action),
            "toujours" if armed.left is None else str(armed.left),
            str(armed.applied),
        )
        for armed in state.rules
    ]
    return _table("Pannes en vigueur", ("N°", "Cible", "Panne", "Reste", "Appliquée"), rows)
