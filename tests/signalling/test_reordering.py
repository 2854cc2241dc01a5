"""Messages of a leg come out in the order of their numbers, once each, and none is waited for too long."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalling.order import Order

BOUND, PATIENCE = 4, 3.0


def delivered(*numbers: int | None) -> list[int | None]:
    """What comes out when messages go in at once, each named by its number."""
    order: Order[int | None] = Order(BOUND, PATIENCE)
    return [out for number in numbers for out in order.take("leg", number, number, 0.0)]


@pytest.mark.parametrize(
    ("numbers", "out"),
    [
        ((0, 1, 2), [0, 1, 2]),
        ((2, 1, 0), [0, 1, 2]),
        ((0, 2, 3, 1), [0, 1, 2, 3]),
        ((1, 2, 3), []),
        ((None, 5, None), [None, None]),
        ((0, 0, 1, 1, 0), [0, 1]),
        ((0, 2, 2, 1), [0, 1, 2]),
        # One more than is kept: the missing ones are given up.
        ((1, 2, 3, 4, 5), [1, 2, 3, 4, 5]),
        # A late one is taken after all, but not twice.
        ((1, 2, 3, 4, 5, 0, 0), [1, 2, 3, 4, 5, 0]),
        ((0, 1 << 52, (1 << 52) + 1, (1 << 52) + 2, (1 << 52) + 3), [0]),
    ],
)
def test_messages_come_out_in_order(numbers: tuple[int | None, ...], out: list[int | None]) -> None:
    assert delivered(*numbers) == out


def test_a_hole_is_waited_for_only_so_long() -> None:
    order: Order[int] = Order(BOUND, PATIENCE)
    assert order.take("leg", 3, 3, 10.0) == []
    assert order.take("leg", 4, 4, 12.0) == []
    assert order.overdue(13.0) == []
    assert order.overdue(13.1) == [3, 4]
    assert order.take("leg", 5, 5, 14.0) == [5]
    assert order.take("leg", 2, 2, 14.0) == [2], "late, and never seen"
    assert order.overdue(99.0) == []


def test_legs_do_not_wait_for_each_other_and_are_forgotten() -> None:
    order: Order[str] = Order(BOUND, PATIENCE)
    assert order.take("a", 1, "a1", 0.0) == []
    assert order.take("b", 0, "b0", 0.0) == ["b0"]
    order.forget("a")
    order.forget("a")
    assert order.take("a", 0, "a0", 0.0) == ["a0"]
    assert order.overdue(99.0) == []


def test_only_so_many_legs_are_remembered() -> None:
    order: Order[int] = Order(BOUND, PATIENCE, most=10)
    for number in range(1000):
        order.take(number, 1, number, 0.0)
    assert len(order.overdue(99.0)) == 10


def test_what_was_seen_is_known() -> None:
    order: Order[int] = Order(BOUND, PATIENCE)
    assert not order.seen("leg", 0) and not order.seen("leg", None)
    order.take("leg", 0, 0, 0.0)
    order.take("leg", 2, 2, 0.0)
    assert [order.seen("leg", number) for number in range(4)] == [True, False, True, False]


@given(st.integers(1, 40), st.randoms(use_true_random=False))
def test_whatever_the_network_does_each_message_comes_out_once(count: int, chance: random.Random) -> None:
    order: Order[int] = Order(64, PATIENCE)
    sent = list(range(count)) * 2
    chance.shuffle(sent)
    out = [message for number in sent for message in order.take("leg", number, number, 0.0)]
    assert out == list(range(count))


@given(st.lists(st.integers(0, 60), max_size=80))
def test_what_is_held_is_bounded_and_nothing_comes_twice(numbers: list[int]) -> None:
    order: Order[int] = Order(BOUND, PATIENCE)
    out = [message for number in numbers for message in order.take("leg", number, number, 0.0)]
    rest: list[int] = []
    while more := order.overdue(99.0):
        rest += more
    assert len(rest) <= BOUND
    assert len(set(out + rest)) == len(out + rest)
