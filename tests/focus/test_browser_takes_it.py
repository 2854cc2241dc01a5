"""A real Chromium negotiates with a conference: what we write, it takes; what it writes, we answer."""

from __future__ import annotations

from typing import Any

import pytest
from room import Caller, Room
from test_compose import only_what_was_offered, well_formed

from bench.browser import Window, window
from focus import sdp
from focus.commands import Connected, Opened
from focus.vocabulary import Answer, Answered, Join, Offer, Offered, Owner, PeerId, Selected, Told, Want, Wanted

GUEST, OWNER = PeerId("guest"), Owner("@guest:example.org", "DEVICE")

START = """
() => {
  window.pc = new RTCPeerConnection();
  pc.createDataChannel('focus');
  pc.addTransceiver('audio', {direction: 'sendrecv'});
  pc.addTransceiver('video', {direction: 'sendrecv', sendEncodings: [
    {rid: 'q', scaleResolutionDownBy: 4}, {rid: 'h', scaleResolutionDownBy: 2}, {rid: 'f'}]});
}
"""
OFFER = "async () => { await pc.setLocalDescription(); return pc.localDescription.sdp; }"
TAKE_ANSWER = "async (sdp) => { await pc.setRemoteDescription({type: 'answer', sdp}); return pc.signalingState; }"
TAKE_OFFER = """
async (sdp) => {
  await pc.setRemoteDescription({type: 'offer', sdp});
  await pc.setLocalDescription();
  return pc.localDescription.sdp;
}
"""
SEEN = """
() => pc.getTransceivers().map((t) => ({
  mid: t.mid, direction: t.currentDirection, stopped: t.direction === 'stopped', track: t.receiver.track.id,
}))
"""


class Guest:
    """The Chromium as a peer of a room."""

    def __init__(self, room: Room, shown: Window) -> None:
        self.room, self.shown = room, shown

    async def run(self, script: str, *arguments: object) -> Any:
        return await self.shown.page.evaluate(script, *arguments)

    async def offer(self) -> list[Told]:
        """It offers, we answer, it takes that. Whatever we say besides is returned."""
        text = await self.run(OFFER)
        known = GUEST in self.room.running.conference.peers
        told = self.room.post(Offered(GUEST, text, ()) if known else Join(GUEST, OWNER, text, ()))
        [answer] = [effect.sdp for effect in told if isinstance(effect, Answer)]
        only_what_was_offered(answer, text)
        assert await self.run(TAKE_ANSWER, answer) == "stable"
        return told

    async def take(self, told: list[Told]) -> None:
        """It takes our offer and answers."""
        [text] = [effect.sdp for effect in told if isinstance(effect, Offer)]
        well_formed(text)
        assert not [
            effect for effect in self.room.post(Answered(GUEST, await self.run(TAKE_OFFER, text), ()))
            if isinstance(effect, Offer)
        ]  # fmt: skip
        assert not self.room.faults

    async def lines(self) -> dict[str, dict[str, Any]]:
        return {row["mid"]: row for row in await self.run(SEEN) if row["mid"] is not None}


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(90)
async def test_a_whole_call_is_negotiated_with_a_real_browser() -> None:
    async with window("about:blank") as shown:
        room = Room()
        alice, guest = Caller(room, "alice").join(), Guest(room, shown)
        await guest.run(START)
        await guest.offer()
        room.post(Connected(GUEST), Opened(GUEST), Selected(GUEST))
        [microphone, camera] = room.running.conference.of(GUEST)
        assert camera.line.rids == ("q", "h", "f") and microphone.line.codecs[0].name == "opus"

        wants = tuple(Want(alice.local.stream, track) for track in (alice.local.audio, alice.local.video))
        await guest.take(room.post(Wanted(GUEST, wants, ())))
        assert room.engine.carrying() == {"w0", "w1"}
        lines = await guest.lines()
        assert lines["w1"]["direction"] == "recvonly" and lines["w1"]["track"] == "alice-video"

        # It shares a screen: its offer repeats our lines with all that it could do there.
        await guest.run("() => { pc.addTransceiver('video', {direction: 'sendonly'}); }")
        told = await guest.offer()
        assert not [effect for effect in told if isinstance(effect, Offer)], "what was agreed still holds"
        assert room.engine.carrying() == {"w0", "w1"} and len(room.running.conference.of(GUEST)) == 3

        # Unsubscribed and subscribed again: the same lines under other names.
        keys = tuple((want.stream, want.track) for want in wants)
        await guest.take(room.post(Wanted(GUEST, (), keys)))
        assert (await guest.lines())["w1"]["direction"] == "inactive" and not room.engine.carrying()
        bob = Caller(room, "bob").join()
        await guest.take(room.post(Wanted(GUEST, (Want(bob.local.stream, bob.local.video),), ())))
        assert room.engine.carrying() == {"w1"}

        # Both offer at once: it ignores ours, ours gives way and is made again.
        lost = room.post(Wanted(GUEST, (Want(bob.local.stream, bob.local.audio),), ()))
        assert [type(effect) for effect in lost] == [Offer]
        await guest.run("() => { pc.getTransceivers()[1].direction = 'inactive'; }")
        await guest.take(await guest.offer())
        assert room.engine.carrying() == {"w0", "w1"} and len(room.running.conference.of(GUEST)) == 2

        # ICE restarts.
        before = room.peer("guest").local
        await guest.run("() => pc.restartIce()")
        await guest.offer()
        assert room.peer("guest").local != before and room.engine.carrying() == {"w0", "w1"}

        # It stops a line of ours for good; the next track gets another.
        await guest.run("() => pc.getTransceivers().find((t) => t.mid === 'w1').stop()")
        told = await guest.offer()
        assert room.engine.carrying() == {"w0"}
        await guest.take(told)
        await guest.take(room.post(Wanted(GUEST, (Want(alice.local.stream, alice.local.video),), ())))
        assert room.engine.carrying() == {"w0", "w2"}
        assert sdp.parse(await guest.run("() => pc.currentLocalDescription.sdp")).sections[-1].value("mid") == "w2"
        assert not room.faults and not shown.errors
