"""Does the estimator of each subscriber's path do well in the cases of RFC 8867, and in harder ones?

    make bench NAME=congestion [ARGS="--case 5.1 --seeds 9 --out .weir/congestion"]

Everything is in virtual time (tests/congestion): the native engine's estimator, pictures that
follow it within 10 %, seeded paths, and senders that behave as TCP does. Each case is run with
several seeds and judged by the worst. Plots of rate, queue and loss over time are written for the
first seed, one SVG file a case. Exit code 0 only when no case misses its bar.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from bench.dials import document, panel
from focus.native import estimate
from tests.bottleneck import rate_at
from tests.congestion.bars import collapsed, missed
from tests.congestion.cases import HARDER, TABLE, Case
from tests.congestion.figures import INTERVAL, Figures, curve, figures, losses, waits
from tests.congestion.play import Played, played

COLOURS = ("#27c", "#c72", "#2a7", "#a3c", "#c22")
GREY, BLACK = "#bbb", "#000"


def drawn(run: Played) -> str:
    """Rate, queue and loss of a run over time, as an SVG document."""
    case, seconds = run.case, run.case.seconds
    rates = [(BLACK, [rate_at(case.rates, place * INTERVAL) / 1e6 for place in range(round(seconds / INTERVAL))])]
    if run.others:
        rates.append((GREY, [bps / 1e6 for bps in curve(run.others, seconds)]))
    for place, received in enumerate(run.received):
        rates.append((COLOURS[place % len(COLOURS)], [bps / 1e6 for bps in curve(received, seconds)]))
    queue = [("#27c", [1000 * wait for wait in waits(run.there, seconds)])]
    lost = [("#c22", [100 * part for part in losses(run.there, seconds)])]
    return document(
        [
            panel(f"{case.name}: Mbit/s; black: what the path carries, grey: TCP", rates, 0, INTERVAL),
            panel("longest wait in the queue, ms", queue, 1, INTERVAL),
            panel("lost for want of room, %", lost, 2, INTERVAL),
        ]
    )


def run(task: tuple[Case, int, Path | None]) -> tuple[str, Figures]:
    """Play a case with a seed; draw it where there is a place for the plot."""
    case, seed, out = task
    found = played(case, estimate(), seed)
    if out is not None:
        (out / f"{case.name.replace(', ', '-').replace(' ', '_').replace('%', 'percent')}.svg").write_text(drawn(found))
    return case.name, figures(found)


def told(found: list[Figures]) -> dict[str, Any]:
    """The worst of each figure over the seeds, and what is usual of two of them."""
    worst: dict[str, Any] = {
        "used": round(min(one.used for one in found), 3),
        "used_median": round(median(one.used for one in found), 3),
        "queue_ms_p95": round(1000 * max(one.queue_p95 for one in found)),
        "lost": round(max(one.lost for one in found), 4),
        "least_share": round(min(min(one.shares) for one in found), 3),
    }
    for name, values in (("up_s", [one.up for one in found]), ("down_s", [one.down for one in found])):
        if any(values):
            most = max(max(each) for each in values)
            # JSON has no word for never.
            worst[name] = round(most, 1) if math.isfinite(most) else None
    if (fair := [one.jain for one in found if one.jain is not None]) != []:
        worst["jain"], worst["jain_median"] = round(min(fair), 3), round(median(fair), 3)
    return worst


def main() -> int:
    """Run, draw, judge, and print the figures as the last line."""
    parser = argparse.ArgumentParser(prog="bench.congestion", description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--case", help="only cases whose name begins so")
    parser.add_argument("--seeds", type=int, default=5, help="how often each is run")
    parser.add_argument("--out", type=Path, default=Path(".weir/congestion"), help="the folder for the plots")
    args = parser.parse_args()
    cases = [case for case in TABLE + HARDER if case.name.startswith(args.case or "")]
    if not cases:
        parser.error(f"there is no case {args.case}; there are {', '.join(case.name for case in TABLE)}")
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    tasks = [(case, seed, args.out if seed == 1 else None) for case in cases for seed in range(1, args.seeds + 1)]
    by_case: dict[str, list[Figures]] = {}
    with ProcessPoolExecutor(2) as pool:
        for name, found in pool.map(run, tasks):
            by_case.setdefault(name, []).append(found)
    rows = {name: told(found) for name, found in by_case.items()}
    plain = {case.name for case in TABLE}
    wrong = {
        name: sorted({word for one in found for word in (missed(name, one) if name in plain else collapsed(one))})
        for name, found in by_case.items()
    }
    for name, row in rows.items():
        print(f"{name:40} {json.dumps(row)[1:-1]}")
        for word in wrong[name]:
            print(f"{'':40} SHORT: {word}")
    harder = [row["used"] for name, row in rows.items() if name not in plain]
    result = {
        "bench": "congestion",
        "single": rows.get("5.1"),
        "equals": rows.get("5.4"),
        "cases": rows,
        "seeds": args.seeds,
        "short": {name: words for name, words in wrong.items() if words},
        "harder_least_used": min(harder, default=None),
        "plots": str(args.out),
        "seconds": round(time.monotonic() - start, 1),
    }
    print(json.dumps(result))
    return 1 if result["short"] else 0


if __name__ == "__main__":
    sys.exit(main())
