"""Runs are judged by what their packets did: shares, delays, and how soon a step is followed."""

from __future__ import annotations

import json
import math

import pytest

from bench.congestion import told
from tests.bottleneck import Passed
from tests.congestion.bars import collapsed, missed
from tests.congestion.cases import Case, Flow, steps
from tests.congestion.figures import Figures, drained, figures, jain, quantile, risen
from tests.congestion.play import Played

GOOD = Figures(used=0.9, shares=(0.9,), queue_p95=0.06, lost=0.01, up=(2.0, 3.0), down=(1.4,), jain=None)


@pytest.mark.parametrize(("shares", "index"), [((1, 1, 1), 1.0), ((3, 0, 0), 1 / 3), ((2, 1), 0.9), ((0, 0), 0.0)])
def test_jain_says_how_equal_shares_are(shares: tuple[float, ...], index: float) -> None:
    assert jain(shares) == pytest.approx(index)


def test_a_step_up_is_followed_once_nine_tenths_come_through_for_a_while() -> None:
    assert risen([1e6] * 10 + [2e6] * 10, 1.0, 2e6) == pytest.approx(1.6)
    assert risen([1e6, 1e6, 2e6] * 10, 1.0, 2e6) == math.inf


def test_a_step_down_is_over_once_the_queue_is_short_after_its_peak() -> None:
    assert drained([0.01] * 5 + [0.02, 0.2, 0.3, 0.1, 0.04] + [0.01] * 20, 1.0) == pytest.approx(0.8)
    assert drained([0.01] * 30, 1.0) == 0
    assert drained([0.01] * 5 + [0.3] * 30, 1.0) == math.inf


def test_a_run_is_told_in_shares_of_the_capacity() -> None:
    case = Case("made up", 2, steps((0, 1), (1, 3)), (Flow(), Flow(start=1)), alike=(1, 2))
    each = tuple((place / 10, 12_500) for place in range(20))
    book = (Passed(0.0, 0.01, 100), Passed(0.5, None, 100), Passed(1.5, 0.03, 100), Passed(1.6, 0.02, 100))
    found = figures(Played(case, (each, each[10:]), ((), ()), (), book, ()))
    assert found.used == pytest.approx(0.75) and found.shares == pytest.approx((0.5, 1 / 3))
    assert (found.queue_p95, found.lost) == (0.03, 0.25) and found.jain == pytest.approx(1)


def test_a_quantile_of_nothing_is_nothing() -> None:
    assert quantile([], 0.95) == 0 and quantile([3, 1, 2], 0.5) == 2


@pytest.mark.parametrize(
    ("name", "found", "count"),
    [
        ("5.1", GOOD, 0),
        ("5.1", Figures(0.7, (0.7,), 0.09, 0, (math.inf, 1.0), (1.6,), None), 4),
        ("5.2", Figures(0.7, (0.7,), 0.09, 0, (math.inf, 1.0), (1.6,), None), 0),
        ("5.4", Figures(0.9, (), 0.09, 0, (), (), 0.94), 1),
        ("5.4", Figures(0.4, (), 0.09, 0, (), (), 0.96), 1),
    ],
)
def test_a_case_is_held_to_its_own_bars(name: str, found: Figures, count: int) -> None:
    assert len(missed(name, found)) == count
    assert collapsed(found) == ([] if found.used > 0.5 else ["uses only 0.40 of the capacity"])


def test_what_never_happened_is_told_in_json_that_all_can_read() -> None:
    found = Figures(0.7, (0.7,), 0.09, 0, (math.inf, 1.0), (1.6,), None)
    row = told([found, found])
    assert (row["up_s"], row["down_s"]) == (None, 1.6)
    json.dumps(row, allow_nan=False)
