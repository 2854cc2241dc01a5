"""Bad input of every surface, each with the reason under which a focus counts it, and how to make its twins.

A twin is a vector cut short, or one with something in it turned into something else. The
vectors serve the quick tests beside this file and the one on a running demo.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

Json = Any
"What `json.loads` makes."

JUNK: tuple[Json, ...] = (
    None, True, -1, 0.5, 1e308, 2**53, "", "\0", "x" * 300, "é" * 200, [], [[]], {}, {"": {}}, ["m.calls"],
)  # fmt: skip
"What a field can be turned into."


def header(user: str, call: str, conf: str) -> dict[str, Json]:
    """The common fields of a to-device message, in order."""
    return {
        "version": "1", "call_id": call, "conf_id": conf, "party_id": user, "device_id": user,
        "sender_session_id": "s", "dest_session_id": "sfu",
    }  # fmt: skip


TO_DEVICE: tuple[tuple[str, str, Mapping[str, Json]], ...] = (
    ("field_conf_id", "m.call.invite", {"conf_id": 7}),
    ("field_conf_id", "m.call.hangup", {"conf_id": "two words"}),
    ("field_call_id", "m.call.invite", {"call_id": ["c"]}),
    ("field_call_id", "m.call.negotiate", {"call_id": "c" * 256}),
    ("field_device_id", "m.call.invite", {"device_id": None}),
    ("field_party_id", "m.call.invite", {"party_id": {}}),
    ("field_sender_session_id", "m.call.invite", {"sender_session_id": 5}),
    ("field_seq", "m.call.invite", {"seq": "first"}),
    ("field_seq", "m.call.invite", {"seq": -1}),
    ("field_seq", "m.call.candidates", {"seq": True}),
    ("field_seq", "m.call.candidates", {"seq": 2**53}),
    ("not_for_us", "m.call.invite", {"dest_session_id": "another"}),
    ("description", "m.call.invite", {}),
    ("description", "m.call.invite", {"offer": "v=0"}),
    ("description", "m.call.invite", {"offer": {"type": "offer", "sdp": 5}}),
    ("description", "m.call.invite", {"offer": {"type": "offer", "sdp": "v" * 262_145}}),
    ("description_type", "m.call.invite", {"offer": {"type": "answer", "sdp": "v=0"}}),
    ("description_type", "m.call.invite", {"offer": {"type": "rollback", "sdp": ""}}),
    ("description", "m.call.negotiate", {"description": []}),
    ("field_metadata", "m.call.invite", {"offer": {"type": "offer", "sdp": "v=0"}, "sdp_stream_metadata": [1]}),
    ("field_metadata", "m.call.sdp_stream_metadata_changed", {}),
    ("field_candidates", "m.call.candidates", {"candidates": {"candidate": ""}}),
    ("field_candidates", "m.call.candidates", {"candidates": [0] * 513}),
    ("field_selected_party_id", "m.call.select_answer", {"selected_party_id": 1}),
    ("field_reason", "m.call.hangup", {"reason": ["gone"]}),
    ("unknown_call", "m.call.select_answer", {"selected_party_id": "nobody"}),
)
"Reason, type, and what differs from a header in order."

MEMBER_EVENTS: tuple[tuple[str, Mapping[str, Json]], ...] = (
    ("member_calls", {"m.calls": "all"}),
    ("member_call", {"m.calls": [None]}),
    ("member_call", {"m.calls": [{"m.call_id": 5, "m.devices": []}]}),
    ("member_devices", {"m.calls": [{"m.call_id": "c", "m.devices": {"0": {}}}]}),
    ("member_device", {"m.calls": [{"m.call_id": "c", "m.devices": ["D"]}]}),
    ("member_device", {"m.calls": [{"m.call_id": "c", "m.devices": [{"device_id": "D", "session_id": "s"}]}]}),
    (
        "member_device",
        {"m.calls": [{"m.call_id": "c", "m.devices": [{"device_id": "D", "session_id": "s", "expires_ts": -1}]}]},
    ),
    (
        "member_device",
        {
            "m.calls": [
                {"m.call_id": "c", "m.devices": [{"device_id": 1, "session_id": "s", "expires_ts": 2**52}]},
            ]
        },
    ),
    ("member_too_many", {"m.calls": [{"m.call_id": "c", "m.devices": []}] * 9}),
    ("member_too_many", {"m.calls": [{"m.call_id": "c", "m.devices": [{}] * 33}]}),
)
CALL_EVENTS: tuple[tuple[str, Mapping[str, Json]], ...] = (
    ("call_intent", {"m.type": "m.video"}),
    ("call_intent", {"m.intent": {"m.room": 1}}),
)

CHANNEL: tuple[tuple[str, str], ...] = (
    ("channel_json", ""),
    ("channel_json", "no JSON"),
    ("channel_json", '{"type": "m.call.ping"'),
    ("channel_json", "[]"),
    ("channel_json", '{"type": "m.call.ping", "content": NaN}'),
    ("channel_json", '{"type": "m.call.ping", "content": {"n": ' + "9" * 5000 + "}}"),
    ("channel_too_deep", '{"type": "m.call.ping", "content": ' + "[" * 33 + "]" * 33 + "}"),
    ("channel_key_twice", '{"type": "m.call.ping", "type": "m.call.pong"}'),
    ("channel_content", '{"type": "m.call.ping", "content": 5}'),
    ("channel_unknown_type", '{"type": "m.call.dance", "content": {}}'),
    ("field_type", '{"content": {}}'),
    ("field_type", '{"type": 5, "content": {}}'),
    ("subscription_list", '{"type": "m.call.track_subscription", "content": {"subscribe": "all"}}'),
    ("subscription_item", '{"type": "m.call.track_subscription", "content": {"subscribe": [5]}}'),
    ("subscription_item", '{"type": "m.call.track_subscription", "content": {"unsubscribe": [{"stream_id": "s"}]}}'),
    ("field_metadata", '{"type": "m.call.sdp_stream_metadata_changed", "content": {}}'),
    ("description", '{"type": "m.call.negotiate", "content": {}}'),
    ("description_type", '{"type": "m.call.negotiate", "content": {"description": {"type": "x", "sdp": "v=0"}}}'),
)
"Reason, and a text for the data channel."

SDP: tuple[tuple[str, str, str], ...] = (
    ("sdp_no_version", "v=0", "v=1"),
    ("sdp_line", "s=-", "s"),
    ("sdp_line", "s=-", "s=\x00"),
    ("sdp_too_many_lines", "s=-", "s=-" + "\r\na=x" * 5000),
    ("sdp_media_line", "m=audio 9", "m=audio nine"),
    ("sdp_too_many_sections", "m=audio 9", "m=video 0 UDP/TLS/RTP/SAVPF 96\r\n" * 513 + "m=audio 9"),
    ("sdp_no_fingerprint", "a=fingerprint:", "a=footprint:"),
    ("sdp_ice_credentials", "a=ice-pwd:", "a=ice-pwd:!"),
    ("sdp_mid", "a=mid:", "a=middle:"),
    ("sdp_not_bundled", "a=group:BUNDLE", "a=group:LS"),
    ("sdp_no_rtcp_mux", "a=rtcp-mux", "a=rtcp-demux"),
    ("sdp_number", "a=extmap:", "a=extmap:-"),
)
"Reason, and what to replace everywhere in an offer in order, by what."


def shortened(value: Json, chance: random.Random) -> Json:
    """A twin that lacks something: a field, an item, or the end of a text."""
    if isinstance(value, Mapping) and value:
        key = chance.choice(sorted(value))
        if isinstance(value[key], Mapping | list) and chance.random() < 0.5:
            return {**value, key: shortened(value[key], chance)}
        return {name: part for name, part in value.items() if name != key}
    if isinstance(value, list) and value:
        at = chance.randrange(len(value))
        return [*value[:at], shortened(value[at], chance)] if chance.random() < 0.5 else value[:at]
    if isinstance(value, str) and value:
        return value[: chance.randrange(len(value))]
    return None


def corrupted(value: Json, chance: random.Random) -> Json:
    """A twin in which one thing is another."""
    if isinstance(value, Mapping) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        return {**value, key: corrupted(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.7:
        at = chance.randrange(len(value))
        return [*value[:at], corrupted(value[at], chance), *value[at + 1 :]]
    return chance.choice(JUNK)


def corrupted_text(text: str, chance: random.Random) -> str:
    """A text with one character turned into another."""
    at = chance.randrange(len(text)) if text else 0
    return text[:at] + chance.choice('{}[]":,\\\0 9xé\r\n=') + text[at + 1 :]


def is_json(text: str) -> bool:
    """Whether a text is a JSON object at all."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
