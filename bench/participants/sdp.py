"""The little SDP that a participant writes and reads: the text of a client like Chromium.

Pure. It offers one microphone, one camera with three simulcast layers told by rid only
(no `a=ssrc`, as Chromium), and a data channel; it answers what the focus offers. It is
strict where a browser is, and it shares nothing with the focus's own SDP code.
"""

from __future__ import annotations

from dataclasses import dataclass

OPUS, VP8, RTX = 111, 96, 97
RIDS = ("f", "h", "q")
AUDIO_EXTENSIONS = {
    1: "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    2: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    3: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    4: "urn:ietf:params:rtp-hdrext:sdes:mid",
}
VIDEO_EXTENSIONS = {
    2: AUDIO_EXTENSIONS[2],
    3: AUDIO_EXTENSIONS[3],
    4: AUDIO_EXTENSIONS[4],
    10: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    11: "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
}
EXTENSIONS = AUDIO_EXTENSIONS | VIDEO_EXTENSIONS
"All ids; in a bundle an id means the same on every m-line (RFC 8843 §9)."


@dataclass(frozen=True, slots=True)
class Local:
    """What stays the same in everything that one participant writes."""

    ufrag: str
    pwd: str
    fingerprint: str
    "Hash name and digest, as the attribute has them."
    stream: str
    audio: str
    "Track id of the microphone."
    video: str
    "Track id of the camera."
    audio_ssrc: int
    cname: str


@dataclass(frozen=True, slots=True)
class Section:
    """One m-line of the focus's SDP."""

    kind: str
    mid: str
    direction: str
    stream: str
    "From `a=msid`, empty where there is none."
    track: str
    ssrcs: tuple[int, ...]
    "Media, then RTX."
    codecs: tuple[tuple[str, int], ...]
    "Lower-case name and payload type, in the order of the m-line."
    rejected: bool


@dataclass(frozen=True, slots=True)
class Remote:
    """The focus's SDP."""

    ufrag: str
    pwd: str
    fingerprints: tuple[tuple[str, str], ...]
    setup: str
    lite: bool
    candidates: tuple[str, ...]
    "Values of `a=candidate`, each once."
    sctp_port: int
    sections: tuple[Section, ...]


def offer(local: Local) -> str:
    """Return the first offer."""
    sections = [camera_or_microphone(local, kind, mid, "sendrecv") for kind, mid in (("audio", "0"), ("video", "1"))]
    return document(local, 1, [*sections, channel("2")], "actpass")


def answer(local: Local, remote: Remote, version: int, active: bool) -> str:
    """Return the answer to an offer of the focus. `active`: we are the DTLS client, and stay it."""
    sections = []
    for section in remote.sections:
        if section.rejected:
            sections.append([f"m={section.kind} 0 UDP/TLS/RTP/SAVPF 0", f"a=mid:{section.mid}", "a=inactive"])
        elif section.kind == "application":
            sections.append(channel(section.mid))
        elif section.mid in ("0", "1"):
            ours = {"sendrecv": "sendrecv", "recvonly": "sendonly"}.get(section.direction, "inactive")
            sections.append(camera_or_microphone(local, section.kind, section.mid, ours))
        else:
            ours = "recvonly" if section.direction in ("sendrecv", "sendonly") else "inactive"
            sections.append(heard(section, ours))
    return document(local, version, sections, "active" if active else "passive")


def camera_or_microphone(local: Local, kind: str, mid: str, direction: str) -> list[str]:
    """Return one of our own sections."""
    if kind == "audio":
        lines = [f"m=audio 9 UDP/TLS/RTP/SAVPF {OPUS}", *extmap(AUDIO_EXTENSIONS)]
        lines += [f"a=msid:{local.stream} {local.audio}", *opus(OPUS), f"a=ssrc:{local.audio_ssrc} cname:{local.cname}"]
    else:
        lines = [f"m=video 9 UDP/TLS/RTP/SAVPF {VP8} {RTX}", *extmap(VIDEO_EXTENSIONS)]
        lines += [f"a=msid:{local.stream} {local.video}", "a=rtcp-rsize", *vp8(VP8, RTX)]
        if direction in ("sendrecv", "sendonly"):
            lines += [f"a=rid:{rid} send" for rid in RIDS] + [f"a=simulcast:send {';'.join(RIDS)}"]
    return [lines[0], f"a=mid:{mid}", f"a={direction}", "a=rtcp-mux", *lines[1:]]


def heard(section: Section, direction: str) -> list[str]:
    """Return the answer to a section on which the focus forwards, with the focus's payload types."""
    types = dict(reversed(section.codecs))
    if section.kind == "audio":
        pt = types.get("opus", OPUS)
        body = [f"m=audio 9 UDP/TLS/RTP/SAVPF {pt}", *extmap(AUDIO_EXTENSIONS), *opus(pt)]
    else:
        pt, rtx = types.get("vp8", VP8), types.get("rtx", RTX)
        body = [f"m=video 9 UDP/TLS/RTP/SAVPF {pt} {rtx}", *extmap(VIDEO_EXTENSIONS), "a=rtcp-rsize", *vp8(pt, rtx)]
    return [body[0], f"a=mid:{section.mid}", f"a={direction}", "a=rtcp-mux", *body[1:]]


