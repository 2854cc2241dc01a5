"""Who sees and hears whom in a meeting, from what the guests count. It judges one pair at a time, and waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bench.browser import until
from bench.codecs.meeting import Guest, Meeting

Pair = tuple[str, str]
"Who receives, and from whom."


class Member(Guest, Protocol):
    """A guest that counts what it decodes."""

    width: int
    height: int

    async def received(self) -> list[dict[str, Any]]:
        """What it receives, a row a line: kind, mid, frames, width, height, energy, codec."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one guest has of another."""

    frames: int = 0
    size: tuple[int, int] = (0, 0)
    codec: str = ""
    "Empty where the receiver does not tell."
    energy: float = 0.0
    "Of the sound, in units of the receiver's own."


async def look(held: Meeting, members: list[Member], only: str = "") -> dict[Pair, Sight]:
    """Everything that everybody, or one of them, has of the others now."""
    held.failed()
    looking = [member for member in members if only in ("", member.name)]
    found = {(one.name, other.name): Sight() for one in looking for other in members if one is not other}
    for one in looking:
        rows = await one.received()
        for mid, whose in held.lines.get(one.name, {}).items():
            for row in rows:
                before = found.get((one.name, whose))
                if row["mid"] != mid or before is None:
                    continue
                if row["kind"] == "audio":
                    now = Sight(before.frames, before.size, before.codec, row["energy"])
                else:
                    now = Sight(row["frames"], (row["width"], row["height"]), row["codec"], before.energy)
                found[one.name, whose] = now
    return found


def lacking(
    seen: Mapping[Pair, Sight],
    before: Mapping[Pair, Sight],
    sizes: Mapping[str, tuple[int, int]],
    codec: str,
    frames: int,
    *,
    whole: bool = False,
) -> dict[Pair, str]:
    """Which pairs do not have picture in this size and codec, and sound, since `before`; and what they lack.

    `whole`: the picture must be as large as the camera's, which a busy sender may make smaller.
    """
    found = {}
    for pair, sight in seen.items():
        old = before.get(pair, Sight())
        if sight.frames - old.frames < frames:
            found[pair] = f"{sight.frames - old.frames} frames"
        elif not like(sight.size, sizes[pair[1]]) or (whole and sight.size != sizes[pair[1]]):
            found[pair] = f"a picture of {sight.size[0]}x{sight.size[1]}"
        elif sight.codec not in ("", codec):
            found[pair] = f"it in {sight.codec}"
        elif sight.energy <= old.energy:
            found[pair] = "no sound"
    return found


def like(size: tuple[int, int], camera: tuple[int, int]) -> bool:
    """Whether a picture is a camera's, or that one made smaller: a sender on a busy machine does so."""
    return 0 < size[0] <= camera[0] and abs(size[0] * camera[1] - size[1] * camera[0]) <= 2 * camera[0]


async def all_see_all(
    held: Meeting, members: list[Member], codec: str, seconds: float, *, whole: bool = False
) -> dict[Pair, Sight]:
    """Wait until everybody decodes everybody's picture in its size and this codec, and hears them. Return what is then.

    Raises `TimeoutError`, which says who lacks what.
    """
    sizes = {member.name: (member.width, member.height) for member in members}
    missing: dict[Pair, str] = {}

    async def complete() -> dict[Pair, Sight] | None:
        nonlocal missing
        seen = await look(held, members)
        missing = lacking(seen, {}, sizes, codec, 10, whole=whole)
        return seen if not missing else None

    try:
        return dict(await until(complete, seconds, "everybody sees everybody"))
    except TimeoutError:
        told = ", ".join(f"{one} of {other}: {what}" for (one, other), what in sorted(missing.items()))
        raise TimeoutError(f"{codec}, after {seconds:.0f} s still {told}; {held.state()}") from None


async def rates(
    held: Meeting, members: list[Member], before: Mapping[Pair, Sight], seconds: float
) -> dict[Pair, float]:
    """Frames a second that each pair decodes over some seconds."""
    began = time.monotonic()
    await asyncio.sleep(seconds)
    after = await look(held, members)
    spent = time.monotonic() - began
    return {pair: (sight.frames - before[pair].frames) / spent for pair, sight in after.items()}


async def first_pictures(held: Meeting, members: list[Member], late: Member, seconds: float) -> float:
    """Seconds from a late guest's answer to our offer until it decoded somewhat of everybody. Raises `TimeoutError`."""

    missing: list[str] = []

    async def seen() -> bool:
        nonlocal missing
        rows = await look(held, [late, *members], only=late.name)
        missing = [pair[1] for pair, sight in rows.items() if not sight.frames]
        return not missing

    try:
        await until(seen, seconds, f"{late.name} sees everybody", every=0.02)
    except TimeoutError:
        raise TimeoutError(f"{late.name}, who came late, after {seconds:.0f} s has nothing of {missing}") from None
    return time.monotonic() - held.subscribed[late.name]
