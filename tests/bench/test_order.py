"""Received packets in order, and what is asked for again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.participants.order import ASK_AFTER, ASK_AGAIN, PATIENCE, Order


def test_packets_in_order_are_handed_on_at_once() -> None:
    order: Order[str] = Order()
    assert [order.put(n, f"p{n}", 0.0) for n in (65534, 65535)] == [[(0, "p65534")], [(0, "p65535")]]
    assert order.put(0, "p0", 0.0) == [(0, "p0")], "sixteen bits wrap"


def test_a_hole_holds_back_until_it_is_filled() -> None:
    order: Order[int] = Order()
    order.put(10, 10, 0.0)
    assert order.put(12, 12, 0.0) == []
    assert order.put(11, 11, 0.1) == [(0, 11), (0, 12)]


def test_a_hole_is_given_up_after_patience_and_counted() -> None:
    order: Order[int] = Order()
    order.put(10, 10, 0.0)
    order.put(13, 13, 0.0)
    assert order.release(PATIENCE - 0.01) == []
    assert order.release(PATIENCE + 0.01) == [(2, 13)]


def test_a_missing_packet_is_asked_for_after_a_moment_and_again_but_not_more_often() -> None:
    order: Order[int] = Order()
    order.put(65535, 0, 0.0)
    order.put(1, 0, 0.0)
    assert order.ask(ASK_AFTER / 2) == []
    assert order.ask(0.2) == [0]
    assert order.ask(0.2 + ASK_AGAIN / 2) == []
    assert order.ask(0.2 + ASK_AGAIN) == [0]
    order.put(0, 0, 0.4)
    assert (order.ask(0.9), order.recovered) == ([], 1)


def test_a_packet_that_comes_twice_is_counted_and_dropped() -> None:
    order: Order[int] = Order()
    order.put(5, 5, 0.0)
    assert order.put(5, 5, 0.0) == []
    assert order.duplicates == 1


@given(st.permutations(range(12)), st.integers(0, 65535), st.sets(st.integers(1, 11)))
def test_whatever_the_arrival_order_all_that_came_leaves_once_and_in_order(
    arrivals: list[int], start: int, lost: set[int]
) -> None:
    order: Order[int] = Order()
    out = order.put(start, 0, 0.0)
    for n in arrivals:
        if n and n not in lost:
            out += order.put((start + n) & 0xFFFF, n, 0.0)
    out += order.release(PATIENCE + 1)
    assert [n for _, n in out] == [n for n in range(12) if n not in lost]
    newest = max((n for n in range(12) if n not in lost), default=0)
    assert sum(gone for gone, _ in out) == len([n for n in lost if n < newest])
