"""Room state to a roster: expiry, sessions, foci, and what is none of ours."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalling.link import StateEvent
from signalling.membership import Acl, Device, Room, allowed, apply

ALICE = "@alice:here.test"
FOCI = "org.matrix.msc3898.foci.active"
FOCUS = {"user_id": "@focus:here.test", "device_id": "FOCUSDEV"}
UNSTABLE, STABLE = "org.matrix.msc3401.call.member", "m.call.member"
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


def member(content: dict[str, Any], type: str = UNSTABLE, key: str = ALICE, sender: str = ALICE) -> Room:
    return apply(Room("!r"), StateEvent("!r", type, key, sender, content, 0))


def entry(**changes: Any) -> dict[str, Any]:
    device = {"device_id": "DEV", "session_id": "s", "expires_ts": 5000, "feeds": [], FOCI: [FOCUS]} | changes
    listed = {key: value for key, value in device.items() if value is not ...}
    return {"m.calls": [{"m.call_id": "conf", "m.devices": [listed]}]}


@pytest.mark.parametrize("type", [UNSTABLE, STABLE])
def test_a_device_is_in_the_call(type: str) -> None:
    room = member(entry(), type)
    assert room.device("conf", ALICE, "DEV") == Device("DEV", "s", 5000, (("@focus:here.test", "FOCUSDEV"),))
    assert room.device("other", ALICE, "DEV") is room.device("conf", ALICE, "X") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"device_id": 7}, {"device_id": ...}, {"session_id": None}, {"session_id": ...}, {"expires_ts": "soon"},
        {"expires_ts": True}, {"expires_ts": ...}, {"feeds": {}}, {"expires_ts": float("inf")}, {"expires_ts": -1},
    ],
)  # fmt: skip
def test_an_incomplete_entry_counts_as_none(changes: dict[str, Any]) -> None:
    assert member(entry(**changes)).device("conf", ALICE, "DEV") is None


@pytest.mark.parametrize(
    ("changes", "foci"),
    [
        ({FOCI: ...}, None),
        ({FOCI: []}, ()),
        ({FOCI: ..., "m.foci.active": [FOCUS]}, (("@focus:here.test", "FOCUSDEV"),)),
        ({FOCI: [{"type": "livekit", "livekit_service_url": "https://x"}]}, ()),
        ({FOCI: [FOCUS | {"type": "livekit"}]}, ()),
        ({FOCI: [{"user_id": 7, "device_id": "D"}, FOCUS]}, (("@focus:here.test", "FOCUSDEV"),)),
        ({FOCI: "all"}, None),
    ],
)
def test_foci_are_read_and_those_of_matrixrtc_are_not(changes: dict[str, Any], foci: object) -> None:
    found = member(entry(**changes)).device("conf", ALICE, "DEV")
    assert found is not None and found.foci == foci


def test_an_expiry_at_the_root_holds_for_devices_without_one() -> None:
    found = member(entry(expires_ts=...) | {"m.expires_ts": 7000}).device("conf", ALICE, "DEV")
    assert found is not None and found.expires == 7000
    found = member(entry() | {"m.expires_ts": 7000}).device("conf", ALICE, "DEV")
    assert found is not None and found.expires == 5000


def test_nobody_writes_the_entry_of_another() -> None:
    assert member(entry(), sender="@mallory:here.test").entries == {}


@pytest.mark.parametrize(
    "content",
    [
        {"memberships": [{"application": "m.call", "call_id": "", "device_id": "DEV", "expires": 1}]},
        {"application": "m.call", "call_id": "", "device_id": "DEV", "focus_active": {"type": "livekit"}},
        {},
    ],
)
@pytest.mark.parametrize("key", [ALICE, f"_{ALICE}_DEV_m.call"])
def test_events_of_matrixrtc_name_nobody(content: dict[str, Any], key: str) -> None:
    assert not any(member(content, key=key).entries.get(ALICE, {}).values())


def test_an_empty_entry_takes_the_device_out() -> None:
    room = member(entry())
    assert apply(room, StateEvent("!r", UNSTABLE, ALICE, ALICE, {"m.calls": []}, 0)).entries == {}


@pytest.mark.parametrize(
    ("content", "lives"),
    [
        ({"m.intent": "m.room", "m.type": "m.video"}, True),
        ({"m.intent": "m.ring", "m.terminated": None}, True),
        ({"m.intent": "m.room", "m.terminated": "call_ended"}, False),
        ({"m.intent": "m.room", "m.terminated": True}, False),
        ({"m.type": "m.video"}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("type", ["org.matrix.msc3401.call", "m.call"])
def test_a_call_lives_until_it_is_terminated(content: dict[str, Any], lives: bool, type: str) -> None:
    assert apply(Room("!r"), StateEvent("!r", type, "conf", ALICE, content, 0)).calls == {"conf": lives}


@pytest.mark.parametrize(
    ("acl", "server", "may"),
    [
        (None, "any.test", True),
        (Acl(("*",), (), True), "any.test", True),
        (Acl(("*",), ("bad.test",), True), "bad.test", False),
        (Acl(("*",), ("bad.test",), True), "BAD.test:8448", False),
        (Acl(("*",), ("*.bad.test",), True), "bad.test", True),
        (Acl(("*",), ("*.bad.test",), True), "very.bad.test", False),
        (Acl((), (), True), "any.test", False),
        (Acl(("good.test",), (), True), "any.test", False),
        (Acl(("*",), (), False), "192.0.2.1", False),
        (Acl(("*",), (), False), "[2001:db8::1]:8448", False),
        (Acl(("*",), (), True), "192.0.2.1", True),
        (Acl(("*",), ("b?d.test",), True), "bad.test", False),
        (Acl(("*",), ("b[a]d.test",), True), "bad.test", True),
    ],
)
def test_a_servers_acl_is_kept(acl: Acl | None, server: str, may: bool) -> None:
    assert allowed(acl, server) is may


@given(json, st.sampled_from([UNSTABLE, "org.matrix.msc3401.call", "m.room.member", "m.room.server_acl", "x"]))
def test_whatever_the_content_the_rest_of_the_room_stays(content: Any, type: str) -> None:
    before = apply(member(entry()), StateEvent("!r", "m.room.member", ALICE, ALICE, {"membership": "join"}, 0))
    after = apply(before, StateEvent("!r", type, "@mallory:here.test", "@mallory:here.test", content, 0))
    assert after.entries[ALICE] == before.entries[ALICE]
    assert after.members[ALICE] == "join"


@given(json)
def test_whatever_a_device_says_of_itself_is_read_or_left_out(device: Any) -> None:
    member({"m.calls": [{"m.call_id": "conf", "m.devices": [device]}, device], "m.expires_ts": device})
