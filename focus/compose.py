"""Writing our side's SDP: the answer to a peer's offer, and our own offers.

Pure text from values. What is negotiated was decided elsewhere; the peer's numbers for
payload types and extensions are kept (RFC 8829 §5.3.1), every candidate is in the text,
and nothing that the peer did not offer is in an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from operator import is_

from focus.codecs import FORMATS, Format
from focus.commands import Candidate, Codec
from focus.description import FEEDBACK, URIS, Line
from focus.snapshot import Peer, Slot, Use, Written
from focus.vocabulary import Kind

CNAME = "weir"
LARGEST_MESSAGE = 262_144
"Bytes: more than any message that a client needs to send; offers grow with the call."
NUMBERS = (*range(96, 128), *range(35, 64))
"Payload types that are free to mean anything (RFC 3551 §6, RFC 8834 §4.3)."
NOT_FORWARDED = frozenset(("rid", "repaired_rid"))
"Extensions that mean nothing on our sending lines."
TRANSPORT_WIDE = frozenset(("transport_cc", "transport-cc"))
"Extension and feedback that our sending lines have if the engine reads it; without, a browser sends REMB."
NOT_SENT = "goog-remb"
"Feedback that we never give on the lines that we receive."
PLAIN_ON_AUDIO = ("video_orientation", "playout_delay", "dependency_descriptor")

Terms = tuple[tuple[Codec, ...], tuple[str, ...], dict[str, int]]
"What a line of ours is about: codecs, their parameters, header extension ids by URI."


def answer(peer: Peer, ours: tuple[str, str], version: int, wide: bool) -> str:
    """Answer the peer's newest offer. `ours` is the fingerprint; `wide`: whether transport-wide feedback is read."""
    slots = {slot.mid: slot for slot in peer.slots}
    sections = []
    for line in peer.lines:
        slot = slots.get(line.mid)
        if slot is None or line.refused:
            lines = _receiving(peer, line, ours, "passive")
        else:
            agreed = (line.codecs, line.fmtp, _forwarded(line, wide))
            told = _told(line.feedback, wide)
            lines = _sending(peer, slot, agreed, standing(slot), ours, "passive", told, line.reduced)
        sections.append("\r\n".join(lines))
    alive = [line.mid for line in peer.lines if not line.refused]
    return _session(peer, alive, sections, version)


def offer(
    peer: Peer, ours: tuple[str, str], version: int, codecs: tuple[str, ...], wide: bool
) -> tuple[str, Mapping[str, Written]]:
    """Offer the session as our slots want it. `codecs`: what we carry, most wanted first; `wide`: see `answer`.

    A line that the peer has stopped stays stopped (RFC 8829 §5.2.2). Also the sections that the next offer may have
    again as they are, by mid: most of a session is as it was.
    """
    slots = {slot.mid: slot for slot in peer.slots}
    known = {line.mid for line in peer.lines}
    first = _first(peer)
    sections: list[str] = []
    kept: dict[str, Written] = {}
    for line in peer.lines:
        slot = slots.get(line.mid)
        # The first section has the addresses.
        made_of = (line, slot, peer.local, peer.candidates if line.mid == first else None, line.mid in peer.resting)
        before = peer.written.get(line.mid)
        if before is None or not all(map(is_, before.made_of, made_of)):
            if slot is None or line.refused:
                lines = _receiving(peer, line, ours, "actpass")
            else:
                agreed = (line.codecs, line.fmtp, _forwarded(line, wide))
                lines = _sending(peer, slot, agreed, slot.use, ours, "actpass", _told(FEEDBACK[slot.kind], wide), True)
            before = Written(made_of, "\r\n".join(lines))
        kept[line.mid] = before
        sections.append(before.text)
    alive = [line.mid for line in peer.lines if not line.refused]
    fresh = [slot for slot in peer.slots if slot.mid not in known]
    proposed = {kind: numbers(peer, kind, codecs, wide) for kind in {slot.kind for slot in fresh}}
    for slot in fresh:
        told = _told(FEEDBACK[slot.kind], wide)
        lines = _sending(peer, slot, proposed[slot.kind], slot.use, ours, "actpass", told, True)
        sections.append("\r\n".join(lines))
        alive.append(slot.mid)
    return _session(peer, alive, sections, version), kept


