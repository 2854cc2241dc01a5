"""Native synthetic clients at both engines, over real sockets: nothing is lost, and what goes wrong is noticed."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack

import pytest

from bench.forwarding import cases, cost, native
from bench.forwarding.cases import Effort
from bench.forwarding.native import CAMERA, PUBLISHER, TRACK, Traffic, standing
from focus.commands import Close, Forget, Lost, Send
from focus.native import available

CPUS = frozenset(os.sched_getaffinity(0))

if available():

    @pytest.fixture(autouse=True)
    def short(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(native, "WARM_UP", 0.3)

    @pytest.mark.slow
    @pytest.mark.timeout(120)
    @pytest.mark.parametrize(("name", "joined"), [("native", False), ("native", True), ("reference", False)])
    async def test_sinks_get_every_packet_of_the_engine_and_of_the_bare_loop(name: str, joined: bool) -> None:
        engine, compared = await native.measured(name, 3, Traffic(burst=4), 1.0, 1, CPUS, joined=joined)
        found = cost.row(engine, compared)
        assert cost.whole(found), found
        assert [one.received for one in (*engine, *compared)] == [360, 360]
        assert 0 < found["latency_us"]["p50"] <= found["latency_us"]["p99"]
        assert found["us_per_packet"] > 0 and found["bare_train_histogram"] == {"4": 90}
        assert engine[0].crowd["told_missing"] == 0 and engine[0].crowd["feedback"] >= 3

    @pytest.mark.slow
    @pytest.mark.timeout(120)
    async def test_packets_that_stop_coming_are_missed() -> None:
        async with AsyncExitStack() as stack:
            stand, _ = await standing(stack, "native", 2, Traffic(burst=1), CPUS)
            stand.engine.submit(Close(stand.sinks[1]))
            taken = await stand.forward(0.5)
            assert taken.faults["missing"] >= 10 and not cost.whole(cost.row([taken], []))
            assert await stand.crowd.saw(Lost, peer=stand.sinks[1])

    @pytest.mark.slow
    @pytest.mark.timeout(120)
    async def test_a_client_says_what_it_is_told_to_and_is_gone_when_it_leaves() -> None:
        async with AsyncExitStack() as stack:
            stand, _ = await standing(stack, "native", 1, Traffic(burst=1), CPUS)
            stand.crowd.leave(stand.sinks[0])
            assert await stand.engine.saw(Lost, peer=stand.sinks[0])
            with pytest.raises(KeyError, match=stand.sinks[0]):
                stand.crowd.submit(Send(stand.sinks[0], "hello"))
            with pytest.raises(KeyError, match="no stream 5"):
                stand.crowd.native.play(PUBLISHER, 5)
            with pytest.raises(ValueError, match="no client"):
                stand.crowd.submit(Forget(TRACK))
            assert CAMERA not in stand.crowd.native.books(PUBLISHER)

    @pytest.mark.slow
    @pytest.mark.timeout(120)
    async def test_nothing_is_done_for_each_packet_outside_the_packet_path() -> None:
        found = await cases.quiet(Effort(3, 1.0, 1, CPUS))
        assert found["rows"]["bursts"]["python_wakes_per_second"] <= cost.WAKES, found
