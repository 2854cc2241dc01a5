"""In a large call only those are forwarded who are heard, and everybody is told who has the floor."""

from __future__ import annotations

from dataclasses import replace

import pytest
from room import Caller, Room

from focus.commands import Levels
from focus.limits import Limits
from focus.speaker import HOLD
from focus.vocabulary import Described, Left, Purpose, Reason, Speakers

WORD, HUSH = bytes(40) + bytes((105,)) * 10, bytes((30,)) * 50
SPEECH = bytes((60, 60, 105, 105, 105, 105, 105, 105, 105, 105)) * 5


def call(people: int, small: int = 3) -> tuple[Room, Caller, list[Caller]]:
    """A room with one who listens to all the others; of everybody a level was told."""
    room = Room(limits=Limits(small_call=small, voices=2))
    listener, *others = [Caller(room, chr(ord("a") + number)).join() for number in range(people)]
    for caller in (listener, *others):
        caller.sound()
    for other in others:
        listener.want(other)
    room.wait(1)
    say(room, HUSH, listener, *others)
    return room, listener, others


def say(room: Room, recent: bytes, *callers: Caller) -> list[Speakers]:
    """Levels of some microphones are told together; returned is what everybody is told of speakers."""
    told = room.post(*[Levels(room.track(caller.name, "0"), recent[-1], recent) for caller in callers])
    return [effect for effect in told if isinstance(effect, Speakers)]


def sounds(room: Room, listener: Caller) -> str:
    """Whose sound goes to a listener."""
    carried = [route for number, route in room.engine.routes.items() if room.engine.layers[number] is not None]
    found = {route.track.split("/")[0] for route in carried if route.peer == listener.peer and not route.rtx_ssrc}
    return "".join(sorted(found))


@pytest.mark.parametrize(("people", "heard"), [(3, "bc"), (4, ""), (6, "")])
def test_silence_is_forwarded_in_a_small_call_only(people: int, heard: str) -> None:
    room, listener, _ = call(people)
    assert sounds(room, listener) == heard


def test_a_voice_goes_out_with_its_first_levels_and_stays_through_pauses() -> None:
    room, listener, (b, c, d) = call(4)
    say(room, bytes(49) + b"\x60", b)
    assert sounds(room, listener) == "b"
    room.wait(1)
    say(room, HUSH, b)
    assert sounds(room, listener) == "b"
    say(room, WORD, c, d)
    assert sounds(room, listener) == "bcd"
    room.wait(HOLD + 0.5)
    assert sounds(room, listener) == "c", "who spoke last has the floor"


def test_the_loudest_go_out_and_who_has_the_floor_though_silent() -> None:
    room, listener, others = call(7)
    for _ in range(8):
        room.now += 0.3
        say(room, SPEECH, others[0])
    for _ in range(10):
        room.now += 0.3
        say(room, bytes((70,)) * 50, *others[1:])
        say(room, HUSH, others[0])
    assert others[0].name in sounds(room, listener) and len(sounds(room, listener)) == 3


def test_who_has_no_levels_and_what_is_no_voice_is_always_forwarded() -> None:
    room = Room(limits=Limits(small_call=1, voices=1))
    listener, silent, screen, other = [Caller(room, name).join() for name in "abcd"]
    for caller in (silent, screen, other):
        caller.sound()
        listener.want(caller)
    room.post(Described(screen.peer, (replace(screen.stream, purpose=Purpose.SCREENSHARE),)))
    room.wait(1)
    assert sounds(room, listener) == "bcd"
    say(room, HUSH, screen, other)
    assert sounds(room, listener) == "bc"


def test_a_call_that_becomes_small_again_is_heard_whole() -> None:
    room, listener, others = call(4)
    assert sounds(room, listener) == ""
    room.post(Left(others[2].peer, Reason.USER_HANGUP))
    assert sounds(room, listener) == "bc"


def test_everybody_is_told_who_has_the_floor_and_who_had_it_and_only_on_change() -> None:
    room, listener, (b, c) = call(3)
    told: list[Speakers] = []
    for speaker in (b, c):
        for _ in range(10):
            room.now += 0.3
            told += say(room, SPEECH, speaker)
            told += say(room, HUSH, *(other for other in (b, c) if other is not speaker))
    streams = b.local.stream, c.local.stream
    assert [effect.order for effect in told if effect.peer == listener.peer] == [streams[:1], streams[::-1]]
    assert {effect.peer for effect in told} == {listener.peer, b.peer, c.peer}
    # Who comes later is told at once; who is gone has the floor no more.
    late = Caller(room, "z").join()
    assert [effect.order for effect in room.told if isinstance(effect, Speakers) and effect.peer == late.peer] == [
        streams[::-1]
    ]
    left = room.post(Left(c.peer, Reason.USER_HANGUP))
    assert Speakers(listener.peer, streams[:1]) in left


def test_levels_of_a_track_that_is_gone_change_nothing() -> None:
    room, listener, others = call(4)
    track = room.track(others[0].name, "0")
    room.post(Left(others[0].peer, Reason.USER_HANGUP))
    before = room.running.conference
    assert room.post(Levels(track, 100, SPEECH)) == []
    assert room.running.conference.speech is before.speech
    assert track not in room.running.conference.withheld
