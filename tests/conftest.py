"""What every test gets: the evidence of the requirements that it proves (see ``vaguemestre_testkit.evidence``)."""

from __future__ import annotations

pytest_plugins = ["vaguemestre_testkit.evidence"]
