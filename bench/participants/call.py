"""One dialled call of one participant: invite, answer, media, the data channel, until somebody ends it.

It speaks MSC3401 to-device messages and MSC3898 data channel messages as a client does,
and notes what a client would stumble over. It knows no room state and does not dial
again: `member.py` does both. Packets are its line's (`line.py`).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from bench.participants import media, sdp, voice
from bench.participants.aiortc_line import AiortcStack
from bench.participants.habits import Habits, Wish, difference
from bench.participants.known import Known
from bench.participants.line import Stack, Track, Unconnected

METADATA = "org.matrix.msc3077.sdp_stream_metadata"
ANSWER_WITHIN = 15.0
"Seconds until an unanswered invite counts as failed. Clients wait 60; a bench wants to know sooner."
CONNECT_WITHIN = 15.0
SILENCE = 10.0
"Seconds without a packet or a text from the focus after which a person would dial again."
LOOK = 0.5
"Seconds between two looks at whether another picture should be large."
LISTEN = 2.0
"Seconds between two looks at whether anything was heard."

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
    turns: voice.Turns = voice.speaking


class Call:
    """Used once."""

    takes_spares = False
    "Whether it takes lines that are ready before anybody knows for what, as Weir's own page does."

    def __init__(
        self,
        seat: Seat,
        habits: Habits,
        post: Callable[[str, dict[str, Any]], Awaitable[None]],
        stack: Stack | None = None,
    ) -> None:
        """Without a `stack`, aiortc's carries the media."""
        self.seat, self.habits, self.post = seat, habits, post
        self.id = f"{int(time.time() * 1000)}{secrets.token_hex(8)}"
        self.inbox: asyncio.Queue[tuple[str, Mapping[str, Any]]] = asyncio.Queue()
        tokens = [secrets.token_hex(8) for _ in range(3)]
        self.line = (stack or AiortcStack()).line(seat.person, seat.known, tokens[0], self._talks, seat.clock)
        self.line.on_track = self._appeared
        ufrag, pwd = self.line.credentials
        self.local = sdp.Local(
            ufrag, pwd, self.line.fingerprint, f"s{tokens[0]}", f"a{tokens[1]}", f"v{tokens[2]}",
            self.line.audio_ssrc, tokens[0],
        )  # fmt: skip
        self.decode: Callable[[Track], None] = lambda track: None
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
        self._sections: tuple[sdp.Section, ...] = ()
        self._assigned: dict[str, tuple[str, str]] = {}

    def _talks(self, now: float) -> bool:
        return not self.audio_muted and self.seat.turns(self.seat.number, self.seat.count, now)

    def _appeared(self, track: Track) -> None:
        size = self.asked.get(track.name)
        if size is not None:
            self.line.want(track.name, size)
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
            await self.line.close()
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
        own = await self.line.gather(remote)
        chosen = self.post("m.call.select_answer", self.common() | {"selected_party_id": content.get("party_id")})
        lines = [{"candidate": f"candidate:{value}", "sdpMid": "0", "sdpMLineIndex": 0} for value in own]
        told = self.post("m.call.candidates", self.common() | {"candidates": [*lines, {"candidate": ""}]})
        self.line.on_text = self._text

        async def tell() -> None:
            await chosen
            await told

        await asyncio.gather(tell(), self.line.connect(remote))

    async def hang_up(self, reason: str) -> None:
        """Tell the focus that we go."""
        await self.post("m.call.hangup", self.common() | {"reason": reason})

    # While connected.

    async def _stay(self, leaving: asyncio.Event) -> str:
        if self.takes_spares:
            self.say("weir.call.spares_taken", {})
        self._choose()
        ends = {
            asyncio.ensure_future(self._listen()): "hangup",
            asyncio.ensure_future(self._media()): "silence",
            asyncio.ensure_future(self.line.closed.wait()): "transport lost",
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
        """Let media flow and look around. Ends when nothing is heard any more."""
        flow = asyncio.ensure_future(self.line.flow())
        try:
            return await self._look_around(flow)
        finally:
            flow.cancel()
            await asyncio.gather(flow, return_exceptions=True)

    async def _look_around(self, flow: asyncio.Future[None]) -> str:
        clock = self.seat.clock
        heard, heard_at, listened_at = -1, clock(), 0.0
        while True:
            await asyncio.wait((flow,), timeout=LOOK)
            if flow.done():
                flow.result()
            self._choose()
            now = clock()
            if now - listened_at < LISTEN:
                continue
            listened_at = now
            if heard != self.line.heard() + self.texts_in:
                heard, heard_at = self.line.heard() + self.texts_in, now
            elif now - heard_at > SILENCE:
                return "silence"

    def _choose(self) -> None:
        now = self.seat.clock()
        wish = self.habits.wish(self.streams, now)
        change = difference(self.asked, wish)
        if not change["subscribe"] and not change["unsubscribe"]:
            return
        self.asked = wish
        for (stream, name), size in wish.items():
            if size is not None:
                self.line.want((stream, name), size)
        self.say("m.call.track_subscription", change)

    def say(self, kind: str, content: Mapping[str, Any]) -> None:
        """Send one message on the data channel."""
        self.line.say(json.dumps({"type": kind, "content": content}))

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
            case "weir.call.assigned" if self.takes_spares:
                for line, one in content["tracks"].items():
                    self._assigned[line] = one["stream_id"], one["track_id"]
                self.line.expect(self.sections())
            case "weir.call.demand" | "weir.call.speakers" | "weir.call.paused":
                pass  # extensions: what is asked for is a wish, the rest is for those who look
            case _:
                self.faults[f"data channel: {kind}"] += 1

    def _offered(self, content: Mapping[str, Any]) -> None:
        self.offers += 1
        remote = sdp.read(content["description"]["sdp"])
        if "sdp_stream_metadata" in content:
            self._hear_of(content["sdp_stream_metadata"])
        else:
            self.faults["offer_without_metadata"] += 1
        self._sections = remote.sections
        sections = self.sections()
        told = self._told()
        forwarded = [s for s in sections if s.mid not in ("0", "1") and s.direction in ("sendonly", "sendrecv")]
        if any((s.stream, s.track) not in told for s in forwarded if s.kind != "application"):
            self.faults["msid_without_metadata"] += 1
        self.line.expect(sections)
        self.version += 1
        answer = sdp.answer(self.local, remote, self.version + 1, self.line.active)
        described = {"type": "answer", "sdp": answer}
        self.say("m.call.negotiate", {"description": described, "sdp_stream_metadata": self.metadata()})
        self._choose()

    def _told(self) -> set[tuple[str, str]]:
        return {(stream, track) for stream, one in self.streams.items() for track in one.get("tracks", {})}

    def sections(self) -> list[sdp.Section]:
        """The newest offer's sections, by what they carry: spare lines that carry nothing yet are inactive."""
        if not self.takes_spares:
            return [*self._sections]
        told, found = self._told(), []
        for section in self._sections:
            stream, track = self._assigned.get(section.track, (section.stream, section.track))
            spare = section.mid not in ("0", "1") and (stream, track) not in told
            way = "inactive" if spare else section.direction
            found.append(replace(section, stream=stream, track=track, direction=way))
        return found


async def unless(stop: asyncio.Event, step: Coroutine[Any, Any, Outcome], seconds: float) -> Outcome | None:
    """Return what `step` returns, None when `stop` is set or `seconds` pass before."""
    stopping, stepping = asyncio.ensure_future(stop.wait()), asyncio.ensure_future(step)
    await asyncio.wait({stopping, stepping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    done = stepping.done()
    for task in (stopping, stepping):
        task.cancel()
    await asyncio.gather(stopping, stepping, return_exceptions=True)
    return stepping.result() if done else None
