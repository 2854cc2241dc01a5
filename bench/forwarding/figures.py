"""Figures of the packet bench: what a stretch and a series of them say, in numbers. Pure: nothing is measured here."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench.forwarding.camera import Shape


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one stretch of traffic gave."""

    seconds: float
    cpu: float
    "Seconds of CPU time of the process under test."
    sent: int
    "Packets that should have arrived, over all viewers."
    received: int
    faults: int
    latencies: tuple[float, ...] = ()
    "Seconds, sorted. Empty for the bare loop."

    @property
    def whole(self) -> bool:
        """Every packet arrived, in order and as it was sealed."""
        return self.received == self.sent and not self.faults

    @property
    def us(self) -> float:
        """Microseconds of CPU time a packet received."""
        return 1e6 * self.cpu / max(1, self.received)


@dataclass(frozen=True, slots=True)
class Series:
    """All stretches at one number of viewers: engine and bare loop in turn."""

    subscribers: int
    engine: tuple[Stretch, ...]
    bare: tuple[Stretch, ...]
    idle_cores: float
    "What the engine takes while everybody is connected and nothing is sent."
    profile: str
    behind: float
    "99 % of the publisher's frames left at most so many seconds late."

    @property
    def whole(self) -> bool:
        """Every packet arrived, in order and as it was sealed."""
        return all(one.whole for one in (*self.engine, *self.bare))


def rates(rate: int, fps: int) -> Iterator[int]:
    """The rates to try, in packets a second: whole packets a frame, halved down to one."""
    burst = max(1, rate // fps)
    while True:
        yield burst * fps
        if burst == 1:
            return
        burst //= 2


def row(one: Series) -> dict[str, Any]:
    """The figures of one number of viewers: medians over its stretches."""
    costs = [stretch.us for stretch in one.engine]
    seconds = sum(stretch.seconds for stretch in one.engine)
    sent, received = (sum(getattr(stretch, name) for stretch in one.engine) for name in ("sent", "received"))
    latencies = sorted(itertools.chain.from_iterable(stretch.latencies for stretch in one.engine))
    plain = [stretch.us for stretch in one.bare]
    return {
        "subscribers": one.subscribers,
        "us_per_packet": round(statistics.median(costs), 2),
        "us_range": [round(min(costs), 2), round(max(costs), 2)],
        "packets_per_second": round(received / seconds),
        "loss": round(1 - received / sent, 6),
        "faults": sum(stretch.faults for stretch in (*one.engine, *one.bare)),
        "latency_us": {"p50": microseconds(latencies, 0.5), "p99": microseconds(latencies, 0.99)},
        "bare_us_per_packet": round(statistics.median(plain), 2) if plain else None,
        "bare_loss": round(1 - sum(s.received for s in one.bare) / sum(s.sent for s in one.bare), 6) if plain else None,
        "ratio": round(statistics.median(costs) / statistics.median(plain), 2) if plain else None,
        "cores": round(sum(stretch.cpu for stretch in one.engine) / seconds, 3),
        "idle_cores": round(one.idle_cores, 3),
        "behind_us_p99": round(1e6 * one.behind),
    }


def microseconds(ordered: Sequence[float], part: float) -> int:
    """The value at `part` of sorted seconds, in microseconds; 0 for none."""
    return round(1e6 * ordered[min(len(ordered) - 1, int(part * len(ordered)))]) if ordered else 0


def judged(name: str, shape: Shape, found: dict[str, list[Series]]) -> dict[str, Any]:
    """The whole result but for the machine: the chosen engine's figures at most viewers, and a row for each number."""
    rows = {engine: [row(one) for one in every] for engine, every in found.items()}
    top = max(rows[name], key=lambda one: one["subscribers"])
    again = max(rows["reference"], key=lambda one: one["subscribers"])
    return {
        "bench": "packet", "engine": name, "subscribers": top["subscribers"],
        **{key: top[key] for key in ("us_per_packet", "us_range", "packets_per_second", "loss", "latency_us")},
        "bare_us_per_packet": top["bare_us_per_packet"], "ratio": top["ratio"],
        "reference_us_per_packet": again["us_per_packet"],
        "profile": found[name][0].profile, "packet_bytes": shape.size, "fps": shape.fps, "burst": shape.burst,
        "publisher_packets_per_second": shape.rate, "stretches": len(found[name][0].engine),
        "rows": rows, "pass": all(one.whole for every in found.values() for one in every),
    }  # fmt: skip


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows for people."""
    head = f"{'viewers':>8} {'packets/s':>10} {'us/packet':>10} {'range':>15} {'bare':>7} {'ratio':>6}"
    lines = [head + f" {'loss':>8} {'p50 us':>8} {'p99 us':>8} {'cores':>6} {'idle':>6}"]
    for one in sorted(rows, key=lambda each: int(each["subscribers"])):
        low, high = one["us_range"]
        lines.append(
            f"{one['subscribers']:>8} {one['packets_per_second']:>10} {one['us_per_packet']:>10.1f}"
            f" {f'{low:.1f} to {high:.1f}':>15} {one['bare_us_per_packet'] or 0:>7.1f} {one['ratio'] or 0:>6.1f}"
            f" {one['loss']:>8.4%} {one['latency_us']['p50']:>8} {one['latency_us']['p99']:>8}"
            f" {one['cores']:>6.2f} {one['idle_cores']:>6.3f}"
        )
    return "\n".join(lines)
