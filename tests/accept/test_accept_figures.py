"""Each measurement's row reads its figure from what that measurement prints, so that no row shows raw JSON or nothing.

Where a bench's result is a pure function of what it saw, that function makes the sample; elsewhere it is written here.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from bench import audio, join_cpu, loss, packet_cost, restart, rooms, signalling, storm, switch_time, workers
from bench.accept.row import Row
from bench.accept.rows import ROWS
from bench.forwarding import cases, cost
from bench.forwarding.camera import Shape
from bench.forwarding.figures import Series, Stretch, judged
from bench.link import Carried
from bench.loss import Moment

MEASURED = {row.name: row for row in ROWS if row.command and re.search(r"make (bench|soak)", row.command)}

STAGE = {
    "rate": 20.0, "seconds": 60.0, "invites": 1200, "lost": 0, "p50_ms": 370.3, "p95_ms": 679.0,
    "focus_cores": 0.14, "synapse_cores": 0.457,
}  # fmt: skip
SEEN = {
    "link": {
        "concealed": [0.004, 0.005, 0.004], "down_s": [0.4, 0.8], "up_s": 3.2, "frozen_s": 0.3, "kbps": [1336, 736],
    },
    "bystander": {"tiles": 9, "lower": 0, "frozen_s": 0.0},
    "load": 1.0,
}
CALL = {"frames_per_second": 29.9, "freezes": 0, "apart_ms_median": 21.0}
USED = {"seconds": 60.0, "cores": 0.5, "rss_mb": 120.0}
STRETCH = Stretch(10.0, 0.05, 1000, 1000, 0, (0.001, 0.002))
SINKS = {"received": 1000, "latency_us_p50": 90, "latency_us_p99": 400, "latency_us_most": 500}
TAKEN = cost.Taken(1.0, 0.002, 1000, SINKS, {}, 1)
ROW = cost.row([TAKEN], [cost.Taken(1.0, 0.0015, 1000, SINKS, {}, 0)])
MORE = {
    "allocations_per_packet": 0.0, "reference_us_per_packet": 20.0, "coalesced_us_per_packet": 3.2, "floor_us": 3.1,
}  # fmt: skip
NATIVE = cases.told(
    "bursts", cases.Effort(100, 1.0, 1, frozenset()), cases.BURSTS, ROW | MORE, {"plain sinks": ROW, "GRO sinks": ROW}
)

BOOKS = {"received": 1000, "gap_us_p99": 41_000, "gap_us_most": 41_600, **dict.fromkeys(storm.FAULTS, 0)}
STORM = storm.Storm(100, BOOKS, BOOKS, 6.3, 6.2, [1.1, 2.2], {}, {})

SAMPLES: dict[str, dict[str, Any]] = {
    "quality": {"direct": CALL, "plain": CALL, "olm": CALL, "ratio": 1.0},
    "browsers": {
        "pairs": 56, "least_fps": 9.5, "judged": "6 of 6", "late_seconds": 0.9, "resized_seconds": 0.5, "load": 1.5,
    },
    "layers": {"worst_seconds": 0.4, "offers": 0, "second": {"sizes": [1280], "fps_during": 29.8}},
    "congestion": {
        "single": {"used": 0.91, "queue_ms_p95": 64, "up_s": 2.8, "down_s": 1.4},
        "equals": {"jain": 0.96},
        "harder_least_used": 0.55,
    },
    "nobody-watches": {"seconds_to_silence": 1.13, "ms_to_picture": 164.4, "load": 4.3},
    "joint-plan": {"median": 1.112, "least": 1.042, "most": 1.187},
    "new-address": {"p50_s": 0.64, "p99_s": 1.8, "changes": 20, "same_participant": True, "load": 1.0},
    "soak": {"focus": {"1 min": USED, "end": USED}, "stood_still": 0},
    "restart": restart.judged([{"Ada": 1.0, restart.PAGE: 1.5}], 1, True),
    "signalling": signalling.verdict([STAGE]),
    "join": {"p50_ms": 416, "p95_ms": 446, "failed": 0, "focus_cpu_ms_per_join": 24.7},
    "join-cpu": join_cpu.judged(
        [{"people": people, "cpu_ms": 0.5 * people, "python_ms": 0.1 * people} for people in (1, 2, 10, 50)]
    ) | {"load": 1.0},
    "garbage": {
        "added_loss": 0.0, "reply_bytes": 0, "rss_added_mb": 0.2, "cores": 0.07, "cores_quiet": 0.01, "load": 1.0,
    },
    "packet": judged("reference", Shape(270), {"reference": [Series(50, (STRETCH,), (STRETCH,), 0.0, "", 0.0)]}),
    "memory": {"bytes_each": 85987, "connected_bytes_each": 26030, "subscribers": 1000},
    **{f"packet-{case}": NATIVE for case in cases.CASES},
    "packet-cost": packet_cost.judged(packet_cost.Taken([TAKEN] * 2, [TAKEN] * 2, [0], 9, 0, [10**8])) | {"load": 1.0},
    "audio": audio.judged(dict.fromkeys(("at once", "5 ms", "5 ms, own sizes"), ROW)) | {"load": 1.0},
    "rooms": rooms.judged({"a": ROW, "b": ROW}, "a", "b") | {"video_kbps": 500, "load": 1.0},
    "join-storm": storm.judged(STORM) | {"load": 1.0},
    "allocation": {
        "utility": 1.0, "utility_least_case": 0.928, "utility_freely": 1.0, "switches_per_minute": 1.6, "frozen_s": 0.3,
        "regain_s": 6.0,
    },
    "plan-cost": {
        "full_ms": 94.4, "incremental_ms": 1.4, "blocked_ms_p99": 14.2, "blocked_ms_most": 75.1, "load": 1.0,
    },
    "workers": workers.judged([TAKEN], [TAKEN]),
    "thin-link": SEEN,
    "bystander": SEEN,
    "switch-time": {**switch_time.judged([[9.0] + [0.03] * 30]), "load": 1.0},
    "loss": {
        **loss.judged([Moment(0, 0, {"f": 0}), Moment(5, 140, {"f": 1})], 90, Carried(1000, 100)), "load": 1.0,
    },
}


def test_every_measurement_has_a_sample() -> None:
    assert MEASURED.keys() <= SAMPLES.keys(), "a new row: add what its bench prints"


@pytest.mark.parametrize("row", MEASURED.values(), ids=MEASURED.keys())
@pytest.mark.parametrize("after", ["", "make: *** [Makefile:40: bench] Error 1\n", "12 passed in 3.4s\n"])
def test_a_row_shows_named_figures(row: Row, after: str) -> None:
    assert row.figure is not None
    output = "the log\n" + json.dumps(SAMPLES[row.name]) + "\n" + after
    figure = row.figure(output)
    assert figure is not None, "a path of the row is not in what its bench prints"
    assert len(figure) < 120 and "{" not in figure
