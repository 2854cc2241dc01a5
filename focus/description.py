"""What a peer's SDP says that matters to a forwarder (RFC 8829, 8851, 8853, 8843).

Reads a parsed session into typed values, or raises a `PeerFault`. It accepts what it is
told can be carried and nothing else; what is refused stays in place with port 0 or inactive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from types import MappingProxyType

from focus.codecs import fits, named
from focus.commands import Codec, Credentials, Extensions
from focus.faults import PeerFault
from focus.sdp import Attributes, Section, Session
from focus.vocabulary import Kind, Rid

URIS: dict[str, str] = {
    "urn:ietf:params:rtp-hdrext:sdes:mid": "mid",
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id": "rid",
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id": "repaired_rid",
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01": "transport_cc",
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level": "audio_level",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time": "abs_send_time",
    "urn:3gpp:video-orientation": "video_orientation",
    "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay": "playout_delay",
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension": "dependency_descriptor",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time": "abs_capture_time",
}
"Header extensions that we negotiate, by their slot in `commands.Extensions`."
assert set(URIS.values()) == {one.name for one in fields(Extensions)}

FEEDBACK = {
    Kind.AUDIO: ("transport-cc",),
    Kind.VIDEO: ("transport-cc", "goog-remb", "ccm fir", "nack", "nack pli"),
}
"RTCP feedback that we understand (RFC 4585 §4.2), in the order of a browser."
STRONG = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"Certificate hashes that are good enough (RFC 8122 §5), and their length in bytes."
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
SENDING = ("sendrecv", "sendonly")
RECEIVING = ("sendrecv", "recvonly")
KINDS = {kind.value: kind for kind in Kind}
NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
HEX = frozenset("0123456789ABCDEF")


@dataclass(frozen=True, slots=True)
class Line:
    """One m-line of a peer, as far as we understand it."""

    mid: str
    media: str
    "As written: audio, video, application, or what we do not know."
    protocol: str
    formats: tuple[str, ...]
    refused: bool
    "Port 0, or nothing in it that we can carry."
    direction: str
    msid: tuple[str, str] | None
    "Stream and track id; each is empty where the peer did not name it (RFC 8830 §2)."
    codecs: tuple[Codec, ...]
    "What both sides know, in our order of preference."
    fmtp: tuple[str, ...]
    "Format parameters of the accepted payload types, as `pt params`."
    extmap: tuple[tuple[int, str], ...]
    "Accepted header extensions: id and URI."
    rids: tuple[Rid, ...]
    "Simulcast layers that the peer sends, in order."
    ssrcs: tuple[int, ...]
    feedback: tuple[str, ...] = ()
    "RTCP feedback that both sides understand, for all of the codecs."
    reduced: bool = False
    "Reduced-size RTCP (RFC 5506)."
    sctp_port: int | None = None
    max_message: int = 65536
    "Bytes of one data channel message that the peer takes (RFC 8841 §6)."
    kind: Kind | None = field(init=False, compare=False, repr=False)
    "For audio and video. It is asked for all the time."

    def __post_init__(self) -> None:
        """Look the kind up, once."""
        object.__setattr__(self, "kind", KINDS.get(self.media))

    @property
    def sends(self) -> bool:
        """The peer sends on this line."""
        return not self.refused and self.direction in SENDING and self.kind is not None and bool(self.codecs)

    @property
    def receives(self) -> bool:
        """The peer takes what we send on this line."""
        return not self.refused and self.direction in RECEIVING and bool(self.codecs)

    @property
    def extensions(self) -> Extensions:
        """Accepted extensions by slot."""
        return _extensions(self.extmap)


@lru_cache(1024)
def _extensions(extmap: tuple[tuple[int, str], ...]) -> Extensions:
    """All lines of a peer, and most peers, have the same."""
    return Extensions(**{URIS[uri]: number for number, uri in extmap})


NOTHING: Mapping[str, Line] = MappingProxyType({})
LONGEST_KEPT = 16 * 1024
"Characters of a section whose terms are kept for others like it. A browser's camera has 5,000."


@dataclass(frozen=True, slots=True)
class Remote:
    """A peer's whole description."""

    credentials: Credentials
    fingerprints: tuple[tuple[str, str], ...]
    mixed: bool
    "Both header extension forms may be mixed (RFC 8285 §4.1.2)."
    setup: str
    "Who opens DTLS, in the peer's words (RFC 8842 §5)."
    lines: tuple[Line, ...]
    known: Mapping[str, Line] = field(compare=False, repr=False)
    "The lines by the texts of their sections; see `read`."


