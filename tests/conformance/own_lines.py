"""A client's own m-lines, as a browser writes them, and the packets of a microphone.

Cameras are in `cameras.py`. Nothing here is shared with the focus's SDP code.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from bench.participants import sdp
from far_end import FarEnd
from focus.vocabulary import Rid
from media_bytes import rtp

EXTENSIONS = {
    5: "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    12: "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
    13: "urn:3gpp:video-orientation",
}
"What a browser offers for video beside `bench.participants.sdp.VIDEO_EXTENSIONS`."
serial = itertools.count(1)


@dataclass
class Line:
    """One of the client's own m-lines."""

    mid: str
    kind: str
    stream: str
    track: str
    rids: tuple[Rid, ...] = ()
    direction: str = "sendrecv"
    ssrc: int = field(default_factory=lambda: 0x50000 + 16 * next(serial))

    def text(self, direction: str) -> list[str]:
        """The section as a browser writes it, without transport lines."""
        if self.kind == "audio":
            body = ["m=audio 9 UDP/TLS/RTP/SAVPF 111", *sdp.extmap(sdp.AUDIO_EXTENSIONS), *sdp.opus(111)]
        else:
            body = ["m=video 9 UDP/TLS/RTP/SAVPF 96 97", *sdp.extmap(sdp.VIDEO_EXTENSIONS | EXTENSIONS)]
            body += ["a=rtcp-rsize", *sdp.vp8(96, 97)]
        if direction in ("sendrecv", "sendonly"):
            body.append(f"a=msid:{self.stream} {self.track}")
            if self.rids:
                body += [f"a=rid:{rid} send" for rid in self.rids] + [f"a=simulcast:send {';'.join(self.rids)}"]
            elif self.kind == "audio":
                body.append(f"a=ssrc:{self.ssrc} cname:x")
            else:
                body += [f"a=ssrc-group:FID {self.ssrc} {self.ssrc + 1}"]
                body += [f"a=ssrc:{ssrc} cname:x" for ssrc in (self.ssrc, self.ssrc + 1)]
        return [body[0], f"a=mid:{self.mid}", f"a={direction}", "a=rtcp-mux", *body[1:]]


class Microphone:
    """Packets of sound."""

    def __init__(self, end: FarEnd, line: Line) -> None:
        self.end, self.line, self.sequence = end, line, 100

    async def say(self, payload: bytes = b"sound", level: int = 20) -> None:
        self.sequence += 1
        extensions = {4: self.line.mid.encode(), 1: bytes((0x80 | level,))}
        await self.end.send(rtp(self.line.ssrc, self.sequence, 960 * self.sequence, 111, payload, extensions))
