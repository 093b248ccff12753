"""The power-cut self-test can fail: each bug sown here must turn it red, in the way one expects."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

from vaguemestre_agent.selftest.power.run import PowerReport, run_power
from vaguemestre_core.records import Change
from vaguemestre_queue.writer import Piece, Writer

CUTS = 120


def faulty(report: PowerReport, kind: str) -> int:
    return next(count.faulty for count in report.by_kind if count.kind == kind)


class TellsTooEarly(Writer):
    """Answers when the work is done, not when it is committed."""

    def _do(self, piece: Piece[object], changes: list[Change]) -> None:
        super()._do(piece, changes)
        if piece.error is None:
            piece.future.set_result(piece.result)
            piece.future = Future()


class ForgetsTheTransaction(Writer):
    """Lets every statement commit by itself: an order's row and its ledger line no longer come together."""

    def _commit(self, group: list[Piece[object]]) -> None:
        for piece in group:
            changes: list[Change] = []
            try:
                piece.result = piece.work(self._connection, changes)
            except Exception as error:  # noqa: BLE001 - given to the caller
                piece.future.set_exception(error)
                continue
            self._committed(changes)
            piece.future.set_result(piece.result)


def test_never_flushing_loses_orders_and_breaks_the_file(tmp_path: Path) -> None:
    report = run_power(CUTS, 1, synchronous=0, folder=tmp_path)
    assert report.flushes < 5
    assert report.lost > 0
    assert report.corrupt > 0


def test_flushing_only_at_checkpoints_loses_the_last_answers(tmp_path: Path) -> None:
    # synchronous=NORMAL: the file stays sound, which is all SQLite promises there; what was told is lost all the same.
    report = run_power(CUTS, 1, synchronous=1, folder=tmp_path)
    assert report.corrupt == 0
    assert report.lost > 0
    assert faulty(report, "kept") == 0


def test_without_recovery_orders_stay_on_the_way(tmp_path: Path) -> None:
    report = run_power(CUTS, 1, recovering=False, folder=tmp_path)
    assert report.wrong_state > 0
    assert (report.lost, report.corrupt) == (0, 0)


def test_answering_before_the_commit_loses_what_was_told(tmp_path: Path) -> None:
    report = run_power(CUTS, 1, writer=TellsTooEarly, folder=tmp_path)
    assert report.lost + report.wrong_state > 0


def test_without_a_transaction_the_ledger_and_the_rows_part(tmp_path: Path) -> None:
    report = run_power(CUTS, 1, writer=ForgetsTheTransaction, folder=tmp_path)
    assert not report.clean
    assert any("ledger and row differ" in finding for finding in report.findings)
