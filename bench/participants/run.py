"""Many participants in one process: media prepared once, one event loop, one HTTP session.

`run_participants` is what the command, the demo and the benches call. It ends when told
or when its time is over, and returns the report.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bench.participants import media, report, stacks, voice
from bench.participants.accounts import Account
from bench.participants.call import Seat
from bench.participants.habits import Habits
from bench.participants.known import Known
from bench.participants.member import Participant, live_call, start_call
from signalling.matrix import Homeserver

FACES = 16
"People drawn apart; whoever comes after them looks like one of them."
STAGGER = 0.15
"Seconds between two people coming in."


@dataclass(slots=True)
class Crowd:
    """Participants in a call, for whoever drives them."""

    participants: list[Participant] = field(default_factory=list)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    "Set it to have everybody leave."
    started: float = 0.0
    "`time.monotonic()` when the first one came in."
    seated: asyncio.Event = field(default_factory=asyncio.Event)
    "Set once everybody has begun to dial."


Watch = Callable[[Crowd], Awaitable[None]]


async def run_participants(
    homeserver_url: str,
    accounts: Sequence[Account],
    room: str,
    focus: tuple[str, str],
    count: int,
    *,
    loops: Path = media.LOOPS,
    crowd: Crowd | None = None,
    stack: str = "auto",
    conf: str | None = None,
    seconds: float | None = None,
    progress: media.Progress = media.silent,
    watch: Watch | None = None,
    decode: Callable[[Participant], None] | None = None,
    turns: voice.Turns = voice.speaking,
) -> dict[str, Any]:
    """Send `count` participants into the room's call on `focus` (user, device) and return their report.

    They stay until `crowd.leaving` is set, `seconds` have passed, or the call is ended.
    `watch` runs beside them; `decode` may give a participant something to decode with.
    `stack`: one of `stacks.STACKS`. `turns`: who talks when. `loops`: where pictures and voices are kept.
    Raises `MatrixError` when the homeserver or the room refuses one of them, `ValueError` when there is no such stack.
    """
    crowd = crowd or Crowd()
    people = await asyncio.to_thread(media.people, min(count, FACES), loops, progress)
    known = await asyncio.to_thread(Known, people)
    connector = aiohttp.TCPConnector(limit=0)
    async with AsyncExitStack() as opened:
        carrier = stacks.choose(stack, people)
        opened.callback(carrier.close)
        session = await opened.enter_async_context(aiohttp.ClientSession(connector=connector))
        servers = [Homeserver(homeserver_url, account.access_token, session) for account in accounts[:count]]
        await servers[0].join(room)
        conf = conf or await live_call(servers[0], room)
        if conf is None:
            conf = f"{int(time.time() * 1000)}{secrets.token_hex(8)}"
            await start_call(servers[0], room, conf)
        crowd.started = time.monotonic()

        def clock() -> float:
            return time.monotonic() - crowd.started

        for number, (server, account) in enumerate(zip(servers, accounts, strict=False)):
            seat = Seat(
                number, count, account.user_id, account.device_id, secrets.token_hex(4), conf, focus,
                people[number % len(people)], known, clock, turns,
            )  # fmt: skip
            participant = Participant(server, room, seat, Habits(random.Random(secrets.randbits(64))), carrier)
            crowd.participants.append(participant)
            if decode is not None:
                decode(participant)
        cpu = time.process_time()
        tasks = [asyncio.ensure_future(_come_in(one, number, crowd)) for number, one in enumerate(crowd.participants)]
        left: list[tuple[float, report.Flows]] = []

        async def note_leaving() -> None:
            await crowd.leaving.wait()
            left.append((clock(), report.flows(crowd.participants, clock())))

        tasks += [asyncio.ensure_future(_time_is_up(crowd.leaving, seconds)), asyncio.ensure_future(note_leaving())]
        if watch is not None:
            tasks.append(asyncio.ensure_future(watch(crowd)))
        try:
            await _all_left(tasks, len(crowd.participants))
        finally:
            crowd.leaving.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        at, flowed = left[0] if left else (clock(), report.flows(crowd.participants, clock()))
        return report.all_of(crowd.participants, at, flowed, clock(), time.process_time() - cpu)


async def _come_in(participant: Participant, number: int, crowd: Crowd) -> None:
    await asyncio.sleep(number * STAGGER)
    if number == len(crowd.participants) - 1:
        crowd.seated.set()
    await participant.run(crowd.leaving)


async def _time_is_up(leaving: asyncio.Event, seconds: float | None) -> None:
    if seconds is not None:
        await asyncio.sleep(seconds)
        leaving.set()


async def _all_left(tasks: Sequence[asyncio.Future[None]], people: int) -> None:
    """Wait for the first `people` tasks; raise at once what any task raises."""
    waiting = set(tasks)
    while any(not task.done() for task in tasks[:people]):
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
