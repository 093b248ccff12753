"""From a PDF to a PDF/A-1 or to the reasons why not.

Owns the order of the means: leave it, rewrite it, draw it anew; each result is examined like a PDF from outside,
so that nothing leaves as PDF/A-1 that the rules do not let through.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vaguemestre_documents.pdf.faults import NEVER_CONVERTED, Fault, in_order
from vaguemestre_documents.pdf.ghostscript import redraw
from vaguemestre_documents.pdf.policy import PdfPolicy
from vaguemestre_documents.pdf.rewriting import rewrite
from vaguemestre_documents.pdf.rules import Examination, examine
from vaguemestre_documents.pdf.values import PdfRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A PDF/A-1b that says what the given PDF says."""

    content: bytes = field(repr=False)


def pdfa_faults(content: bytes) -> tuple[Fault, ...]:
    """Return what keeps a PDF from being PDF/A-1b, in the order to show; nothing when it is one. Never raises."""
    return in_order(examine(content).faults)


def convert(content: bytes, policy: PdfPolicy) -> Converted | tuple[Fault, ...]:
    """Return a PDF that is not PDF/A-1b as one that is, or the faults that stay. Never raises for the content."""
    before = examine(content)
    if before.faults & NEVER_CONVERTED:
        return in_order(before.faults)
    rewritten = _rewritten(content, before, pages=before.pages)
    if rewritten is not None:
        return Converted(content=rewritten)
    drawn = redraw(content, policy)
    if drawn is not None:
        redrawn = _rewritten(drawn, examine(drawn), pages=before.pages)
        if redrawn is not None:
            return Converted(content=redrawn)
    return in_order(before.faults)


def _rewritten(content: bytes, examination: Examination, *, pages: int) -> bytes | None:
    """Return the content rewritten, when that makes it a PDF/A-1b with all its pages."""
    try:
        result = rewrite(content, examination)
    except (PdfRefused, ValueError):
        return None
    after = examine(result)
    return result if not after.faults and after.pages == pages else None
