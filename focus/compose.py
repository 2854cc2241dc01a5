"""Writing our side's SDP: the answer to a peer's offer, and our own offers.

Pure text from values. What is negotiated was decided elsewhere; the peer's numbers for
payload types and extensions are kept (RFC 8829 §5.3.1), every candidate is in the text,
and nothing that the peer did not offer is in an answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from focus.commands import Candidate, Codec
from focus.description import FEEDBACK, URIS, Line
from focus.snapshot import Peer, Slot, Use
from focus.vocabulary import Kind

CNAME = "weir"
LARGEST_MESSAGE = 262_144
"Bytes: more than any message that a client needs to send; offers grow with the call."
DEFAULTS = {
    Kind.AUDIO: (Codec("opus", 48000, 111, None), ("111 minptime=10;useinbandfec=1",)),
    Kind.VIDEO: (Codec("vp8", 90000, 96, 97), ()),
}
"For a peer that offered no line of a kind itself."
NOT_FORWARDED = ("rid", "repaired_rid", "transport_cc")
"Extensions that mean nothing on our sending lines. Without transport-cc a browser tells its estimate by REMB."
NOT_TOLD = "transport-cc"
"Feedback that we have no use for on our sending lines."
NOT_SENT = "goog-remb"
"Feedback that we never give on the lines that we receive."
PLAIN_ON_AUDIO = ("video_orientation", "playout_delay", "dependency_descriptor")


def answer(peer: Peer, ours: tuple[str, str], version: int) -> str:
    """Answer the peer's newest offer. `ours` is the fingerprint."""
    slots = {slot.mid: slot for slot in peer.slots}
    sections = []
    for line in peer.lines:
        slot = slots.get(line.mid)
        if slot is None or line.refused:
            sections.append(_receiving(peer, line, ours, "passive"))
        else:
            sections.append(_sending(peer, slot, line, standing(slot), ours, "passive", line.feedback))
    alive = [line.mid for line in peer.lines if not line.refused]
    return _session(peer, alive, sections, version)


def offer(peer: Peer, ours: tuple[str, str], version: int) -> str:
    """Offer the session as our slots want it. A line that the peer has stopped stays stopped (RFC 8829 §5.2.2)."""
    slots = {slot.mid: slot for slot in peer.slots}
    known = {line.mid for line in peer.lines}
    sections = []
    for line in peer.lines:
        slot = slots.get(line.mid)
        if slot is None or line.refused:
            sections.append(_receiving(peer, line, ours, "actpass"))
        else:
            sections.append(_sending(peer, slot, line, slot.use, ours, "actpass", FEEDBACK[slot.kind]))
    alive = [line.mid for line in peer.lines if not line.refused]
    for slot in peer.slots:
        if slot.mid not in known:
            sections.append(_sending(peer, slot, None, slot.use, ours, "actpass", FEEDBACK[slot.kind]))
            alive.append(slot.mid)
    return _session(peer, alive, sections, version)


def order(peer: Peer) -> tuple[str, ...]:
    """The mids that an offer of ours has, in their order."""
    known = tuple(line.mid for line in peer.lines)
    return known + tuple(slot.mid for slot in peer.slots if slot.mid not in known)


def numbers(peer: Peer, kind: Kind) -> tuple[Codec, tuple[str, ...], dict[str, int]]:
    """Payload types, parameters and extension ids for a line of ours, in the peer's numbering."""
    codec, fmtp = _default(peer, kind)
    taken: dict[str, int] = {}
    for line in peer.lines:
        for number, uri in line.extmap:
            taken.setdefault(uri, number)
    for line in peer.lines:
        if line.kind is kind and line.codecs:
            codec, fmtp = line.codecs[0], line.fmtp
            break
    # A peer without a line of its own has no numbers yet: what every sink needs, in ours.
    known = taken or {uri: place for place, (uri, slot) in enumerate(URIS.items(), 1) if slot in ("mid", "audio_level")}
    unused = (*NOT_FORWARDED, *(PLAIN_ON_AUDIO if kind is Kind.AUDIO else ("audio_level",)))
    wanted = {uri: known[uri] for uri, slot in URIS.items() if uri in known and slot not in unused}
    return codec, fmtp, wanted


def _default(peer: Peer, kind: Kind) -> tuple[Codec, tuple[str, ...]]:
    """Numbers for a kind of which the peer has no line. In a bundle each means one codec (RFC 8843 §10.1.2)."""
    codec, fmtp = DEFAULTS[kind]
    taken = {number for line in peer.lines for number in line.formats}
    free = [number for number in range(98, 111) if str(number) not in taken]
    if len(free) < 2 or taken.isdisjoint((str(codec.pt), str(codec.rtx_pt))):
        return codec, fmtp
    moved = replace(codec, pt=free[0], rtx_pt=free[1] if codec.rtx_pt is not None else None)
    return moved, tuple(f"{free[0]} {text.partition(' ')[2]}" for text in fmtp)


def standing(slot: Slot) -> Use | None:
    """What an answer may say of a line of ours: what was agreed before, unless that has ended or is not taken."""
    return slot.agreed if slot.agreed == slot.use and slot.accepted else None


