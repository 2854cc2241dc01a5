"""A link through a network namespace delays, thins and loses real packets as its conditions say."""

from __future__ import annotations

import asyncio
import statistics
import struct
import time

import pytest

from bench.link import Link, link
from bench.link.namespace import AWAY, HOME, possible, udp
from tests.wire import Conditions

HEADERS = 28
"Bytes of IP and UDP, which the link counts too."
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("kind", ["namespace"] if possible() else [])]


async def carried(laid: Link, packets: int, every: float, size: int, *, out: bool = False) -> list[tuple[int, float]]:
    """Send real packets over the link, into the namespace or out of it: which arrived, and after how many seconds."""
    near, far = udp(HOME), udp(AWAY, laid.names.space)
    source, sink = (far, near) if out else (near, far)
    arrived: list[tuple[int, float]] = []

    def take() -> None:
        while True:
            try:
                data = sink.recv(2048)
            except BlockingIOError:
                return
            number, sent = struct.unpack_from("!Id", data)
            arrived.append((number, time.monotonic() - sent))

    with near, far:
        sink.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(sink, take)
        try:
            start = time.monotonic()
            for number in range(packets):
                await asyncio.sleep(max(0.0, start + number * every - time.monotonic()))
                body = struct.pack("!Id", number, time.monotonic()).ljust(size - HEADERS, b".")
                source.sendto(body, sink.getsockname())
            await asyncio.sleep(0.6)
        finally:
            loop.remove_reader(sink)
    return arrived


async def test_packets_take_as_long_as_the_link_says_each_way(kind: str) -> None:
    async with link(Conditions(delay=0.05), Conditions(delay=0.02)) as laid:
        for out, delay in ((False, 0.05), (True, 0.02)):
            times = [took for _, took in await carried(laid, 100, 0.005, 500, out=out)]
            assert len(times) == 100 and min(times) >= delay
            # The median, since this machine may pause whoever reads the clock.
            assert statistics.median(times) < delay + 0.005


async def test_no_more_comes_through_than_the_rate_and_what_waits_is_late(kind: str) -> None:
    async with link(Conditions(delay=0.01, rate=1e6, queue=0.2)) as laid:
        # Twice the rate for a second: half of it passes, and what was in the queue.
        arrived = await carried(laid, 250, 0.004, 1000)
        assert 1.1e6 < len(arrived) * 8000 < 1.35e6
        assert 0.19 < max(took for _, took in arrived) < 0.3
        await laid.set(Conditions(delay=0.01))
        assert len(await carried(laid, 250, 0.002, 1000)) == 250


async def test_the_same_seed_loses_the_same_packets(kind: str) -> None:
    lost = []
    for _ in range(2):
        async with link(Conditions(delay=0.005, pattern=(True, False, False)), seed=4) as laid:
            lost.append([number for number, _ in await carried(laid, 30, 0.002, 200)])
    assert lost[0] == lost[1] == [number for number in range(30) if number % 3]


def test_a_socket_in_a_namespace_that_is_not_there_is_refused(kind: str) -> None:
    with pytest.raises(FileNotFoundError):
        udp("127.0.0.1", "weir-nowhere")
