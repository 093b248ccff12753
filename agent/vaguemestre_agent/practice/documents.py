"""Documents of fictitious patients for the demonstration and the self-tests; nobody in them exists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

OID_ROOT: Final = "1.2.250.1.999.1.7898"
DOCTOR: Final = "899700000012"
INS_TEST_OID: Final = "1.2.250.1.213.1.4.10"
# Two patients of the sandbox whose DMP is open: (matricule, birth name, given names, birth date, sex, COG).
PATIENTS: Final = (
    ("185037505604240", "ESSAI", "MARC", "1985-03-14", "M", "75056"),
    ("226027505612368", "EXEMPLE", "LINA", "2026-02-18", "F", "75056"),
)


def tiny_pdf(text: str) -> bytes:
    """Return a one-page PDF that says a text (printable ASCII)."""
    shown = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    stream = f"BT /F1 14 Tf 72 760 Td ({shown}) Tj ET".encode("ascii", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length " + str(len(stream)).encode() + b" >>\nstream\n" + stream + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010d} 00000 n \n".encode() for offset in offsets)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def metadata(title: str, patient: int = 0, visibility: Sequence[str] = ()) -> bytes:
    """Return the metadata of a consultation report for one of ``PATIENTS``, with visibility codes, JSON bytes."""
    matricule, family, given, birth, sex, cog = PATIENTS[patient]
    value = {
        "type_code": "11488-4",
        "title": title,
        "visibility": list(visibility),
        "patient": {
            "identity_status": "qualifiée",
            "birth_name": family,
            "given_names": given,
            "first_given_name": given,
            "birth_date": birth,
            "sex": sex,
            "birth_place_cog": cog,
            "ins": {"matricule": matricule, "oid": INS_TEST_OID, "source": "insi"},
        },
        "author": {
            "rpps": DOCTOR[1:],
            "family_name": "ESSAI",
            "given_name": "Alix",
            "civility": "MME",
            "title": "DR",
            "profession": {
                "code": "G15_10/SM26",
                "code_system": "1.2.250.1.213.1.1.4.5",
                "label": "Médecin - Qualifié en Médecine Générale (SM)",
            },
            "telecoms": [{"value": "tel:+33100000001", "use": "WP"}],
        },
        "structure": {
            "id": "499700000012003",
            "name": "Cabinet médical du Dr Alix ESSAI",
            "sector": "SA07",
            "practice_setting": "AMBULATOIRE",
            "telecoms": [{"value": "tel:+33100000001", "use": "WP"}],
        },
        "act": {"date": "2026-11-23T10:00:00+01:00"},
    }
    return json.dumps(value, ensure_ascii=False).encode()
