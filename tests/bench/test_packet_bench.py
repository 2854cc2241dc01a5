"""The packet bench runs: an engine in a process of its own, real ICE, DTLS and SRTP, and not a packet lost."""

from __future__ import annotations

import os

import pytest

from bench import packet
from bench.forwarding.apart import Apart
from bench.forwarding.camera import Shape
from focus.commands import Lost


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_two_viewers_get_every_packet_and_both_loops_have_a_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet, "WARM_UP", 1.1)
    monkeypatch.setattr(packet, "IDLE", 0.2)
    found = await packet.series("reference", 2, Shape(60), 0.5, 2, frozenset(os.sched_getaffinity(0)))
    assert found.whole
    assert found.profile == "SRTP_AEAD_AES_128_GCM"
    assert [stretch.received for stretch in (*found.engine, *found.bare)] == [60] * 4
    assert all(stretch.us > 0 for stretch in (*found.engine, *found.bare))
    assert all(len(stretch.latencies) == 60 and stretch.latencies[0] > 0 for stretch in found.engine)


@pytest.mark.slow
async def test_an_engine_that_cannot_start_is_told_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    engine = Apart("nonsense", frozenset(os.sched_getaffinity(0)))
    try:
        with pytest.raises(RuntimeError, match="process ended"):
            await engine.start()
        with pytest.raises(RuntimeError, match="process ended"):
            await engine.saw(Lost)
    finally:
        await engine.close()
    assert "nonsense" in capfd.readouterr().err
