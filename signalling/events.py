"""The wire vocabulary of MSC3401 and MSC3898: `parse(type, content)` and `dump(event)`.

To-device messages and data channel messages have the same shapes under two envelopes.
Whatever the input, `parse` returns an event or raises a `PeerFault`. It knows no state:
who may say what is decided in `admission.py` and `leg.py`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from focus.faults import PeerFault
from focus.vocabulary import Obeys, Reason, TakesSpares, Want
from signalling.link import Content

FOCUS_SESSION = "sfu"
"The session id of every focus (protocol digest §0.4)."
METADATA = "sdp_stream_metadata"
UNSTABLE_METADATA = "org.matrix.msc3077.sdp_stream_metadata"
DEMAND = "weir.call.demand"
"What of a client's own pictures is needed. Weir's own: clients that do not know it pass over it."
SPEAKERS = "weir.call.speakers"
"`streams`: ids in the order in which their owners had the floor, who has it now first. Weir's own too."
PAUSED = "weir.call.paused"
"`mids`: lines with wanted pictures that the client's link does not carry; `number` counts changes. Weir's own too."
ASSIGNED = "weir.call.assigned"
"`tracks`: what lines carry from now on that were ready before, by the track id in their description. Weir's own too."
IDENTIFIER = re.compile(r"[\x21-\x7e]{1,255}")
STRINGS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"Strings of a JSON text, the last one perhaps without its end."
BRACKETS = re.compile(r"[\[\]{}]")
MOST_ITEMS = 512
LONGEST_SDP = 262_144
LARGEST_SIZE = 16_384


@dataclass(frozen=True, slots=True)
class Header:
    """The fields that every to-device message carries."""

    conf: str
    call: str
    device: str
    "As claimed; proved only by Olm."
    party: str
    session: str
    "The sender's session."
    to_session: str
    seq: int | None


@dataclass(frozen=True, slots=True)
class Invite:
    sdp: str
    metadata: Content | None


@dataclass(frozen=True, slots=True)
class Candidates:
    """Addresses of the client: read and never dialled."""

    count: int


@dataclass(frozen=True, slots=True)
class SelectAnswer:
    party: str


@dataclass(frozen=True, slots=True)
class Hangup:
    reason: str


@dataclass(frozen=True, slots=True)
class Reject:
    reason: str


@dataclass(frozen=True, slots=True)
class Negotiate:
    """An offer or an answer in mid-call, by either way."""

    type: str
    sdp: str
    metadata: Content | None


@dataclass(frozen=True, slots=True)
class MetadataChanged:
    metadata: Content


@dataclass(frozen=True, slots=True)
class TrackSubscription:
    subscribe: tuple[Want, ...]
    unsubscribe: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Ping:
    pass


@dataclass(frozen=True, slots=True)
class Pong:
    pass


@dataclass(frozen=True, slots=True)
class Taken:
    """The client says that it does what an extension of ours asks: `DEMAND`, or `ASSIGNED`. Weir's own."""

    what: type[Obeys] | type[TakesSpares]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A type that we do not speak: ignored (digest §6)."""


Message = Invite | Candidates | SelectAnswer | Hangup | Reject | Negotiate | MetadataChanged | Unknown
Channel = TrackSubscription | Negotiate | MetadataChanged | Ping | Pong | Taken | Unknown


def text(content: Content, key: str, *, empty: bool = False) -> str:
    """A required short string."""
    value = content.get(key)
    if not isinstance(value, str) or (not empty and not value) or len(value) > 255:
        raise PeerFault(f"field_{key}" if key in KNOWN_FIELDS else "field")
    return value


KNOWN_FIELDS = frozenset(
    {
        "conf_id", "call_id", "device_id", "party_id", "sender_session_id", "dest_session_id", "selected_party_id",
        "type", "reason",
    }
)


def identifier(content: Content, key: str) -> str:
    """A required opaque identifier of printable ASCII."""
    value = text(content, key)
    if IDENTIFIER.fullmatch(value) is None:
        raise PeerFault(f"field_{key}" if key in KNOWN_FIELDS else "field")
    return value


def header(content: Content) -> Header:
    """Read the common fields (digest §4.2). Raises PeerFault when one of the needed three is missing."""
    seq = content.get("seq")
    if seq is not None and (not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq < 1 << 53):
        raise PeerFault("field_seq")
    return Header(
        identifier(content, "conf_id"),
        identifier(content, "call_id"),
        identifier(content, "device_id"),
        _optional(content, "party_id"),
        _optional(content, "sender_session_id"),
        _optional(content, "dest_session_id"),
        seq,
    )


def _optional(content: Content, key: str) -> str:
    value = content.get(key, "")
    if not isinstance(value, str) or len(value) > 255:
        raise PeerFault(f"field_{key}" if key in KNOWN_FIELDS else "field")
    return value


def parse(type: str, content: Content) -> Message:
    """Read one to-device message of a call."""
    match type:
        case "m.call.invite":
            kind, sdp = _description(content, "offer")
            if kind != "offer":
                raise PeerFault("description_type")
            return Invite(sdp, metadata(content))
        case "m.call.candidates":
            candidates = content.get("candidates")
            if not isinstance(candidates, list) or len(candidates) > MOST_ITEMS:
                raise PeerFault("field_candidates")
            return Candidates(len(candidates))
        case "m.call.select_answer":
            return SelectAnswer(text(content, "selected_party_id"))
        case "m.call.hangup":
            return Hangup(_optional(content, "reason"))
        case "m.call.reject":
            return Reject(_optional(content, "reason"))
        case "m.call.negotiate":
            return Negotiate(*_description(content, "description"), metadata(content))
        case "m.call.sdp_stream_metadata_changed" | "org.matrix.call.sdp_stream_metadata_changed":
            found = metadata(content)
            if found is None:
                raise PeerFault("field_metadata")
            return MetadataChanged(found)
        case _:
            return Unknown()


def parse_channel(message: str, limit: int, depth: int) -> Channel:
    """Read one data channel message (digest §6)."""
    envelope = _json(message, limit, depth)
    type = text(envelope, "type")
    content = envelope.get("content", {})
    if not isinstance(content, dict):
        raise PeerFault("channel_content")
    match type:
        case "m.call.track_subscription":
            return TrackSubscription(
                tuple(_want(item) for item in _list(content, "subscribe", "start")),
                tuple((i.stream, i.track) for i in map(_want, _list(content, "unsubscribe", "stop"))),
            )
        case "m.call.negotiate":
            return Negotiate(*_description(content, "description"), metadata(content))
        case "m.call.sdp_stream_metadata_changed":
            found = metadata(content)
            if found is None:
                raise PeerFault("field_metadata")
            return MetadataChanged(found)
        case "m.call.ping":
            return Ping()
        case "m.call.pong":
            return Pong()
        case "weir.call.demand_taken":
            return Taken(Obeys)
        case "weir.call.spares_taken":
            return Taken(TakesSpares)
        case _:
            return Unknown()


def _json(message: str, limit: int, depth: int) -> dict[str, Any]:
    """Parse JSON within bounds: length, nesting, and no key twice (security G2)."""
    if len(message) > limit:
        raise PeerFault("channel_too_long")
    # Nothing is nested deeper than brackets open. Where they are many, those outside of strings are counted, so that
    # nothing recurses over the limit.
    if message.count("{") + message.count("[") > depth:
        steps = (1 if bracket in "[{" else -1 for bracket in BRACKETS.findall(STRINGS.sub("", message)))
        if max(itertools.accumulate(steps), default=0) > depth:
            raise PeerFault("channel_too_deep")
    try:
        value = json.loads(message, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise PeerFault("channel_json") from None
    if not isinstance(value, dict):
        raise PeerFault("channel_json")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise PeerFault("channel_key_twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _list(content: Content, key: str, older: str) -> list[Any]:
    items = content.get(key, content.get(older, []))
    if not isinstance(items, list) or len(items) > MOST_ITEMS:
        raise PeerFault("subscription_list")
    return items


def _want(item: object) -> Want:
    if not isinstance(item, dict):
        raise PeerFault("subscription_item")
    stream, track = item.get("stream_id"), item.get("track_id")
    if not isinstance(stream, str) or not isinstance(track, str) or len(stream) > 255 or len(track) > 255:
        raise PeerFault("subscription_item")
    pinned = item.get("weir.pinned") is True
    return Want(stream, track, size(item.get("width")), size(item.get("height")), pinned)


def size(value: object) -> int:
    """A picture size in pixels: 0 when not told or not sensible."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST_SIZE:
        return 0
    return int(value)


