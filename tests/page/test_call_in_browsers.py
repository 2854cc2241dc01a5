"""Two people in real browsers, in a call with synthetic ones: what they see and hear of each other.

The demo as it ships: real homeserver, real focus, the built page. Only what a person could
notice is asserted: tiles, their pictures' sizes and motion, words on the page.
"""

from __future__ import annotations

import os
import signal
from typing import Any, Protocol

import aiohttp
import pytest

from bench.browser import Window, until, window
from bench.firefox import firefox
from bench.participants.member import CALL, MEMBER
from bench.screenshots import room
from bench.stage import stage
from signalling.matrix import Homeserver

pytestmark = [pytest.mark.slow, pytest.mark.synapse, pytest.mark.browser, pytest.mark.timeout(240)]

PATIENCE = 45.0
"Seconds: Chromium takes up to 20 to start its top layer on a busy machine."

TILE = "[data-user='{user}'][data-purpose='{purpose}']"

PLAYING = """
async (seconds) => {
  const tiles = [...document.querySelectorAll('[data-user][data-self=false]')];
  // Firefox counts what it painted of a call under a name of its own.
  const painted = (tile) => {
    const video = tile.querySelector('video');
    return video?.mozPaintedFrames ?? video?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
  };
  const played = (tile) => tile.querySelector('audio')?.currentTime ?? 0;
  const before = tiles.map((tile) => [painted(tile), played(tile)]);
  await new Promise((done) => setTimeout(done, seconds * 1000));
  return tiles.map((tile, n) => ({
    user: tile.dataset.user, purpose: tile.dataset.purpose, large: tile.dataset.large === 'true',
    words: tile.getAttribute('aria-label'),
    width: tile.querySelector('video')?.videoWidth ?? 0,
    moves: painted(tile) > before[n][0], sounds: played(tile) > before[n][1],
  }));
}
"""

DESCRIBED = "() => window.__connections.map((one) => one.remoteDescription.sdp)"
"What the focus said of each session of a page last."
DIALLED_ANEW = "() => window.__connections.at(-2)?.connectionState === 'closed'"


class Person(Protocol):
    """Somebody's page, in either browser."""

    async def run(self, script: str, *arguments: object) -> Any: ...


async def others(seen: Person, seconds: float = 0.7) -> list[dict[str, object]]:
    """The tiles of the others: whose, how wide their picture is, whether it moves and sounds."""
    rows: list[dict[str, object]] = await seen.run(PLAYING, seconds)
    return rows


async def all_move(seen: Person, count: int) -> bool:
    rows = await others(seen)
    return len(rows) == count and all(row["moves"] and row["sounds"] for row in rows)


async def own_user(seen: Window) -> str:
    await seen.page.wait_for_selector("[data-self=true]")
    user: str = await seen.page.evaluate("document.querySelector('[data-self=true]').dataset.user")
    return user


async def row_of(seen: Window, user: str, purpose: str = "m.usermedia") -> dict[str, object]:
    """The row of one tile, empty when there is none."""
    return next((row for row in await others(seen) if row["user"] == user and row["purpose"] == purpose), {})


async def test_two_people_see_hear_mute_enlarge_share_and_leave() -> None:
    async with stage(2) as stand, window(stand.page) as ann, window(stand.page) as bob:
        for person in (ann, bob):
            await until(lambda person=person: all_move(person, 3), PATIENCE, "three others, moving and heard")
        user = await own_user(ann)
        # Her network is said to have changed, and has not: the search for a path must not end a call that has one.
        searched = await ann.page.evaluate("dispatchEvent(new Event('online')), performance.now()")

        async def says(words: str) -> bool:
            return words in str((await row_of(bob, user)).get("words"))

        await ann.page.keyboard.press("m")
        await until(lambda: says("microphone muted"), 10, "bob sees that ann is muted")
        await ann.page.get_by_role("button", name="Unmute microphone").click()
        await until(lambda: _not(says("microphone muted")), 10, "bob sees that ann is not muted any more")

        await ann.page.keyboard.press("v")
        await until(lambda: says("camera off"), 10, "bob sees that ann's camera is off")
        await ann.page.keyboard.press("v")

        async def moves() -> bool:
            return (await row_of(bob, user)).get("moves") is True

        await until(moves, 15, "ann's picture moves again")

        await bob.page.locator(TILE.format(user=user, purpose="m.usermedia")).click()

        async def enlarged() -> bool:
            row = await row_of(bob, user)
            return row.get("large") is True and row.get("width") == 1280

        await until(enlarged, PATIENCE, "ann large, in full size")
        small = [row for row in await others(bob) if not row["large"]]
        assert [row["width"] for row in small] == [320, 320], "thumbnails come small"
        await bob.page.keyboard.press("Escape")

        await ann.page.get_by_role("button", name="Share screen").click()

        async def shared() -> bool:
            row = await row_of(bob, user, "m.screenshare")
            return row.get("moves") is True and row.get("large") is True

        await until(shared, 20, "ann's screen, large at bob's")
        await bob.page.keyboard.press("s")
        bobs = await own_user(bob)

        async def shared_back() -> bool:
            return (await row_of(ann, bobs, "m.screenshare")).get("moves") is True

        await until(shared_back, 20, "bob's screen at ann's, beside her own")
        await ann.page.get_by_role("button", name="Stop sharing").click()

        async def unshared() -> bool:
            return await row_of(bob, user, "m.screenshare") == {} and await row_of(bob, user) != {}

        await until(unshared, 10, "ann's screen gone, ann still there")

        await ann.page.wait_for_function("searched => performance.now() > searched + 9000", arg=searched)
        assert await ann.page.evaluate("window.__connections.length") == 1

        await ann.page.get_by_role("button", name="Leave call").click()
        await ann.page.get_by_text("You left the call").wait_for()

        async def gone() -> bool:
            return {row["user"] for row in await others(bob)}.isdisjoint({user})

        await until(gone, 5, "ann gone from bob's page")
        assert await all_move(bob, 2), "the others go on"
        await ann.page.get_by_role("button", name="Rejoin").click()
        await until(lambda: all_move(bob, 3), PATIENCE, "ann back")
        for person in (ann, bob):
            assert [error for error in person.errors if "status of 40" not in error] == []


