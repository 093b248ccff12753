"""Metadata as an LGC sends them, about nobody."""

from __future__ import annotations

import datetime as dt
import json

from vaguemestre_documents.preparation import FrozenIdentifiers, PreparationRequest
from vaguemestre_testkit import cda_samples


def metadata(status: str = "qualifiée") -> dict[str, object]:
    """A consultation report with nearly every field."""
    return {
        "type_code": "11488-4",
        "title": "Compte rendu de consultation",
        "patient": {
            "identity_status": status,
            "birth_name": "EXEMPLE",
            "given_names": "LINA MARIE",
            "first_given_name": "LINA",
            "birth_date": "2026-02-18",
            "sex": "F",
            "birth_place_cog": "75056",
            "ins": {"matricule": cda_samples.MATRICULE, "oid": "1.2.250.1.213.1.4.10"},
            "local_id": {"value": "P-000042", "oid": cda_samples.LOCAL_OID},
            "telecoms": [{"value": "tel:+33100000000", "use": "H"}],
            "address": {"house_number": "3", "street_name": "rue des Essais", "city": "PARIS"},
        },
        "author": {
            "rpps": "99700000012",
            "family_name": "ESSAI",
            "given_name": "Alix",
            "civility": "MME",
            "title": "DR",
            "profession": {
                "code": "G15_10/SM26",
                "code_system": "1.2.250.1.213.1.1.4.5",
                "label": "Médecin - Qualifié en Médecine Générale (SM)",
            },
        },
        "structure": {
            "id": "499700000012003",
            "name": "CABINET MEDICAL DR ESSAI",
            "sector": "SA07",
            "practice_setting": "AMBULATOIRE",
        },
        "act": {"date": "2026-11-23T10:00:00+01:00"},
        "visibility": ["MASQUE_PS"],
        "recipients": [{"kind": "professional", "family_name": "DURAND", "ps_id": "899700000020"}],
    }


def ready_metadata(status: str = "qualifiée") -> dict[str, object]:
    """Metadata of the sample document as a ready CDA."""
    return {
        "type_code": "11488-4",
        "title": "Compte rendu de consultation",
        "patient": {
            "identity_status": status,
            "ins": {"matricule": cda_samples.MATRICULE, "oid": "1.2.250.1.213.1.4.10"},
            "local_id": {"value": "P-000042", "oid": cda_samples.LOCAL_OID},
        },
        "author": {"rpps": "99700000012"},
    }


def preparation(
    body: bytes | None = None,
    *,
    media_type: str = "application/pdf",
    value: object | None = None,
    for_dmp: bool = True,
    now: dt.datetime = cda_samples.NOW,
) -> PreparationRequest:
    """A preparation request; the sample PDF and metadata unless told."""
    return PreparationRequest(
        media_type=media_type,
        body=cda_samples.pdf() if body is None else body,
        metadata=json.dumps(metadata() if value is None else value).encode(),
        identifiers=FrozenIdentifiers(document_id=cda_samples.DOCUMENT_ID, set_id=cda_samples.SET_ID, version=1),
        now=now,
        for_dmp=for_dmp,
    )
