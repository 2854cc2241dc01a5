"""CPU per forwarded packet, one publisher to many: `make bench NAME=packet`.

The engine runs in a process of its own, the publisher and the viewers in another, a bare
loop (seal and send to the same sockets, nothing else) in a third; engine and bare loop
take turns, never together. The figure is the CPU time of the engine's whole process over
the packets that the viewers received, so the cost of an idle engine is in it.

With `--case` bursts, singles, latency or quiet the engine is the native one and so are the
clients (`forwarding/cases.py` has the bars). The case `reference` has clients in Python and
no bar: its figure is a baseline. There, if packets are lost, the rate is halved until none is.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import secrets
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket

from bench.forwarding import bare, cost, viewer
from bench.forwarding.apart import ENGINES, Apart
from bench.forwarding.camera import CODEC, EXTENSIONS, MID, Camera, Shape
from bench.forwarding.cases import CASES, Effort
from bench.forwarding.client import Client
from bench.forwarding.figures import Series, Stretch, judged, rates, row, table
from bench.forwarding.native import pinned
from bench.forwarding.viewer import Viewer
from bench.participants.report import quantile
from focus.commands import Expect, Route, SetLayer, Switched, Unroute
from focus.native import available
from focus.vocabulary import SINGLE, Kind, PeerId, RouteId, TrackId

WARM_UP = 2.0
"Seconds of traffic before the first stretch that counts: the first after a start is always dearer."
IDLE = 2.0
"Seconds over which the cost of connected peers without media is read."
QUIET = 0.5
"Seconds without a packet after which what is missing counts as lost."
TRACK = TrackId("camera")
OURS = 1
"SSRC of a viewer, which sends nothing but reports, and of the bare loop."
CAMERA = 2
"SSRC of the publisher."


class Stand:
    """An engine apart with a publisher and viewers connected."""

    def __init__(self, engine: Apart, camera: Camera, viewers: list[tuple[Client, Viewer]]) -> None:
        self.engine, self.camera, self.viewers = engine, camera, viewers
        self._routes = itertools.count(1)
        self._numbers = 0
        "How many packets the bare loop has sent."
        self._keys = tuple(secrets.token_bytes(16) for _ in viewers)

    async def forward(self, seconds: float) -> Stretch:
        """One stretch through the engine, on fresh routes."""
        routes = [RouteId(next(self._routes)) for _ in self.viewers]
        ssrcs = [secrets.randbits(31) + 1 for _ in self.viewers]
        for route, ssrc, (client, _) in zip(routes, ssrcs, self.viewers, strict=True):
            self.engine.submit(
                Route(route, TRACK, client.peer, MID, (CODEC,), EXTENSIONS, ssrc, None), SetLayer(route, SINGLE)
            )
        # The keyframe that every route waits for comes within a second.
        await self.camera.run(WARM_UP)
        for route in routes:
            await self.engine.saw(Switched, route=route)
        await asyncio.sleep(QUIET)
        first = len(self.camera.sent)
        for ssrc, (client, book) in zip(ssrcs, self.viewers, strict=True):
            book.begin(ssrc, viewer.srtp(client.dtls._rx_srtp), self.camera.sent)
        before = await self.engine.reading()
        await self.camera.run(seconds)
        await self._arrived((len(self.camera.sent) - first) * len(self.viewers))
        after = await self.engine.reading()
        self.engine.submit(*(Unroute(route) for route in routes))
        return self._stretch(seconds, after.cpu - before.cpu, len(self.camera.sent) - first)

    async def loop(self, seconds: float, pool: ProcessPoolExecutor) -> Stretch:
        """One stretch of the bare loop, to the same sockets."""
        for key, (_, book) in zip(self._keys, self.viewers, strict=True):
            book.begin(OURS, viewer.bare(key, OURS, self._numbers), ())
        addresses = tuple(client.wire.address for client, _ in self.viewers if client.wire is not None)
        order = bare.Order(self.camera.shape, seconds, addresses, self._keys, OURS, self._numbers)
        cpu = await asyncio.get_running_loop().run_in_executor(pool, bare.run, order)
        sent = order.frames * order.shape.burst
        self._numbers += sent
        await self._arrived(sent * len(self.viewers))
        return self._stretch(seconds, cpu, sent)

    async def idle(self) -> float:
        """Cores that the engine takes while nothing is sent."""
        before, start = await self.engine.reading(), time.monotonic()
        await asyncio.sleep(IDLE)
        after = await self.engine.reading()
        return (after.cpu - before.cpu) / (time.monotonic() - start)

    async def report(self) -> None:
        """Send the receiver report that every viewer owes once a second (RFC 3550 §6.4.2)."""
        while True:
            await asyncio.sleep(1)
            for client, book in self.viewers:
                block = RtcpReceiverInfo(book.ssrc, 0, 0, book.sequence, jitter=0, lsr=0, dlsr=0)
                client.send(bytes(RtcpRrPacket(OURS, [block])))

    async def _arrived(self, due: int) -> None:
        """Wait until all came, or nothing has come for a while."""
        came, quiet_at = -1, time.monotonic() + QUIET
        while (now := sum(book.received for _, book in self.viewers)) < due and time.monotonic() < quiet_at:
            if now > came:
                came, quiet_at = now, time.monotonic() + QUIET
            await asyncio.sleep(0.01)

    def _stretch(self, seconds: float, cpu: float, packets: int) -> Stretch:
        books = [book for _, book in self.viewers]
        latencies = tuple(sorted(itertools.chain.from_iterable(book.latencies for book in books)))
        return Stretch(
            seconds, cpu, packets * len(books), sum(book.received for book in books),
            sum(sum(book.faults.values()) for book in books), latencies,
        )  # fmt: skip


async def series(
    name: str, subscribers: int, shape: Shape, seconds: float, rounds: int, cpus: frozenset[int]
) -> Series:
    """Measure an engine and the bare loop in turn; ends early at the first loss. `cpus`: where both run."""
    forwarded: list[Stretch] = []
    looped: list[Stretch] = []
    async with AsyncExitStack() as stack:
        engine = Apart(name, cpus)
        stack.push_async_callback(engine.close)
        await engine.start()
        pool = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), bare.pin, (cpus,)))
        clients = [Client(PeerId(f"peer{number}")) for number in range(subscribers + 1)]
        for client in clients:
            await client.connect(engine)
            stack.push_async_callback(client.close, engine)
        publisher, *watching = clients
        camera = Camera(shape, CAMERA, publisher.send)
        engine.submit(Expect(TRACK, publisher.peer, MID, Kind.VIDEO, (CODEC,), EXTENSIONS, (), (camera.ssrc,)))
        stand = Stand(engine, camera, [(client, Viewer()) for client in watching])
        for client, book in stand.viewers:
            assert client.wire is not None, "it is connected"
            client.wire.on_media = book.take
        reporting = asyncio.ensure_future(stand.report())
        stack.callback(reporting.cancel)
        idle = await stand.idle()
        for _ in range(rounds):
            forwarded.append(await stand.forward(seconds))
            if not forwarded[-1].whole:
                break
            looped.append(await stand.loop(seconds, pool))
            if not looped[-1].whole:
                break
        behind = quantile(sorted(camera.behind), 0.99)
        return Series(subscribers, tuple(forwarded), tuple(looped), idle, publisher.profile, behind)


def stolen() -> tuple[int, int]:
    """Ticks that the host took from this machine, and all ticks, since boot."""
    ticks = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return ticks[7], sum(ticks)


def model() -> str:
    """What the kernel calls the CPU."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def machine(before: tuple[int, int]) -> dict[str, Any]:
    """Where and beside what it was measured. `before`: what `stolen` said at the beginning."""
    after = stolen()
    return {
        "cpu": model(), "cpus": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0],
        "steal": round((after[0] - before[0]) / max(1, after[1] - before[1]), 4),
    }  # fmt: skip


