"""A rate that the focus tells for a layer of the camera is what the browser spends on it, and no more.

The built page in a real call with a synthetic person; the focus's word is put in where it would arrive, since whether
it is told depends on how wide everybody's link is.
"""

from __future__ import annotations

import pytest

from bench.browser import Window, until, window
from bench.stage import stage

pytestmark = [pytest.mark.slow, pytest.mark.synapse, pytest.mark.browser, pytest.mark.timeout(240)]

PATIENCE = 45.0
OURS = {"f": 1_700_000, "h": 500_000, "q": 150_000}

TELL = """
(rates) => {
  const pc = window.__connections.at(-1);
  const camera = pc.getTransceivers().find((one) => one.sender.track?.kind === 'video');
  const sections = pc.localDescription.sdp.split('\\r\\nm=');
  const section = sections.find((part) => part.includes(`\\r\\na=mid:${camera.mid}\\r\\n`));
  const [, stream_id, track_id] = /a=msid:(\\S+) (\\S+)/.exec(section);
  const content = { tracks: [{ stream_id, track_id, active: true, rids: ['q', 'h', 'f'], rates }] };
  const data = JSON.stringify({ type: 'weir.call.demand', content });
  window.__channels.at(-1).dispatchEvent(new MessageEvent('message', { data }));
}
"""

SPENT = """
async () => {
  const pc = window.__connections.at(-1);
  const camera = pc?.getTransceivers().find((one) => one.sender.track?.kind === 'video');
  if (!camera) return { most: {}, target: {} };
  const most = Object.fromEntries(camera.sender.getParameters().encodings.map((one) => [one.rid, one.maxBitrate]));
  const target = {};
  (await camera.sender.getStats()).forEach((s) => {
    if (s.type === 'outbound-rtp' && s.active) target[s.rid] = s.targetBitrate ?? 0;
  });
  return { most, target };
}
"""


async def spent(seen: Window, what: str) -> dict[str, float]:
    """By layer: `most` that the browser may spend, or its `target` now."""
    found: dict[str, dict[str, float]] = await seen.page.evaluate(SPENT)
    return found[what]


async def test_a_told_rate_is_what_the_browser_spends_on_a_layer() -> None:
    async with stage(1) as stand, window(stand.page) as ann:

        async def sends() -> bool:
            return (await spent(ann, "target")).get("q", 0) > 0

        async def may(expected: dict[str, int]) -> bool:
            return await spent(ann, "most") == expected

        async def aims_at(bps: float) -> bool:
            return 0 < (await spent(ann, "target")).get("q", 0) <= bps

        await until(sends, PATIENCE, "the camera's smallest layer goes out")
        assert await may(OURS)

        await ann.page.evaluate(TELL, {"q": 60_000, "h": 250_000})
        await until(lambda: may({**OURS, "q": 60_000, "h": 250_000}), 10, "the told rates are the encodings' most")
        await until(lambda: aims_at(60_000), PATIENCE, "the smallest layer takes no more than it was told")

        await ann.page.evaluate(TELL, {"q": 5, "f": 90_000_000})
        await until(lambda: may({**OURS, "q": 30_000}), 10, "nothing below what makes a picture, nor above our own")

        await ann.page.evaluate(TELL, {})
        await until(lambda: may(OURS), 10, "untold, each layer has its own rate again")
        assert ann.errors == [] or all("status of 40" in error for error in ann.errors)