def read(
    session: Session, most_lines: int, codecs: tuple[str, ...], known: Mapping[str, Line] = NOTHING
) -> Remote:
    """Understand a peer's offer or answer. `codecs`: what we carry, most wanted first. Raises PeerFault.

    `known`: texts of sections as they were read before, with the same codecs: most of one is in the next.
    """
    if not session.sections:
        raise PeerFault("sdp_no_media")
    if len(session.sections) > most_lines:
        raise PeerFault("sdp_too_many_sections")
    head = session.head.attributes()
    transport = next(filter(_live, session.sections), session.sections[0]).attributes()
    credentials = Credentials(
        _ice(transport.value("ice-ufrag") or head.value("ice-ufrag"), 4),
        _ice(transport.value("ice-pwd") or head.value("ice-pwd"), 22),
    )
    prints = _fingerprints(tuple(transport.values("fingerprint") or head.values("fingerprint")))
    if not prints:
        raise PeerFault("sdp_no_fingerprint")
    direction = next((way for way in DIRECTIONS if head.flag(way)), "sendrecv")
    # A line without a direction has the session's.
    usable = known if direction == "sendrecv" else NOTHING
    seen = {one.text: usable.get(one.text) or _line(one, direction, codecs) for one in session.sections}
    if len(seen) != len(session.sections):
        raise PeerFault("sdp_mid_twice")
    lines = tuple(seen.values())
    if len({line.mid for line in lines}) != len(lines):
        raise PeerFault("sdp_mid_twice")
    groups = (group.split(" ") for group in head.values("group"))
    bundled = next((set(words[1:]) for words in groups if words[0] == "BUNDLE"), set())
    # One transport for everything, so a line outside the first bundle has none.
    if any(not line.refused and line.mid not in bundled for line in lines):
        raise PeerFault("sdp_not_bundled")
    if all(line.refused for line in lines):
        raise PeerFault("sdp_nothing_to_carry")
    setup = transport.value("setup") or head.value("setup") or "actpass"
    return Remote(
        credentials, prints, head.flag("extmap-allow-mixed"), setup, lines,
        seen if direction == "sendrecv" else NOTHING,
    )  # fmt: skip


def _live(section: Section) -> bool:
    return section.media[1] != 0 or "\na=bundle-only" in section.text and section.attributes().flag("bundle-only")


