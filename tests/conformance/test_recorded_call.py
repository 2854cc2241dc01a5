"""The recorded call of three people: every message parses, and replayed it goes as it went, or better.

Of the third person the file holds room state and streams only: here she is a client that
publishes under her recorded ids.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from cameras import SIZES, Camera, F, H, Q
from focus import description, sdp
from focus.faults import PeerFault
from focus.vocabulary import Owner
from matrix_room import CALL, MEMBER, ROOM, Room, call_room
from media_bytes import read_vp8
from own_lines import Line, Microphone
from recording import FOCUS, Replayed, Row, rows
from scripted_client import SIMULCAST, Client
from signalling import events, membership, metadata
from signalling.link import StateEvent

ROWS = rows()
START = ROWS[0].t
LIMIT, DEPTH = 262_144, 32
NOT_OURS = {"m.call.answer": "only a focus answers, and it is never called"}
"To-device types of the recording that a focus ignores, and why."
NOT_MATRIX = {"pc": "events inside the browser", "judge": "notes of what the tester did"}
LAYER = {1280: F, 640: H, 320: Q}
"The layer for a width that a client of the recording asks for."


def of(channel: str, direction: str | None = None) -> list[Row]:
    return [row for row in ROWS if row.channel == channel and direction in (None, row.direction)]


# Parsing.


def test_every_row_is_of_a_known_kind() -> None:
    assert {row.channel for row in ROWS} == {"state", "to_device", "dc", *NOT_MATRIX}


@pytest.mark.parametrize("row", of("to_device"), ids=lambda row: f"{row.direction}-{row.type}")
def test_a_recorded_to_device_message_parses(row: Row) -> None:
    head = events.header(row.content)
    assert (head.device, head.party) in ((FOCUS[1], FOCUS[1]), (row.content["device_id"], row.content["party_id"]))
    parsed = events.parse(row.type, row.content)
    assert isinstance(parsed, events.Unknown) == (row.type in NOT_OURS)


@pytest.mark.parametrize("row", [r for r in of("dc") if r.direction != "ev"], ids=lambda r: f"{r.direction}-{r.type}")
def test_a_recorded_channel_message_parses(row: Row) -> None:
    parsed = events.parse_channel(text_of(row), LIMIT, DEPTH)
    assert not isinstance(parsed, events.Unknown)
    if row.streams is not None:
        read = metadata.read(row.streams, Owner("@a:b", "DEV"))
        assert [stream.id for stream in read] == list(row.streams)
        assert {stream.owner for stream in read} <= {Owner("@a:b", "DEV")}
        for stream in read:
            assert {track.name for track in stream.tracks} == set(row.streams[stream.id]["tracks"])


def text_of(row: Row) -> str:
    return json.dumps({"type": row.type, "content": row.content})


@pytest.mark.parametrize("row", of("state"), ids=lambda row: f"{row.direction}-{row.type}")
def test_a_recorded_state_event_is_understood(row: Row) -> None:
    room = membership.apply(membership.Room(ROOM), StateEvent(ROOM, row.type, row.key, row.key, row.content, 0))
    if row.type == CALL:
        assert room.calls == {row.key: True}
    else:
        listed = {d["device_id"] for call in row.content["m.calls"] for d in call["m.devices"]}
        entries = [entry for call in room.entries.get(row.key, {}).values() for entry in call]
        assert {entry.device for entry in entries} == listed
        assert all(entry.foci == (FOCUS,) for entry in entries)


SDPS = [(row, *row.sdp) for row in ROWS if row.sdp is not None]


@pytest.mark.parametrize(("row", "kind", "text"), SDPS, ids=[f"{r.direction}-{kind}" for r, kind, _ in SDPS])
def test_a_recorded_description_parses_and_is_written_back_letter_for_letter(row: Row, kind: str, text: str) -> None:
    parsed = sdp.parse(text)
    assert sdp.dump(parsed) == text
    remote = description.read(parsed, 240, ("opus", "vp8"))
    mids = [line.mid for line in remote.lines]
    assert mids == [str(number) for number in range(len(mids))]
    if row.direction == "out" and kind == "offer":
        assert [line.rids for line in remote.lines] == [(), (F, H, Q), ()]


# Twins.


def broken_texts(text: str, chance: random.Random) -> Iterator[tuple[str, bool]]:
    """Truncated and corrupted twins of a text, and whether it is certain that they are no JSON."""
    for _ in range(8):
        yield text[: chance.randrange(len(text) - 1)], True
    for _ in range(8):
        at = chance.randrange(len(text))
        yield text[:at] + chr(chance.randrange(0x20, 0x7F)) + text[at + 1 :], False
    at = chance.randrange(1, len(text))
    yield text[:at] + "\x00" + text[at:], False


def broken_contents(content: dict[str, Any], chance: random.Random) -> Iterator[dict[str, Any]]:
    """Twins of a content: each field absent, each of another type, each text cut."""
    for key, value in content.items():
        yield {k: v for k, v in content.items() if k != key}
        others: tuple[Any, ...] = (None, 7, [], {}, "x" * 400, [[[]]], {"sdp": 1, "type": 2})
        for other in others:
            yield content | {key: other}
        if isinstance(value, dict) and isinstance(value.get("sdp"), str):
            for _ in range(6):
                text = value["sdp"]
                at = chance.randrange(len(text))
                yield content | {key: value | {"sdp": text[:at]}}
                yield content | {key: value | {"sdp": text[:at] + chr(chance.randrange(256)) + text[at + 1 :]}}


def test_truncated_and_corrupted_channel_messages_are_refused_by_name() -> None:
    chance = random.Random(3898)
    for row in of("dc", "out"):
        for text, hopeless in broken_texts(text_of(row), chance):
            try:
                events.parse_channel(text, LIMIT, DEPTH)
            except PeerFault as fault:
                assert fault.what.replace("_", "").isalpha()
            else:
                assert not hopeless, text


def test_truncated_and_corrupted_to_device_messages_are_refused_by_name() -> None:
    chance = random.Random(3401)
    for row in of("to_device"):
        for content in broken_contents(row.content, chance):
            try:
                events.header(content)
                events.parse(row.type, content)
            except PeerFault as fault:
                assert fault.what.replace("_", "").isalpha()


def test_truncated_and_corrupted_state_changes_nothing_for_others() -> None:
    chance = random.Random(3401)
    before = membership.apply(
        membership.Room(ROOM), StateEvent(ROOM, MEMBER, "@b:c", "@b:c", of("state", "out")[2].content, 0)
    )
    for row in of("state", "out"):
        for content in broken_contents(row.content, chance):
            event = StateEvent(ROOM, row.type, row.key, row.key, content, 0)
            after = membership.apply(before, event)
            assert after.entries["@b:c"] == before.entries["@b:c"]


def test_truncated_and_corrupted_descriptions_are_refused_by_name() -> None:
    chance = random.Random(8866)
    refused = 0
    for _, _, text in SDPS:
        for broken, _ in broken_texts(text, chance):
            try:
                description.read(sdp.parse(broken), 240, ("opus", "vp8"))
            except PeerFault as fault:
                refused += 1
                assert fault.what.startswith("sdp_")
    assert refused > len(SDPS)


# Answers.


@pytest.mark.parametrize("text", [text for row, kind, text in SDPS if row.direction == "out" and kind == "offer"])
async def test_a_recorded_offer_is_answered_as_it_stands(text: str) -> None:
    async with call_room() as room:
        alice = Client(room, "alice").enter()
        alice.send("m.call.invite", {"offer": {"type": "offer", "sdp": text}})
        answer = (await alice.gets("m.call.answer"))["answer"]["sdp"]
        ours, theirs = sdp.parse(answer), sdp.parse(text)
        assert [s.value("mid") for s in ours.sections] == [s.value("mid") for s in theirs.sections]
        assert ours.sections[1].value("simulcast") == "recv f;h;q"


# The whole call.


class Replay:
    """The recording, played to a focus."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.people: dict[str, Replayed] = {}
        self.third: Client | None = None
        self.compared = 0
        self.asked: dict[str, Row] = {}
        "Subscriptions whose pictures have not been looked at yet."
        self.senders: dict[int, tuple[Line, Sequence[Camera | Microphone]]] = {}
        "By the identity of a line, which is kept, so that no other line gets it."

    async def play(self) -> None:
        carol = "@carol"
        for row in ROWS:
            ahead = row.t - self.room.clock.wall()
            if ahead > 0.5:
                asked, self.asked = self.asked, {}
                for who, subscription in asked.items():
                    await self.pictures(self.people[who], subscription)
            if ahead > 0:
                await self.room.pass_time(ahead)
            if row.channel == "state" and row.direction == "out":
                self.room.membership(row.who, "join")
                self.room.home.put(row.type, row.key, row.content, row.who)
            elif row.channel == "state" and row.key.startswith(carol) and row.who.startswith("@alice"):
                await self.third_person(row)
            elif row.channel == "to_device" and row.direction == "out":
                await self.to_device(row)
            elif (row.channel, row.direction, row.type) == ("dc", "ev", "open"):
                await self.people[row.who].connect(self.people[row.who].remote)
            elif row.channel == "dc" and row.direction == "out":
                await self.on_channel(row)
            elif row.channel in ("dc", "to_device") and row.direction == "in":
                await self.compare(row)

    async def to_device(self, row: Row) -> None:
        content = dict(row.content)
        if row.type == "m.call.invite":
            client = self.people[row.who] = Replayed(self.room, row.who, content)
            client.described = row.streams or {}
            content["offer"] = client.speak(content["offer"]["sdp"])
        self.room.home.to_focus(row.who, row.type, content)
        if row.type == "m.call.invite":
            client.remote = await client.answered()

    async def on_channel(self, row: Row) -> None:
        client = self.people[row.who]
        client.described = row.streams or client.described
        if row.type == "m.call.negotiate":
            if row.content["description"]["type"] == "offer":
                words = {"description": client.speak(row.content["description"]["sdp"])}
                client.say(row.type, words | {"sdp_stream_metadata": row.streams})
                await self.room.until(lambda: client.stable, "an answer to a recorded offer")
        elif row.type != "m.call.pong":
            client.say(row.type, row.content)
            if row.type == "m.call.track_subscription":
                self.asked[row.who] = row

    async def pictures(self, client: Replayed, row: Row) -> None:
        """Whatever a recorded client asks for comes, in the layer for its size."""
        everybody = [one for one in (*self.people.values(), self.third) if one is not None and one is not client]
        lines = {(line.stream, line.track): (one, line) for one in everybody for line in one.own.values()}
        for want in row.content["subscribe"]:
            owner, line = lines[want["stream_id"], want["track_id"]]
            if id(line) not in self.senders:
                audio = line.kind == "audio"
                self.senders[id(line)] = (line, [owner.microphone_of(line)] if audio else owner.cameras(line))
            _, senders = self.senders[id(line)]
            if line.kind == "audio":
                await client.watches(line, senders)
                continue
            size = SIZES[LAYER[want["width"]]]
            for _ in range(200):
                got = await client.watches(line, senders, 1)
                if read_vp8(got[-1].payload).size == size:
                    break
            else:
                raise AssertionError(f"{client.name} asked for {want['width']} and does not see {size}")

    async def third_person(self, row: Row) -> None:
        if row.content["m.calls"]:
            later = [other for other in ROWS if other.t > row.t and other.streams]
            stream, words = next(
                (name, words) for other in later for name, words in (other.streams or {}).items()
                if words["user_id"] == row.key and len(words["tracks"]) == 2
            )  # fmt: skip
            device = row.content["m.calls"][0]["m.devices"][0]
            invite = {
                "device_id": device["device_id"], "sender_session_id": device["session_id"],
                "call_id": f"carol{row.t}", "conf_id": row.content["m.calls"][0]["m.call_id"],
            }  # fmt: skip
            self.room.membership(row.key, "join")
            self.room.home.put(row.type, row.key, row.content, row.key)
            self.third = client = Replayed(self.room, row.key, invite)
            for track, told in words["tracks"].items():
                line = client.add(told["kind"], stream, SIMULCAST if told["kind"] == "video" else ())
                line.track = track
            client.described = {stream: words}
            await client.connect(await client.invite(camera=None, microphone=False).answered())
            client.select(FOCUS[1])
        else:
            if self.third is not None:
                self.third.hang_up()
                self.third = None
            self.room.home.put(row.type, row.key, row.content, row.key)

    async def compare(self, row: Row) -> None:
        """The recorded focus said something: ours comes to say the same, or has said more already."""
        client = self.people.get(row.who)
        if client is None or row.streams is None:
            return
        if row.sdp is not None or row.streams:
            self.compared += 1
        if self.third is not None and gone(row, self.third):
            self.third.hang_up()
            self.third = None
        await client.sees(lambda view: as_recorded(view, row.streams or {}), f"what the recording has: {row.streams}")
        if row.sdp is not None and row.sdp[0] == "offer":
            carried = tracks_in(row.sdp[1], row.streams)

            def same() -> bool:
                lines = [s for s in client.heard_lines.values() if s.direction == "sendonly"]
                return {(s.stream, s.track) for s in lines} == carried

            await self.room.until(same, f"{client.name} to be sent {carried}")


