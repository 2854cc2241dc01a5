"""The whole demo as a process: people in a call, a focus that comes back, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from bench.soak import report
from bench.stage import stage
from focus.native import available

pytestmark = [pytest.mark.slow, pytest.mark.synapse, pytest.mark.timeout(150)]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def until(true: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(60):
            while not await true():  # noqa: ASYNC110  # other processes: there is no event to wait for
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"still not: {what}") from None


async def test_people_are_in_the_call_again_after_the_focus_was_killed(http: aiohttp.ClientSession) -> None:
    async with stage(people=2, page=False) as stand:
        parts = [stand.pid(part) for part in ("synapse", "participants")]
        first = stand.pid("focus")
        assert await stand.metric(http, "weir_peers") == 2
        os.kill(first, signal.SIGKILL)

        async def back() -> bool:
            return stand.pid("focus") != first and await stand.metric(http, "weir_peers") == 2

        await until(back, "both participants at the new focus")

        async def sent() -> bool:
            return (await stand.metric(http, "weir_packets_out_total") or 0) > 100

        await until(sent, "media through the new focus")
        parts.append(stand.pid("focus"))
        assert not any(gone(pid) for pid in parts)
    assert all(gone(pid) for pid in parts)


async def test_a_demo_that_is_killed_leaves_no_focus_and_the_next_one_starts(tmp_path: Path) -> None:
    async with stage(people=0, page=False, data=tmp_path) as stand:
        focus, synapse = stand.pid("focus"), stand.pid("synapse")
        demo = int(Path(f"/proc/{focus}/stat").read_text().rsplit(")", 1)[1].split()[1])
        os.kill(demo, signal.SIGKILL)

        async def ended() -> bool:
            return gone(focus)

        await until(ended, "the focus gone with its demo")
    async with stage(people=0, page=False, data=tmp_path) as again:
        assert gone(synapse)
        assert not gone(again.pid("synapse"))


@pytest.mark.parametrize("carrier", ["aiortc", *(["native"] if available() else [])])
async def test_participants_of_either_stack_report_a_clean_call(carrier: str, http: aiohttp.ClientSession) -> None:
    async with stage(people=2, page=False, stack=carrier) as stand:

        async def flowed() -> bool:
            return (await stand.metric(http, "weir_packets_out_total") or 0) > 1000

        await until(flowed, "a thousand packets to each other")
        told = await report(stand)
    assert told["faults"] == {} and told["clean"], told["faults"]
    for one in told["each"]:
        assert one["dials"] == 1 and one["flowing"] == one["wanted"] == 1, one
        assert one["frames"] > 30 and one["join_seconds"] and one["packets_out"] > 100, one