def _description(content: Content, key: str) -> tuple[str, str]:
    """Type and text of a session description."""
    found = content.get(key)
    if not isinstance(found, dict):
        raise PeerFault("description")
    kind, sdp = found.get("type"), found.get("sdp")
    if kind not in ("offer", "answer") or not isinstance(sdp, str) or len(sdp) > LONGEST_SDP:
        raise PeerFault("description_type" if kind not in ("offer", "answer") else "description")
    return kind, sdp


def metadata(content: Content) -> Content | None:
    """The stream metadata, under its stable or unstable name; None when absent."""
    found = content.get(METADATA, content.get(UNSTABLE_METADATA))
    if found is not None and (not isinstance(found, Mapping) or len(found) > MOST_ITEMS):
        raise PeerFault("field_metadata")
    return found


def dump_header(head: Header) -> dict[str, Any]:
    """Write the common fields, all of them, always (digest §4.2)."""
    content: dict[str, Any] = {
        "version": "1",
        "call_id": head.call,
        "conf_id": head.conf,
        "party_id": head.party,
        "device_id": head.device,
        "sender_session_id": head.session,
        "dest_session_id": head.to_session,
    }
    if head.seq is not None:
        content["seq"] = head.seq
    return content


def dump_channel(type: str, content: Content) -> str:
    """Write one data channel message."""
    return msgspec.json.encode({"type": type, "content": content}).decode()


def reason_text(reason: Reason) -> str:
    """What a hangup or reject says."""
    return reason.value