def order(peer: Peer) -> tuple[str, ...]:
    """The mids that an offer of ours has, in their order."""
    known = tuple(line.mid for line in peer.lines)
    return known + tuple(slot.mid for slot in peer.slots if slot.mid not in known)


def numbers(peer: Peer, kind: Kind, carried: tuple[str, ...], wide: bool) -> Terms:
    """What a new line of ours proposes: every codec of the kind that we carry, in the peer's numbering.

    A peer may decode what its own lines do not name, since those may name only what it encodes.
    """
    named: dict[str, tuple[Codec, tuple[str, ...]]] = {}
    ids: dict[str, int] = {}
    for line in peer.lines:
        for number, uri in line.extmap:
            ids.setdefault(uri, number)
        for codec in line.codecs:
            named.setdefault(codec.name, (codec, _parameters(codec, line.fmtp)))
    wanted = [FORMATS[name] for name in carried if FORMATS[name].kind is kind]
    # In a bundle each number means one codec (RFC 8843 §10.1.2).
    taken = {int(number) for line in peer.lines if line.kind is not None for number in line.formats}
    for made in wanted:
        if made.name not in named:
            named[made.name] = _proposed(made, taken)
    # A peer without a line of its own has no ids yet: what every sink needs, in ours.
    needed = {"mid", "audio_level", *(["dependency_descriptor"] if "av1" in carried else [])}
    needed |= TRANSPORT_WIDE if wide else set()
    known = ids or {uri: place for place, (uri, slot) in enumerate(URIS.items(), 1) if slot in needed}
    unused = _unused(wide).union(PLAIN_ON_AUDIO if kind is Kind.AUDIO else ("audio_level",))
    codecs = [named[made.name] for made in wanted]
    return (
        tuple(codec for codec, _ in codecs),
        tuple(text for _, texts in codecs for text in texts),
        {uri: known[uri] for uri, slot in URIS.items() if uri in known and slot not in unused},
    )


def _proposed(made: Format, taken: set[int]) -> tuple[Codec, tuple[str, ...]]:
    """A codec and its parameters under numbers that were free, which are then taken."""
    own = () if taken & {made.pt, made.pt + 1} else (made.pt, made.pt + 1)
    free: Iterator[int] = chain(own, (number for number in NUMBERS if number not in taken and number > made.pt + 1))
    pt = next(free)
    rtx = next(free) if made.kind is Kind.VIDEO else None
    taken.update((pt,) if rtx is None else (pt, rtx))
    return Codec(made.name, made.clock, pt, rtx), ((f"{pt} {made.parameters}",) if made.parameters else ())


def _parameters(codec: Codec, fmtp: Iterable[str]) -> tuple[str, ...]:
    """A codec's own among the parameters of several."""
    return tuple(text for text in fmtp if text.startswith(f"{codec.pt} "))


def _forwarded(line: Line, wide: bool) -> dict[str, int]:
    """The header extensions that a line of ours uses, as the peer took them."""
    return {uri: number for number, uri in line.extmap if URIS[uri] not in _unused(wide)}


def _unused(wide: bool) -> frozenset[str]:
    """Extensions that no line of ours has."""
    return NOT_FORWARDED if wide else NOT_FORWARDED | TRANSPORT_WIDE


def _told(feedback: tuple[str, ...], wide: bool) -> tuple[str, ...]:
    """The RTCP feedback that we have a use for on a line of ours."""
    return tuple(what for what in feedback if wide or what not in TRANSPORT_WIDE)


