"""The seeded network's narrow places: rates that change, queues that are shared, losses in bursts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bottleneck import Bottleneck, Passed, bits_between, rate_at
from tests.wire import Bursts, Conditions, Wire

STEPS = ((0.0, 1e6), (1.0, 5e5), (2.0, 2e6))


@pytest.mark.parametrize(("at", "rate"), [(0, 1e6), (0.99, 1e6), (1, 5e5), (1.5, 5e5), (2, 2e6), (100, 2e6)])
def test_the_rate_is_that_of_the_newest_step(at: float, rate: float) -> None:
    assert rate_at(STEPS, at) == rate


@pytest.mark.parametrize(
    ("start", "end", "bits"), [(0, 1, 1e6), (0, 3, 3.5e6), (0.5, 1.5, 7.5e5), (2, 2, 0), (2.5, 3.5, 2e6)]
)
def test_what_could_pass_is_the_area_under_the_steps(start: float, end: float, bits: float) -> None:
    assert bits_between(STEPS, start, end) == pytest.approx(bits)


def test_what_waits_across_a_step_leaves_at_both_rates() -> None:
    narrow = Bottleneck(STEPS, queue=1)
    # Half of it leaves in the last half second of the first rate, the rest takes a second.
    assert narrow.take(0.5, 125_000) == pytest.approx(2.0)
    assert narrow.take(2.5, 25_000) == pytest.approx(2.6)


@given(st.lists(st.tuples(st.floats(0, 0.1), st.integers(1, 50_000)), min_size=1, max_size=60))
def test_no_more_passes_than_the_rates_allow(packets: list[tuple[float, int]]) -> None:
    narrow, now, passed, left = Bottleneck(STEPS, queue=0.3), 0.0, 0, 0.0
    for gap, size in packets:
        now += gap
        if (leaves := narrow.take(now, size)) is not None:
            assert leaves >= left
            left, passed = leaves, passed + 8 * size
    assert passed <= bits_between(STEPS, 0, left) + 1


def test_a_queue_is_shared_by_all_who_pass_and_keeps_a_book() -> None:
    narrow = Bottleneck(((0.0, 1e6),), queue=0.015, book=[])
    conditions = Conditions(delay=0.01)
    ada, bob = (Wire[str](conditions, random.Random(1), narrow) for _ in range(2))
    assert ada.send(0, "a", 1250) == pytest.approx([0.02])
    assert bob.send(0, "b", 1250) == pytest.approx([0.03])
    assert ada.send(0, "late", 1250) == []
    assert narrow.book == [Passed(0, 0, 1250), Passed(0, 0.01, 1250), Passed(0, None, 1250)]


@pytest.mark.parametrize("bursts", [Bursts(1 / 27, 1 / 3), Bursts(0.02, 0.1, lost=0.6)])
def test_losses_in_bursts_come_together_and_as_often_as_said(bursts: Bursts) -> None:
    wire = Wire[int](Conditions(bursts=bursts), random.Random(3))
    fates = [bool(wire.send(0, number, 100)) for number in range(60_000)]
    assert fates.count(False) / len(fates) == pytest.approx(bursts.share, rel=0.1)
    after_a_loss = [later for fate, later in zip(fates, fates[1:], strict=False) if not fate]
    assert after_a_loss.count(False) / len(after_a_loss) > 3 * bursts.share
