"""One dialled call of one participant: invite, answer, media, the data channel, until somebody ends it.

It speaks MSC3401 to-device messages and MSC3898 data channel messages as a client does,
and notes what a client would stumble over. It knows no room state and does not dial
again: `member.py` does both.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aioice import Candidate

from bench.participants import media, rtcp, sdp, voice
from bench.participants.habits import Habits, Wish, difference
from bench.participants.known import Known
from bench.participants.publisher import Publisher
from bench.participants.receiver import Incoming, Receiver
from bench.participants.transport import Transport, Unconnected

METADATA = "org.matrix.msc3077.sdp_stream_metadata"
ANSWER_WITHIN = 15.0
"Seconds until an unanswered invite counts as failed. Clients wait 60; a bench wants to know sooner."
CONNECT_WITHIN = 15.0
SILENCE = 10.0
"Seconds without a packet or a text from the focus after which a person would dial again."
FEEDBACK = 0.03
"Seconds between two looks for missing packets."
LOOK = 0.5
"Seconds between two looks at whether another picture should be large."

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Seat:
    """Who sits here, and what all who sit in one process share."""

    number: int
    count: int
    user: str
    device: str
    session: str
    conf: str
    focus: tuple[str, str]
    "User and device."
    person: media.Person
    known: Known
    clock: Callable[[], float]
    "Seconds of the call, the same for all."


class Call:
    """Used once."""

    def __init__(self, seat: Seat, habits: Habits, post: Callable[[str, dict[str, Any]], Awaitable[None]]) -> None:
        self.seat, self.habits, self.post = seat, habits, post
        self.id = f"{int(time.time() * 1000)}{secrets.token_hex(8)}"
        self.inbox: asyncio.Queue[tuple[str, Mapping[str, Any]]] = asyncio.Queue()
        self.transport = Transport()
        chance = random.Random(secrets.randbits(64))
        tokens = [secrets.token_hex(8) for _ in range(3)]
        self.publisher = Publisher(seat.person, self._talks, chance, tokens[0])
        ufrag, pwd = self.transport.credentials
        self.local = sdp.Local(
            ufrag, pwd, self.transport.fingerprint, f"s{tokens[0]}", f"a{tokens[1]}", f"v{tokens[2]}",
            self.publisher.audio.ssrc, tokens[0],
        )  # fmt: skip
        self.receiver = Receiver(self.publisher.audio.ssrc, seat.known)
        self.receiver.on_track = self._appeared
        self.decode: Callable[[Incoming], None] = lambda track: None
        self.streams: Mapping[str, Any] = {}
        self.owners: dict[str, str] = {}
        "Whose each stream is or was."
        self.asked: Wish = {}
        self.faults: Counter[str] = Counter()
        self.seq = self.version = 0
        self.audio_muted = False
        self.invited = self.answered = self.connected = 0.0
        "On the call's clock; 0 while it has not happened."
        self.texts_in = 0
        self.offers = 0

    def _talks(self, now: float) -> bool:
        return not self.audio_muted and voice.speaking(self.seat.number, self.seat.count, now)

    def _appeared(self, track: Incoming) -> None:
        size = self.asked.get(track.name)
        if size is not None:
            track.check.want(*size, self.seat.clock())
        if track.name not in self.asked:
            self.faults["unwanted_track"] += 1
        self.decode(track)

    # To-device messages.

    def common(self) -> dict[str, Any]:
        """Fields of every to-device message (msc3401 digest §4.2)."""
        seat = self.seat
        content = {
            "version": "1", "call_id": self.id, "conf_id": seat.conf, "party_id": seat.device, "device_id": seat.device,
            "sender_session_id": seat.session, "dest_session_id": "sfu", "seq": self.seq,
        }  # fmt: skip
        self.seq += 1
        return content

    def _hear_of(self, streams: Mapping[str, Any]) -> None:
        self.streams = streams
        self.owners.update({name: str(words.get("user_id", "")) for name, words in streams.items()})

    def metadata(self) -> dict[str, Any]:
        """Describe our own stream (MSC3077)."""
        tracks = {
            self.local.audio: {"kind": "audio"},
            self.local.video: {"kind": "video", "width": 1280, "height": 720},
        }
        own = {"user_id": self.seat.user, "device_id": self.seat.device, "purpose": "m.usermedia", "tracks": tracks}
        return {self.local.stream: own | {"audio_muted": self.audio_muted, "video_muted": False}}

    async def run(self, leaving: asyncio.Event) -> str:
        """Dial and stay until the call ends; return why: the focus's reason, or ours (`left`, `silence`, ...)."""
        try:
            reason = await self._run(leaving)
        finally:
            await self.transport.close()
        return reason

    async def _run(self, leaving: asyncio.Event) -> str:
        self.invited = self.seat.clock()
        offer = {"type": "offer", "sdp": sdp.offer(self.local)}
        invite = {"offer": offer, "lifetime": 60000, "invitee": self.seat.focus[0], METADATA: self.metadata()}
        await self.post("m.call.invite", self.common() | invite)
        heard = await unless(leaving, self._answer(), ANSWER_WITHIN)
        if heard is None:
            await self.hang_up("user_hangup" if leaving.is_set() else "invite_timeout")
            return "left" if leaving.is_set() else "unanswered"
        kind, content = heard
        if kind != "m.call.answer":
            return str(content.get("reason", kind))
        self.answered = self.seat.clock()
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                await self._connect(content)
        except (TimeoutError, Unconnected, ValueError, KeyError) as wrong:
            await self.hang_up("ice_failed")
            return f"connect: {type(wrong).__name__} {wrong}"
        self.connected = self.seat.clock()
        reason = await self._stay(leaving)
        if reason in ("left", "silence"):
            await self.hang_up("user_hangup")
        return reason

    async def _answer(self) -> tuple[str, Mapping[str, Any]]:
        while True:
            kind, content = await self.inbox.get()
            if kind in ("m.call.answer", "m.call.reject", "m.call.hangup"):
                return kind, content

    async def _connect(self, content: Mapping[str, Any]) -> None:
        remote = sdp.read(content["answer"]["sdp"])
        if METADATA not in content:
            self.faults["answer_without_metadata"] += 1
        self._hear_of(content.get(METADATA, {}))
        if not remote.candidates:
            raise ValueError("no candidate in the answer")
        own = await self.transport.gather(Candidate.from_sdp(remote.candidates[0]).host)
        chosen = self.post("m.call.select_answer", self.common() | {"selected_party_id": content.get("party_id")})
        lines = [{"candidate": f"candidate:{value}", "sdpMid": "0", "sdpMLineIndex": 0} for value in own]
        told = self.post("m.call.candidates", self.common() | {"candidates": [*lines, {"candidate": ""}]})
        self.transport.on_rtp = lambda data: self.receiver.rtp(data, self.seat.clock())
        self.transport.on_rtcp = self._rtcp
        self.transport.on_text = self._text

        async def tell() -> None:
            await chosen
            await told

        await asyncio.gather(tell(), self.transport.connect(remote))
        await self.transport.opened.wait()

    async def hang_up(self, reason: str) -> None:
        """Tell the focus that we go."""
        await self.post("m.call.hangup", self.common() | {"reason": reason})

    # While connected.

    async def _stay(self, leaving: asyncio.Event) -> str:
        self._choose()
        ends = {
            asyncio.ensure_future(self._listen()): "hangup",
            asyncio.ensure_future(self._media()): "silence",
            asyncio.ensure_future(self.transport.closed.wait()): "transport lost",
            asyncio.ensure_future(leaving.wait()): "left",
        }
        done, pending = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        first = next(iter(done))
        outcome = first.result()
        return outcome if isinstance(outcome, str) else ends[first]

    async def _listen(self) -> str:
        while True:
            kind, content = await self.inbox.get()
            if kind == "m.call.hangup":
                return str(content.get("reason", "user_hangup"))
            if kind != "m.call.candidates":
                self.faults[f"unexpected {kind}"] += 1

    async def _media(self) -> str:
        """Send what is due, ask for what is missing, look around. Ends when nothing is heard any more."""
        clock, send = self.seat.clock, self.transport.send
        now = clock()
        self.publisher.start(now)
        heard, heard_at = -1, now
        next_feedback = next_look = now
        while True:
            now = clock()
            due = self.publisher.send_due(now, time.time(), send)
            if now >= next_feedback:
                self.receiver.send_due(now, send)
                next_feedback = now + FEEDBACK
            if now >= next_look:
                self._choose()
                next_look = now + LOOK
                if heard != self.transport.packets_in + self.texts_in:
                    heard, heard_at = self.transport.packets_in + self.texts_in, now
                elif now - heard_at > SILENCE:
                    return "silence"
            await asyncio.sleep(max(0.0, min(due, next_feedback, next_look) - clock()))

    def _rtcp(self, data: bytes) -> None:
        try:
            packets = rtcp.parse(data)
        except ValueError:
            self.faults["malformed_rtcp"] += 1
            return
        now = self.seat.clock()
        for packet in packets:
            self.publisher.hear(packet, now, self.transport.send)
            self.receiver.rtcp(packet, now)

    def _choose(self) -> None:
        now = self.seat.clock()
        wish = self.habits.wish(self.streams, now)
        change = difference(self.asked, wish)
        if not change["subscribe"] and not change["unsubscribe"]:
            return
        self.asked = wish
        for (stream, name), size in wish.items():
            track = self.receiver.track(stream, name)
            if track is not None and size is not None:
                track.check.want(*size, now)
        self.say("m.call.track_subscription", change)

    def say(self, kind: str, content: Mapping[str, Any]) -> None:
        """Send one message on the data channel."""
        self.transport.say(json.dumps({"type": kind, "content": content}))

    def _text(self, text: str) -> None:
        self.texts_in += 1
        try:
            message = json.loads(text)
            kind, content = message["type"], message["content"]
            self._heard(kind, content)
        except (ValueError, KeyError, TypeError) as wrong:
            self.faults[f"data channel: {type(wrong).__name__}"] += 1

    def _heard(self, kind: str, content: Mapping[str, Any]) -> None:
        match kind:
            case "m.call.ping":
                self.say("m.call.pong", {})
            case "m.call.sdp_stream_metadata_changed":
                self._hear_of(content["sdp_stream_metadata"])
                self._choose()
            case "m.call.negotiate" if content["description"]["type"] == "offer":
                self._offered(content)
            case _:
                self.faults[f"data channel: {kind}"] += 1

    def _offered(self, content: Mapping[str, Any]) -> None:
        self.offers += 1
        remote = sdp.read(content["description"]["sdp"])
        if "sdp_stream_metadata" in content:
            self._hear_of(content["sdp_stream_metadata"])
        else:
            self.faults["offer_without_metadata"] += 1
        told = {(stream, track) for stream, one in self.streams.items() for track in one.get("tracks", {})}
        forwarded = [s for s in remote.sections if s.mid not in ("0", "1") and s.direction in ("sendonly", "sendrecv")]
        if any((s.stream, s.track) not in told for s in forwarded if s.kind != "application"):
            self.faults["msid_without_metadata"] += 1
        self.receiver.expect(remote.sections)
        self.version += 1
        answer = sdp.answer(self.local, remote, self.version + 1, self.transport.active)
        described = {"type": "answer", "sdp": answer}
        self.say("m.call.negotiate", {"description": described, "sdp_stream_metadata": self.metadata()})
        self._choose()


async def unless(stop: asyncio.Event, step: Coroutine[Any, Any, Outcome], seconds: float) -> Outcome | None:
    """Return what `step` returns, None when `stop` is set or `seconds` pass before."""
    stopping, stepping = asyncio.ensure_future(stop.wait()), asyncio.ensure_future(step)
    await asyncio.wait({stopping, stepping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    done = stepping.done()
    for task in (stopping, stepping):
        task.cancel()
    await asyncio.gather(stopping, stepping, return_exceptions=True)
    return stepping.result() if done else None
