"""What Prometheus reads: every total is there, and no label says who or where."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from focus.commands import Counters, Drop
from weir import __version__
from weir.metrics import Figures, Page

TOTALS = Counters(10, 20, 1000, 2000, 3, 4, tuple((drop, number) for number, drop in enumerate(Drop)))


def page(sync_age: float | None = 1.5) -> Page:
    return Page(
        Figures(
            counters=lambda: TOTALS,
            engine="native",
            peers=lambda: 12,
            conferences=lambda: 2,
            undecodable=lambda: 0,
            faults=lambda: {"signalling": {"malformed": 7}, "switchboard": {}},
            sync_age=lambda: sync_age,
            bitrates=lambda: (1e6, 2e6),
        )
    )


def samples(shown: Page) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(shown.text().decode())
        for sample in family.samples
    }


def test_totals_are_shown_by_name() -> None:
    found = samples(page())
    assert found["weir_packets_in_total", ()] == 10
    assert found["weir_packets_out_total", ()] == 20
    assert found["weir_peers", ()] == 12
    assert found["weir_build", (("engine", "native"), ("version", __version__))] == 1
    assert found["weir_bitrate_bps", (("direction", "out"),)] == 2e6
    assert found["weir_sync_age_seconds", ()] == 1.5
    assert found["weir_faults_total", (("reason", "malformed"), ("room", "signalling"))] == 7


def test_every_drop_has_a_line() -> None:
    found = samples(page())
    for number, drop in enumerate(Drop):
        assert found["weir_drops_total", (("reason", drop.value),)] == number


def test_before_the_first_sync_there_is_no_age() -> None:
    assert ("weir_sync_age_seconds", ()) not in samples(page(None))


def test_loop_lag_is_a_histogram() -> None:
    shown = page()
    shown.lag.observe(0.03)
    found = samples(shown)
    assert found["weir_loop_lag_seconds_bucket", (("le", "0.02"),)] == 0
    assert found["weir_loop_lag_seconds_bucket", (("le", "0.05"),)] == 1


def test_labels_come_from_a_short_list() -> None:
    labels = {name for _, pairs in samples(page()) for name, _ in pairs}
    assert labels == {"reason", "room", "direction", "version", "engine", "le"}