@lru_cache(256)
def _fingerprints(values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The first few certificate fingerprints of a good hash. A peer says the same ones each time."""
    found = []
    for value in values:
        name, _, digest = value.partition(" ")
        parts = digest.strip().upper().split(":")
        strong = len(parts) == STRONG.get(name.lower())
        if strong and all(len(part) == 2 and HEX.issuperset(part) for part in parts):
            found.append((name.lower(), ":".join(parts)))
    return tuple(found[:4])


def _ice(value: str | None, least: int) -> str:
    """An ICE user fragment or password (RFC 8839 §5.4)."""
    if value is None or not least <= len(value) <= 256 or not all(c in NAME or c in "+/" for c in value):
        raise PeerFault("sdp_ice_credentials")
    return value


def _line(section: Section, direction: str, carried: tuple[str, ...]) -> Line:
    """Understand one m-line. `direction`: its own if it names none."""
    media, port, protocol, formats = section.media
    found = section.attributes()
    mid = found.value("mid") or ""
    if not 0 < len(mid) <= 16 or not all(c in NAME or c in "-_." for c in mid):
        raise PeerFault("sdp_mid")
    refused = port == 0 and not found.flag("bundle-only")
    direction = next((way for way in DIRECTIONS if found.flag(way)), direction)
    if media == "application":
        sctp = found.value("sctp-port")
        known = protocol in ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP") and formats == ("webrtc-datachannel",)
        largest = _number(found.value("max-message-size") or "65536", 0, 1 << 40) or 262144
        return Line(
            mid, media, protocol, formats, refused or not known, direction, None, (), (), (), (), (),
            sctp_port=_number(sctp or "5000", 1, 65535) if known and not refused else None,
            max_message=min(largest, 262144),
        )
    if media not in ("audio", "video"):
        return Line(mid, media, protocol, formats, True, direction, None, (), (), (), (), ())
    if not refused and not found.flag("rtcp-mux"):
        raise PeerFault("sdp_no_rtcp_mux")
    # Alike for all lines of a browser, but not for us to keep if somebody makes them huge.
    terms = _terms if len(section.text) <= LONGEST_KEPT else _terms.__wrapped__
    codecs, fmtp, feedback, extmap = terms(
        Kind(media), formats, carried, *(tuple(found.values(name)) for name in ("rtpmap", "fmtp", "rtcp-fb", "extmap"))
    )
    return Line(
        mid, media, protocol, formats, refused or not codecs, direction, _msid(found), codecs, fmtp, extmap,
        _rids(found), _ssrcs(found), feedback, found.flag("rtcp-rsize"),
    )


@lru_cache(256)
def _terms(
    kind: Kind, formats: tuple[str, ...], carried: tuple[str, ...], maps: tuple[str, ...], parameters: tuple[str, ...],
    offered: tuple[str, ...], extensions: tuple[str, ...],
) -> tuple[tuple[Codec, ...], tuple[str, ...], tuple[str, ...], tuple[tuple[int, str], ...]]:  # fmt: skip
    """Codecs, their parameters and feedback, and header extensions, from the values of the attributes about them."""
    codecs, fmtp = _codecs(kind, formats, carried, maps, parameters)
    return codecs, fmtp, _feedback(kind, set(offered), codecs), _extmap(extensions)


def _feedback(kind: Kind, offered: set[str], codecs: tuple[Codec, ...]) -> tuple[str, ...]:
    return tuple(
        what
        for what in FEEDBACK[kind]
        if codecs and (f"* {what}" in offered or all(f"{codec.pt} {what}" in offered for codec in codecs))
    )


def _number(text: str, low: int, high: int) -> int:
    """A decimal number in a range."""
    if not text.isascii() or not text.isdigit() or len(text) > 12 or not low <= int(text) <= high:
        raise PeerFault("sdp_number")
    return int(text)


def _codecs(
    kind: Kind, formats: tuple[str, ...], carried: tuple[str, ...], maps: tuple[str, ...], parameters: tuple[str, ...]
) -> tuple[tuple[Codec, ...], tuple[str, ...]]:
    """The first payload type that fits, of each format that is carried; and their parameters."""
    numbers = [_number(text, 0, 127) for text in formats]
    words = _by_type(parameters)
    encodings = {number: text.lower() for number, text in _by_type(maps).items()}
    found: dict[str, Codec] = {}
    for number in numbers:
        known = named(encodings.get(number, ""))
        fitting = known is not None and known.kind is kind and fits(known, words.get(number, ""))
        if known is None or not fitting or known.name in found:
            continue
        repeats, rtx = f"apt={number}", f"rtx/{known.clock}"
        again = (n for n in numbers if encodings.get(n) == rtx and repeats in words.get(n, "").split(";"))
        found[known.name] = Codec(known.name, known.clock, number, next(again, None))
    codecs = tuple(found[name] for name in carried if name in found)
    return codecs, tuple(f"{codec.pt} {words[codec.pt]}" for codec in codecs if codec.pt in words)


def _by_type(values: tuple[str, ...]) -> dict[int, str]:
    """What is said of each payload type."""
    parts = (value.partition(" ") for value in values)
    return {_number(pt, 0, 127): text for pt, _, text in parts}


def _extmap(values: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
    found: dict[str, int] = {}
    for value in values:
        number, _, rest = value.partition(" ")
        uri = rest.split(" ")[0]
        if uri in URIS and uri not in found:
            found[uri] = _number(number.partition("/")[0], 1, 255)
    if len(set(found.values())) != len(found):
        raise PeerFault("sdp_extension_id_twice")
    return tuple((number, uri) for uri, number in found.items())


def _msid(found: Attributes) -> tuple[str, str] | None:
    value = found.value("msid")
    if value is None:
        return None
    stream, _, track = value.partition(" ")
    # These words go into the descriptions of others.
    if not 0 < len(stream) <= 255 or len(track) > 255 or " " in track or not value.isascii():
        raise PeerFault("sdp_msid")
    return stream if stream != "-" else "", track


def _rids(found: Attributes) -> tuple[Rid, ...]:
    """Layers named by `a=simulcast:send`, without alternatives and pause marks (RFC 8853 §5.1)."""
    simulcast = (found.value("simulcast") or "").split(" ")
    if "send" not in simulcast[:-1]:
        return ()
    listed = simulcast[simulcast.index("send") + 1].split(";")
    rids = tuple(Rid(item.split(",")[0].lstrip("~")) for item in listed)
    declared = {value.split(" ")[0] for value in found.values("rid") if " send" in value}
    for rid in rids:
        if not 0 < len(rid) <= 16 or not all(c in NAME for c in rid) or rid not in declared:
            raise PeerFault("sdp_rid")
    if len(rids) > 4 or len(set(rids)) != len(rids):
        raise PeerFault("sdp_rid")
    return rids if len(rids) > 1 else ()


def _ssrcs(found: Attributes) -> tuple[int, ...]:
    for group in found.values("ssrc-group"):
        words = group.split(" ")
        if words[0] == "FID" and len(words) == 3:
            return _number(words[1], 1, 0xFFFFFFFF), _number(words[2], 1, 0xFFFFFFFF)
    first = found.value("ssrc")
    return (_number(first.split(" ")[0], 1, 0xFFFFFFFF),) if first else ()
