"""A client of the SFU era, as a test scripts it: MSC3401 messages, a browser's SDP, media over aiortc's transports.

It does what js-sdk does unless told otherwise: drops an offer while its own is under way,
answers pings and offers, keeps the newest full set of streams. It shares no SDP code with
the focus.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from aiortc.rtcicetransport import RTCIceCandidate, RTCIceParameters

from bench.participants import sdp
from cameras import Camera, F, H, Q, layers
from engines import credentials
from far_end import FarEnd
from focus.commands import Candidate, Credentials
from focus.vocabulary import PeerId, Rid
from matrix_room import CONF, DEVICE, FOCUS, Room
from media_bytes import Rtp
from own_lines import EXTENSIONS, Line, Microphone, serial

UNSTABLE = "org.matrix.msc3077.sdp_stream_metadata"
SIMULCAST: tuple[Rid, ...] = (F, H, Q)


class Client:
    """One dialled call of one device; dial again with a new one (`again`)."""

    def __init__(self, room: Room, name: str, device: str | None = None, session: str | None = None) -> None:
        self.room, self.name = room, name
        self.user = f"@{name}:here.test"
        self.device = device or f"{name.upper()}DEV"
        self.session = session or f"session{next(serial)}"
        self.call = f"{1671000001000 + next(serial)}{name:x<16}"[:29]
        self.conf = CONF
        self.proven: str | None = None
        "The device that Olm proves; None for plain messages."
        self.stream, self.screen = f"{name}-media-{next(serial)}", f"{name}-screen-{next(serial)}"
        self.end = FarEnd(PeerId(f"{name}{next(serial)}"))
        self.end.bell = room.bell
        self.own: dict[str, Line] = {}
        self.layout: list[str] = []
        "The mids of the session, in order."
        self.heard_lines: dict[str, sdp.Section] = {}
        self.channel_mid = ""
        self.seq = self.version = 0
        self.muted: dict[str, bool] = {"audio_muted": False, "video_muted": False}
        self.stable = True
        "Not in have-local-offer."
        self.answers_offers = self.answers_pings = True
        self.inbox: list[tuple[str, dict[str, Any]]] = []
        "To-device messages from the focus."
        self.heard: list[tuple[str, dict[str, Any]]] = []
        "Data channel messages from the focus."
        self.views: list[dict[str, Any]] = []
        "Every full set of streams that came, whatever carried it."
        self.connected = False
        self.dropped_offers = 0
        room.home.devices[self.user, self.device] = self._to_device
        room.closing.append(self)

    # Room state.

    def enter(self, **more: Any) -> Client:
        """Be in the room, and say in its state that this device calls."""
        self.room.membership(self.user, "join")
        self.room.entry(self.user)
        self.room.entry(self.user, (self.device, self.session), **more)
        return self

    def again(self, session: str | None = None) -> Client:
        """The same device after a reload: new session, new call, new everything."""
        return Client(self.room, self.name, self.device, session)

    # To-device messages.

    def common(self) -> dict[str, Any]:
        self.seq += 1
        return {
            "version": "1", "call_id": self.call, "conf_id": self.conf, "party_id": self.device,
            "device_id": self.device, "sender_session_id": self.session, "dest_session_id": "sfu",
            "seq": self.seq - 1,
        }  # fmt: skip

    def send(self, type: str, content: dict[str, Any], **changes: Any) -> None:
        """Send a to-device message; a change to None leaves the field out."""
        whole = {key: value for key, value in (self.common() | content | changes).items() if value is not None}
        self.room.home.to_focus(self.user, type, whole, self.proven)

    def _to_device(self, type: str, content: dict[str, Any], encrypted: bool) -> None:
        # As js-sdk: what is for another session or another call is not heard.
        if content.get("dest_session_id") != self.session or content.get("call_id") not in (None, self.call):
            return
        self.inbox.append((type, content))
        if type == "m.call.negotiate":
            self._negotiated(content, by_channel=False)
        self.room.bell.ring()

    def got(self, type: str) -> list[dict[str, Any]]:
        """To-device messages of a type so far."""
        return [content for kind, content in self.inbox if kind == type]

    async def gets(self, type: str, count: int = 1) -> dict[str, Any]:
        """Wait for the `count`th to-device message of a type."""
        await self.room.until(lambda: len(self.got(type)) >= count, f"{self.name} gets {type} number {count}")
        return self.got(type)[count - 1]

    # Descriptions.

    def add(self, kind: str, stream: str = "", rids: Sequence[Rid] = (), direction: str = "sendrecv") -> Line:
        """Another m-line of our own."""
        stream = stream or self.stream
        line = Line(str(len(self.layout)), kind, stream, f"{stream}-{kind}", tuple(rids), direction)
        self.own[line.mid] = line
        self.layout.append(line.mid)
        return line

    def share(self) -> Line:
        """An m-line for a screen: sendonly, simulcast, on a stream of its own."""
        return self.add("video", self.screen, SIMULCAST, "sendonly")

    @property
    def metadata(self) -> dict[str, Any]:
        """Our own streams, as we describe them."""
        streams: dict[str, Any] = {}
        for line in self.own.values():
            if line.direction not in ("sendrecv", "sendonly"):
                continue
            purpose = "m.screenshare" if line.stream == self.screen else "m.usermedia"
            words = {"user_id": self.user, "device_id": self.device, "purpose": purpose, "tracks": {}} | self.muted
            size = {"width": 1280, "height": 720} if line.kind == "video" else {}
            streams.setdefault(line.stream, words)["tracks"][line.track] = {"kind": line.kind} | size
        return streams

    def document(self, setup: str, mids: Sequence[str] | None = None, *, answering: bool = False) -> str:
        """Our description of the session."""
        sections = []
        for mid in self.layout if mids is None else mids:
            if mid == self.channel_mid:
                sections.append(sdp.channel(mid))
            elif mid in self.own:
                line = self.own[mid]
                sections.append(line.text({"sendrecv": "sendonly"}.get(line.direction, line.direction)
                                          if answering else line.direction))  # fmt: skip
            else:
                section = self.heard_lines[mid]
                more = sdp.extmap(EXTENSIONS) if section.kind == "video" else []
                sections.append(sdp.heard(section, self._takes(section)) + more)
        self.version += 1
        local = sdp.Local(
            self.end.far.ufrag, self.end.far.pwd, " ".join(self.end.fingerprint), self.stream, "", "", 0, "x",
        )  # fmt: skip
        return sdp.document(local, self.version, sections, setup)

    @staticmethod
    def _takes(section: sdp.Section) -> str:
        return "recvonly" if section.direction in ("sendrecv", "sendonly") else "inactive"

    def offer(self) -> dict[str, Any]:
        """Make an offer; until it is answered, the focus's are dropped."""
        self.stable = False
        return {"type": "offer", "sdp": self.document("actpass")}

    # Dialling.

    def invite(self, camera: Sequence[Rid] | None = SIMULCAST, microphone: bool = True, **changes: Any) -> Client:
        """Send the invite: microphone, camera (None: no video, (): no simulcast), data channel."""
        if microphone:
            self.add("audio")
        if camera is not None:
            self.add("video", rids=camera)
        self.channel_mid = str(len(self.layout))
        self.layout.append(self.channel_mid)
        content = {"offer": self.offer(), "lifetime": 60000, "invitee": FOCUS, UNSTABLE: self.metadata}
        self.send("m.call.invite", content, **changes)
        return self

    async def answered(self) -> sdp.Remote:
        """Take the answer of the focus."""
        content = await self.gets("m.call.answer")
        self.stable = True
        self.views.append(content[UNSTABLE])
        return sdp.read(content["answer"]["sdp"])

    async def connect(self, remote: sdp.Remote, channel: bool = True) -> None:
        """Bring transport and data channel up."""
        self.remote = remote
        self.end.near = Credentials(remote.ufrag, remote.pwd)
        await self.end.dial(addresses(remote), remote.fingerprints[0])
        self.connected = True
        if channel:
            await self.open_channel()

    async def open_channel(self) -> None:
        opened = await self.end.open_channel()
        opened.on("message", self._text)
        await self.end.bell.until(lambda: opened.readyState == "open", 5, "the data channel opens")

    def select(self, party: str = DEVICE) -> None:
        self.send("m.call.select_answer", {"selected_party_id": party})

    async def dial(self, **invite: Any) -> Client:
        """All of a join, until the first message on the data channel."""
        remote = await self.enter().invite(**invite).answered()
        self.send("m.call.candidates", {"candidates": [{"candidate": ""}]})
        self.select()
        await self.connect(remote)
        await self.hears("m.call.sdp_stream_metadata_changed")
        return self

    def hang_up(self) -> None:
        self.send("m.call.hangup", {"reason": "user_hangup"})

    # The data channel.

    def say(self, type: str, content: dict[str, Any]) -> None:
        self.say_text(json.dumps({"type": type, "content": content}))

    def say_text(self, text: str) -> None:
        assert self.end.channel is not None
        self.end.channel.send(text)

    def _text(self, text: str) -> None:
        message = json.loads(text)
        type, content = message["type"], message["content"]
        self.heard.append((type, content))
        if type == "m.call.ping" and self.answers_pings:
            self.say("m.call.pong", {})
        elif type == "m.call.sdp_stream_metadata_changed":
            self.views.append(content["sdp_stream_metadata"])
        elif type == "m.call.negotiate":
            self._negotiated(content, by_channel=True)
        self.room.bell.ring()

    def _negotiated(self, content: dict[str, Any], *, by_channel: bool) -> None:
        remote = sdp.read(content["description"]["sdp"])
        if content["description"]["type"] == "answer":
            self.stable = True
            self.remote = remote
            self.views.append(content["sdp_stream_metadata"])
        elif not self.stable or not self.answers_offers:
            self.dropped_offers += 1
        else:
            self.views.append(content["sdp_stream_metadata"])
            self.take_offer(remote)
            answer = {"type": "answer", "sdp": self.document("active", self.layout, answering=True)}
            self.say("m.call.negotiate", {"description": answer, "sdp_stream_metadata": self.metadata})

    def take_offer(self, remote: sdp.Remote) -> None:
        """The focus's offer is our session now."""
        self.layout = [section.mid for section in remote.sections]
        for section in remote.sections:
            if section.mid not in self.own and section.kind != "application":
                self.heard_lines[section.mid] = section

    def told(self, type: str) -> list[dict[str, Any]]:
        """Data channel messages of a type so far."""
        return [content for kind, content in self.heard if kind == type]

    async def hears(self, type: str, count: int = 1) -> dict[str, Any]:
        """Wait for the `count`th data channel message of a type."""
        await self.room.until(lambda: len(self.told(type)) >= count, f"{self.name} hears {type} number {count}")
        return self.told(type)[count - 1]

    def offers(self) -> list[dict[str, Any]]:
        """Offers of the focus so far, taken or not."""
        return [c for c in self.told("m.call.negotiate") if c["description"]["type"] == "offer"]

    async def renegotiate(self, metadata: dict[str, Any] | None = None) -> None:
        """Offer anew on the data channel, and wait for the answer."""
        count = len(self.told("m.call.negotiate"))
        words = self.metadata if metadata is None else metadata
        self.say("m.call.negotiate", {"description": self.offer(), "sdp_stream_metadata": words})
        await self.room.until(lambda: self.stable, f"an answer for {self.name}")
        assert len(self.told("m.call.negotiate")) > count

    def describe(self, **muted: bool) -> None:
        """Tell of our mutes."""
        self.muted |= muted
        self.say("m.call.sdp_stream_metadata_changed", {"sdp_stream_metadata": self.metadata})

    def want(self, *lines: Line, width: int = 0, height: int = 0, unwanted: Sequence[Line] = ()) -> None:
        """Subscribe to lines of others."""
        size = {"width": width, "height": height} if width else {}
        names = [{"stream_id": line.stream, "track_id": line.track} for line in lines]
        content = {
            "subscribe": [name | size for name in names],
            "unsubscribe": [{"stream_id": line.stream, "track_id": line.track} for line in unwanted],
        }
        self.say("m.call.track_subscription", content)

    async def sees(self, condition: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
        """Wait until the newest full set of streams is as it should be."""
        await self.room.until(lambda: self.views and condition(self.views[-1]), f"{self.name} sees {what}")
        return self.views[-1]

    # Media.

    def line(self, kind: str) -> Line:
        return next(line for line in self.own.values() if line.kind == kind)

    def cameras(self, line: Line | None = None) -> list[Camera]:
        """A sender for each layer of an m-line, the camera's if none is named."""
        line = line or self.line("video")
        if not line.rids:
            return [Camera(self.end, line.ssrc, mid=line.mid, named=False)]
        made = layers(self.end, *line.rids)
        for camera in made:
            camera.mid, camera.ssrc = line.mid, camera.ssrc + 0x100000 * (int(line.mid) + 1)
        return made

    def microphone(self) -> Microphone:
        return self.microphone_of(self.line("audio"))

    def microphone_of(self, line: Line) -> Microphone:
        return Microphone(self.end, line)

    def on(self, line: Line) -> sdp.Section | None:
        """The m-line on which the focus says that it forwards somebody's line to us."""
        for section in self.heard_lines.values():
            if (section.stream, section.track) == (line.stream, line.track) and section.direction == "sendonly":
                return section
        return None

    def received(self, line: Line) -> list[Rtp]:
        """Packets of somebody's line that came to us."""
        section = self.on(line)
        return self.end.of(section.ssrcs[0]) if section is not None else []

    async def watches(self, line: Line, senders: Sequence[Camera | Microphone], count: int = 3) -> list[Rtp]:
        """Somebody sends, every layer at 100 frames a second, until so many more packets came to us."""
        await self.room.until(lambda: self.on(line), f"{self.name} is offered {line.track}")
        before, loop = len(self.received(line)), asyncio.get_running_loop()
        deadline = loop.time() + 8
        while len(self.received(line)) < before + count:
            assert loop.time() < deadline, (
                f"{self.name} receives nothing of {line.track}, hung up {self.got('m.call.hangup')},"
                f" refused so far {dict(self.room.all_faults())}"
            )
            for sender in senders:
                await (sender.say() if isinstance(sender, Microphone) else sender.frame(keyframe=True))
            await asyncio.sleep(0.01)
        return self.received(line)[before:]

    async def restart_ice(self) -> None:
        """New credentials, told on the old path; then move to the new one. DTLS notices nothing."""
        self.end.far = credentials(f"r{next(serial)}{self.name}")
        await self.renegotiate()
        ice = await self.end.gather(self.end.far)
        for number, candidate in enumerate(addresses(self.remote)):
            address = (candidate.host, candidate.port, 1000, "udp", "host")
            await ice.addRemoteCandidate(RTCIceCandidate(1, str(number), *address))
        await ice.addRemoteCandidate(None)
        await ice.start(RTCIceParameters(self.remote.ufrag, self.remote.pwd))
        assert ice.state == "completed", "the new credentials find no path"
        path = self.end.ice
        assert path is not None
        before, path._connection = path._connection, ice._connection
        path._recv, path._send = ice._recv, ice._send
        # Whoever waits on the old path looks at the new one after this datagram, which is nothing.
        before._queue.put_nowait((b"\0", 1))
        await before.close()

    async def close(self) -> None:
        await self.end.close()


async def dialled(room: Room, *names: str) -> list[Client]:
    """New clients of those names, each in the call before the next dials."""
    clients = [Client(room, name) for name in names]
    for client in clients:
        await client.dial()
    return clients


def addresses(remote: sdp.Remote) -> tuple[Candidate, ...]:
    """Where a description says that the focus can be reached."""
    words = [value.split(" ") for value in remote.candidates]
    return tuple(Candidate(word[4], int(word[5])) for word in words)
