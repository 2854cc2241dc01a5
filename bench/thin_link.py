"""A viewer behind a link that gets thin and wide again, and one beside it: `make bench NAME=thin_link`.

Nine synthetic people send three layers each, three of them talk all the time. A real Chromium
watches them behind an emulated link of 4 Mbit/s, then 1.2, 0.35 and 4 again; another one
watches on a free link. Bars of the first: voices concealed under 1 %, tile sizes that follow
within 2 s down and 6 s up, freezes that nothing announced under 0.5 s in all. Of the second:
no lower layer, no freeze.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bench.browser import Window, until, window
from bench.link import link
from bench.link.namespace import HOME
from bench.participants import media, picture
from bench.participants.run import Crowd, run_participants
from bench.stage import Stage, stage
from bench.watching import Look, concealed, frozen, pixels, seen, watch
from tests.wire import Conditions

PEOPLE, TALKING = 9, 3
RATES = (4e6, 1.2e6, 0.35e6, 4e6)
DELAY, QUEUE = 0.02, 0.3
"Seconds; the queue is that of RFC 8867's cases."
SECONDS = 20.0
"Of each rate."
SETTLING = 25.0
"Seconds before the first, on a link of that rate."
DOWN, UP = 2.0, 6.0
CONCEALED, FROZEN = 0.01, 0.5
NEAR = 0.9
"Pixels of what there was before that count as having them back."
COSTS = {picture.WIDTH // part: bps for _, part, bps in media.SIZES}
"Bits a second by a picture's width."
VOICE = 32_000
"Bits a second of each that talks."


@dataclass(frozen=True, slots=True)
class Phase:
    """A time with one rate of the link."""

    start: float
    bps: float
    looks: Sequence[Look]

    @property
    def steady(self) -> float:
        """Pixels in its second half."""
        return statistics.median(pixels(look) for look in self.looks[len(self.looks) // 2 :])


def phases(looks: Sequence[Look], starts: Sequence[tuple[float, float]]) -> list[Phase]:
    """Cut what was seen at the times at which the rate changed. `starts`: when and to what."""
    ends = [at for at, _ in starts[1:]] + [float("inf")]
    return [
        Phase(at, bps, [look for look in looks if at <= look.at < end])
        for (at, bps), end in zip(starts, ends, strict=True)
    ]


def cost(look: Look) -> int:
    """Bits a second of what is shown and heard."""
    return TALKING * VOICE + sum(COSTS.get(tile.width, 0) for tile in look.tiles.values() if not tile.paused)


def fell(phase: Phase) -> float:
    """Seconds until no more was shown than the link carries, to the end of the phase."""
    late = [look.at for look in phase.looks if cost(look) > phase.bps]
    return max(late) - phase.start if late else 0.0


def rose(phase: Phase, before: float) -> float:
    """Seconds until as much was shown as before; infinite if never."""
    return next((look.at - phase.start for look in phase.looks if pixels(look) >= NEAR * before), float("inf"))


def judge_link(looks: Sequence[Look], starts: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """The viewer behind the link."""
    cut = phases(looks, starts)
    still = frozen(looks)
    downs = [fell(phase) for phase in cut[1:3]]
    up = rose(cut[3], cut[0].steady)
    voices = concealed(looks, TALKING)
    return {
        "concealed": voices,
        "down_s": [round(down, 2) for down in downs],
        "up_s": round(up, 2) if up < float("inf") else None,
        "frozen_s": round(sum(still.values()), 2),
        "frozen": still,
        "megapixels": [round(phase.steady / 1e6, 3) for phase in cut],
        "kbps": [round(statistics.median(map(cost, phase.looks[len(phase.looks) // 2 :])) / 1e3) for phase in cut],
        "paused": [sum(tile.paused for tile in phase.looks[-1].tiles.values()) for phase in cut],
        "held": len(voices) == TALKING
        and max(voices) < CONCEALED
        and max(downs) <= DOWN
        and up <= UP
        and sum(still.values()) < FROZEN,
    }


def judge_bystander(looks: Sequence[Look]) -> dict[str, Any]:
    """The viewer on the free link."""
    first = looks[0].tiles
    lower = {
        stream for look in looks for stream, tile in look.tiles.items()
        if tile.paused or stream in first and tile.width < first[stream].width
    }  # fmt: skip
    still = frozen(looks)
    voices = concealed(looks, TALKING)
    return {
        "lower": len(lower),
        "frozen_s": round(sum(still.values()), 2),
        "concealed": voices,
        "tiles": len(first),
        "held": len(first) == PEOPLE and not lower and not still,
    }


def talks(person: int, count: int, now: float) -> bool:
    """The first three talk without end."""
    return person < TALKING


async def people(stack: AsyncExitStack, stand: Stage) -> Crowd:
    """Let the nine in."""
    session = await stack.enter_async_context(aiohttp.ClientSession())
    accounts = await stand.accounts(PEOPLE, session)
    crowd = Crowd()
    running = asyncio.ensure_future(
        run_participants(stand.homeserver, accounts, stand.room, stand.focus, PEOPLE, crowd=crowd, turns=talks)
    )

    async def leave() -> None:
        crowd.leaving.set()
        await running

    stack.push_async_callback(leave)
    return crowd


async def sees_all(page: Window) -> bool:
    """Whether everybody's picture moves."""
    tiles = await page.tiles()
    return len([tile for tile in tiles if tile["frames"] > 5]) >= PEOPLE


