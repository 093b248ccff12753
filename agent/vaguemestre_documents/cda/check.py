"""Our own check of a CDA header: structure, data types, document, patient.

Owns the order of the rules and the list of all of them; the official XSD and schematrons are not needed at run time.
A document that an LGC made itself is accepted only after this check.
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from vaguemestre_documents.cda import rules_datatypes, rules_document, rules_patient, structure
from vaguemestre_documents.cda.findings import Finding, Rule
from vaguemestre_documents.cda.parse import DEFAULT_MAX_BYTES
from vaguemestre_documents.cda.read import parse_cda

ALL_RULES: Final[tuple[Rule, ...]] = (
    *structure.RULES,
    *rules_datatypes.RULES,
    *rules_document.RULES,
    *rules_patient.RULES,
)


def check_cda(
    content: bytes, *, for_dmp: bool, is_ins_allowed: bool, max_bytes: int = DEFAULT_MAX_BYTES
) -> tuple[Finding, ...]:
    """Return what is wrong with a document, in document order by kind of rule; empty when nothing is.

    ``for_dmp`` adds what only the DMP refuses; ``is_ins_allowed`` says that the identity is qualifiée.

    Raises:
        InvalidInput: those of ``parse_cda`` when the bytes are not a CDA at all.
    """
    return check_tree(parse_cda(content, max_bytes=max_bytes), for_dmp=for_dmp, is_ins_allowed=is_ins_allowed)


def check_tree(root: etree._Element, *, for_dmp: bool, is_ins_allowed: bool) -> tuple[Finding, ...]:
    """Return what is wrong with a parsed document."""
    findings: list[Finding] = []
    typed = list(structure.walk_header(root, findings=findings))
    for item in typed:
        findings.extend(rules_datatypes.check_data_type(item))
    findings.extend(rules_datatypes.check_repetitions(typed))
    findings.extend(rules_document.check_document(root, for_dmp=for_dmp))
    findings.extend(rules_patient.check_patient(root, for_dmp=for_dmp, is_ins_allowed=is_ins_allowed))
    return tuple(findings)
