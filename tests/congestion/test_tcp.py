"""The competitor behaves as TCP does: it fills a queue, halves for a loss, shares with its like, and ends."""

from __future__ import annotations

import random

from tests.bottleneck import Bottleneck
from tests.congestion.clock import Clock, Post
from tests.congestion.figures import bits, jain, quantile
from tests.congestion.tcp import Tcp
from tests.wire import Conditions

PATH = Conditions(delay=0.05)


def wires(clock: Clock, narrow: Bottleneck) -> tuple[Post[int], Post[int]]:
    """A way there over the bottleneck, and a free way back."""
    there, back = Post[int](PATH, random.Random(1), narrow), Post[int](PATH, random.Random(2))
    there.clock = back.clock = clock
    return there, back


def test_it_fills_the_link_and_its_queue() -> None:
    clock, narrow = Clock(), Bottleneck(((0.0, 2e6),), queue=0.3, book=[])
    tcp = Tcp(clock, *wires(clock, narrow))
    clock.run(60)
    assert bits(tcp.received, 10, 60) / 50 > 0.97 * 2e6
    assert quantile([one.wait for one in narrow.book or () if one.wait is not None], 0.95) > 0.2
    assert 0 < sum(one.wait is None for one in narrow.book or ()) < 150


def test_two_share_alike() -> None:
    clock, narrow = Clock(), Bottleneck(((0.0, 2e6),), queue=0.3)
    pair = [Tcp(clock, *wires(clock, narrow)) for _ in range(2)]
    clock.run(120)
    assert jain([bits(tcp.received, 30, 120) for tcp in pair]) > 0.9


def test_a_transfer_brings_all_of_its_bytes_though_some_are_lost_and_says_when_it_is_done() -> None:
    clock, narrow = Clock(), Bottleneck(((0.0, 1e6),), queue=0.05)
    done: list[float] = []
    tcp = Tcp(clock, *wires(clock, narrow), 500_000, lambda: done.append(clock.now))
    clock.run(60)
    assert sum(size - 40 for _, size in tcp.received) >= 500_000
    assert len(done) == 1 and 4 < done[0] < 12


def test_it_comes_back_after_a_silence() -> None:
    clock, narrow = Clock(), Bottleneck(((0.0, 1e6), (5.0, 1.0), (8.0, 1e6)), queue=0.1)
    tcp = Tcp(clock, *wires(clock, narrow))
    clock.run(30)
    assert bits(tcp.received, 20, 30) / 10 > 0.9e6
