"""The packet bench's cases with native clients: what is measured under which name, and which bar it is held to."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from bench.forwarding import cost
from bench.forwarding.native import Traffic, measured

BURSTS = Traffic(fps=30, burst=9)
SINGLES = Traffic(fps=250, burst=1)
"25,000 packets a second to 100 sinks, each by itself."
COALESCE = 2.0
"Milliseconds."
NEAR = {2: 2, 1: 4}
"Milliseconds between packets: by how much fewer the sinks are then. Nearer than that many can wait for each other."
FASTEST = 3000
"Packets a second that the engine takes from one peer (`focus/native/src/media/table.rs`)."


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    sinks: int
    seconds: float
    "Of one stretch."
    rounds: int
    cpus: frozenset[int]
    "Where engine and bare loop run, in turns."


def told(case: str, effort: Effort, traffic: Traffic, top: dict[str, Any], rows: dict[str, Any]) -> dict[str, Any]:
    """The result: the figures of one row, and all of them."""
    return {"bench": "packet", "case": case, "subscribers": effort.sinks, "packet_bytes": traffic.size,
            "fps": traffic.fps, "burst": traffic.burst, "stretches": effort.rounds, **top, "rows": rows}  # fmt: skip


async def of(name: str, effort: Effort, traffic: Traffic, **setting: Any) -> dict[str, Any]:
    """One row."""
    engine, compared = await measured(
        name, effort.sinks, traffic, effort.seconds, effort.rounds, effort.cpus, **setting
    )
    return cost.row(engine, compared)


async def reference(effort: Effort, traffic: Traffic) -> dict[str, Any]:
    """The reference engine at the same sinks, for one stretch: it takes as long and is no part of the bar."""
    short = Effort(effort.sinks, effort.seconds, 1, effort.cpus)
    return await of("reference", short, traffic, against="")


async def bursts(effort: Effort) -> dict[str, Any]:
    """Bursts of 9 at 30 fps, to plain sinks and to sinks that take GRO."""
    rows = {
        "plain sinks": await of("native", effort, BURSTS),
        "GRO sinks": await of("native", effort, BURSTS, joined=True),
        "reference": await reference(effort, BURSTS),
    }
    held = [rows["plain sinks"], rows["GRO sinks"]]
    good = all(cost.whole(one) and one["ratio"] <= cost.MOST_RATIO["bursts"] for one in held)
    again = {"reference_us_per_packet": rows["reference"]["us_per_packet"]}
    return told("bursts", effort, BURSTS, rows["plain sinks"] | again, rows) | {"pass": good}


async def singles(effort: Effort) -> dict[str, Any]:
    """25,000 packets a second out, each alone: at once, and when they may wait 2 ms for others.

    One publisher's packets are 4 ms apart then, so there is nobody to wait for, and coalescing cannot be cheaper than
    the bare loop at once (`floor_us`). What it brings where packets are nearer is told by rows with fewer sinks, to
    which as many packets go; the bar is not held to them.
    """
    rows = {
        "at once": await of("native", effort, SINGLES),
        "2 ms": await of("native", effort, SINGLES, coalesce=COALESCE),
    }
    for apart, fewer in NEAR.items():
        near = Effort(max(1, effort.sinks // fewer), effort.seconds, effort.rounds, effort.cpus)
        traffic = Traffic(fps=SINGLES.fps * fewer, burst=1)
        rows[f"2 ms, {apart} ms apart"] = await of("native", near, traffic, coalesce=COALESCE)
    rows["reference"] = await reference(effort, SINGLES)
    once, waiting = rows["at once"], rows["2 ms"]
    good = all(cost.whole(one) for one in (once, waiting)) and once["ratio"] <= cost.MOST_RATIO["singles"]
    good = good and waiting["us_per_packet"] <= cost.COALESCED_US
    more = {
        "coalesced_us_per_packet": waiting["us_per_packet"],
        "floor_us": once["bare_us_per_packet"],
        "reference_us_per_packet": rows["reference"]["us_per_packet"],
    }
    return told("singles", effort, SINGLES, once | more, rows) | {"pass": good}


async def latency(effort: Effort) -> dict[str, Any]:
    """From the publisher's sending to the kernel's having it for the sink, with the engine at half load.

    Half load is half of a core: how many packets that is follows from what one cost in a short trial.
    """
    trial = Effort(effort.sinks, 2.0, 1, effort.cpus)
    traffic = Traffic(fps=500, burst=1)
    for _ in range(3):
        found = await of("native", trial, traffic, against="")
        rate = round(min(FASTEST - 100, max(30.0, traffic.fps * 0.5 / max(0.01, found["cores"]))))
        traffic = Traffic(fps=rate, burst=1)
    found = await of("native", effort, traffic, against="")
    rows = {"half load": found, "bursts": await of("native", effort, BURSTS, against="")}
    good = cost.whole(found) and found["latency_us"]["p99"] < cost.LATENCY_US
    return told("latency", effort, traffic, found, rows) | {"pass": good}


async def quiet(effort: Effort) -> dict[str, Any]:
    """Whether memory is asked for, or Python woken up, for each packet: more than while nothing is sent."""
    rows: dict[str, Any] = {}
    for name, traffic in (("bursts", BURSTS), ("singles", SINGLES)):
        busy, idle = await measured(
            "native", effort.sinks, traffic, effort.seconds, effort.rounds, effort.cpus, against="idle"
        )
        rows[name] = cost.row(busy, []) | cost.beyond(busy, idle)
    good = all(cost.whole(one) and cost.quiet(one) for one in rows.values())
    return told("quiet", effort, BURSTS, rows["bursts"], rows) | {"pass": good}


CASES: dict[str, Callable[[Effort], Coroutine[Any, Any, dict[str, Any]]]] = {
    "bursts": bursts,
    "singles": singles,
    "latency": latency,
    "quiet": quiet,
}
