"""The seeded network does to packets what its conditions say, and the same in every run."""

from __future__ import annotations

import random

import pytest

from tests.wire import Conditions, Wire

GENTLE = Conditions(delay=0.05)


EVERY = 0.001
"Seconds between packets."


def carried(conditions: Conditions, packets: int = 2000) -> list[tuple[float, int]]:
    """When which packet of 125 bytes arrives."""
    wire = Wire[int](conditions, random.Random(1))
    times = {number: wire.send(number * EVERY, number, 125) for number in range(packets)}
    arrived = []
    while (now := wire.next) is not None:
        arrived += [(now, number) for number in wire.due(now)]
    assert sorted(arrived) == sorted((at, number) for number, when in times.items() for at in when)
    return arrived


def test_a_gentle_wire_delivers_everything_in_order_after_its_delay() -> None:
    assert carried(GENTLE) == [(number * EVERY + 0.05, number) for number in range(2000)]


@pytest.mark.parametrize(
    "conditions", [GENTLE, Conditions(jitter=0.05, lost=0.1, overtaken=0.1, doubled=0.1, rate=1e6)]
)
def test_the_same_seed_is_the_same_fate(conditions: Conditions) -> None:
    assert carried(conditions) == carried(conditions)


def test_a_pattern_loses_exactly_what_it_names() -> None:
    arrived = [number for _, number in carried(Conditions(pattern=(True, False, False)), packets=9)]
    assert arrived == [1, 2, 4, 5, 7, 8]


def test_losses_and_doubles_come_as_often_as_said() -> None:
    assert 1750 < len(carried(Conditions(lost=0.1))) < 1850
    assert 2150 < len(carried(Conditions(doubled=0.1))) < 2250


def test_jitter_alone_reorders_nothing_and_overtaking_does() -> None:
    numbers = [number for _, number in carried(Conditions(jitter=0.1))]
    assert numbers == sorted(numbers)
    numbers = [number for _, number in carried(Conditions(overtaken=0.1))]
    assert sorted(numbers) == list(range(2000)) != numbers


def test_a_bottleneck_delays_up_to_its_queue_and_loses_the_rest() -> None:
    # A packet each millisecond is 1 Mbit/s.
    assert carried(Conditions(delay=0, rate=1e6), packets=100)[-1][0] == pytest.approx(0.1)
    narrow = carried(Conditions(delay=0, rate=5e5, queue=0.1))
    assert 1000 < len(narrow) < 1100
    assert max(at - number * EVERY for at, number in narrow) <= 0.1 + 0.002 + 1e-9
