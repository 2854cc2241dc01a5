"""What the figures of two workers say: dearer, uneven, lossy or not spanning is a verdict against them."""

from __future__ import annotations

import pytest

from bench.forwarding.cost import FAULTS, Taken
from bench.workers import judged


def taken(us: float, counted: dict[str, int], lost: int = 0) -> Taken:
    crowd = {"received": 1000 - lost, **dict.fromkeys(FAULTS, 0)}
    crowd |= {f"latency_us_{part}": 100 for part in ("p50", "p99", "most")}
    return Taken(1.0, us * (1000 - lost) / 1e6, 1000, crowd, counted, 0)


GOOD = {"worker_0_sent": 520, "worker_1_sent": 480, "mirrored": 10}


@pytest.mark.parametrize(
    ("us", "counted", "lost", "passes"),
    [
        pytest.param(2.19, GOOD, 0, True, id="almost as cheap"),
        pytest.param(2.25, GOOD, 0, False, id="too dear"),
        pytest.param(2.0, GOOD, 1, False, id="one packet lost"),
        pytest.param(2.0, GOOD | {"overrun": 1}, 0, False, id="no room to hand over"),
        pytest.param(2.0, GOOD | {"worker_1_sent": 10}, 0, False, id="one worker does it all"),
        pytest.param(2.0, GOOD | {"mirrored": 0}, 0, False, id="nothing crosses"),
    ],
)
def test_two_workers_pass_when_they_share_the_work_and_cost_little_more(
    us: float, counted: dict[str, int], lost: int, passes: bool
) -> None:
    found = judged([taken(2.0, {})] * 3, [taken(us, counted, lost)] * 3)
    assert found["pass"] is passes
