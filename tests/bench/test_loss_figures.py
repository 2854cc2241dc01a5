"""What is measured of losses and of layer switches is judged by their bars."""

from __future__ import annotations

import pytest

from bench import loss, switch_time
from bench.link import Carried
from bench.loss import Moment

CARRIED = Carried(sent=10_000, lost=1_000)


def moments(fps: float = 30.0, requests: float = 1.0, least: float | None = None) -> list[Moment]:
    """A minute in steps of five seconds; `least`: frames a second in the third of them."""
    rates = [least if least is not None and step == 2 else fps for step in range(12)]
    frames = [int(5 * sum(rates[:step])) for step in range(13)]
    return [Moment(5.0 * step, frames[step], {"f": int(5 * requests * step), "q": 0}) for step in range(13)]


@pytest.mark.parametrize(
    ("seen", "resent", "carried", "passes"),
    [
        pytest.param(moments(), 1100, CARRIED, True, id="all is well"),
        pytest.param(moments(14.8), 1100, CARRIED, False, id="too few frames"),
        pytest.param(moments(least=10), 1100, CARRIED, False, id="too few for five seconds"),
        pytest.param(moments(), 1400, CARRIED, False, id="too much is sent again"),
        pytest.param(moments(requests=2.2), 1100, CARRIED, False, id="keyframes are asked for too often"),
        pytest.param(moments(), 0, Carried(10_000, 0), False, id="nothing was lost"),
    ],
)
def test_losses_must_neither_be_seen_nor_cost_much(
    seen: list[Moment], resent: float, carried: Carried, passes: bool
) -> None:
    assert loss.judged(seen, resent, carried)["pass"] is passes


@pytest.mark.parametrize(
    ("times", "passes"), [([0.04] * 30, True), ([0.04] * 14 + [0.2] * 16, False), ([0.04] * 10, False)]
)
def test_half_of_all_switches_must_be_quick_and_there_must_be_enough(times: list[float], passes: bool) -> None:
    found = switch_time.judged([[9.0, *times[::2]], [9.0, *times[1::2]]])
    assert found["pass"] is passes and found["switches"] == len(times)