def _session(peer: Peer, alive: Iterable[str], sections: list[list[str]], version: int) -> str:
    head = [
        "v=0",
        f"o=- {peer.session} {version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE " + " ".join(alive),
        *(["a=extmap-allow-mixed"] if peer.mixed else []),
        "a=msid-semantic: WMS *",
    ]
    return "\r\n".join([*head, *(line for section in sections for line in section)]) + "\r\n"


def _transport(peer: Peer, mid: str, ours: tuple[str, str], setup: str) -> list[str]:
    lines = ["c=IN IP4 0.0.0.0"]
    if mid == next((line.mid for line in peer.lines if not line.refused), mid):
        # Once is enough: all sections share one transport, and its first one carries the addresses.
        lines.extend(_candidate(place, candidate) for place, candidate in enumerate(peer.candidates or ()))
        lines.append("a=end-of-candidates")
    return [
        *lines,
        f"a=ice-ufrag:{peer.local.ufrag}",
        f"a=ice-pwd:{peer.local.pwd}",
        f"a=fingerprint:{ours[0]} {ours[1]}",
        f"a=setup:{setup}",
    ]


def _candidate(place: int, candidate: Candidate) -> str:
    # RFC 8445 §5.1.2.1 for host candidates, earlier addresses preferred.
    priority = (126 << 24) | ((65535 - place) << 8) | 255
    return f"a=candidate:{place + 1} 1 udp {priority} {candidate.host} {candidate.port} typ host generation 0"


def _receiving(peer: Peer, line: Line, ours: tuple[str, str], setup: str) -> list[str]:
    """A line of the peer's: we take what it sends, or decline."""
    formats = " ".join(line.formats)
    if line.refused:
        return [f"m={line.media} 0 {line.protocol} {formats}", "c=IN IP4 0.0.0.0", "a=inactive", f"a=mid:{line.mid}"]
    if line.media == "application":
        return [
            f"m=application 9 {line.protocol} webrtc-datachannel",
            *_transport(peer, line.mid, ours, setup),
            f"a=mid:{line.mid}",
            "a=sctp-port:5000",
            f"a=max-message-size:{LARGEST_MESSAGE}",
        ]
    lines = [
        f"m={line.media} 9 {line.protocol} {' '.join(str(pt) for pt in _payload_types(line.codecs[0]))}",
        *_transport(peer, line.mid, ours, setup),
        f"a=mid:{line.mid}",
        *(f"a=extmap:{number} {uri}" for number, uri in line.extmap),
        "a=recvonly" if line.sends else "a=inactive",
        "a=rtcp-mux",
        *(["a=rtcp-rsize"] if line.reduced else []),
        *_formats(line.codecs[0], line.fmtp, (what for what in line.feedback if what != NOT_SENT)),
    ]
    if line.rids:
        lines.extend(f"a=rid:{rid} recv" for rid in line.rids)
        lines.append("a=simulcast:recv " + ";".join(line.rids))
    return lines


def _payload_types(codec: Codec) -> list[int]:
    return [codec.pt, *([codec.rtx_pt] if codec.rtx_pt is not None else [])]


def _formats(codec: Codec, fmtp: tuple[str, ...], feedback: Iterable[str]) -> list[str]:
    lines = [f"a=rtpmap:{codec.pt} {'opus/48000/2' if codec.name == 'opus' else f'{codec.name.upper()}/{codec.clock}'}"]
    lines.extend(f"a=rtcp-fb:{codec.pt} {what}" for what in feedback)
    lines.extend(f"a=fmtp:{text}" for text in fmtp)
    if codec.rtx_pt is not None:
        lines += [f"a=rtpmap:{codec.rtx_pt} rtx/{codec.clock}", f"a=fmtp:{codec.rtx_pt} apt={codec.pt}"]
    return lines


def _sending(
    peer: Peer,
    slot: Slot,
    line: Line | None,
    use: Use | None,
    ours: tuple[str, str],
    setup: str,
    feedback: tuple[str, ...],
) -> list[str]:
    """A line of ours: a forwarded track, or a place kept for one. `line` is the peer's view of it."""
    codec, fmtp, extensions = numbers(peer, slot.kind)
    if line is not None:
        codec, fmtp = line.codecs[0], line.fmtp
        extensions = {uri: number for number, uri in line.extmap if URIS[uri] not in NOT_FORWARDED}
    reduced = line is None or line.reduced or setup == "actpass"
    lines = [
        f"m={slot.kind} 9 UDP/TLS/RTP/SAVPF {' '.join(str(pt) for pt in _payload_types(codec))}",
        *_transport(peer, slot.mid, ours, setup),
        f"a=mid:{slot.mid}",
        *(f"a=extmap:{number} {uri}" for uri, number in extensions.items()),
        "a=sendonly" if use is not None else "a=inactive",
        *([f"a=msid:{use.stream} {use.name}"] if use is not None else []),
        "a=rtcp-mux",
        *(["a=rtcp-rsize"] if reduced else []),
        *_formats(codec, fmtp, (what for what in feedback if what != NOT_TOLD)),
    ]
    if use is not None:
        if use.rtx_ssrc is not None:
            lines.append(f"a=ssrc-group:FID {use.ssrc} {use.rtx_ssrc}")
        lines.extend(f"a=ssrc:{ssrc} cname:{CNAME}" for ssrc in (use.ssrc, use.rtx_ssrc) if ssrc is not None)
    return lines