async def _not(answer: object) -> bool:
    return not await answer  # type: ignore[misc]


async def test_a_reload_and_a_killed_focus_cost_no_click() -> None:
    async with stage(1) as stand, window(stand.page) as ann, firefox(stand.page) as bob:
        people: tuple[Person, ...] = (ann, bob)
        for person in people:
            await until(lambda person=person: all_move(person, 2), PATIENCE, "two others")
        same = []
        for _ in range(2):
            described = await bob.run(DESCRIBED)
            await ann.page.reload()
            for person in people:
                await until(lambda person=person: all_move(person, 2), PATIENCE, "two others, and no twin")
            same.append(await bob.run(DESCRIBED) == described)
        assert any(same), "she came on lines that bob had ready, or that the offer before brought"
        os.kill(stand.pid("focus"), signal.SIGKILL)
        for person in people:
            await until(lambda person=person: person.run(DIALLED_ANEW), PATIENCE, "a new connection")
            await until(lambda person=person: all_move(person, 2), PATIENCE, "two others after the focus was killed")


async def test_what_goes_wrong_is_said_in_words(http: aiohttp.ClientSession) -> None:
    async with stage(0) as stand:
        [host] = await stand.accounts(1, http)
        server = Homeserver(stand.homeserver, host.access_token, http)
        closed, address = await room(stand, server, {})
        async with window(address) as ann:
            await ann.page.get_by_text("Calls are not allowed in this room yet").wait_for()
            user = await ann.page.evaluate("JSON.parse(sessionStorage.getItem('weir.guest')).user_id")
            levels = dict(await server.get_state(closed, "m.room.power_levels"))
            levels["users"] = {**levels.get("users", {}), user: 100}
            await server.put_state(closed, "m.room.power_levels", "", levels)

            # Without a click: the rules changed, and the page knows.
            await ann.page.get_by_text("The others in this room may not join calls yet.").wait_for()
            await ann.page.get_by_role("button", name="Allow calls").click()
            async with window(address) as bob:
                await until(lambda: all_move(bob, 1), PATIENCE, "a member comes in once it is allowed")
                await server.kick(closed, await own_user(bob))
                await bob.page.get_by_text("You were removed from the room").wait_for()
                await bob.page.get_by_role("button", name="Join again").click()
                await until(lambda: all_move(bob, 1), PATIENCE, "bob back after he was removed")

        _, open_room = await room(stand, server, {CALL: 0, MEMBER: 0})
        async with window(open_room, camera=False) as blind:
            await blind.page.get_by_text("No camera found").wait_for()
            async with window(open_room) as carl:
                await until(lambda: all_move(blind, 1), PATIENCE, "without a camera one still sees and hears")
                await carl.page.locator("[data-self=false]").wait_for()

        focus = stand.pid("focus")
        os.kill(focus, signal.SIGSTOP)
        try:
            async with window(open_room) as dora:
                await dora.page.get_by_text("The conference server does not answer").wait_for()
                os.kill(focus, signal.SIGCONT)
                await dora.page.get_by_text("Nobody else is here yet").wait_for(timeout=60_000)
        finally:
            os.kill(focus, signal.SIGCONT)
        async with window(stand.page.partition("#")[0] + "#/call/%21nowhere%3Alocalhost?demo=1") as lost:
            await lost.page.get_by_text("You cannot enter this room").wait_for()
