"""A small join storm at a real focus; and a verdict against gaps, loss, and newcomers who never see anything."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from bench import storm
from bench.storm import Storm, judged
from focus.native import available

BOOKS = {
    "received": 1000, "gap_us_p99": 60_000, "gap_us_most": 80_000, "lost": 0, "duplicates": 0, "backwards": 0,
    "corrupt": 0, "misplaced": 0,
}  # fmt: skip
GOOD = Storm(100, BOOKS, BOOKS, 5.2, 2.0, [0.2, 0.4], {}, {})


@pytest.mark.parametrize(
    ("seen", "passes"),
    [
        pytest.param(GOOD, True, id="nobody notices"),
        pytest.param(replace(GOOD, during=BOOKS | {"gap_us_p99": 100_000}), False, id="a gap of 100 ms"),
        pytest.param(replace(GOOD, during=BOOKS | {"lost": 1}), False, id="a packet lost"),
        pytest.param(replace(GOOD, during=BOOKS | {"received": 0}), False, id="nothing seen at all"),
        pytest.param(replace(GOOD, joins=[0.2, None]), False, id="one is never in"),
        pytest.param(replace(GOOD, joins=[0.2, 11.0]), False, id="one waits too long"),
        pytest.param(replace(GOOD, ended={"guest7": "transport: ice"}), False, id="a call ends"),
    ],
)
def test_a_storm_passes_when_all_get_in_and_nobody_who_watches_notices(seen: Storm, passes: bool) -> None:
    assert judged(seen)["pass"] is passes


def test_a_storm_says_how_long_joins_took() -> None:
    found = judged(replace(GOOD, joins=[0.1] * 98 + [0.9, None]))
    assert found["joined"] == "99 of 100"
    assert found["join_ms"] == {"p50": 100, "p99": 900, "most": 900}


if available():

    @pytest.mark.slow
    @pytest.mark.timeout(120)
    async def test_newcomers_see_the_picture_that_others_watch() -> None:
        cpus = frozenset(os.sched_getaffinity(0))
        # Links are asked first whether they carry the picture, and it waits a second for room to last.
        seen = await storm.measure(watching=3, joins=6, seconds=1.0, calm=2.5, cpus=cpus)
        found = judged(seen)
        assert found["joined"] == "6 of 6" and not found["ended"] and not found["faults"], found
        assert seen.during["received"] >= 3 * 9 * 10 and not found["wrong"], found
