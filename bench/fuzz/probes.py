"""What any text of a client must leave intact: one probe for each surface of the control plane that reads one.

A probe does with a text what the focus would, and raises where a promise is broken. A
`PeerFault` is the one answer that a bad text may earn, and its name is a metric label.
"""

from __future__ import annotations

import json
import random
import string
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

from focus import sdp
from focus.codecs import FORMATS
from focus.commands import Candidate, Connected, Event, Open, Opened, Reachable, Restart
from focus.conference import Running
from focus.description import read
from focus.faults import PeerFault
from focus.limits import Limits
from focus.vocabulary import (
    Answer,
    Answered,
    Asked,
    ConferenceId,
    Described,
    Join,
    Offer,
    Offered,
    Owner,
    PeerId,
    Selected,
    Ticked,
    Told,
    Want,
    Wanted,
)
from signalling import events, metadata
from signalling.limits import SignallingLimits

LIMITS, SIGNALLING, CODECS = Limits(), SignallingLimits(), tuple(FORMATS)
HONEST, MALLORY = PeerId("honest"), PeerId("mallory")
OWNER = Owner("@mallory:there.test", "DEVICE")
FINGERPRINT = ("sha-256", ":".join(["0F"] * 32))
ADDRESS = (Candidate("192.0.2.1", 4000),)
OFFER = "\r\n".join((
    "v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1", "a=ice-ufrag:abcd",
    f"a=ice-pwd:{'p' * 24}", f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}", "a=setup:actpass",
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97", "a=mid:0", "a=sendrecv", "a=rtcp-mux", "a=rtpmap:96 VP8/90000",
    "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96", "a=msid:cam pic", "a=ssrc:7 cname:c",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:1", "a=sctp-port:5000", "",
))  # fmt: skip
"Of somebody honest, who is in the call."
TO_DEVICE = (
    "m.call.invite", "m.call.candidates", "m.call.select_answer", "m.call.hangup", "m.call.reject", "m.call.negotiate",
    "m.call.sdp_stream_metadata_changed",
)  # fmt: skip


class SeededNames:
    """`vocabulary.Names`, the same in every run."""

    def __init__(self) -> None:
        self._chance = random.Random(1)

    def token(self, size: int) -> str:
        """See `vocabulary.Names`."""
        return "".join(self._chance.choice(string.ascii_letters) for _ in range(size))

    def ssrc(self) -> int:
        """See `vocabulary.Names`."""
        return self._chance.randrange(1, 1 << 32)


class Call:
    """A conference with somebody honest in it, and an engine that says yes to everything."""

    def __init__(self) -> None:
        self.running = Running(ConferenceId("room"), LIMITS, CODECS, SeededNames(), FINGERPRINT, 1)
        self.now = 1000.0
        self.post(Join(HONEST, OWNER, OFFER, ()))
        self.post(Connected(HONEST), Opened(HONEST), Selected(HONEST))

    def again(self) -> Call:
        """The same once more: snapshots are values, so that they can be shared; work gives it an inbox of its own."""
        twin = copy(self)
        twin.running = copy(self.running)
        twin.post()
        return twin

    def post(self, *happened: Asked | Event) -> None:
        """Let something happen: whatever the focus then says must be well formed."""
        pending: Sequence[Asked | Event] | None = happened
        while pending is not None:
            for event in pending:
                self.running.post(event)
            pending = None
            faults: Counter[str] = Counter()
            for effect in self.running.work(self.now, faults):
                if isinstance(effect, Open | Restart):
                    pending = [*(pending or ()), Reachable(effect.peer, ADDRESS)]
                elif isinstance(effect, Told):
                    self._heard(effect)
            for name in faults:
                label(name)
        assert HONEST in self.running.conference.peers, "a fault costs its own sender only"

    def wants(self) -> tuple[Want, ...]:
        """All that there is."""
        return tuple(Want(track.stream, track.name, 640) for track in self.running.conference.tracks.values())

    def _heard(self, told: Told) -> None:
        if isinstance(told, Answer | Offer):
            session = sdp.parse(told.sdp)
            assert sdp.dump(session) == told.sdp
            read(session, LIMITS.m_lines + len(self.running.conference.peers), CODECS)


def label(name: str) -> None:
    """A fault's name is our own text."""
    assert name.replace("_", "").isalnum() and name.islower() and len(name) < 64, f"{name!r} is no metric label"


BEGUN = Call()
"What every probe begins with."


@contextmanager
def faults_only() -> Iterator[None]:
    """A bad text may earn a fault with a name, and nothing else."""
    try:
        yield
    except PeerFault as fault:
        label(fault.what)


def description(data: bytes) -> None:
    """A session description: read without loss, or refused; as an offer, a new offer and an answer of one caller."""
    text = data.decode(errors="replace")
    with faults_only():
        session = sdp.parse(text)
        assert sdp.parse(sdp.dump(session)) == session
        read(session, LIMITS.m_lines, CODECS)
    call = BEGUN.again()
    call.post(Join(MALLORY, OWNER, text, ()))
    call.post(Connected(MALLORY), Opened(MALLORY), Selected(MALLORY))
    call.post(Wanted(HONEST, call.wants(), ()))
    call.post(Offered(MALLORY, text, ()), Answered(MALLORY, text, ()))
    call.post(Offered(HONEST, text, ()))
    # Long enough for an offer to be made anew, and for a ping.
    call.now += 6
    call.post(Ticked())


def messages(data: bytes) -> None:
    """A text on the data channel, and the same content in every to-device message of a call."""
    text = data.decode(errors="replace")
    call = BEGUN.again()
    with faults_only():
        match events.parse_channel(text, SIGNALLING.text, SIGNALLING.depth):
            case events.TrackSubscription(subscribe, unsubscribe):
                call.post(Wanted(HONEST, subscribe, unsubscribe))
            case events.MetadataChanged(found):
                call.post(Described(HONEST, described(found)))
            case events.Negotiate("offer", told, found):
                call.post(Offered(HONEST, told, described(found)))
            case events.Negotiate(_, told, found):
                call.post(Answered(HONEST, told, described(found)))
            case events.Ping() | events.Pong() | events.Unknown():
                pass
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return
    if not isinstance(content, dict):
        return
    with faults_only():
        events.dump_header(events.header(content))
    for type in TO_DEVICE:
        with faults_only():
            match events.parse(type, content):
                case events.Invite(_, found) | events.Negotiate(_, _, found):
                    described(found)
                case events.MetadataChanged(found):
                    described(found)
                case _:
                    pass


def described(content: Any) -> Any:
    """A client's own streams, which are told to others."""
    streams = metadata.read(content, OWNER)
    json.dumps(metadata.dump(streams))
    assert all(stream.owner == OWNER for stream in streams), "whatever it claims"
    return streams


ALL: dict[str, Callable[[bytes], None]] = {"sdp": description, "messages": messages}
"Every probe under the name of its corpus."
