"""Pictures of the page in every state and shape: `make screenshots`.

The shipped page in a real call: alone, with two, with twelve people, with an error, and the
ways in; each dark and light, on a desktop and on a phone. They are made to be looked at. Two
things are judged here, since no look is needed for them: nothing may stick out sideways, and
everything that can be pressed on a phone is large enough for a finger.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from bench.browser import Window, until, window
from bench.participants.member import CALL, MEMBER
from bench.stage import Stage, stage
from signalling.matrix import Homeserver

FOLDER = Path(".weir/screenshots")
SHAPES = {"desktop": (1280, 800), "phone": (390, 844)}
COLOURS = ("dark", "light")
FINGER = 40
"Pixels: the least side of what is pressed; guidelines say 44, borders and all."

SIDEWAYS = "document.scrollingElement.scrollWidth - document.documentElement.clientWidth"
SMALL = """
(least) => [...document.querySelectorAll('button, [role=button], a[href], input, select')]
  .filter((e) => e.checkVisibility && e.checkVisibility() && !e.closest('[aria-hidden=true]'))
  .map((e) => [e, e.getBoundingClientRect()])
  .filter(([e, box]) => box.width > 0 && box.height > 0 && (box.width < least || box.height < least))
  .map(([e]) => e.getAttribute('aria-label') || e.textContent.trim() || e.tagName)
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """One picture, and what is wrong with it."""

    name: str
    problems: tuple[str, ...]


async def shoot(shown: Window, scene: str) -> list[Taken]:
    """Take a scene in all colours and shapes."""
    taken = []
    for shape, (width, height) in SHAPES.items():
        await shown.page.set_viewport_size({"width": width, "height": height})
        for colour in COLOURS:
            await shown.page.emulate_media(color_scheme="dark" if colour == "dark" else "light")
            await shown.page.mouse.move(1, 1)
            await asyncio.sleep(1.5)  # other layers arrive, what moves comes to rest
            name = f"{scene}-{shape}-{colour}"
            await shown.page.screenshot(path=FOLDER / f"{name}.png")
            problems = []
            if (sideways := await shown.page.evaluate(SIDEWAYS)) > 0:
                problems.append(f"{sideways} px stick out")
            if shape == "phone":
                problems += [f"small: {what}" for what in await shown.page.evaluate(SMALL, FINGER)]
            taken.append(Taken(name, tuple(problems)))
            print(f"  {name}: {', '.join(problems) or 'fits'}", flush=True)
    return taken


async def pictures(shown: Window, count: int) -> bool:
    """Whether so many tiles show a moving picture."""
    rows = await shown.inbound("video")
    return sum(1 for row in rows if row["frames"] > 5) >= count


async def room(stand: Stage, host: Homeserver, events: Mapping[str, int]) -> tuple[str, str]:
    """Make a public room with the focus invited; return it, and the page's address in it."""
    made = await host.create_room(
        name="Monday planning", preset="public_chat", invite=[stand.focus[0]],
        power_level_content_override={"events": dict(events)},
    )  # fmt: skip
    return made, stand.page.replace(quote(stand.room, safe=""), quote(made, safe=""))


async def scenes(people: int) -> list[Taken]:
    """Bring up the call, and take every scene."""
    free = {CALL: 0, MEMBER: 0}
    taken: list[Taken] = []
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        stand = await stack.enter_async_context(stage(people))
        home = stand.page.partition("#")[0]
        async with window(home) as shown:
            await shown.page.wait_for_selector("button")
            taken += await shoot(shown, "front")
        async with window(stand.page.partition("?demo")[0]) as shown:
            await shown.page.wait_for_selector("button")
            taken += await shoot(shown, "door")
        [account] = await stand.accounts(1, session)
        host = Homeserver(stand.homeserver, account.access_token, session)
        _, quiet = await room(stand, host, free)
        async with window(quiet) as shown:
            await shown.page.wait_for_selector("[data-self=true] video")
            taken += await shoot(shown, "alone")
            async with window(quiet, 640, 360):
                await until(lambda: pictures(shown, 1), 40, "the other's picture")
                taken += await shoot(shown, "two")
        async with window(stand.page, 640, 360), window(stand.page) as shown:
            await until(lambda: pictures(shown, people + 1), 60, "everybody's picture")
            taken += await shoot(shown, "twelve")
            await shown.page.keyboard.press("s")
            await shown.page.keyboard.press("g")
            taken += await shoot(shown, "grid")
        _, closed = await room(stand, host, {})
        async with window(closed) as shown:
            await shown.page.get_by_text("Calls are not allowed").wait_for()
            taken += await shoot(shown, "error")
    return taken


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.screenshots", description=__doc__)
    parser.add_argument("--people", type=int, default=10, help="synthetic participants in the large call")
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    taken = asyncio.run(scenes(arguments.people))
    wrong = [f"{one.name}: {problem}" for one in taken for problem in one.problems]
    figures: dict[str, Any] = {"folder": str(FOLDER), "pictures": len(taken), "problems": wrong}
    print(json.dumps(figures))
    print(f"{len(taken)} pictures in {FOLDER}, {len(wrong)} with something that does not fit")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
