"""Draw the curve of docs/performance.md from the results of one run.

    python bench/picture.py RESULTS.json PICTURE.svg

``RESULTS.json`` is what ``vaguemestre bench queue --json`` prints. Left: the cost of taking an item and marking it
done as the queue grows, as a ratio to the same library's smallest queue. Right: putting, ours divided by each other's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

COLOURS = {"vaguemestre": "#0b5cad", "huey": "#8a8a8a", "persist-queue": "#c77700", "litequeue": "#a3333d"}


def draw(results: dict[str, object]) -> Figure:
    """Return the picture of a run."""
    peers = results["queue_peers"]
    assert isinstance(peers, dict)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    growth, puts = figure.subplots(1, 2, width_ratios=(3, 2))
    for name, colour in COLOURS.items():
        points = sorted((take["orders"], take["ratio"]) for take in peers["takes"] if take["name"] == name)
        growth.plot([x for x, _ in points], [y for _, y in points], marker="o", color=colour, label=name)
    growth.axhline(1.5, color="#0b5cad", linewidth=0.6, linestyle=":")
    growth.set_xscale("log")
    growth.set_yscale("log")
    growth.set_xlabel("items in the queue")
    growth.set_ylabel("cost of taking one, ratio to its smallest queue")
    growth.legend(frameon=False, fontsize=8)
    labels = [f"{put['name']}\n{_bytes(put['size'])}" for put in peers["puts"]]
    ratios = [put["ratio"] for put in peers["puts"]]
    bars = puts.bar(range(len(labels)), ratios, color=[COLOURS[put["name"]] for put in peers["puts"]])
    puts.bar_label(bars, fmt="%.2f", fontsize=8)
    puts.axhline(1.0, color="black", linewidth=0.6)
    puts.set_xticks(range(len(labels)), labels, fontsize=6)
    puts.set_ylabel("putting: ours ÷ theirs, all FULL")
    figure.suptitle(str(peers["machine"]), fontsize=8)
    return figure


def _bytes(size: int) -> str:
    return f"{size} B" if size < 1000 else f"{size // 1000} kB"


def main() -> None:
    source, target = sys.argv[1:]
    mpl.rcParams["svg.hashsalt"] = "vaguemestre"  # the same results give the same file
    mpl.rcParams["svg.fonttype"] = "none"
    results = json.loads(Path(source).read_text(encoding="utf-8"))
    draw(results).savefig(target, format="svg", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