async def measure(
    name: str, fans: Sequence[int], shape: Shape, seconds: float, rounds: int, cpus: frozenset[int]
) -> dict[str, Any]:
    """Run all series, the largest first since it decides the rate."""
    before, own, start = stolen(), time.process_time(), time.monotonic()
    found: dict[str, list[Series]] = {}
    for engine in dict.fromkeys((name, "reference")):
        found[engine] = []
        for fan in sorted(fans, reverse=True):
            one = await series(engine, fan, shape, seconds, rounds, cpus)
            found[engine].append(one)
            print(f"{engine}, {fan} viewers, {shape.rate} packets a second in:", flush=True)
            print(table([row(one)]), flush=True)
            if not one.whole:
                break
    return judged(name, shape, found) | machine(before) | {
        "sinks": "plain sockets, one recvmsg a packet, no GRO; 1 in 64 decrypted and checked; reports each second",
        "sinks_cores": round((time.process_time() - own) / (time.monotonic() - start), 3),
    }  # fmt: skip


def case(name: str, effort: Effort) -> dict[str, Any]:
    """Run a case with native clients."""
    before, own, start = stolen(), time.process_time(), time.monotonic()
    found = asyncio.run(CASES[name](effort))
    print(cost.table(found["rows"]))
    # "pass" comes last: people look there.
    verdict = found.pop("pass")
    return found | machine(before) | {
        "sinks": "native, a socket each, one packet in 64 decrypted and checked; left alone for 1 ms at a time;"
        " transport-wide feedback each 100 ms and a report each second from each",
        "sinks_cores": round((time.process_time() - own) / (time.monotonic() - start), 3),
        "pass": verdict,
    }  # fmt: skip


def baseline(arguments: argparse.Namespace, cpus: frozenset[int]) -> dict[str, Any]:
    """Run the case with clients in Python."""
    fans = [int(number) for number in (arguments.subscribers or "1,10,50").split(",")]
    result: dict[str, Any] = {}
    for rate in rates(arguments.rate, 30):
        result = asyncio.run(
            measure(arguments.engine, fans, Shape(rate), arguments.seconds or 10, arguments.rounds or 3, cpus)
        )
        if result["pass"]:
            break
    print(table(result["rows"][arguments.engine]))
    return result


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.packet", description=__doc__)
    parser.add_argument(
        "--case", choices=[*CASES, "reference"],
        help="what to measure (default: bursts; reference where the native engine is not built)",
    )  # fmt: skip
    parser.add_argument("--subscribers", help="how many (default: 100; case reference: each of 1,10,50)")
    parser.add_argument("--seconds", type=float, help="of one stretch (default: 5; case reference: 10)")
    parser.add_argument("--rounds", type=int, help="stretches of engine and bare loop in turn (default: 6; 3)")
    only = parser.add_argument_group("case reference")
    only.add_argument("--engine", choices=sorted(ENGINES), default="reference")
    only.add_argument("--rate", type=int, default=270, help="packets a second of the publisher (default: 270)")
    arguments = parser.parse_args()
    chosen = arguments.case or ("bursts" if available() else "reference")
    # What is measured has a CPU of its own; who feeds and drains it has another.
    cpus = pinned()
    if chosen == "reference":
        result = baseline(arguments, cpus)
    else:
        sinks = int(arguments.subscribers or 100)
        result = case(chosen, Effort(sinks, arguments.seconds or 5.0, arguments.rounds or 6, cpus))
    print(json.dumps(result))
    return 0 if result["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
