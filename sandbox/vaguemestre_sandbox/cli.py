"""Command line: run a sandbox in a process of its own until it is told to stop.

Prints one JSON line with every address and file, then the word `ready`, last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from vaguemestre_sandbox.cards import commands
from vaguemestre_sandbox.cards.catalogue import offers
from vaguemestre_sandbox.nomenclature import CLIENT_ID, DOCTORS, INS_TEST_OID, PATIENTS
from vaguemestre_sandbox.sandbox import Sandbox
from vaguemestre_sandbox.settings import DEFAULT_CARD_PORTS, ApprovalMode, DmpProfile, ProxyProfile, SandboxConfig


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m vaguemestre_sandbox`."""
    parser = argparse.ArgumentParser(
        prog="vaguemestre_sandbox", description="Bac à sable : Proxy e-santé, Pro Santé Connect et DMP simulés."
    )
    parser.add_argument("--state-dir", type=Path, required=True, help="dossier de l'état (créé au besoin)")
    parser.add_argument("--pki-dir", type=Path, help="dossier d'une PKI de test déjà faite")
    ports = parser.add_mutually_exclusive_group()
    ports.add_argument("--port", type=int, choices=[0], default=0, help="0 : ports choisis par le système")
    ports.add_argument("--port-base", type=int, help="proxy, DMP et page sur trois ports qui se suivent")
    parser.add_argument(
        "--card-port",
        type=int,
        action="append",
        metavar="N",
        help="port d'un lecteur virtuel, une fois par lecteur (sinon ceux de vpcd : 35963 et 35964)",
    )
    parser.add_argument(
        "--card-authority", type=Path, help="PEM de l'autorité dont les cartes entrent par l'accès direct"
    )
    parser.add_argument("--json", action="store_true", help="adresses sur une seule ligne JSON")
    parser.add_argument("--approval", choices=[mode.value for mode in ApprovalMode], default=ApprovalMode.AUTO.value)
    parser.add_argument("--session-lifetime", type=float, default=14400.0, metavar="S")
    parser.add_argument("--ciba-expires-in", type=float, default=120.0, metavar="S")
    parser.add_argument("--backend-timeout", type=float, default=60.0, metavar="S")
    parser.add_argument("--no-lot-signature", action="store_true", help="le DMP n'exige pas la signature du lot")
    parser.add_argument("--no-vihf-signature", action="store_true", help="le DMP n'exige pas de VIHF signé")
    parser.add_argument("--hash-required", action="store_true", help="le DMP exige hash et size")
    parser.add_argument("--allow-sha1", action="store_true", help="le DMP accepte rsa-sha1 et SHA-1")
    parser.add_argument("--no-bodies", action="store_true", help="ne garde pas les corps reçus")
    parser.add_argument("--verbose", action="store_true")
    return parser


def config_of(options: argparse.Namespace) -> SandboxConfig:
    """Return the configuration that parsed options ask for."""
    base = options.port_base
    proxy_port, dmp_port, inspection_port, direct_port = (0, 0, 0, 0) if base is None else range(base, base + 4)
    return SandboxConfig(
        state_dir=options.state_dir,
        pki_dir=options.pki_dir,
        proxy_port=proxy_port,
        dmp_port=dmp_port,
        direct_port=direct_port,
        card_authority=options.card_authority,
        inspection_port=inspection_port,
        card_ports=tuple(options.card_port) if options.card_port else DEFAULT_CARD_PORTS,
        keep_bodies=not options.no_bodies,
        dmp=DmpProfile(
            lot_signature_required=not options.no_lot_signature,
            vihf_signature_required=not options.no_vihf_signature,
            hash_required=options.hash_required,
            allow_sha1=options.allow_sha1,
        ),
        proxy=ProxyProfile(
            approval_mode=ApprovalMode(options.approval),
            session_lifetime_s=options.session_lifetime,
            ciba_expires_in_s=options.ciba_expires_in,
            backend_timeout_s=options.backend_timeout,
        ),
    )


def describe(sandbox: Sandbox) -> dict[str, object]:
    """Return what a caller needs to use this sandbox: addresses, files, fictitious people."""
    pki = sandbox.pki
    return {
        "proxy": sandbox.addresses.proxy,
        "dmp": sandbox.addresses.dmp_services,
        "direct": sandbox.addresses.direct,
        "inspection": sandbox.addresses.inspection,
        "state_dir": str(sandbox.config.state_dir.resolve()),
        "ca": str(pki.authority.certificate_path.resolve()),
        "client_certificate": str(pki.structure_client.certificate_path.resolve()),
        "client_key": str(pki.structure_client.key_path.resolve()),
        "signature_certificate": str(pki.structure_signature.certificate_path.resolve()),
        "signature_key": str(pki.structure_signature.key_path.resolve()),
        "client_id": CLIENT_ID,
        "card_ports": list(sandbox.config.card_ports),
        "cards": list(offers()),
        "national_ids": [doctor.national_id for doctor in DOCTORS],
        "patients": [{"matricule": patient.matricule, "oid": INS_TEST_OID, "dmp": patient.dmp} for patient in PATIENTS],
    }


async def _run(config: SandboxConfig, *, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    if sys.platform != "win32":
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
    async with Sandbox.start(config) as sandbox:
        description = describe(sandbox)
        if as_json:
            sys.stdout.write(json.dumps(description, ensure_ascii=False) + "\n")
        else:
            for name, value in description.items():
                sys.stdout.write(f"{name}: {value}\n")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await stop.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or Ctrl-C, or give a running sandbox one command about its cards; return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["--json"]:  # said before the command, as for every other one
        words = [*words[1:], "--json"]
    if words and words[0] in commands.COMMANDS:
        return commands.main(words)
    options = build_parser().parse_args(words)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, stream=sys.stderr)
    try:
        asyncio.run(_run(config_of(options), as_json=options.json))
    except KeyboardInterrupt:
        return 0
    return 0
