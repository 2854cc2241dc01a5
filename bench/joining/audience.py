"""Native people of one room at a focus apart: each dials, takes the picture that is offered, and may send one.

The signalling is a client's own: member entry, invite, answer, data channel, subscription, offers answered. ICE,
DTLS, SRTP and the books are the crowd's, so that hundreds fit beside what is measured.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.crowd import Crowd, Stream, Watch
from bench.joining.apart import DEVICE, USER, Focus
from bench.participants import sdp
from focus.commands import (
    Candidate,
    Codec,
    Connected,
    Credentials,
    Event,
    Extensions,
    Lost,
    Message,
    Open,
    Opened,
    Role,
    Send,
)
from focus.vocabulary import PeerId
from signalling.link import Batch, StateEvent, ToDevice

ROOM, CONF = "!room:here.test", "1671000000000AbCdEfGhIjKlMnOp"
CALL, MEMBER = "org.matrix.msc3401.call", "org.matrix.msc3401.call.member"
METADATA = "org.matrix.msc3077.sdp_stream_metadata"
LASTS = 3600_000
"Milliseconds until a member entry expires."
EXTENSIONS = Extensions(abs_send_time=2, transport_cc=3, mid=4)
CAMERA = "camera"
"The mid of what a guest sends."
LOOK = 0.01
"Seconds between two looks at whose picture has come."


class Guest:
    """One call of one client."""

    def __init__(self, crowd: Crowd, number: int, stream: Stream | None) -> None:
        self.crowd, self.stream = crowd, stream
        self.peer = PeerId(f"guest{number}")
        self.user, self.device, self.session = f"@p{number}:here.test", f"DEV{number}", f"session{number}"
        self.call = secrets.token_hex(8)
        self.near = Credentials(secrets.token_hex(4), secrets.token_hex(12))
        self.local = sdp.Local(
            self.near.ufrag, self.near.pwd, " ".join(crowd.fingerprint), secrets.token_hex(8), "",
            secrets.token_hex(8), 0, secrets.token_hex(8),
        )  # fmt: skip
        self.invited = time.monotonic()
        self.joined: float | None = None
        "When the first packet of a picture had come; who sends has joined with its data channel."
        self.watched: set[int] = set()
        "SSRCs of pictures."
        self.asked: set[tuple[str, str]] = set()
        self.ended = ""
        "Why, once the call is over."
        self._streams: Mapping[str, Any] = {}
        self._version = 1
        self._seq = itertools.count()

    def common(self) -> dict[str, Any]:
        """Fields of every to-device message."""
        return {
            "version": "1", "call_id": self.call, "conf_id": CONF, "party_id": self.device, "device_id": self.device,
            "sender_session_id": self.session, "dest_session_id": "sfu", "seq": next(self._seq),
        }  # fmt: skip

    def metadata(self) -> dict[str, Any]:
        """Describe what is sent (MSC3077)."""
        if self.stream is None:
            return {}
        tracks = {self.local.video: {"kind": "video", "width": self.stream.width, "height": self.stream.height}}
        own = {"user_id": self.user, "device_id": self.device, "purpose": "m.usermedia", "tracks": tracks}
        return {self.local.stream: own | {"audio_muted": True, "video_muted": False}}

    def invite(self) -> dict[str, Any]:
        """The first message: a data channel, and the camera of who has one."""
        sections = [sdp.channel("0")] if self.stream is None else [camera(self.local, self.stream), sdp.channel("0")]
        offer = {"type": "offer", "sdp": sdp.document(self.local, 1, sections, "actpass")}
        return self.common() | {"offer": offer, "lifetime": 60000, "invitee": USER, METADATA: self.metadata()}

    def answered(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """The focus took the call: dial it. What to tell it."""
        remote = sdp.read(content["answer"]["sdp"])
        candidates = tuple(Candidate(line.split()[4], int(line.split()[5])) for line in remote.candidates)
        far = Credentials(remote.ufrag, remote.pwd)
        prints = tuple((name.lower(), digest) for name, digest in remote.fingerprints)
        self.crowd.submit(
            Open(self.peer, Role.CALLER, self.near, far, prints, remote.sctp_port, candidates=candidates)
        )
        self._streams = content[METADATA]
        return self.common() | {"selected_party_id": content["party_id"]}

    def heard(self, event: Event) -> None:
        """What became of the transport, and what is said on it."""
        match event:
            case Opened():
                if self.stream is not None:
                    self.crowd.native.publish(self.peer, self.stream)
                    self.joined = time.monotonic()
                self._want(self._streams)
            case Message():
                message = json.loads(event.text)
                self._told(message["type"], message["content"])
            case Lost():
                self.ended = f"transport: {event.loss}"
            case Connected():
                pass
            case _:
                raise AssertionError(f"no client hears {event}")

    def look(self) -> None:
        """Has the picture come?"""
        if self.joined is None and self.watched:
            books = self.crowd.native.books(self.peer)
            if all(books[ssrc]["received"] for ssrc in self.watched):
                self.joined = time.monotonic()

    def _told(self, kind: str, content: Mapping[str, Any]) -> None:
        match kind:
            case "m.call.ping":
                self._say("m.call.pong", {})
            case "m.call.sdp_stream_metadata_changed":
                self._want(content["sdp_stream_metadata"])
            case "m.call.negotiate" if content["description"]["type"] == "offer":
                self._offered(content["description"]["sdp"])

    def _want(self, streams: Mapping[str, Any]) -> None:
        every = {(stream, track) for stream, told in streams.items() for track in told["tracks"]}
        if new := sorted(every - self.asked):
            self.asked |= every
            wanted = [{"stream_id": stream, "track_id": track, "width": 640, "height": 360} for stream, track in new]
            self._say("m.call.track_subscription", {"subscribe": wanted, "unsubscribe": []})

    def _offered(self, text: str) -> None:
        if self.stream is not None:
            raise AssertionError("who sends is alone in sending, and is offered nothing")
        remote = sdp.read(text)
        for one in remote.sections:
            if one.kind == "video" and one.direction in ("sendonly", "sendrecv") and one.ssrcs[0] not in self.watched:
                types = dict(reversed(one.codecs))
                codec = Codec("vp8", 90_000, types["vp8"], types.get("rtx"))
                repair = one.ssrcs[1] if len(one.ssrcs) > 1 else None
                self.crowd.native.watch(self.peer, Watch(one.ssrcs[0], codec, EXTENSIONS, repair))
                self.watched.add(one.ssrcs[0])
        self._version += 1
        answer = {"type": "answer", "sdp": sdp.answer(self.local, remote, self._version, active=True)}
        self._say("m.call.negotiate", {"description": answer, "sdp_stream_metadata": self.metadata()})

    def _say(self, kind: str, content: Mapping[str, Any]) -> None:
        self.crowd.submit(Send(self.peer, json.dumps({"type": kind, "content": content})))


def camera(local: sdp.Local, stream: Stream) -> list[str]:
    """The section of a camera without layers, whose SSRCs are told."""
    ssrcs = [number for number in (stream.ssrc, stream.rtx_ssrc) if number is not None]
    return [
        f"m=video 9 UDP/TLS/RTP/SAVPF {sdp.VP8} {sdp.RTX}", f"a=mid:{CAMERA}", "a=sendonly", "a=rtcp-mux",
        *sdp.extmap(sdp.VIDEO_EXTENSIONS), f"a=msid:{local.stream} {local.video}", *sdp.vp8(sdp.VP8, sdp.RTX),
        f"a=ssrc-group:FID {' '.join(map(str, ssrcs))}", *(f"a=ssrc:{ssrc} cname:{local.cname}" for ssrc in ssrcs),
    ]  # fmt: skip


class Hall:
    """The room, its call, and who is in it. Made inside a running event loop; `close` before the focus's."""

    def __init__(self, focus: Focus) -> None:
        self.focus = focus
        self.guests: dict[str, Guest] = {}
        "By user."
        self.faults: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._peers: dict[PeerId, Guest] = {}
        self._waiting: list[Guest] = []
        focus.on_message = self._message
        state = [
            state_of("m.room.member", USER, {"membership": "join"}),
            replace(state_of(CALL, CONF, {"m.intent": "m.room", "m.type": "m.video"}), sender="@host:here.test"),
            state_of("m.room.member", "@host:here.test", {"membership": "join"}),
        ]
        focus.take(Batch(tuple(state), (), True))
        self._looking = asyncio.ensure_future(self._look())

    def enter(self, crowd: Crowd, stream: Stream | None = None) -> Guest:
        """Somebody new of a crowd dials. `crowd.on_event` must be `heard`."""
        guest = Guest(crowd, next(self._numbers), None if stream is None else replace(stream, mid=CAMERA))
        entry = {
            "device_id": guest.device, "session_id": guest.session, "expires_ts": int(time.time() * 1000) + LASTS,
            "feeds": [{"purpose": "m.usermedia"}],
            "org.matrix.msc3898.foci.active": [{"user_id": USER, "device_id": DEVICE}],
        }  # fmt: skip
        calls = {"m.calls": [{"m.call_id": CONF, "m.devices": [entry]}]}
        state = state_of("m.room.member", guest.user, {"membership": "join"}), state_of(MEMBER, guest.user, calls)
        self.guests[guest.user] = guest
        self._peers[guest.peer] = guest
        self._waiting.append(guest)
        invite = ToDevice(guest.user, "m.call.invite", guest.invite(), None)
        self.focus.take(Batch(state, (invite,), False))
        return guest

    def heard(self, event: Event) -> None:
        """A client's transport says something."""
        guest = self._peers.get(getattr(event, "peer", PeerId("")))
        if guest is not None:
            guest.heard(event)

    def close(self) -> None:
        """Look no more."""
        self._looking.cancel()
        self.focus.on_message = lambda user, device, type, content: None

    def _message(self, user: str, device: str, type: str, content: dict[str, Any]) -> None:
        guest = self.guests[user]
        match type:
            case "m.call.answer":
                chosen = ToDevice(user, "m.call.select_answer", guest.answered(content), None)
                self.focus.take(Batch((), (chosen,), False))
            case "m.call.hangup" | "m.call.reject":
                guest.ended = f"{type}: {content.get('reason')}"
            case "m.call.candidates":
                pass
            case _:
                self.faults[type] += 1

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            for guest in self._waiting:
                guest.look()
            self._waiting = [guest for guest in self._waiting if guest.joined is None and not guest.ended]


def state_of(type: str, key: str, content: Mapping[str, Any]) -> StateEvent:
    """One piece of the room's state, by whom it is about."""
    return StateEvent(ROOM, type, key, key, content, 0)

