"""What comes of a sync's rooms, whatever other homeservers put into it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalling.link import Gone, Invited, StateEvent
from signalling.matrix import Homeserver
from signalling.rooms import FILTER, REDACTION, STATE, Rooms, state_event

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
event_like = st.dictionaries(
    st.sampled_from(["type", "state_key", "sender", "content", "origin_server_ts"]), anything, max_size=5
)


def test_the_filter_lets_call_state_through_and_nothing_that_people_say() -> None:
    allowed = {*FILTER["room"]["timeline"]["types"], *FILTER["room"]["state"]["types"]}
    assert allowed == {*STATE, REDACTION}
    assert not {"m.room.message", "m.room.encrypted", "m.room.name", "m.room.topic", "m.typing"} & allowed
    silenced = [FILTER["presence"], FILTER["account_data"], FILTER["room"]["ephemeral"], FILTER["room"]["account_data"]]
    assert silenced == [{"not_types": ["*"]}] * 4
    assert FILTER["room"]["state"]["lazy_load_members"] is False


@given(event=event_like | anything)
def test_no_event_breaks_the_reading(event: Any) -> None:
    read = state_event("!r", event)
    assert read is None or (isinstance(read.content, dict) and isinstance(read.sent, int))


async def read(answer: dict[str, Any]) -> tuple[tuple[StateEvent | Invited | Gone, ...], Counter[str]]:
    faults: Counter[str] = Counter()
    async with aiohttp.ClientSession() as http:
        rooms = Rooms(Homeserver("http://127.0.0.1:9", None, http), "@me:x", faults)
        return await rooms.read(answer, False), faults


async def test_invites_of_any_shape_are_read_or_counted() -> None:
    mine = {"type": "m.room.member", "state_key": "@me:x", "sender": "@you:y", "content": {}}
    bad: list[Any] = [None, [], {}, {"invite_state": None}, {"invite_state": {"events": {}}}]
    bad += [{"invite_state": {"events": [None, 5, {"type": 5}, mine | {"state_key": "@him:x"}, mine | {"sender": 5}]}}]
    for part in bad:
        found, faults = await read({"rooms": {"invite": {"!r": part}}})
        assert (found, faults) == ((), {"malformed": 1})
    found, faults = await read({"rooms": {"invite": {"!r": {"invite_state": {"events": [7, mine]}}}}})
    assert (found, faults) == ((Invited("!r", "@you:y"),), {})


async def test_messages_that_call_themselves_state_are_not_state() -> None:
    event = {"type": "m.call.member", "sender": "@you:y", "content": {}, "origin_server_ts": 1}
    part = {"timeline": {"events": [event, event | {"state_key": "@you:y"}, event | {"state_key": None}]}}
    found, _ = await read({"rooms": {"join": {"!r": part}, "leave": {"!s": {}}}})
    assert found == (StateEvent("!r", "m.call.member", "@you:y", "@you:y", {}, 1), Gone("!s"))


class InForce(Homeserver):
    """A homeserver that says what state is in force now."""

    def __init__(self, http: aiohttp.ClientSession, *events: dict[str, Any]) -> None:
        super().__init__("http://127.0.0.1:9", None, http)
        self.events = list(events)

    async def state(self, room: str) -> list[dict[str, Any]]:
        return self.events


def membership(user: str, word: str) -> dict[str, Any]:
    content = {"membership": word}
    return {"type": "m.room.member", "state_key": user, "sender": user, "content": content, "origin_server_ts": 1}


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(("elder", "now"), [("invite", "join"), ("join", "ban")])
async def test_the_elder_branch_of_a_forked_room_does_not_win(
    http: aiohttp.ClientSession, elder: str, now: str, first: bool
) -> None:
    # What Synapse tells when another server's user joins before it has seen what just happened to this one.
    part = {"state": {"events": [membership("@us:x", elder)]}, "timeline": {"events": [membership("@far:y", "join")]}}
    server = InForce(http, membership("@us:x", now), membership("@far:y", "join"))
    found = await Rooms(server, "@me:x", Counter()).read({"rooms": {"join": {"!r": part}}}, first)
    last = {event.key: event.content["membership"] for event in found if isinstance(event, StateEvent)}
    assert last == {"@us:x": now, "@far:y": "join"}
