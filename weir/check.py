"""The demo without a screen: two real browsers join, and everybody's picture of everybody is judged.

What a browser decodes is read from its WebRTC statistics and matched to tiles of the
page by media track; what a synthetic participant receives is in its own report. The
verdict is simple: every viewer gets moving pictures and voice of all the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from bench.browser import Window, until, window
from weir.demo import Demo

SETTLE = 60.0
"Seconds for every tile to show a picture: joining, layers starting, on a busy machine."

LOOK = 6.0
"Seconds over which frames are counted."

READ_TILES = """
async () => {
  const owner = new Map();
  for (const tile of document.querySelectorAll('[data-user]')) {
    if (tile.dataset.self === 'true') continue;
    for (const element of tile.querySelectorAll('video, audio')) {
      for (const track of element.srcObject ? element.srcObject.getTracks() : []) {
        owner.set(track.id, tile.dataset.user);
      }
    }
  }
  const rows = {};
  for (const user of owner.values()) rows[user] = {user, frames: 0, width: 0, height: 0, audio: 0};
  let at = 0;
  for (const pc of window.__connections || []) {
    if (pc.connectionState === 'closed') continue;
    (await pc.getStats()).forEach((s) => {
      const user = s.type === 'inbound-rtp' ? owner.get(s.trackIdentifier) : undefined;
      if (user === undefined) return;
      at = s.timestamp;
      if (s.kind === 'audio') { rows[user].audio += s.packetsReceived || 0; return; }
      rows[user].frames += s.framesDecoded || 0;
      rows[user].width = Math.max(rows[user].width, s.frameWidth || 0);
      rows[user].height = Math.max(rows[user].height, s.frameHeight || 0);
    });
  }
  return {at, rows: Object.values(rows)};
}
"""
"Per shown publisher: frames decoded so far, picture size, audio packets so far."


@dataclass(frozen=True, slots=True)
class Seen:
    """What one viewer gets of one publisher."""

    viewer: str
    publisher: str
    fps: float
    "Frames decoded (a browser) or received whole and in order (a participant), a second."
    width: int
    height: int
    audio: int
    "Voice packets received."

    @property
    def good(self) -> bool:
        """A moving picture and a voice: the smallest layer at a pace that is no slide show."""
        return self.fps >= 5 and self.width > 0 and self.audio > 0


async def browsers_see(shown: dict[str, Window], others: int) -> list[Seen]:
    """Wait until each window shows `others` moving tiles, then count for a while."""

    async def all_there() -> bool:
        for page in shown.values():
            rows = (await page.page.evaluate(READ_TILES))["rows"]
            if sum(1 for row in rows if row["frames"] and row["audio"]) < others:
                return False
        return True

    try:
        await until(all_there, SETTLE, f"{others} tiles with picture and voice in each browser")
    except TimeoutError:
        pass  # the table will show who is missing
    before = {name: await page.page.evaluate(READ_TILES) for name, page in shown.items()}
    await asyncio.sleep(LOOK)
    seen = []
    for name, page in shown.items():
        after = await page.page.evaluate(READ_TILES)
        then = {row["user"]: row["frames"] for row in before[name]["rows"]}
        seconds = max(0.001, (after["at"] - before[name]["at"]) / 1000)
        for row in after["rows"]:
            fps = (row["frames"] - then.get(row["user"], row["frames"])) / seconds
            seen.append(Seen(name, row["user"], fps, row["width"], row["height"], row["audio"]))
    return seen


def participants_see(report: dict[str, Any]) -> list[Seen]:
    """What each synthetic participant got of each publisher, from their report."""
    seen = []
    for each in report["each"]:
        got: dict[str, Any] = {}
        for track in each.get("tracks", []):
            row = got.setdefault(track["user"], {"fps": 0.0, "size": (0, 0), "audio": 0})
            if track["kind"] == "audio":
                row["audio"] += track["packets"]
            else:
                row["fps"] = max(row["fps"], track["pace"])
                row["size"] = max(row["size"], (track["width"], track["height"]))
        for publisher, row in got.items():
            width, height = row["size"]
            seen.append(Seen(each["name"], publisher, row["fps"], width, height, row["audio"]))
    return seen


def table(seen: Iterable[Seen]) -> str:
    """The rows as text."""
    lines = [f"{'viewer':<16} {'publisher':<28} {'frames/s':>8} {'size':>10} {'audio packets':>14}"]
    for row in seen:
        size = f"{row.width}x{row.height}"
        mark = "" if row.good else "   <- short"
        lines.append(
            f"{row.viewer[:16]:<16} {row.publisher[:28]:<28} {row.fps:>8.1f} {size:>10} {row.audio:>14}{mark}"
        )
    return "\n".join(lines)


def verdict(seen: list[Seen], viewers: int) -> tuple[bool, str]:
    """Whether each of `viewers` people gets all the others, and the sentence that says so."""
    wanted = viewers * (viewers - 1)
    good = len({(row.viewer, row.publisher) for row in seen if row.good})
    return good == wanted, f"{good} of {wanted} streams decoded: {viewers} viewers, {viewers - 1} publishers each"


async def check(demo: Demo) -> bool:
    """Judge a demo that runs with its participants and page. Ends the participants. Prints what it finds."""
    people = demo.options.people
    async with AsyncExitStack() as stack:
        print("  opening two browsers", flush=True)
        shown = {
            f"browser {number}": await stack.enter_async_context(window(demo.page)) for number in (1, 2)
        }
        seen = await browsers_see(shown, people + 1)
        # The participants are asked while the browsers are still in: they must have seen them.
        seen += participants_see(await demo.participants_report())
        for name, page in shown.items():
            for error in page.errors[-5:]:
                print(f"  {name} said: {error}", flush=True)
    print(table(seen))
    good, sentence = verdict(seen, people + 2)
    print(f"{sentence}; {demo.engine} engine", flush=True)
    return good
