"""Twenty rooms of ten on one engine: `make bench NAME=rooms`.

Everybody sends a picture without layers and a voice without pauses, and gets those of the nine
others in the room. Nobody is in step with anybody. The picture is as large as engine and clients
can carry on two processors: the pictures of a list are tried from the largest down, and the first
of which nothing is lost, with a fifth of the engine's processor to spare, is the figure. There is
no bar but that nothing is lost, at once and with 5 ms of coalescing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from bench.forwarding import cost
from bench.forwarding.calls import Source, calling, picture, voice
from bench.forwarding.native import Traffic, pinned
from bench.packet import machine, stolen
from focus.vocabulary import Kind, PeerId

ROOMS = 20
PEOPLE = 10
"In a room."
FPS = 30
VOICE_SIZE = 160
"Bytes of a packet before it is sealed, as in `bench.audio`."
COALESCE = 5.0
"Milliseconds, in the second row."
MOST_CORES = 0.8
"Of the engine: with more, latency is that of a queue."
GOLDEN = 0.6180339887498949
"Multiples of it lie evenly in any interval (modulo 1), however many there are."


@dataclass(frozen=True, slots=True)
class Picture:
    """What a camera sends at 30 frames a second."""

    burst: int
    "Packets a frame."
    size: int
    "Bytes of each before it is sealed."

    @property
    def kbps(self) -> int:
        """Kilobits a second, with RTP's headers."""
        return round(self.burst * self.size * 8 * FPS / 1000)


PICTURES = (Picture(2, 1042), Picture(1, 1042), Picture(1, 521))
"640x360 as a meeting's grid has it; 320x180, a thumbnail; the same of somebody who sits still."


def everybody(shape: Picture, rooms: int, people: int) -> list[Source]:
    """Who sends what to whom."""
    found: list[Source] = []
    for room in range(rooms):
        here = [PeerId(f"room{room} person{number}") for number in range(people)]
        for place, peer in enumerate(here):
            others = tuple(other for other in here if other != peer)
            number = room * people + place
            sound = voice(0x1000 + number, VOICE_SIZE)
            sight = picture(0x2000 + 2 * number, FPS, shape.burst, shape.size)
            found.append(Source(peer, Kind.AUDIO, sound, others, GOLDEN * number % 1))
            found.append(Source(peer, Kind.VIDEO, sight, others, GOLDEN * (number + 0.5) % 1))
    return found


async def of(
    shape: Picture, rooms: int, people: int, seconds: float, rounds: int, cpus: frozenset[int], coalesce: float
) -> dict[str, Any]:
    """One row. It ends at the first stretch that is not whole."""
    taken: list[cost.Taken] = []
    async with AsyncExitStack() as stack:
        stand, _ = await calling(stack, everybody(shape, rooms, people), Traffic(), cpus, coalesce)
        for _ in range(rounds):
            taken.append(await stand.forward(seconds))
            if taken[-1].faults:
                break
    return cost.row(taken, [])


def fits(found: Mapping[str, Any]) -> bool:
    """Whether a row says what a packet costs, and not what an engine does that has too much to do."""
    return cost.whole(found) and bool(found["cores"] <= MOST_CORES)


def judged(rows: Mapping[str, Mapping[str, Any]], chosen: str, waiting: str) -> dict[str, Any]:
    """The figures of the `chosen` row, and beside it what `waiting` for others saves."""
    found = rows[chosen]
    figures = ("us_per_packet", "cores", "packets_per_second", "loss", "faults", "latency_us", "train_histogram")
    return {
        **{name: found[name] for name in figures},
        "coalesced_us_per_packet": rows[waiting]["us_per_packet"], "rows": dict(rows),
        "pass": cost.whole(found) and cost.whole(rows[waiting]),
    }  # fmt: skip


async def measure(
    pictures: tuple[Picture, ...], rooms: int, people: int, seconds: float, rounds: int, cpus: frozenset[int]
) -> dict[str, Any]:
    """The largest picture that fits; the last one if none does."""
    rows: dict[str, Any] = {}
    for shape in pictures:
        name = f"{shape.kbps} kbit/s"
        rows[name] = await of(shape, rooms, people, seconds, rounds, cpus, 0.0)
        if fits(rows[name]):
            break
    waiting = f"{shape.kbps} kbit/s, {COALESCE:.0f} ms"
    rows[waiting] = await of(shape, rooms, people, seconds, 2, cpus, COALESCE)
    return {"video_kbps": shape.kbps, "video_packet_bytes": shape.size, "burst": shape.burst} | judged(
        rows, name, waiting
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.rooms", description=__doc__)
    parser.add_argument("--rooms", type=int, default=ROOMS, help=f"how many (default: {ROOMS})")
    parser.add_argument("--people", type=int, default=PEOPLE, help=f"in each (default: {PEOPLE})")
    parser.add_argument("--seconds", type=float, default=5.0, help="of one stretch (default: 5)")
    parser.add_argument("--rounds", type=int, default=4, help="stretches (default: 4)")
    arguments = parser.parse_args()
    before, cpus = stolen(), pinned()
    own, start = time.process_time(), time.monotonic()
    found = asyncio.run(
        measure(PICTURES, arguments.rooms, arguments.people, arguments.seconds, arguments.rounds, cpus)
    )
    print(cost.table(found["rows"]))
    verdict = found.pop("pass")
    result = {
        "bench": "rooms", "rooms": arguments.rooms, "people": arguments.people, "fps": FPS,
        "audio_packet_bytes": VOICE_SIZE, **found, **machine(before),
        "sinks": "plain sockets, left alone for 1 ms at a time",
        "sinks_cores": round((time.process_time() - own) / (time.monotonic() - start), 3), "pass": verdict,
    }  # fmt: skip
    print(json.dumps(result))
    return 0 if verdict else 1


if __name__ == "__main__":
    sys.exit(main())
