"""The figures of a running focus in Prometheus's words.

It reads totals that the rooms keep and never asks for more; no label names a user, a
room or an address. Counting is the rooms' own affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from focus.commands import Counters
from weir import __version__

LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"Seconds. 20 ms is where voices start to suffer; above 1 s the host is in trouble."


@dataclass(frozen=True, slots=True)
class Figures:
    """Where each figure comes from. Each call is cheap and must not block."""

    counters: Callable[[], Counters]
    "The engine's totals."
    engine: str
    "Which engine carries media."
    peers: Callable[[], int]
    conferences: Callable[[], int]
    undecodable: Callable[[], int]
    faults: Callable[[], Mapping[str, Mapping[str, int]]]
    "Bad input so far: room (`switchboard`, `signalling`, `matrix`) -> reason -> count."
    sync_age: Callable[[], float | None]
    "Seconds since the homeserver last answered a sync, None before the first."
    bitrates: Callable[[], tuple[float, float]]
    "Bits a second received and sent, over the last few seconds."


class Totals(Collector):
    """Turns `Figures` into metric families when asked."""

    def __init__(self, figures: Figures) -> None:
        self.figures = figures

    def describe(self) -> list[Metric]:
        """Nothing: families are known when collected."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        figures = self.figures
        totals = figures.counters()
        build = GaugeMetricFamily("weir_build", "Always 1; the labels say what runs.", labels=["version", "engine"])
        build.add_metric([__version__, figures.engine], 1)
        yield build
        yield GaugeMetricFamily("weir_peers", "Media transports that are up or coming up.", figures.peers())
        yield GaugeMetricFamily("weir_conferences", "Conferences with at least one peer.", figures.conferences())
        yield GaugeMetricFamily(
            "weir_undecodable", "Tracks that somebody would see if it had their codec.", figures.undecodable()
        )
        for name, text, value in (
            ("weir_packets_in", "Datagrams received.", totals.packets_in),
            ("weir_packets_out", "RTP packets sent, retransmissions included.", totals.packets_out),
            ("weir_bytes_in", "Bytes received.", totals.bytes_in),
            ("weir_bytes_out", "Bytes sent.", totals.bytes_out),
            ("weir_retransmissions", "RTX packets sent.", totals.rtx_out),
            ("weir_probes", "Packets that asked a link for more.", totals.probes_out),
            ("weir_keyframe_requests", "Keyframe requests sent to publishers.", totals.keyframe_requests),
        ):
            yield CounterMetricFamily(name, text, value)
        drops = CounterMetricFamily("weir_drops", "Packets and commands that went no further.", labels=["reason"])
        for drop, count in totals.drops:
            drops.add_metric([drop.value], count)
        yield drops
        faults = CounterMetricFamily("weir_faults", "Bad input that was refused.", labels=["room", "reason"])
        for room, reasons in figures.faults().items():
            for reason, count in reasons.items():
                faults.add_metric([room, reason], count)
        yield faults
        received, sent = figures.bitrates()
        bitrate = GaugeMetricFamily("weir_bitrate_bps", "Media bits a second just now.", labels=["direction"])
        bitrate.add_metric(["in"], received)
        bitrate.add_metric(["out"], sent)
        yield bitrate
        age = figures.sync_age()
        if age is not None:
            yield GaugeMetricFamily("weir_sync_age_seconds", "Since the homeserver last answered a sync.", age)


class Page:
    """What `/metrics` answers."""

    def __init__(self, figures: Figures) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(Totals(figures))
        self.lag = Histogram(
            "weir_loop_lag_seconds",
            "How late the event loop ran a timer.",
            buckets=LAG_BUCKETS,
            registry=self.registry,
        )

    def text(self) -> bytes:
        """Return all figures in the Prometheus text format."""
        return generate_latest(self.registry)