def channel(mid: str) -> list[str]:
    """Return the data channel's section."""
    first = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"
    return [first, f"a=mid:{mid}", "a=sctp-port:5000", "a=max-message-size:262144"]


def extmap(ids: dict[int, str]) -> list[str]:
    return [f"a=extmap:{number} {uri}" for number, uri in ids.items()]


def opus(pt: int) -> list[str]:
    return [
        f"a=rtpmap:{pt} opus/48000/2",
        f"a=rtcp-fb:{pt} transport-cc",
        f"a=fmtp:{pt} minptime=10;useinbandfec=1;usedtx=1",
    ]


def vp8(pt: int, rtx: int) -> list[str]:
    feedback = [f"a=rtcp-fb:{pt} {kind}" for kind in ("transport-cc", "ccm fir", "nack", "nack pli")]
    return [f"a=rtpmap:{pt} VP8/90000", *feedback, f"a=rtpmap:{rtx} rtx/90000", f"a=fmtp:{rtx} apt={pt}"]


def document(local: Local, version: int, sections: list[list[str]], setup: str) -> str:
    """Put session lines and sections together, with ICE and DTLS attributes in each section."""
    mids = [line[6:] for section in sections for line in section if line.startswith("a=mid:")]
    lines = ["v=0", f"o=- {int(local.cname, 36) % 2**62} {version} IN IP4 127.0.0.1", "s=-", "t=0 0"]
    lines += [f"a=group:BUNDLE {' '.join(mids)}", "a=extmap-allow-mixed", f"a=msid-semantic: WMS {local.stream}"]
    transport = [f"a=ice-ufrag:{local.ufrag}", f"a=ice-pwd:{local.pwd}", "a=ice-options:trickle"]
    transport += [f"a=fingerprint:{local.fingerprint}", f"a=setup:{setup}"]
    for section in sections:
        lines += [section[0], "c=IN IP4 0.0.0.0", *transport, *section[1:]]
    return "\r\n".join(lines) + "\r\n"


def read(sdp: str) -> Remote:
    """Read the focus's offer or answer. Raises `ValueError` when a browser would refuse it too."""
    head, *parts = sdp.replace("\r\n", "\n").rstrip("\n").split("\nm=")
    everywhere = Attributes(head.split("\n"))
    texts = [Attributes(part.split("\n")) for part in parts]
    sections = tuple(section(part.split("\n")[0], lines) for part, lines in zip(parts, texts, strict=True))
    for one in sections:
        if [other.mid for other in sections].count(one.mid) > 1:
            raise ValueError(f"mid {one.mid} stands twice")

    def anywhere(name: str) -> list[str]:
        return everywhere.all(name) or [value for lines in texts for value in lines.all(name)]

    def needed(name: str) -> str:
        values = anywhere(name)
        if not values:
            raise ValueError(f"the focus's SDP has no {name}")
        return values[0]

    prints = [value.partition(" ") for value in dict.fromkeys(anywhere("fingerprint"))]
    return Remote(
        needed("ice-ufrag"), needed("ice-pwd"), tuple((hash, digest) for hash, _, digest in prints), needed("setup"),
        bool(everywhere.all("ice-lite") or "ice-lite" in everywhere.flags), tuple(dict.fromkeys(anywhere("candidate"))),
        int((anywhere("sctp-port") or ["5000"])[0]), sections,
    )  # fmt: skip


class Attributes:
    """The `a=` lines of one section."""

    def __init__(self, lines: list[str]) -> None:
        values = [line[2:] for line in lines if line.startswith("a=")]
        self.pairs = [(name, value) for name, colon, value in (v.partition(":") for v in values) if colon]
        self.flags = {value for value in values if ":" not in value}

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]

    def one(self, name: str) -> str:
        return next(iter(self.all(name)), "")


def section(first: str, lines: Attributes) -> Section:
    """Read one section; `first` is its m-line without `m=`."""
    kind, port, _, *formats = first.split(" ")
    directions = lines.flags & {"sendrecv", "sendonly", "recvonly", "inactive"}
    names = {value.split(" ")[0]: value.split(" ")[1].split("/")[0].lower() for value in lines.all("rtpmap")}
    codecs = tuple((names[number], int(number)) for number in formats if number in names)
    stream, _, track = lines.one("msid").partition(" ")
    if len(lines.all("msid")) > 1:
        raise ValueError(f"mid {lines.one('mid')} has more than one msid")
    return Section(
        kind, lines.one("mid"), next(iter(directions), "sendrecv"), stream, track,
        ssrcs(lines), codecs, port == "0" and kind != "application",
    )  # fmt: skip


def ssrcs(lines: Attributes) -> tuple[int, ...]:
    """Return media and RTX SSRC: in the order of the FID group if there is one, else as they stand."""
    group = next((value.split(" ")[1:] for value in lines.all("ssrc-group") if value.startswith("FID ")), None)
    numbers = group if group is not None else [value.split(" ")[0] for value in lines.all("ssrc")]
    return tuple(dict.fromkeys(int(number) for number in numbers))


