"""The agent's log shows events and listed fields, never what an exception or a library says."""

from __future__ import annotations

import json
import logging
import sys

from vaguemestre_agent.cli.logs import EventFormatter


def line(name: str, message: str, **extra: object) -> dict[str, object]:
    record = logging.LogRecord(name, logging.INFO, "p", 1, message, None, None)
    record.__dict__.update(extra)
    found: dict[str, object] = json.loads(EventFormatter().format(record))
    return found


def test_listed_fields_are_shown_and_others_dropped() -> None:
    shown = line("vaguemestre_agent.x", "order.sent", order_id="o-1", duration_ms=3, patient="DUPONT", path="/DUPONT")

    assert (shown["event"], shown["order_id"], shown["duration_ms"]) == ("order.sent", "o-1", 3)
    assert "DUPONT" not in json.dumps(shown)


def test_a_library_says_nothing_of_its_own() -> None:
    assert line("httpx", "GET https://dmp/DUPONT")["event"] == "library"


def test_an_exception_is_a_type_and_a_place() -> None:
    try:
        int("DUPONT")
    except ValueError:
        shown = line("vaguemestre_agent.x", "x.failed", exc_info=sys.exc_info())

    assert shown["error"] == "ValueError"
    assert "test_event_log.py" in str(shown["place"])
    assert "DUPONT" not in json.dumps(shown)


def test_a_value_that_is_no_scalar_is_named_by_its_type() -> None:
    assert line("vaguemestre_agent.x", "e", code=object())["code"] == "object"
