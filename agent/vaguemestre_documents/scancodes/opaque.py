"""Tell opaque codes by how they begin: 2D-Doc, and what the practice's profile adds; their content is never read.

Owns the one published beginning (a 2D-Doc header, and US before its signature); the payloads of the ordonnance
numérique and of the appli carte Vitale are not public: the profile's rules tell them, or what the caller expects.
Source: ANTS, 2D-Doc.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from vaguemestre_core.redaction import SecretBytes
from vaguemestre_core.scans import OpaqueBasis, OpaqueRule, OpaqueScan, ScanKind

_TWO_D_DOC: Final = re.compile(rb"DC[0-9]{2}[^\x1f]*\x1f", re.DOTALL)


def opaque(
    content: bytes, *, symbology: str | None, rules: Sequence[OpaqueRule] = (), expected: ScanKind | None = None
) -> OpaqueScan:
    """Return the code as it is, with its kind where its beginning, a rule or the caller tells it.

    What the beginning says wins over what was expected; an expected kind that is not opaque says nothing.
    """
    kind, basis = _told(content, symbology, rules, expected)
    return OpaqueScan(kind=kind, content=SecretBytes(content), symbology=symbology, basis=basis)


def _told(
    content: bytes, symbology: str | None, rules: Sequence[OpaqueRule], expected: ScanKind | None
) -> tuple[ScanKind, OpaqueBasis]:
    if _TWO_D_DOC.match(content) is not None:
        return ScanKind.TWO_D_DOC, OpaqueBasis.CONTENT
    letter = None if symbology is None else symbology[1]
    for rule in rules:
        if content.startswith(rule.prefix) and (not rule.symbologies or letter in rule.symbologies):
            return rule.kind, OpaqueBasis.CONTENT
    if expected in (ScanKind.TWO_D_DOC, ScanKind.ORDONNANCE, ScanKind.APCV):
        return expected, OpaqueBasis.EXPECTED
    return ScanKind.UNKNOWN, OpaqueBasis.NONE
