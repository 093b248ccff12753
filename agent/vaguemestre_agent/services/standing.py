"""What health says of a store that was recognised as restored or copied."""

from __future__ import annotations

from collections.abc import Sequence

from vaguemestre_agent.services.values import HealthItem
from vaguemestre_core.records import RecoveryReport


def standing_items(report: RecoveryReport) -> Sequence[HealthItem]:
    """Return an item for a restored store, one for a copy that nobody adopted, none for any other."""
    if report.restored_at is None:
        return ()
    at = report.restored_at.date().isoformat()
    if report.copied_at is not None:
        return (HealthItem(code="STORE_COPIED", ok=False, params={"at": at}),)
    return (HealthItem(code="STORE_RESTORED", ok=True, params={"at": at}),)
