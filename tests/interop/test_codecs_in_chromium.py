"""Two Chromiums' peer connections in one call, in every codec that the engine at hand carries."""

from __future__ import annotations

import pytest

from bench.browser import window
from bench.codecs.__main__ import change
from bench.codecs.browsers import GUESTS, Browser, Chromium, blank
from bench.codecs.meeting import meeting
from bench.codecs.watch import all_see_all
from focus.native import available

ENGINE, PICTURES = ("native", ("vp9", "h264", "av1")) if available() else ("python", ("vp8",))


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(240)
async def test_pictures_and_sound_go_both_ways_in_every_codec_and_a_sender_may_change_it() -> None:
    async with blank() as url, window(url) as shown:
        page = Chromium(shown)
        await page.run(GUESTS)
        for codec in PICTURES:
            async with meeting(ENGINE, (codec, "vp8")) as held:
                guests = [Browser("wide", page), Browser("narrow", page, 320, 240)]
                for guest in guests:
                    await held.admit(guest)
                await all_see_all(held, [*guests], codec, 40.0)
        if ENGINE == "native":
            assert (await change(ENGINE, {"chromium": page}))["pass"]
