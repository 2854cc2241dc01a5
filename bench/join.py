"""Fifty joins one after another over the real homeserver: `make bench NAME=join`.

One person is in the call and publishes; each newcomer is a Matrix account of its own that
writes its member entry, dials the focus, and waits for the picture. Time runs from the
first invite to the packet with which the first keyframe begins, a second dial included. CPU
is that of the focus's and of the homeserver's process over all joins, less what the call
costs without newcomers, per join: carrying the call to a newcomer until it leaves is in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import secrets
import sys
import time
from typing import Any

import aiohttp

from bench.browser import until
from bench.participants import media, report
from bench.participants.accounts import Account
from bench.participants.call import Seat
from bench.participants.habits import Habits
from bench.participants.known import Known
from bench.participants.member import Participant, live_call
from bench.soak import Usage, usage
from bench.stage import Stage, stage
from signalling.matrix import Homeserver

IDLE = 10.0
"Seconds over which the cost of the call without newcomers is measured."

LOST = 15.0
"Seconds without a picture after which a join counts as failed."


def spent(stand: Stage) -> dict[str, Usage]:
    """What the servers have used so far."""
    return {part: usage(stand.pid(part)) for part in ("focus", "synapse")}


async def join(participant: Participant) -> float | None:
    """Join, wait for the first picture, leave; return the seconds that it took, None if none came in time."""
    leaving = asyncio.Event()
    inside = asyncio.ensure_future(participant.run(leaving))

    async def shown() -> float | None:
        if inside.done():
            inside.result()
        call = participant.call
        took = report.join_time(call) if call is not None else None
        return None if call is None or took is None else took + call.invited - participant.calls[0].invited

    try:
        return float(await until(shown, LOST, "a picture", every=0.01))
    except TimeoutError:
        return None
    finally:
        leaving.set()
        await inside


async def measure(joins: int) -> dict[str, Any]:
    """Run the call and judge: every join must end with a picture."""
    people = await asyncio.to_thread(media.people, 2)
    known = await asyncio.to_thread(Known, people)
    async with stage(1, page=False) as stand, aiohttp.ClientSession() as session:
        accounts = await stand.accounts(joins, session)
        for account in accounts:
            await Homeserver(stand.homeserver, account.access_token, session).join(stand.room)
        conf = await live_call(Homeserver(stand.homeserver, accounts[0].access_token, session), stand.room)
        assert conf is not None, "the stage's participant has started a call"

        def newcomer(account: Account) -> Participant:
            server = Homeserver(stand.homeserver, account.access_token, session)
            seat = Seat(
                1, 2, account.user_id, account.device_id, secrets.token_hex(4), conf, stand.focus, people[1], known,
                time.monotonic,
            )  # fmt: skip
            return Participant(server, stand.room, seat, Habits(random.Random(1)))

        before = spent(stand)
        await asyncio.sleep(IDLE)
        idle = spent(stand)
        times = [await join(newcomer(account)) for account in accounts]
        after = spent(stand)
    good = sorted(seconds for seconds in times if seconds is not None)
    lasted = after["focus"].at - idle["focus"].at
    result: dict[str, Any] = {
        "bench": "join", "joins": joins, "failed": joins - len(good),
        "p50_ms": round(1000 * report.quantile(good, 0.5)), "p95_ms": round(1000 * report.quantile(good, 0.95)),
        "seconds": round(lasted, 1),
    }  # fmt: skip
    for part in ("focus", "synapse"):
        rate = (idle[part].cpu - before[part].cpu) / (idle[part].at - before[part].at)
        cost = after[part].cpu - idle[part].cpu - rate * lasted
        result[f"{part}_cpu_ms_per_join"] = round(1000 * cost / joins, 1)
    return result | {"load": os.getloadavg()[0], "pass": len(good) == joins}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.join", description=__doc__)
    parser.add_argument("--joins", type=int, default=50)
    result = asyncio.run(measure(parser.parse_args().joins))
    print(json.dumps(result))
    return 0 if result["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
