"""The loop's lag and the bit rates, and what is said to a service manager."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest

from focus.commands import Counters
from weir.notify import notify, watchdog_period
from weir.pulse import BEAT, Pulse


def totals(received: int, sent: int) -> Counters:
    return Counters(0, 0, received, sent, 0, 0, ())


async def test_a_blocked_loop_is_seen_as_lag() -> None:
    seen: asyncio.Queue[float] = asyncio.Queue()
    pulse = Pulse(lambda: totals(0, 0), seen.put_nowait)
    task = asyncio.create_task(pulse.run())
    await seen.get()
    time.sleep(BEAT * 4)  # noqa: ASYNC251  # blocking the loop is the point
    assert await seen.get() >= BEAT * 2
    assert pulse.worst() >= BEAT * 2
    task.cancel()


def test_bitrates_are_those_of_the_last_seconds() -> None:
    pulse = Pulse(lambda: totals(0, 0), lambda lag: None)
    assert pulse.bitrates() == (0.0, 0.0)
    pulse.looks.extend([(10.0, 1000, 0), (12.0, 2000, 4000)])
    assert pulse.bitrates() == (4000.0, 16000.0)


def test_words_reach_the_service_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        assert notify("READY=1")
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("path", ["", "relative", "/nowhere/at/all"])
def test_without_a_service_manager_nobody_is_told(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    assert not notify("READY=1")


@pytest.mark.parametrize(("usec", "period"), [("10000000", 5.0), ("0", None), ("", None), ("soon", None)])
def test_the_watchdog_is_fed_twice_as_often_as_asked(
    usec: str, period: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    assert watchdog_period() == period
