"""When the signalling bench passes: the invites were made and answered, or the homeserver could do no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.dials import Dial, plot, seconds
from bench.signalling import Step, judged, verdict
from bench.soak import Usage


def at_20(**changes: Any) -> dict[str, Any]:
    figures = {
        "rate": 20.0, "seconds": 60.0, "invites": 1200, "lost": 0, "p50_ms": 1.0, "p95_ms": 2.0,
        "focus_cores": 0.1, "synapse_cores": 0.5,
    }  # fmt: skip
    return figures | changes


@pytest.mark.parametrize(
    ("stage", "limit", "passes"),
    [
        (at_20(), False, True),
        (at_20(lost=1), False, False),
        (at_20(invites=1000), False, False),
        (at_20(lost=1, synapse_cores=0.97), True, True),
        (at_20(lost=1, synapse_cores=0.97, focus_cores=0.95), False, False),
    ],
    ids=["all answered", "one lost", "too few made", "homeserver full", "focus full too"],
)
def test_a_lost_invite_is_forgiven_only_if_the_homeserver_is_full(
    stage: dict[str, Any], limit: bool, passes: bool
) -> None:
    found = verdict([at_20(rate=10.0, lost=3), stage, at_20(rate=40.0, lost=9)])
    assert (found["homeserver_is_the_limit"], found["pass"]) == (limit, passes)


def test_a_stage_counts_answers_and_what_both_servers_used() -> None:
    dials = [Dial(0.0, 10.0, "answer"), Dial(0.5, 30.0, "answer"), Dial(1.0, 9.0, "reject"), Dial(2.0, 1e4, "nothing")]
    used = [{"focus": Usage(at, at / 10, 0), "synapse": Usage(at, at / 2, 0)} for at in (1.0, 2.0, 3.0)]
    found = judged(Step(2.0, 2.0), dials, used)
    assert (found["invites"], found["answers"], found["lost"], found["answers_per_second"]) == (4, 2, 2, 1.0)
    assert (found["p50_ms"], found["focus_cores"], found["synapse_cores"]) == (30.0, 0.1, 0.5)


def test_the_plot_has_a_curve_for_each_figure(tmp_path: Path) -> None:
    dials = [Dial(100.0 + number / 3, 5.0, "answer" if number % 4 else "nothing") for number in range(30)]
    assert sum(each.answers + each.failures for each in seconds(dials)) == 30
    plot(dials, tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").read_text().count("<polyline") == 4
    plot([], tmp_path / "plot.svg")
