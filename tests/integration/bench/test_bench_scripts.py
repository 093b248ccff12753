"""The measures start: each script loads all it measures, and the curve is drawn from the shape the command gives."""

from __future__ import annotations

import ctypes.util
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from vaguemestre_agent.cli.bench import SUBJECTS, bench_folder, draw, tell, tell_scan
from vaguemestre_agent.cli.console import Console
from vaguemestre_api.jsontypes import Json

FOLDER = bench_folder()
NEEDS = {
    "queue_peers": ("huey", "litequeue", "persistqueue"),
    "idle": ("psutil",),
    "scan": ("cv2", "numpy", "pylibdmtx", "zxingcpp", "distutils" if sys.version_info < (3, 12) else "setuptools"),
}


@pytest.mark.parametrize("name", [measure.script for subject in SUBJECTS.values() for measure in subject.measures])
def test_each_script_loads_what_it_measures(name: str) -> None:
    assert FOLDER is not None
    if any(importlib.util.find_spec(module) is None for module in NEEDS.get(name, ())):
        pytest.skip("the extra bench is not installed")
    if name == "scan" and ctypes.util.find_library("dmtx") is None:
        pytest.skip("the system's libdmtx is not installed")
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--json" in done.stdout


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="the extra bench is not installed")
def test_the_curve_is_drawn_and_is_the_same_for_the_same_results(tmp_path: Path) -> None:
    assert FOLDER is not None
    takes: Json = [
        {"name": name, "orders": size, "take_us": 1, "ratio": 1.0} for name in ("huey",) for size in (10, 100)
    ]
    puts: Json = [{"name": "huey", "size": 500, "per_s": 1.0, "ours_per_s": 1.0, "ratio": 0.5}]
    for name in ("a.svg", "b.svg"):
        draw(FOLDER, {"queue_peers": {"machine": "here", "takes": takes, "puts": puts}}, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert b"items in the queue" in (tmp_path / "a.svg").read_bytes()


def test_orders_filled_in_for_the_measure_may_leave() -> None:
    """The fill writes rows by hand: a rule of the store added since must not make it measure nothing."""
    assert FOLDER is not None
    done = subprocess.run(
        [sys.executable, str(FOLDER / "queue_claim.py"), "--json", "--orders", "1000"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr
    (figure,) = json.loads(done.stdout)["figures"]
    assert (figure["orders"], figure["ready"]) == (1000, 99)
    assert figure["claim_us"] > 0


def test_a_target_that_is_not_met_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(as_json=False)
    assert tell(console, {"figures": [{"name": "x", "ratio": 2.0, "met": True}]})
    assert not tell(console, {"figures": [{"memory_met": True, "processor_met": False}]})
    assert not tell(console, json.loads('{"figures": [{"met": false}]}'))
    assert "ratio 2.0" in capsys.readouterr().out


def test_a_family_read_less_often_or_too_slowly_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(as_json=False)

    def one(ours: tuple[float, float]) -> Json:
        sides = {"ours": ours, "zxing": (0.5, 2.0), "dmtx": (0.0, 1.0)}
        return {"families": {"clean": {who: {"rate": rate, "ms": ms} for who, (rate, ms) in sides.items()}}}

    assert tell_scan(console, one((0.5, 2.6)))  # libdmtx, which reads nothing, is not the faster one
    assert not tell_scan(console, one((0.4, 1.0)))
    assert not tell_scan(console, one((1.0, 2.7)))
    assert "objectif manqué" in capsys.readouterr().out
