"""The agent's log: one JSON line an event, with the fields on a list and no other; never an exception's text.

Owns the formatter. A field that is not listed is dropped: a name, a path or a payload cannot slip in by accident.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Final

FIELDS: Final = frozenset(
    {
        "after", "attempt", "attempts", "before", "bytes", "cause", "certainty", "client_id", "code", "count", "counts",
        "doubtful", "duration_ms", "errno", "error", "event", "exchange", "incarnated", "kind", "limit", "lines",
        "losses", "means", "method", "moved", "operation", "order_id", "pid", "place", "presence", "reason",
        "retry_after_s", "route", "scopes", "seconds", "seq", "service", "service_code", "session_request", "state",
        "station", "status", "step", "support_id", "transaction", "unauthenticated", "unclaimed", "version",
        "waiting", "winerror",
    }
)  # fmt: skip
_OURS: Final = "vaguemestre_"


class EventFormatter(logging.Formatter):
    """Writes the event's name and its listed fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON line."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            # Our own modules log constants and codes; what another library says could hold anything.
            "event": record.getMessage() if record.name.startswith(_OURS) else "library",
        }
        for name in sorted(FIELDS & record.__dict__.keys()):
            value = record.__dict__[name]
            line[name] = value if isinstance(value, str | int | float | bool | None) else type(value).__name__
        if record.exc_info is not None and record.exc_info[1] is not None:
            line |= _where(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def _where(error: BaseException) -> dict[str, object]:
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames[-3:]]
    return {"error": type(error).__name__, "place": " ".join(places)}


def set_up_logging() -> None:
    """Send the log to standard error, where the service manager keeps it; the settings say how much of it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EventFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
