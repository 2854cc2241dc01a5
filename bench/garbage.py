"""10,000 garbage packets a second beside a call: `make bench NAME=garbage`.

A publisher and its viewers, then the same for a minute with garbage of every kind
(`forwarding/noise.py`) at the engine's port, then the same without again. Nine in ten come
from strangers, from a few ports and from fresh ones on fresh addresses; one in ten comes
from the sockets of the call itself, as from somebody who sends in a client's name; no handshake is
among that, since what a client may have sent twice for want of an answer gets it again, a few times
(RFC 6347 §4.2.4). Added loss is that of the minute less that of the quiet stretches. A reply is
every byte that a stranger gets, and at a client's socket every DTLS record and every answer to no
check of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from aioice import Candidate as IceCandidate
from aioice import ice

from bench.forwarding import noise
from bench.forwarding.apart import ENGINES, Apart
from bench.forwarding.camera import CODEC, EXTENSIONS, MID, Camera, Shape
from bench.forwarding.client import Client
from bench.forwarding.figures import Stretch
from bench.forwarding.viewer import Viewer
from bench.packet import CAMERA, TRACK, WARM_UP, Stand
from bench.participants.report import quantile
from focus.commands import Expect, Lost, Reachable
from focus.vocabulary import Kind, PeerId

RATE = 270
"Packets a second of the publisher."
VIEWERS = 4
INSIDE = 0.1
"Share of the garbage that comes from the sockets of the call."
INSIDERS = tuple(kind for kind in noise.KINDS if kind is not noise.record)
PACE = 0.01
"Seconds between two batches of it."
MOST_LOSS = 0.001
MOST_RSS = 5 << 20
ENOUGH = 0.99
"Share of the garbage that must be sent, and find room in the engine's socket, for the run to say anything."
KEPT = 200
"Packets of each client that garbage is made of."


class Ears:
    """A client's ICE as its socket sees it: what went out is kept, and what came in answers it or is counted."""

    def __init__(self, protocol: ice.StunProtocol) -> None:
        self._protocol = protocol
        self._open: Counter[bytes] = Counter()
        "Checks by transaction, less the answers to them."
        self.sent: list[bytes] = []
        self.connected = False
        self.replies = 0
        "Bytes that answer nothing."

    def sending(self, data: bytes) -> None:
        """The client sends this, other than media."""
        self.sent.append(data)
        if data[0] < 2:
            self._open[data[8:20]] += 1

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        """This came, other than media."""
        answer = len(data) >= 20 and data[0] == 1
        if answer:
            self._open[data[8:20]] -= 1
        if (answer and self._open[data[8:20]] < 0) or (self.connected and 20 <= data[0] < 64):
            self.replies += len(data)
        self._protocol.datagram_received(data, source)

    def connection_lost(self, why: Exception | None) -> None:
        """The socket is closed."""
        self._protocol.connection_lost(why)


class Tapped(Client):
    """A client whose traffic is known."""

    def __init__(self, peer: PeerId) -> None:
        super().__init__(peer)
        self.ears: Ears | None = None
        self.packets: list[bytes] = []

    async def _bind(
        self, component: int, addresses: list[str], timeout: int = 5,  # noqa: ASYNC109 (the signature is the library's)
    ) -> list[IceCandidate]:
        found = await super()._bind(component, addresses, timeout)
        wire = self.wire
        assert wire is not None, "just made"
        ears = self.ears = Ears(wire._protocol)
        wire._protocol = ears  # type: ignore[assignment]
        plain = wire.sendto

        def sendto(data: Any, addr: Any = None) -> None:
            ears.sending(bytes(data))
            plain(data, addr)

        wire.sendto = sendto  # type: ignore[method-assign]
        return found

    def shout(self, data: bytes) -> None:
        """Send as it is, from the socket of the call."""
        assert self.wire is not None and self._towards is not None, "asked of a connected client"
        self.wire.socket.sendto(data, self._towards)

    def send(self, data: bytes) -> None:
        """Protect and send one packet; the first ones are kept."""
        session = self.dtls._tx_srtp
        sealed = session.protect_rtcp(data) if 192 <= data[1] <= 223 else session.protect(data)
        if len(self.packets) < KEPT:
            self.packets.append(sealed)
        self.shout(sealed)

    @property
    def name(self) -> str:
        """USERNAME of its checks."""
        return f"{self.near.ufrag}:{self.far.ufrag}"


def heard(clients: Sequence[Tapped]) -> noise.Heard:
    """What the clients have sent so far."""
    said = [data for client in clients if client.ears is not None for data in client.ears.sent]
    return noise.Heard(
        tuple(itertools.chain.from_iterable(client.packets for client in clients)),
        tuple(data for data in said if data[0] == 0),
        tuple(data for data in said if 20 <= data[0] < 64),
        tuple(client.name for client in clients),
    )


async def inside(clients: Sequence[Tapped], made: Sequence[bytes], rate: float, sent: Counter[str]) -> None:
    """Send garbage from the clients' sockets until cancelled."""
    start, turns = time.monotonic(), itertools.cycle(clients)
    for number in itertools.count(1):
        await asyncio.sleep(start + number * PACE - time.monotonic())
        while sent["inside"] < number * PACE * rate:
            next(turns).shout(made[sent["inside"] % len(made)])
            sent["inside"] += 1


