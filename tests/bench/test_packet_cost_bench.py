"""The cost of rate control is judged as measured, and the older engine comes out of the history, or with a reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench import packet_cost
from bench.forwarding import cost, elsewhere
from bench.packet_cost import WANTED, Taken, judged
from focus.engine import Settings

CROWD = dict.fromkeys((*cost.FAULTS, "latency_us_p50", "latency_us_p99", "latency_us_most"), 0)


def stretch(us: float, lost: int = 0) -> cost.Taken:
    return cost.Taken(1.0, us / 1000, 1000, {**CROWD, "received": 1000 - lost, "lost": lost}, {}, 0)


def taken(*pairs: tuple[float, float], probes: int = 9, estimate: int = 2 * WANTED, late: int = 0) -> Taken:
    before, now = [stretch(one) for one, _ in pairs], [stretch(other) for _, other in pairs]
    return Taken(before, now, [0], probes, late, [estimate])


@pytest.mark.parametrize(
    ("stretches", "ratio", "holds"),
    [
        (taken((3.0, 3.9), (3.0, 3.3), (4.0, 4.2)), 1.1, True),
        (taken((3.0, 3.9), (3.0, 3.6), (4.0, 4.2)), 1.2, False),
        (taken((3.0, 3.0), (3.0, 3.0), probes=0), 1.0, False),
        (taken((3.0, 3.0), (3.0, 3.0), estimate=600_000), 1.0, False),
        (taken((3.0, 3.0), (3.0, 3.0), late=1), 1.0, False),
    ],
)
def test_the_median_of_the_pairs_is_held_to_the_bar_while_probes_and_estimates_work(
    stretches: Taken, ratio: float, holds: bool
) -> None:
    found = judged(stretches)
    assert (found["ratio"], found["pass"]) == (ratio, holds)


def test_a_lost_packet_is_no_saving() -> None:
    stretches = taken((3.0, 3.0), (3.0, 3.0))
    stretches.now[1] = stretch(3.0, lost=1)
    assert not judged(stretches)["pass"]


def test_a_clone_without_that_commit_is_told_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(elsewhere.Unattainable, match="git fetch --unshallow"):
        elsewhere.checked_out("0" * 40, tmp_path)
    assert packet_cost.BEFORE


@pytest.mark.slow
async def test_an_engine_runs_with_the_code_of_its_tree_and_no_other(tmp_path: Path) -> None:
    settings, cpus = Settings(addresses=("127.0.0.1",)), frozenset(os.sched_getaffinity(0))
    engine = elsewhere.Elsewhere(elsewhere.ROOT, "reference", cpus, settings)
    try:
        await engine.start()
        assert engine.fingerprint[0] == "sha-256"
        assert (await engine.reading()).cpu > 0
    finally:
        await engine.close()