def standing(slot: Slot) -> Use | None:
    """What an answer may say of a line of ours: what was agreed before, unless that has ended or is not taken."""
    return slot.agreed if slot.agreed == slot.use and slot.accepted else None


def _session(peer: Peer, alive: Iterable[str], sections: list[str], version: int) -> str:
    head = [
        "v=0",
        f"o=- {peer.session} {version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE " + " ".join(alive),
        *(["a=extmap-allow-mixed"] if peer.mixed else []),
        "a=msid-semantic: WMS *",
    ]
    return "\r\n".join([*head, *sections]) + "\r\n"


def _first(peer: Peer) -> str | None:
    """The section that speaks for the transport of all."""
    return next((line.mid for line in peer.lines if not line.refused), None)


def _transport(peer: Peer, mid: str, ours: tuple[str, str], setup: str) -> list[str]:
    lines = ["c=IN IP4 0.0.0.0"]
    if mid == (_first(peer) or mid):
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
        f"m={line.media} 9 {line.protocol} {_payload_types(line.codecs)}",
        *_transport(peer, line.mid, ours, setup),
        f"a=mid:{line.mid}",
        *(f"a=extmap:{number} {uri}" for number, uri in line.extmap),
        "a=recvonly" if line.sends and line.mid not in peer.resting else "a=inactive",
        "a=rtcp-mux",
        *(["a=rtcp-rsize"] if line.reduced else []),
        *_formats(line.codecs, line.fmtp, [what for what in line.feedback if what != NOT_SENT]),
    ]
    if line.rids:
        lines.extend(f"a=rid:{rid} recv" for rid in line.rids)
        lines.append("a=simulcast:recv " + ";".join(line.rids))
    return lines


def _payload_types(codecs: Iterable[Codec]) -> str:
    return " ".join(str(pt) for codec in codecs for pt in (codec.pt, codec.rtx_pt) if pt is not None)


def _formats(codecs: Iterable[Codec], fmtp: tuple[str, ...], feedback: Iterable[str]) -> list[str]:
    lines = []
    for codec in codecs:
        lines.append(f"a=rtpmap:{codec.pt} {FORMATS[codec.name].encoding}")
        lines.extend(f"a=rtcp-fb:{codec.pt} {what}" for what in feedback)
        lines.extend(f"a=fmtp:{text}" for text in _parameters(codec, fmtp))
        if codec.rtx_pt is not None:
            lines += [f"a=rtpmap:{codec.rtx_pt} rtx/{codec.clock}", f"a=fmtp:{codec.rtx_pt} apt={codec.pt}"]
    return lines


def _sending(
    peer: Peer,
    slot: Slot,
    terms: Terms,
    use: Use | None,
    ours: tuple[str, str],
    setup: str,
    feedback: tuple[str, ...],
    reduced: bool,
) -> list[str]:
    """A line of ours: a forwarded track, or a place kept for one."""
    codecs, fmtp, extensions = terms
    lines = [
        f"m={slot.kind} 9 UDP/TLS/RTP/SAVPF {_payload_types(codecs)}",
        *_transport(peer, slot.mid, ours, setup),
        f"a=mid:{slot.mid}",
        *(f"a=extmap:{number} {uri}" for uri, number in extensions.items()),
        "a=sendonly" if use is not None else "a=inactive",
        *([f"a=msid:{use.stream} {use.name}"] if use is not None else []),
        "a=rtcp-mux",
        *(["a=rtcp-rsize"] if reduced else []),
        *_formats(codecs, fmtp, feedback),
    ]
    if use is not None:
        if use.rtx_ssrc is not None:
            lines.append(f"a=ssrc-group:FID {use.ssrc} {use.rtx_ssrc}")
        lines.extend(f"a=ssrc:{ssrc} cname:{CNAME}" for ssrc in (use.ssrc, use.rtx_ssrc) if ssrc is not None)
    return lines
