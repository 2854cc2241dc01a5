"""Costs of an engine with native clients: what stretches say in numbers, and whether the bars hold. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FAULTS = ("lost", "duplicates", "late", "backwards", "corrupt", "misplaced", "unopened")
"What must not happen to a packet, as the crowd counts it."
MOST_RATIO = {"bursts": 1.6, "singles": 1.3}
"Engine over bare loop."
COALESCED_US = 3.5
"CPU microseconds of a single packet when packets may wait 2 ms for others."
LATENCY_US = 1000
"Of 99 packets in 100, at half load."
ALLOCATIONS = 0.001
"For each packet sent, beyond those of an idle engine (consent, timers): room for what each second brings, no more."
WAKES = 5.0
"Wake-ups of Python a second: rates are told each second, whatever flows."


@dataclass(frozen=True, slots=True)
class Taken:
    """One stretch."""

    seconds: float
    cpu: float
    "Seconds of CPU time of the process under test, all threads, user and kernel."
    sent: int
    "Packets that should have arrived, over all sinks."
    crowd: Mapping[str, int]
    "What the sinks say: see `Crowd.figures`."
    counted: Mapping[str, int]
    "What the process under test counted of its own work; empty for the reference engine."
    wakes: int
    "Times that Python was woken up in it."

    @property
    def received(self) -> int:
        """Over all sinks."""
        return self.crowd["received"]

    @property
    def faults(self) -> dict[str, int]:
        """What went wrong, by name."""
        found = {name: self.crowd[name] for name in FAULTS if self.crowd.get(name)}
        missing = self.sent - self.received
        return found | ({"missing": missing} if missing else {})

    @property
    def us(self) -> float:
        """Microseconds of CPU time a packet received."""
        return 1e6 * self.cpu / max(1, self.received)


def row(engine: Sequence[Taken], compared: Sequence[Taken]) -> dict[str, Any]:
    """The figures of one setting: medians over its stretches."""
    costs, plain = [one.us for one in engine], [one.us for one in compared]
    seconds, sent = sum(one.seconds for one in engine), sum(one.sent for one in engine)
    faults: dict[str, int] = {}
    for one in (*engine, *compared):
        for name, count in one.faults.items():
            faults[name] = faults.get(name, 0) + count
    # In turns on one machine: neighbours in time share its moods.
    ratios = [one / other for one, other in zip(costs, plain, strict=False)]
    return {
        "us_per_packet": round(statistics.median(costs), 3),
        "us_range": [round(min(costs), 3), round(max(costs), 3)],
        "bare_us_per_packet": round(statistics.median(plain), 3) if plain else None,
        "bare_us_range": [round(min(plain), 3), round(max(plain), 3)] if plain else None,
        "ratio": round(statistics.median(ratios), 3) if ratios else None,
        "packets_per_second": round(sent / seconds),
        "loss": round(1 - sum(one.received for one in engine) / max(1, sent), 6),
        "faults": faults,
        "latency_us": {part: int(statistics.median(one.crowd[f"latency_us_{part}"] for one in engine))
                       for part in ("p50", "p99", "most")},
        "cores": round(sum(one.cpu for one in engine) / seconds, 3),
        "train_histogram": trains(engine),
        "bare_train_histogram": trains(compared),
        "python_wakes_per_second": round(sum(one.wakes for one in engine) / seconds, 2),
        "turns_per_second": round(sum(one.counted.get("wakeups", 0) for one in engine) / seconds),
    }  # fmt: skip


def trains(stretches: Sequence[Taken]) -> dict[str, int]:
    """Messages by the number of datagrams in them: how often the kernel was handed up to so many at once."""
    found: dict[str, int] = {}
    for one in stretches:
        for name, count in one.counted.items():
            if name.startswith("trains_to_") and count:
                label = name.removeprefix("trains_to_")
                found[label] = found.get(label, 0) + count
    return dict(sorted(found.items(), key=lambda pair: int(pair[0])))


def beyond(busy: Sequence[Taken], idle: Sequence[Taken]) -> dict[str, Any]:
    """Allocations of a busy engine, and how many more for each packet they are than those of the same engine idle."""

    def rate(stretches: Sequence[Taken]) -> float:
        return sum(one.counted["allocations"] for one in stretches) / sum(one.seconds for one in stretches)

    packets = sum(one.sent for one in busy) / sum(one.seconds for one in busy)
    more = max(0.0, rate(busy) - rate(idle)) / packets
    return {
        "allocations_per_second": round(rate(busy), 1), "idle_allocations_per_second": round(rate(idle), 1),
        "allocations_per_packet": round(more, 6),
    }  # fmt: skip


def quiet(found: Mapping[str, Any]) -> bool:
    """Whether nothing is done for each packet outside the packet path."""
    return bool(found["allocations_per_packet"] <= ALLOCATIONS and found["python_wakes_per_second"] <= WAKES)


def whole(found: Mapping[str, Any]) -> bool:
    """Every packet arrived, once, in order and as it was sent."""
    return not found["faults"]


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The rows for people."""
    head = f"{'setting':>22} {'packets/s':>10} {'us/packet':>10} {'range':>15} {'bare':>7} {'ratio':>6}"
    lines = [f"{head} {'loss':>8} {'p50 us':>7} {'p99 us':>7} {'cores':>6}"]
    for name, one in rows.items():
        low, high = one["us_range"]
        lines.append(
            f"{name:>22} {one['packets_per_second']:>10} {one['us_per_packet']:>10.2f} {f'{low:.2f} to {high:.2f}':>15}"
            f" {one['bare_us_per_packet'] or 0:>7.2f} {one['ratio'] or 0:>6.2f} {one['loss']:>8.4%}"
            f" {one['latency_us']['p50']:>7} {one['latency_us']['p99']:>7} {one['cores']:>6.3f}"
        )
        if one["faults"]:
            lines.append(f"{'':>22} wrong: {one['faults']}")
    return "\n".join(lines)