def gone(row: Row, client: Client) -> bool:
    """The recorded focus no longer lists somebody who was there."""
    return not any(words["user_id"] == client.user for words in (row.streams or {}).values()) and bool(row.streams)


def as_recorded(view: dict[str, Any], recorded: dict[str, Any]) -> bool:
    """The same streams with the same owners and mutes, and at least the recorded tracks: it advertised them late."""
    if set(view) != set(recorded):
        return False
    fields = ("user_id", "device_id", "purpose", "audio_muted", "video_muted")
    for name, words in recorded.items():
        if any(view[name][field] != words[field] for field in fields):
            return False
        if any(view[name]["tracks"].get(t, {}).get("kind") != told["kind"] for t, told in words["tracks"].items()):
            return False
    return True


def tracks_in(text: str, streams: dict[str, Any]) -> set[tuple[str, str]]:
    """What an offer of the recorded focus forwards; it left lines of people who had gone in some."""
    found = set()
    for section in sdp.parse(text).sections:
        stream, _, track = (section.value("msid") or "").partition(" ")
        if stream in streams and (section.flag("sendrecv") or section.flag("sendonly")):
            found.add((stream, track))
    return found


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_the_recorded_call_goes_as_it_went() -> None:
    # The recording leaves no time for pictures to come up one by one.
    async with call_room(FOCUS, START, rise_hold=0.0) as room:
        replay = Replay(room)
        await replay.play()
        assert replay.compared > 40
        assert not {name: count for name, count in room.all_faults().items() if count}
        for client in replay.people.values():
            assert not any(set(view) & set(client.described) for view in client.views), "nobody sees himself"
            assert client.dropped_offers == 0
            assert not client.got("m.call.reject") and len(client.got("m.call.answer")) == 1
        await room.counted_down()


# The twins, in a call.


async def test_no_twin_of_a_recorded_message_disturbs_the_others() -> None:
    async with call_room(messages_per_second=1e6, messages_burst=10**6) as room:
        alice, bob, carol = (Client(room, name) for name in ("alice", "bob", "carol"))
        for client in (alice, bob, carol):
            await client.dial()
        chance = random.Random(3898)
        sent = 0
        for row in of("dc", "out"):
            for text, _ in broken_texts(text_of(row), chance):
                bob.say_text(text or "-")
                sent += 1
            await asyncio.sleep(0)
        for row in of("to_device", "out"):
            for content in broken_contents(row.content | {"call_id": bob.call, "device_id": bob.device}, chance):
                room.home.to_focus(bob.user, row.type, content)
                room.home.to_focus("@mallory:here.test", row.type, content)
        carol.want(alice.line("video"), width=320, height=180)
        await carol.watches(alice.line("video"), alice.cameras())
        alice.describe(audio_muted=True)
        await carol.sees(lambda view: view[alice.stream]["audio_muted"], "alice's mute")
        await room.pass_time(7)
        await carol.watches(alice.line("video"), alice.cameras())
        assert sum(room.all_faults().values()) > sent // 3, "refused ones are counted"
