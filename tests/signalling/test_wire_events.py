"""The wire vocabulary: each message whole, truncated and corrupted, is read or refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focus.faults import PeerFault
from focus.vocabulary import Obeys, TakesSpares, Want
from signalling import events

LIMIT, DEPTH = 2000, 8
COMMON = {
    "version": "1", "call_id": "call", "conf_id": "conf", "party_id": "DEV", "device_id": "DEV",
    "sender_session_id": "s", "dest_session_id": "sfu", "seq": 0,
}  # fmt: skip
OFFER, ANSWER = {"type": "offer", "sdp": "v=0"}, {"type": "answer", "sdp": "v=0"}
STREAMS: dict[str, Any] = {"stream": {"purpose": "m.usermedia"}}
UNSTABLE = "org.matrix.msc3077.sdp_stream_metadata"

TO_DEVICE: list[tuple[str, dict[str, Any], events.Message]] = [
    ("m.call.invite", {"offer": OFFER, UNSTABLE: STREAMS}, events.Invite("v=0", STREAMS)),
    ("m.call.invite", {"offer": OFFER}, events.Invite("v=0", None)),
    ("m.call.candidates", {"candidates": [{"candidate": ""}, {}]}, events.Candidates(2)),
    ("m.call.select_answer", {"selected_party_id": "P"}, events.SelectAnswer("P")),
    ("m.call.hangup", {"reason": "user_hangup"}, events.Hangup("user_hangup")),
    ("m.call.hangup", {}, events.Hangup("")),
    ("m.call.reject", {}, events.Reject("")),
    ("m.call.negotiate", {"description": OFFER, UNSTABLE: {}}, events.Negotiate("offer", "v=0", {})),
    ("m.call.negotiate", {"description": ANSWER}, events.Negotiate("answer", "v=0", None)),
    ("m.call.sdp_stream_metadata_changed", {UNSTABLE: STREAMS}, events.MetadataChanged(STREAMS)),
    ("org.matrix.call.sdp_stream_metadata_changed", {UNSTABLE: STREAMS}, events.MetadataChanged(STREAMS)),
    ("m.call.sdp_stream_metadata_changed", {"sdp_stream_metadata": {}}, events.MetadataChanged({})),
    ("m.call.answer", {"answer": ANSWER}, events.Unknown()),
    ("m.call.replaces", {}, events.Unknown()),
    ("m.call.asserted_identity", {}, events.Unknown()),
]

WANT = {"stream_id": "s", "track_id": "v", "width": 640, "height": 360}
CHANNEL: list[tuple[dict[str, Any], events.Channel]] = [
    (
        {"type": "m.call.track_subscription", "content": {"subscribe": [WANT], "unsubscribe": [WANT]}},
        events.TrackSubscription((Want("s", "v", 640, 360),), (("s", "v"),)),
    ),
    ({"type": "m.call.track_subscription", "content": {}}, events.TrackSubscription((), ())),
    (
        {"type": "m.call.track_subscription", "content": {"subscribe": [WANT | {"weir.pinned": True}]}},
        events.TrackSubscription((Want("s", "v", 640, 360, True),), ()),
    ),
    (
        {"type": "m.call.track_subscription", "content": {"subscribe": [WANT | {"weir.pinned": "yes"}]}},
        events.TrackSubscription((Want("s", "v", 640, 360),), ()),
    ),
    (
        {"type": "m.call.track_subscription", "content": {"start": [WANT | {"width": "x"}]}},
        events.TrackSubscription((Want("s", "v", 0, 360),), ()),
    ),
    (
        {"type": "m.call.negotiate", "content": {"description": OFFER, "sdp_stream_metadata": STREAMS}},
        events.Negotiate("offer", "v=0", STREAMS),
    ),
    (
        {"type": "m.call.sdp_stream_metadata_changed", "content": {"sdp_stream_metadata": {}}},
        events.MetadataChanged({}),
    ),
    ({"type": "m.call.ping", "content": {}}, events.Ping()),
    ({"type": "m.call.pong"}, events.Pong()),
    ({"type": "weir.call.demand_taken", "content": {}}, events.Taken(Obeys)),
    ({"type": "weir.call.spares_taken", "content": {}}, events.Taken(TakesSpares)),
    ({"type": "m.call.connect_to_focus", "content": {"foci": []}}, events.Unknown()),
]


@pytest.mark.parametrize(("type", "content", "event"), TO_DEVICE)
def test_a_whole_to_device_message_is_read(type: str, content: dict[str, Any], event: events.Message) -> None:
    whole = COMMON | content | {"org.example.unknown": [1]}
    assert events.parse(type, whole) == event
    assert events.header(whole) == events.Header("conf", "call", "DEV", "DEV", "s", "sfu", 0)


@pytest.mark.parametrize(("envelope", "event"), CHANNEL)
def test_a_whole_channel_message_is_read(envelope: dict[str, Any], event: events.Channel) -> None:
    assert events.parse_channel(json.dumps(envelope), LIMIT, DEPTH) == event


@pytest.mark.parametrize("envelope", [envelope for envelope, _ in CHANNEL])
def test_no_beginning_of_a_channel_message_is_one(envelope: dict[str, Any]) -> None:
    whole = json.dumps(envelope)
    for end in range(len(whole)):
        with pytest.raises(PeerFault, match="channel_json"):
            events.parse_channel(whole[:end], LIMIT, DEPTH)
    with pytest.raises(PeerFault, match="channel_json"):
        events.parse_channel(whole + "}", LIMIT, DEPTH)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('"' + "x" * LIMIT + '"', "channel_too_long"),
        ("[" * 9 + "]" * 9, "channel_too_deep"),
        ('{"type":"x","a":' + "[" * 200_000, "channel_too_long"),
        ('{"type":"a","type":"b"}', "channel_key_twice"),
        ('{"type":"a","content":{"b":1,"b":2}}', "channel_key_twice"),
        ('{"type":"a","content":NaN}', "channel_json"),
        ("[]", "channel_json"),
        ("7", "channel_json"),
        ("{}", "field_type"),
        ('{"type":7}', "field_type"),
        ('{"type":"m.call.pong","content":[]}', "channel_content"),
        ('{"type":"m.call.negotiate","content":{}}', "description"),
        ('{"type":"m.call.negotiate","content":{"description":{"type":"rollback","sdp":""}}}', "description_type"),
        ('{"type":"m.call.sdp_stream_metadata_changed","content":{}}', "field_metadata"),
        ('{"type":"m.call.track_subscription","content":{"subscribe":{}}}', "subscription_list"),
        ('{"type":"m.call.track_subscription","content":{"subscribe":[7]}}', "subscription_item"),
        ('{"type":"m.call.track_subscription","content":{"subscribe":[{"stream_id":"s"}]}}', "subscription_item"),
    ],
)
def test_a_corrupted_channel_message_is_refused_by_name(text: str, fault: str) -> None:
    with pytest.raises(PeerFault) as raised:
        events.parse_channel(text, LIMIT, DEPTH)
    assert raised.value.what == fault


def test_brackets_inside_of_text_are_no_depth() -> None:
    text = json.dumps({"type": "m.call.pong", "content": {"x": "[" * 50 + '\\"{'}})
    assert events.parse_channel(text, LIMIT, DEPTH) == events.Pong()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"conf_id": ""}, "field_conf_id"), ({"conf_id": "a b"}, "field_conf_id"),
        ({"call_id": "x" * 256}, "field_call_id"), ({"device_id": "é"}, "field_device_id"),
        ({"party_id": 7}, "field_party_id"),
        ({"sender_session_id": []}, "field_sender_session_id"), ({"dest_session_id": {}}, "field_dest_session_id"),
        ({"seq": -1}, "field_seq"), ({"seq": True}, "field_seq"), ({"seq": 1.0}, "field_seq"),
        ({"seq": 1 << 60}, "field_seq"),
    ],
)  # fmt: skip
def test_a_corrupted_header_is_refused_by_name(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(PeerFault) as raised:
        events.header(COMMON | changes)
    assert raised.value.what == fault


@pytest.mark.parametrize("version", ["1", 1, 0, "0", None])
def test_no_version_is_asked_for(version: object) -> None:
    assert events.header(COMMON | {"version": version}).call == "call"


def test_what_we_write_we_can_read() -> None:
    head = events.Header("conf", "call", "DEV", "DEV", "s", "t", 3)
    assert events.header(events.dump_header(head)) == head
    assert events.parse_channel(events.dump_channel("m.call.ping", {}), LIMIT, DEPTH) == events.Ping()


@given(st.sampled_from([type for type, _, _ in TO_DEVICE]), st.dictionaries(st.sampled_from(
    ["offer", "description", "candidates", "selected_party_id", "reason", UNSTABLE, *COMMON]
), st.recursive(st.none() | st.integers() | st.text(max_size=4), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["type", "sdp"]), inner), max_leaves=8)))  # fmt: skip
def test_whatever_the_content_it_is_an_event_or_the_peers_fault(type: str, content: dict[str, Any]) -> None:
    for read in (lambda: events.parse(type, content), lambda: events.header(content)):
        try:
            read()
        except PeerFault as fault:
            assert fault.what.replace("_", "").isalpha()


@given(st.text(max_size=60))
def test_whatever_the_text_it_is_an_event_or_the_peers_fault(text: str) -> None:
    try:
        events.parse_channel(text, LIMIT, DEPTH)
    except PeerFault as fault:
        assert fault.what.startswith(("channel_", "field_"))