async def weighed(pid: int, weights: list[int]) -> None:
    """Note the resident memory of a process four times a second until cancelled."""
    while True:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
        weights.append(int(pages) * os.sysconf("SC_PAGE_SIZE"))
        await asyncio.sleep(0.25)


def overrun(port: int) -> int:
    """Datagrams that the kernel had no room for in the socket of a port."""
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return sum(int(row[-1]) for row in rows if row[1].endswith(f":{port:04X}"))


def loss(stretches: Sequence[Stretch]) -> float:
    """Share of the packets that did not arrive."""
    return 1 - sum(one.received for one in stretches) / sum(one.sent for one in stretches)


async def measure(name: str, rate: int, seconds: float, quiet: float, cpus: frozenset[int]) -> dict[str, Any]:
    """Run the call and judge."""
    async with AsyncExitStack() as stack:
        engine = Apart(name, cpus)
        stack.push_async_callback(engine.close)
        await engine.start()
        pool = stack.enter_context(
            ProcessPoolExecutor(1, get_context("spawn"), noise.pin, (frozenset(os.sched_getaffinity(0)),))
        )
        clients = [Tapped(PeerId(f"peer{number}")) for number in range(VIEWERS + 1)]
        for client in clients:
            await client.connect(engine)
            stack.push_async_callback(client.close, engine)
            assert client.ears is not None, "connected"
            client.ears.connected = True
        publisher, *watching = clients
        camera = Camera(Shape(RATE), CAMERA, publisher.send)
        engine.submit(Expect(TRACK, publisher.peer, MID, Kind.VIDEO, (CODEC,), EXTENSIONS, (), (camera.ssrc,)))
        stand = Stand(engine, camera, [(client, Viewer()) for client in watching])
        for client, (_, book) in zip(watching, stand.viewers, strict=True):
            assert client.wire is not None, "it is connected"
            client.wire.on_media = book.take
        reporting = asyncio.ensure_future(stand.report())
        stack.callback(reporting.cancel)
        weights: list[int] = []
        assert engine._process.pid is not None, "started"
        weighing = asyncio.ensure_future(weighed(engine._process.pid, weights))
        stack.callback(weighing.cancel)

        before = await stand.forward(quiet)
        material, sent = heard(clients), Counter[str]()
        door = (await engine.saw(Reachable, peer=publisher.peer)).candidates[0]
        order = noise.Order(1, material, round(rate * (1 - INSIDE)), WARM_UP + seconds + 1, (door.host, door.port))
        at_first, light = dict((await engine.reading()).counters.drops), max(weights)
        made = noise.pool(2, replace(material, records=()), INSIDERS, 5_000)
        weights.clear()
        flooding = asyncio.get_running_loop().run_in_executor(pool, noise.flood, order)
        shouting = asyncio.ensure_future(inside(clients, made, rate * INSIDE, sent))
        during = await stand.forward(seconds)
        flood = await flooding
        shouting.cancel()
        await asyncio.gather(shouting, return_exceptions=True)
        heavy = max(weights)
        after = await stand.forward(quiet)
        at_last = (await engine.reading()).counters.drops
        lost = sum(isinstance(event, Lost) for event in engine.events)
        replies = flood.replies + sum(client.ears.replies for client in clients if client.ears is not None)
        unread = overrun(door.port)

    drops = {reason: count - at_first.get(reason, 0) for reason, count in at_last}
    offered = flood.sent + sent["inside"]
    quiet_loss, noisy_loss = loss((before, after)), loss((during,))
    quiet_cores = (before.cpu + after.cpu) / (before.seconds + after.seconds)
    added = max(0.0, noisy_loss - quiet_loss)
    return {
        "bench": "garbage", "engine": name, "seconds": seconds, "viewers": VIEWERS, "offered": offered,
        "offered_per_second": round(offered / order.seconds), "sources": flood.sources,
        "overrun": unread, "drops": {str(why): n for why, n in sorted(drops.items()) if n},
        "loss_quiet": round(quiet_loss, 6), "loss": round(noisy_loss, 6), "added_loss": round(added, 6),
        "reply_bytes": replies, "rss_added_mb": round((heavy - light) / (1 << 20), 2), "peers_lost": lost,
        "cores_quiet": round(quiet_cores, 4), "cores": round(during.cpu / during.seconds, 4),
        "p99_us_quiet": round(1e6 * quantile(before.latencies, 0.99)),
        "p99_us": round(1e6 * quantile(during.latencies, 0.99)), "load": os.getloadavg()[0],
        "pass": added <= MOST_LOSS and replies == 0 and heavy - light <= MOST_RSS and lost == 0
        and during.faults <= during.sent - during.received and offered >= ENOUGH * rate * order.seconds
        and unread <= (1 - ENOUGH) * offered,
    }  # fmt: skip


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.garbage", description=__doc__)
    parser.add_argument("--engine", choices=sorted(ENGINES), default="native")
    parser.add_argument("--rate", type=int, default=10_000, help="garbage packets a second (default: 10000)")
    parser.add_argument("--seconds", type=float, default=60, help="of garbage (default: 60)")
    parser.add_argument("--quiet", type=float, default=15, help="seconds before and after (default: 15)")
    arguments = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    # What is measured has a CPU of its own; who feeds, drains and floods it has another.
    os.sched_setaffinity(0, {cpus[0]})
    result = asyncio.run(
        measure(arguments.engine, arguments.rate, arguments.seconds, arguments.quiet, frozenset({cpus[-1]}))
    )
    print(json.dumps(result))
    return 0 if result["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
