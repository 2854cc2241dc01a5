"""Who is let in, who waits, who is refused, and who may stay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from signalling.admission import Admit, Caller, Refuse, Verdict, Wait, admit, named, stays
from signalling.membership import Acl, Device, Room

US = ("@focus:here.test", "FOCUSDEV")
ALICE = "@alice:there.test"
CALLER = Caller(ALICE, "DEV", "s", "conf", None)
ENTRY = Device("DEV", "s", 5000, (US,))
NOW = 1000


def room(**changes: object) -> Room:
    fields: dict[str, object] = {
        "calls": {"conf": True}, "members": {ALICE: "join"}, "entries": {ALICE: {"conf": (ENTRY,)}},
    } | changes  # fmt: skip
    return Room("!r", **fields)  # type: ignore[arg-type]


def with_entry(entry: Device) -> Room:
    return room(entries={ALICE: {"conf": (entry,)}})


DENIED = Acl(("*",), ("there.test",), True)

CASES: list[tuple[Room, Caller, Verdict]] = [
    (room(), CALLER, Admit("!r")),
    (room(), replace(CALLER, proven="DEV"), Admit("!r")),
    (room(), replace(CALLER, proven="OTHER"), Refuse("device")),
    (room(), replace(CALLER, conf="unknown"), Wait("no_call")),
    (room(calls={"conf": False}), CALLER, Wait("no_call")),
    (room(members={}), CALLER, Wait("not_joined")),
    (room(members={ALICE: "invite"}), CALLER, Wait("not_joined")),
    (room(members={ALICE: "knock"}), CALLER, Wait("not_joined")),
    (room(members={ALICE: "leave"}), CALLER, Wait("not_joined")),
    (room(members={ALICE: "ban"}), CALLER, Refuse("banned")),
    (room(acl=DENIED), CALLER, Refuse("server_acl")),
    (room(entries={}), CALLER, Wait("not_in_call")),
    (room(entries={ALICE: {"other": (ENTRY,)}}), CALLER, Wait("not_in_call")),
    (room(), replace(CALLER, device="OTHER"), Wait("not_in_call")),
    (room(), replace(CALLER, session="yesterday"), Wait("session")),
    (with_entry(replace(ENTRY, foci=(("@focus:here.test", "OTHER"),))), CALLER, Wait("focus")),
    (with_entry(replace(ENTRY, foci=(("@focus:there.test", "FOCUSDEV"),))), CALLER, Wait("focus")),
    (with_entry(replace(ENTRY, foci=None)), CALLER, Admit("!r")),
    (with_entry(replace(ENTRY, foci=())), CALLER, Admit("!r")),
    (with_entry(replace(ENTRY, expires=NOW)), CALLER, Wait("expired")),
    (with_entry(replace(ENTRY, expires=NOW + 1)), CALLER, Admit("!r")),
]


@pytest.mark.parametrize(("state", "caller", "verdict"), CASES)
def test_an_invite_is_judged_by_the_state_of_the_room(state: Room, caller: Caller, verdict: Verdict) -> None:
    assert admit({"!r": state}, US, caller, NOW) == verdict


def test_of_two_rooms_with_one_call_id_the_one_that_fits_admits() -> None:
    for first, second in ((room(entries={}), room()), (room(), room(members={ALICE: "ban"}))):
        for order in ((first, second), (second, first)):
            rooms = {str(number): replace(one, id=str(number)) for number, one in enumerate(order)}
            assert isinstance(admit(rooms, US, CALLER, NOW), Admit)


def test_in_no_room_at_all_one_waits() -> None:
    assert admit({}, US, CALLER, NOW) == Wait("no_call")


@pytest.mark.parametrize(
    ("state", "may"),
    [
        (room(), True),
        (with_entry(replace(ENTRY, expires=NOW - 1)), True),  # silence, not the clock, ends a call
        (with_entry(replace(ENTRY, session="tomorrow")), False),
        (with_entry(replace(ENTRY, foci=(("@focus:here.test", "OTHER"),))), False),
        (room(calls={"conf": False}), False),
        (room(members={ALICE: "leave"}), False),
        (room(members={ALICE: "ban"}), False),
        (room(acl=DENIED), False),
        (room(entries={}), False),
        (None, False),
    ],
)
def test_who_is_in_stays_while_the_room_says_so(state: Room | None, may: bool) -> None:
    assert stays(state, US, CALLER) is may


@pytest.mark.parametrize(
    ("state", "count"),
    [
        (room(), 1),
        (with_entry(replace(ENTRY, expires=NOW)), 0),
        (with_entry(replace(ENTRY, foci=None)), 0),
        (with_entry(replace(ENTRY, foci=(("@focus:here.test", "OTHER"),))), 0),
        (room(calls={"conf": False}), 0),
        (room(members={ALICE: "leave"}), 0),
    ],
)
def test_a_restarted_focus_owes_a_word_to_live_devices_that_name_it(state: Room, count: int) -> None:
    assert named(state, US, NOW) == [("conf", ALICE, ENTRY)] * count
