"""Dials as locust wrote them, and their plot: answers a second, p50 and p95, failures over time. No measuring here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.participants.report import quantile


@dataclass(frozen=True, slots=True)
class Dial:
    """One invite and what became of it."""

    at: float
    "When it was sent, in seconds since the epoch."
    ms: float
    "Milliseconds until the answer, or until it was given up."
    outcome: str
    "`answer`, `reject`, `hangup` or `nothing`."


def dials(path: Path) -> list[Dial]:
    """Read a file of dials, in the order of sending."""
    return sorted((Dial(**json.loads(line)) for line in path.read_text().splitlines()), key=lambda dial: dial.at)


@dataclass(frozen=True, slots=True)
class Second:
    """What happened to the dials of one second."""

    answers: int
    failures: int
    p50: float
    p95: float


def seconds(found: Sequence[Dial]) -> list[Second]:
    """The dials by the second in which they were sent."""
    if not found:
        return []
    start = found[0].at
    bins: list[list[Dial]] = [[] for _ in range(int(found[-1].at - start) + 1)]
    for dial in found:
        bins[int(dial.at - start)].append(dial)
    rows = []
    for each in bins:
        times = sorted(dial.ms for dial in each if dial.outcome == "answer")
        rows.append(Second(len(times), len(each) - len(times), quantile(times, 0.5), quantile(times, 0.95)))
    return rows


WIDTH, HEIGHT, MARGIN = 900, 220, 50


def plot(found: Sequence[Dial], path: Path) -> None:
    """Draw three curves below each other into an SVG file."""
    rows = seconds(found)
    panels = [
        panel("answers a second", [("#2a7", [row.answers for row in rows])], 0),
        panel("ms to the answer: p50, p95", [("#27c", [r.p50 for r in rows]), ("#c72", [r.p95 for r in rows])], 1),
        panel("failures", [("#c22", [row.failures for row in rows])], 2),
    ]
    path.write_text(document(panels))


def document(panels: Sequence[str]) -> str:
    """An SVG file of panels."""
    size = f'width="{WIDTH}" height="{len(panels) * HEIGHT}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
        f'<rect {size} fill="white"/>{"".join(panels)}</svg>\n'
    )


def panel(title: str, curves: Sequence[tuple[str, Sequence[float]]], number: int, each: float = 1.0) -> str:
    """One set of axes with its curves (colour, a value for each of so many seconds)."""
    top, bottom = number * HEIGHT + 30, (number + 1) * HEIGHT - 25
    highest = max((value for _, values in curves for value in values), default=0) or 1
    long = max(len(values) for _, values in curves)
    across = (WIDTH - 2 * MARGIN) / max(1, long - 1)
    parts = [
        f'<text x="{MARGIN}" y="{top - 10}">{title}</text>',
        f'<text x="{MARGIN - 6}" y="{top + 4}" text-anchor="end">{highest:g}</text>',
        f'<text x="{MARGIN - 6}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{WIDTH - MARGIN}" y="{bottom + 16}" text-anchor="end">{long * each:g} s</text>',
        f'<path d="M{MARGIN} {top}V{bottom}H{WIDTH - MARGIN}" fill="none" stroke="#888"/>',
    ]
    for colour, values in curves:
        points = " ".join(
            f"{MARGIN + second * across:.1f},{bottom - value / highest * (bottom - top):.1f}"
            for second, value in enumerate(values)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return "".join(parts)