async def pin(page: Window) -> None:
    """Keep one large: who has the floor changes, and would change what is asked for."""
    await page.page.locator(f'[data-user^="@{picture.name_of(0).lower()}"]').click()


async def measure(seconds: float, settling: float) -> tuple[list[Look], list[Look], list[tuple[float, float]]]:
    """Run the call: what was seen behind the link and on the free one, and when the rate changed."""
    async with AsyncExitStack() as stack:
        laid = await stack.enter_async_context(link(Conditions(delay=DELAY, rate=RATES[0], queue=QUEUE)))
        stand = await stack.enter_async_context(stage(people=0, page=True, address=HOME))
        await people(stack, stand)
        for url in (stand.page, stand.homeserver):
            await stack.enter_async_context(laid.space.around(urlsplit(url).port or 80))
        free = await stack.enter_async_context(window(stand.page, camera=False))
        behind = await stack.enter_async_context(window(stand.page, camera=False, inside=laid.space))
        for page in (free, behind):
            await until(lambda page=page: sees_all(page), 60, "a picture of everybody")
            await pin(page)
        await asyncio.sleep(settling)
        for page in (free, behind):
            await watch(page)
        await asyncio.sleep(0.5)
        starts: list[tuple[float, float]] = []
        for bps in RATES:
            await laid.set(Conditions(delay=DELAY, rate=bps, queue=QUEUE))
            starts.append((time.time(), bps))
            print(f"{bps / 1e6:.2f} Mbit/s", flush=True)
            await asyncio.sleep(seconds)
        return await seen(behind), await seen(free), starts


def main() -> int:
    """Measure, print JSON; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="bench.thin_link", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of each rate (default: {SECONDS:.0f})")
    parser.add_argument("--settling", type=float, default=SETTLING, help=f"before (default: {SETTLING:.0f})")
    parser.add_argument("--judge", choices=("link", "bystander", "both"), default="both", help="whose bars count")
    arguments = parser.parse_args()
    behind, free, starts = asyncio.run(measure(arguments.seconds, arguments.settling))
    found = {"link": judge_link(behind, starts), "bystander": judge_bystander(free)}
    held = [found[who]["held"] for who in ("link", "bystander") if arguments.judge in (who, "both")]
    print(json.dumps({"bench": "thin_link", **found, "load": round(os.getloadavg()[0], 2), "pass": all(held)}))
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
