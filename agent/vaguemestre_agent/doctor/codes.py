"""The codes of the doctor's findings and what is said under each: to the doctor, to the technician, and what to do.

Owns the sentences; those of the middleware are the error catalogue's. A sentence may name facts as ``{name}``; none of
them is personal. ``docs/doctor.md`` shows this table (a test compares). Judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from functools import cache
from types import MappingProxyType
from typing import Final

from vaguemestre_api.messages import message
from vaguemestre_core.cps import CpsSituation
from vaguemestre_drivers.cps.probing import TechnicalReason


@unique
class Weight(StrEnum):
    """Whether a finding is a fault, or only explains."""

    FAULT = "fault"
    NOTICE = "notice"


@unique
class Code(StrEnum):
    """Stable codes, in the order in which findings are told: causes first."""

    PCSC_LIBRARY_ABSENT = "PCSC_LIBRARY_ABSENT"
    PCSC_NOT_INSTALLED = "PCSC_NOT_INSTALLED"
    PCSC_DISABLED = "PCSC_DISABLED"
    PCSC_SERVICE_STOPPED = "PCSC_SERVICE_STOPPED"
    PCSC_SOCKET_DENIED = "PCSC_SOCKET_DENIED"
    PCSC_NOT_ALLOWED = "PCSC_NOT_ALLOWED"
    PCSC_REFUSES = "PCSC_REFUSES"
    PCSC_CRASHES = "PCSC_CRASHES"
    PCSC_SILENT = "PCSC_SILENT"
    PCSC_NOT_TRIED = "PCSC_NOT_TRIED"
    REMOTE_SESSION_NO_READER = "REMOTE_SESSION_NO_READER"
    READER_DRIVER_MISSING = "READER_DRIVER_MISSING"
    READER_NOT_PLUGGED = "READER_NOT_PLUGGED"
    READER_NOT_ANSWERING = "READER_NOT_ANSWERING"
    READER_KEPT = "READER_KEPT"
    CARD_OWNED_BY_MACOS = "CARD_OWNED_BY_MACOS"
    CARD_SAYS_NOTHING = "CARD_SAYS_NOTHING"
    CARD_NOT_KNOWN = "CARD_NOT_KNOWN"
    CARD_NOT_INSERTED = "CARD_NOT_INSERTED"
    MIDDLEWARE_NO_FILE = "MIDDLEWARE_NO_FILE"
    MIDDLEWARE_OVERRIDE_MISSING = "MIDDLEWARE_OVERRIDE_MISSING"
    MIDDLEWARE_UNREADABLE_FILE = "MIDDLEWARE_UNREADABLE_FILE"
    MIDDLEWARE_NOT_A_LIBRARY = "MIDDLEWARE_NOT_A_LIBRARY"
    MIDDLEWARE_OTHER_ARCHITECTURE = "MIDDLEWARE_OTHER_ARCHITECTURE"
    MIDDLEWARE_DEPENDENCY_MISSING = "MIDDLEWARE_DEPENDENCY_MISSING"
    MIDDLEWARE_NO_ENTRY_POINT = "MIDDLEWARE_NO_ENTRY_POINT"
    MIDDLEWARE_CALL_FAILED = "MIDDLEWARE_CALL_FAILED"
    MIDDLEWARE_CRASHED = "MIDDLEWARE_CRASHED"
    MIDDLEWARE_SILENT = "MIDDLEWARE_SILENT"
    MIDDLEWARE_TOO_OLD = "MIDDLEWARE_TOO_OLD"
    MIDDLEWARE_NOT_TRIED = "MIDDLEWARE_NOT_TRIED"
    MIDDLEWARE_NO_READER = "MIDDLEWARE_NO_READER"
    MIDDLEWARE_NO_CARD = "MIDDLEWARE_NO_CARD"
    MIDDLEWARE_SEVERAL = "MIDDLEWARE_SEVERAL"
    GALSS_INI_EMPTY = "GALSS_INI_EMPTY"
    GALSS_SERIAL_PORT = "GALSS_SERIAL_PORT"
    GALSS_LEFT = "GALSS_LEFT"
    AGENT_DOWN = "AGENT_DOWN"
    AGENT_SOCKET_DENIED = "AGENT_SOCKET_DENIED"
    AGENT_ANSWERS_NOT = "AGENT_ANSWERS_NOT"
    AGENT_ANSWERS_WRONG = "AGENT_ANSWERS_WRONG"
    AGENT_SETTINGS_WRONG = "AGENT_SETTINGS_WRONG"
    AGENT_NOT_READY = "AGENT_NOT_READY"
    AGENT_WARNS = "AGENT_WARNS"
    AGENT_CLOCK_MOVED = "AGENT_CLOCK_MOVED"
    AGENT_READERS_OFF = "AGENT_READERS_OFF"
    AGENT_READERS_VIRTUAL = "AGENT_READERS_VIRTUAL"
    AGENT_READERS_DOWN = "AGENT_READERS_DOWN"
    AGENT_READERS_TROUBLE = "AGENT_READERS_TROUBLE"
    AGENT_SEES_FEWER = "AGENT_SEES_FEWER"
    AGENT_NOT_ASKED = "AGENT_NOT_ASKED"
    LOCAL_CALLS_PROXIED = "LOCAL_CALLS_PROXIED"
    CLOCK_NOT_KEPT = "CLOCK_NOT_KEPT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences:
    """What is said under one code, each one sentence."""

    doctor: str
    technician: str
    action: str


def _of_middleware(reason: TechnicalReason, situation: CpsSituation) -> Sentences:
    said, detail = message(situation.value), message(reason.value)
    return Sentences(doctor=said.title, technician=detail.title, action=detail.action or said.action)


_UNSEEN: Final = "Les composants de la carte (Cryptolib CPS) ne voient pas ce que le poste voit."
_OWN: Final[Mapping[Code, tuple[str, str, str]]] = {
    Code.PCSC_LIBRARY_ABSENT: (
        "L'agent est installé sans ce qui lui permet de parler aux lecteurs.",
        "La bibliothèque pyscard ne se charge pas dans l'interpréteur de l'agent.",
        "Réinstallez l'agent avec ses lecteurs (extra « readers »).",
    ),
    Code.PCSC_NOT_INSTALLED: (
        "Le service des lecteurs de cartes n'est pas installé sur ce poste.",
        "Le service {service} est absent.",
        "Installez le service des lecteurs (sous Linux : les paquets pcscd et libccid), puis relancez le poste.",
    ),
    Code.PCSC_DISABLED: (
        "Le service des lecteurs de cartes est désactivé sur ce poste.",
        "Le service {service} est désactivé : il ne démarrera pas tout seul.",
        "Remettez le service en démarrage automatique (ou à la demande), puis démarrez-le.",
    ),
    Code.PCSC_SERVICE_STOPPED: (
        "Le service des lecteurs de cartes est arrêté.",
        "Le service {service} ne donne pas de contexte PC/SC ({result}).",
        "Démarrez le service des lecteurs, ou redémarrez le poste.",
    ),
    Code.PCSC_SOCKET_DENIED: (
        "Votre compte n'a pas le droit d'utiliser les lecteurs de ce poste.",
        "Ce compte ne peut pas ouvrir le socket de {service}.",
        "Rétablissez les droits du socket, ou ajoutez ce compte au groupe qui peut l'ouvrir.",
    ),
    Code.PCSC_NOT_ALLOWED: (
        "Votre compte n'a pas le droit d'utiliser les lecteurs de ce poste.",
        "Le service {service} est joignable et refuse ce compte ({result}) : règle polkit access_pcsc.",
        "Autorisez ce compte dans polkit, surtout si la session est distante ou si l'agent est un service.",
    ),
    Code.PCSC_REFUSES: (
        "Le service des lecteurs de cartes répond par une erreur.",
        "PC/SC a répondu {result}.",
        "Redémarrez le service des lecteurs ; si l'erreur revient, redémarrez le poste.",
    ),
    Code.PCSC_CRASHES: (
        "Le programme des lecteurs de ce poste s'arrête brutalement.",
        "La bibliothèque PC/SC a fait tomber le processus d'essai à l'étape « {result} ».",
        "Mettez à jour le pilote du lecteur, puis redémarrez le poste.",
    ),
    Code.PCSC_SILENT: (
        "Les lecteurs de cartes ne répondent pas.",
        "La bibliothèque PC/SC n'est pas revenue de l'étape « {result} » ; le processus d'essai a été arrêté.",
        "Débranchez puis rebranchez le lecteur ; si rien ne change, redémarrez le poste.",
    ),
    Code.PCSC_NOT_TRIED: (
        "Les lecteurs n'ont pas pu être essayés.",
        "Le processus d'essai de PC/SC n'a pas démarré.",
        "Réinstallez l'agent ; vérifiez qu'un antivirus ne bloque pas ses programmes.",
    ),
    Code.REMOTE_SESSION_NO_READER: (
        "Cette session est affichée à distance et n'a pas de lecteur : celui de l'autre poste n'y est pas transmis.",
        "La session est distante ({remote}) et PC/SC n'y liste aucun lecteur.",
        "Activez la redirection des cartes à puce dans la connexion à distance, puis rouvrez la session.",
    ),
    Code.READER_DRIVER_MISSING: (
        "Un lecteur est branché, mais son pilote manque ou ne marche pas.",
        "Lecteurs branchés : {plugged}, en défaut : {faulty}, listés par PC/SC : {listed} ; pilote CCID : {driver}.",
        "Installez le pilote du fabricant (sous Linux : libccid), puis rebranchez le lecteur.",
    ),
    Code.READER_NOT_PLUGGED: (
        "Aucun lecteur de cartes n'est branché sur ce poste.",
        "PC/SC ne liste aucun lecteur ; lecteurs vus par le système : {plugged}.",
        "Branchez le lecteur, de préférence sur une autre prise USB et sans multiprise USB.",
    ),
    Code.READER_NOT_ANSWERING: (
        "Le lecteur est connu du poste, mais il ne répond pas.",
        "PC/SC liste « {reader} » comme indisponible.",
        "Débranchez puis rebranchez le lecteur ; si rien ne change, essayez-en un autre.",
    ),
    Code.READER_KEPT: (
        "Un autre programme garde le lecteur pour lui.",
        "« {reader} » est ouvert en mode exclusif ; programmes qui utilisent PC/SC : {holders}.",
        "Terminez ou fermez l'autre programme ; l'agent reprend le lecteur tout seul.",
    ),
    Code.CARD_OWNED_BY_MACOS: (
        "macOS garde la carte de professionnel pour lui : l'agent ne la lit pas.",
        "CryptoTokenKit tient la carte par {tokens} ; l'échange direct avec « {reader} » échoue.",
        "Retirez et remettez la carte ; si le message revient, désactivez cette extension pour la carte.",
    ),
    Code.CARD_SAYS_NOTHING: (
        "Une carte est dans le lecteur, mais elle ne répond pas : elle est peut-être à l'envers.",
        "La carte dans « {reader} » ne donne pas de réponse au reset (ATR).",
        "Retirez la carte, essuyez la puce, remettez-la puce en avant et vers le haut.",
    ),
    Code.CARD_NOT_KNOWN: (
        "La carte dans le lecteur n'est ni une carte de professionnel ni une carte Vitale connue.",
        "L'ATR de la carte dans « {reader} » n'est dans aucune ligne de la table.",
        "Mettez la carte de professionnel ou la carte Vitale ; sinon, signalez le modèle à l'assistance.",
    ),
    Code.CARD_NOT_INSERTED: (
        "Aucune carte n'est dans les lecteurs.",
        "PC/SC liste {listed} lecteur(s), tous vides.",
        "Insérez la carte, puce en avant.",
    ),
    Code.MIDDLEWARE_NOT_TRIED: (
        "Les composants de la carte sont installés, mais n'ont pas pu être essayés.",
        "La bibliothèque PKCS#11 {path} est présente ; le processus d'essai n'a pas démarré.",
        "Réinstallez l'agent ; vérifiez qu'un antivirus ne bloque pas ses programmes.",
    ),
    Code.MIDDLEWARE_NO_READER: (
        _UNSEEN,
        "PC/SC liste {listed} lecteur(s), la bibliothèque PKCS#11 {path} (version {library}) aucun.",
        "Redémarrez le poste ; si rien ne change, réinstallez la Cryptolib CPS.",
    ),
    Code.MIDDLEWARE_NO_CARD: (
        _UNSEEN,
        "PC/SC reconnaît une CPS, la bibliothèque PKCS#11 {path} (version {library}) ne voit aucune carte.",
        "Retirez et remettez la carte ; si rien ne change, installez la version actuelle de la Cryptolib CPS.",
    ),
    Code.MIDDLEWARE_SEVERAL: (
        "Plusieurs versions des composants de la carte (Cryptolib CPS) sont sur ce poste.",
        "Bibliothèques PKCS#11 trouvées : {libraries}.",
        "Si une carte n'est pas vue, désinstallez toutes les Cryptolib, puis installez la version actuelle.",
    ),
    Code.GALSS_INI_EMPTY: (
        "Un ancien gestionnaire de lecteurs (GALSS) est mal réglé sur ce poste.",
        "Le fichier galss.ini est vide.",
        "Désinstallez le GALSS si aucun logiciel ne s'en sert ; sinon, refaites sa configuration.",
    ),
    Code.GALSS_SERIAL_PORT: (
        "Un ancien gestionnaire de lecteurs (GALSS) cherche un lecteur sur un port série.",
        "Le fichier galss.ini nomme un port série (COM).",
        "Si le lecteur est USB, passez-le en mode PC/SC, puis désinstallez ou réglez de nouveau le GALSS.",
    ),
    Code.GALSS_LEFT: (
        "Un ancien gestionnaire de lecteurs (GALSS) est encore sur ce poste et peut gêner.",
        "Restes du GALSS : {programs}.",
        "Désinstallez-le si aucun logiciel de facturation ne s'en sert.",
    ),
    Code.AGENT_DOWN: (
        "L'agent Vaguemestre ne tourne pas.",
        "Personne n'écoute sur le socket local de l'agent.",
        "Lancez « vaguemestre agent », ou démarrez son service ; un pare-feu n'y est pour rien (aucun port).",
    ),
    Code.AGENT_SOCKET_DENIED: (
        "L'agent Vaguemestre tourne pour un autre compte de ce poste.",
        "Ce compte n'a pas le droit d'ouvrir le socket local de l'agent.",
        "Ouvrez la session du compte qui a lancé l'agent, ou ajoutez « --service » si c'est un service.",
    ),
    Code.AGENT_ANSWERS_NOT: (
        "L'agent Vaguemestre tourne, mais ne répond pas.",
        "Aucune réponse complète sur le socket local dans le délai.",
        "Attendez une minute ; si rien ne change, redémarrez l'agent : la file d'envoi est gardée.",
    ),
    Code.AGENT_ANSWERS_WRONG: (
        "L'agent Vaguemestre et cette commande ne sont pas de la même version.",
        "La réponse reçue sur le socket local n'est pas celle de cette version de l'API.",
        "Redémarrez l'agent après la mise à jour.",
    ),
    Code.AGENT_SETTINGS_WRONG: (
        "Les réglages de l'agent ne peuvent pas être lus.",
        "La lecture de agent.toml échoue ({code}).",
        "Corrigez agent.toml, puis relancez l'agent.",
    ),
    Code.AGENT_NOT_READY: (
        "L'agent ne peut pas travailler : {title}",
        "Page d'état : l'agent n'est pas prêt, point {code}.",
        "{action}",
    ),
    Code.AGENT_WARNS: (
        "L'agent signale : {title}",
        "Page d'état : l'agent est prêt, point {code}.",
        "{action}",
    ),
    Code.AGENT_CLOCK_MOVED: (
        "L'horloge de ce poste a été déplacée de {minutes} minute(s).",
        "Page d'état : point {code}.",
        "Mettez le poste à l'heure automatique : les services nationaux refusent une heure fausse.",
    ),
    Code.AGENT_READERS_OFF: (
        "Les réglages de l'agent disent de ne pas utiliser de lecteur.",
        'Réglage readers.source = "off" : aucun processus des lecteurs n\'est lancé.',
        'Si ce poste a un lecteur, mettez readers.source = "pcsc" dans agent.toml, puis relancez l\'agent.',
    ),
    Code.AGENT_READERS_VIRTUAL: (
        "L'agent utilise des lecteurs de démonstration, pas ceux du poste.",
        'Réglage readers.source = "virtual".',
        'Mettez readers.source = "pcsc" dans agent.toml, puis relancez l\'agent.',
    ),
    Code.AGENT_READERS_DOWN: (
        "Le programme des lecteurs de l'agent s'est arrêté ; il revient tout seul.",
        "Processus des lecteurs : état {state}.",
        "Attendez quelques secondes ; si cela dure, redémarrez l'agent : la file d'envoi n'est pas touchée.",
    ),
    Code.AGENT_READERS_TROUBLE: (
        "L'agent ne voit pas les lecteurs : {title}",
        "L'API locale donne le code {code} sur /v1/readers.",
        "{action}",
    ),
    Code.AGENT_SEES_FEWER: (
        "Le poste voit un lecteur que l'agent ne voit pas.",
        "PC/SC montre à cette session {reader} ; l'agent ne le liste pas (autre session, ou service de la machine).",
        "Lancez l'agent dans la session où le lecteur est visible.",
    ),
    Code.AGENT_NOT_ASKED: (
        "Cette commande n'est pas jumelée : l'agent n'a pas été interrogé sur ses lecteurs.",
        "Aucun jumelage lisible pour ce compte : /v1/readers n'a pas été demandé.",
        "Pour un examen complet, lancez « vaguemestre pair join ».",
    ),
    Code.LOCAL_CALLS_PROXIED: (
        "Les échanges internes de ce poste peuvent être détournés vers un proxy.",
        "Variables de proxy : {proxies} ; NO_PROXY ne nomme pas localhost et 127.0.0.1.",
        "Ajoutez localhost et 127.0.0.1 à NO_PROXY ; l'agent lui-même n'est pas concerné (socket local).",
    ),
    Code.CLOCK_NOT_KEPT: (
        "L'horloge de ce poste n'est pas réglée automatiquement.",
        "Le système dit que l'horloge n'est pas synchronisée.",
        "Activez l'heure automatique : quelques minutes d'écart suffisent pour un refus des services nationaux.",
    ),
}

REASONS: Final[Mapping[TechnicalReason, Code]] = MappingProxyType(
    {
        reason: Code(reason.value.replace("_TECH_", "_"))
        for reason in TechnicalReason
        if reason is not TechnicalReason.WORKS
    }
)
"""The code of each reason; a middleware that works is no finding."""

_SITUATIONS: Final[Mapping[TechnicalReason, CpsSituation]] = {
    TechnicalReason.NO_FILE: CpsSituation.MIDDLEWARE_ABSENT,
    TechnicalReason.OVERRIDE_MISSING: CpsSituation.MIDDLEWARE_ABSENT,
    TechnicalReason.UNREADABLE_FILE: CpsSituation.MIDDLEWARE_UNLOADABLE,
    TechnicalReason.NOT_A_LIBRARY: CpsSituation.MIDDLEWARE_UNLOADABLE,
    TechnicalReason.DEPENDENCY_MISSING: CpsSituation.MIDDLEWARE_UNLOADABLE,
    TechnicalReason.NO_ENTRY_POINT: CpsSituation.MIDDLEWARE_UNLOADABLE,
    TechnicalReason.OTHER_ARCHITECTURE: CpsSituation.MIDDLEWARE_WRONG_ARCHITECTURE,
    TechnicalReason.CALL_FAILED: CpsSituation.MIDDLEWARE_FAILED,
    TechnicalReason.CRASHED: CpsSituation.MIDDLEWARE_CRASHED,
    TechnicalReason.SILENT: CpsSituation.MIDDLEWARE_SILENT,
    TechnicalReason.TOO_OLD: CpsSituation.MIDDLEWARE_TOO_OLD,
}


@cache
def sentences() -> Mapping[Code, Sentences]:
    """Return what is said under each code; the catalogue is read at the first call, not when this is imported."""
    return MappingProxyType(
        {
            **{REASONS[reason]: _of_middleware(reason, situation) for reason, situation in _SITUATIONS.items()},
            **{
                code: Sentences(doctor=doctor, technician=technician, action=action)
                for code, (doctor, technician, action) in _OWN.items()
            },
        }
    )
