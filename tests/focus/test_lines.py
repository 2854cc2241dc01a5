"""Lines that are ready before anybody knows for what: who comes costs those who take them no negotiation."""

from __future__ import annotations

from room import Caller, Room

from bench.participants import sdp
from focus.commands import Route
from focus.limits import Limits
from focus.lines import LEAST
from focus.vocabulary import (
    Assigned,
    Description,
    Kind,
    Left,
    Offer,
    Offered,
    Purpose,
    Reason,
    Stream,
    TakesSpares,
    Told,
    Want,
    Wanted,
)


def call(*names: str, taking: bool = True, limits: Limits | None = None) -> tuple[Room, list[Caller]]:
    """All of them see each other; the first one takes spare lines, if anybody does."""
    room = Room() if limits is None else Room(limits)
    callers = [Caller(room, name).join() for name in names]
    if taking:
        callers[0].hear(room.post(TakesSpares(callers[0].peer)))
    for one in callers[1:]:
        one.flow("f", "h", "q")
        one.sound()
        callers[0].want(one)
    return room, callers


def assigned(told: list[Told]) -> dict[str, tuple[str, str]]:
    return {line: (stream, track) for one in told if isinstance(one, Assigned) for line, stream, track in one.tracks}


def comes(room: Room, viewer: Caller, name: str) -> list[Told]:
    """Somebody new, whom the viewer wants to see. What the viewer was told."""
    new = Caller(room, name).join()
    new.flow("f", "h", "q")
    new.sound()
    return [one for one in viewer.want(new) if one.peer == viewer.peer]


def routed(room: Room, viewer: Caller) -> dict[str, Route]:
    """What is forwarded to a viewer, by the name of its line."""
    return {route.mid: route for route in room.engine.routes.values() if route.peer == viewer.peer}


def hears(room: Room, viewer: Caller, other: Caller) -> list[Told]:
    """A voice is wanted before its picture, as from a page whose tile is not laid out yet."""
    return viewer.hear(room.post(Wanted(viewer.peer, (Want(other.local.stream, other.local.audio),), ())))


def test_who_comes_is_seen_on_lines_that_were_ready_and_nobody_makes_an_offer() -> None:
    room, (alice, bob) = call("alice", "bob")
    before = {section.mid: section for section in alice.sections}
    told = comes(room, alice, "carol")
    assert not [one for one in told if isinstance(one, Offer)]
    found = assigned(told)
    assert sorted(found.values()) == [("carol-stream", "carol-audio"), ("carol-stream", "carol-video")]
    for line, (_, track) in found.items():
        section = next(one for one in before.values() if one.track == line)
        route = routed(room, alice)[section.mid]
        assert (route.ssrc, route.track) == (section.ssrcs[0], room.track("carol", "0" if "audio" in track else "1"))
        assert section.kind == ("audio" if "audio" in track else "video")
    assert len({next(one.stream for one in before.values() if one.track == line) for line in found}) == 1, "lips move"


def test_a_client_that_says_nothing_of_spare_lines_has_none() -> None:
    room, (alice, _) = call("alice", "bob", taking=False)
    assert len([one for one in alice.sections if one.mid.startswith("w")]) == 2
    told = comes(room, alice, "carol")
    assert [one for one in told if isinstance(one, Offer)] and not assigned(told)


def test_when_none_is_left_an_offer_brings_more() -> None:
    room, (alice, _) = call("alice", "bob")
    offers = []
    for number in range(3 * (LEAST + 1)):
        told = comes(room, alice, f"guest{number}")
        offers.append(len([one for one in told if isinstance(one, Offer)]))
    assert offers == 3 * [*[0] * LEAST, 1]
    room.wait(1.0)
    assert len({route.ssrc for route in routed(room, alice).values()}) == 2 * (1 + 3 * (LEAST + 1))


def test_a_line_is_used_once_and_given_back_with_the_next_offer() -> None:
    room, (alice, _) = call("alice", "bob")
    seen: list[str] = []
    offers = []
    for turn in range(12):
        before = len(alice.offers)
        seen += assigned(comes(room, alice, f"guest{turn}"))
        alice.hear(room.post(Left(room.callers[f"guest{turn}"].peer, Reason.USER_HANGUP)))
        offers.append(len(alice.offers) - before)
        assert len(routed(room, alice)) == 2
    assert len(seen) == 24 and len({*seen}) == 24, "its numbers would begin anew"
    assert offers == 6 * [0, 1], "who goes brings an offer only where nothing is ready for who comes next"
    lines = [one for one in alice.sections if one.mid.startswith("w")]
    assert len(lines) <= 2 + 2 * 2 * (LEAST + 1), "they do not pile up"


def test_a_screen_takes_a_pair_of_its_own_and_leaves_its_sound_for_nobody_else() -> None:
    room, (alice, bob) = call("alice", "bob")
    head, _, channel = sdp.offer(bob.local).partition("m=application")
    camera = head[head.index("m=video") :].replace("a=mid:1", "a=mid:3").replace("bob-stream bob-video", "desk screen")
    text = f"{head.replace('BUNDLE 0 1 2', 'BUNDLE 0 1 2 3')}m=application{channel}{camera}"
    words = Description("screen", Kind.VIDEO, 1920, 1080)
    desk = Stream("desk", bob.owner, Purpose.SCREENSHARE, False, False, (words,))
    bob.hear(room.post(Offered(bob.peer, text, (bob.stream, desk))))
    told = alice.hear(room.post(Wanted(alice.peer, (Want("desk", "screen", 1280, 720),), ())))
    found = assigned(told)
    assert [*found.values()] == [("desk", "screen")]
    [desks] = {alice.line(line).stream for line in found}
    [carols] = {alice.line(line).stream for line in assigned(comes(room, alice, "carol"))}
    assert carols != desks, "her sound plays beside her picture"


def test_what_is_told_of_a_line_holds_when_everything_is_described_anew() -> None:
    room, (alice, _) = call("alice", "bob")
    first = assigned(comes(room, alice, "carol"))
    for number in range(LEAST):
        comes(room, alice, f"guest{number}")
    for line in first:
        section = alice.line(line)
        assert section.direction == "sendonly" and routed(room, alice)[section.mid].ssrc == section.ssrcs[0]


def test_no_line_is_kept_ready_beyond_what_a_session_may_have() -> None:
    room, (alice, _) = call("alice", "bob", limits=Limits(m_lines=8))
    assert len(alice.sections) <= 8
    comes(room, alice, "carol")
    comes(room, alice, "dave")
    assert len(alice.sections) == 8 and len(routed(room, alice)) == 5, "and all of them carry something"


def test_who_finds_no_line_gets_one_that_carries_nothing_any_more() -> None:
    room, (alice, bob) = call("alice", "bob", limits=Limits(m_lines=8))
    comes(room, alice, "carol")
    comes(room, alice, "dave")
    for gone in (bob, room.callers["carol"]):
        alice.hear(room.post(Left(gone.peer, Reason.USER_HANGUP)))
    assert {route.track for route in routed(room, alice).values()} >= {room.track("dave", "0"), room.track("dave", "1")}


def test_a_voice_without_a_picture_is_heard_too() -> None:
    room, (alice, _) = call("alice", "bob")
    carol = Caller(room, "carol").join()
    carol.sound()
    told = alice.hear(room.post(Wanted(alice.peer, (Want(carol.local.stream, carol.local.audio),), ())))
    [line] = assigned(told)
    assert routed(room, alice)[alice.line(line).mid].track == room.track("carol", "0")
    told = alice.hear(room.post(Wanted(alice.peer, (Want(carol.local.stream, carol.local.video, 320, 180),), ())))
    [other] = assigned(told)
    assert alice.line(line).stream == alice.line(other).stream, "her picture comes later, and beside her voice"


def test_a_picture_stays_beside_a_voice_that_was_negotiated() -> None:
    room, (alice,) = call("alice")
    bob = Caller(room, "bob").join()
    bob.flow("f", "h", "q")
    bob.sound()
    assert [one for one in hears(room, alice, bob) if isinstance(one, Offer)], "and spare lines come with it"
    told = alice.want(bob)
    assert [one for one in told if isinstance(one, Offer)] and not assigned(told), "none is in step with her voice"
    assert alice.line(bob.local.audio).stream == alice.line(bob.local.video).stream and room.in_step()


def test_a_picture_that_was_out_of_view_comes_back_beside_its_voice() -> None:
    room, (alice, _) = call("alice", "bob")
    comes(room, alice, "carol")
    carol = room.callers["carol"]
    gone = ((carol.local.stream, carol.local.video),)
    for _ in range(3):
        alice.hear(room.post(Wanted(alice.peer, (), gone)))
        names = assigned(told := alice.want(carol))
        assert [one for one in told if isinstance(one, Offer)], "its line was used, and no other is in step"
        assert [*names.values()] == [(carol.local.stream, carol.local.video)] and room.in_step()
        lines = {one.mid: one for one in alice.sections}
        streams = {lines[r.mid].stream for r in routed(room, alice).values() if r.track.startswith("carol/")}
        assert len(streams) == 1


def test_a_line_is_named_only_when_it_is_agreed() -> None:
    room, (alice, _) = call("alice", "bob")
    comes(room, alice, "carol")
    carol = room.callers["carol"]
    alice.hear(room.post(Wanted(alice.peer, (), ((carol.local.stream, carol.local.video),))))
    alice.answering = False
    told = alice.want(carol)
    assert [one for one in told if isinstance(one, Offer)] and not assigned(told)
    alice.answering = True
    # The offer was lost, or gave way to hers; it is made again.
    told = alice.hear(room.wait(room.limits.offer_timeout + 1))
    assert [*assigned(told).values()] == [(carol.local.stream, carol.local.video)]


def test_what_is_left_of_a_pair_is_nobody_elses() -> None:
    room, (alice, _) = call("alice", "bob")
    carol = Caller(room, "carol").join()
    carol.sound()
    [line] = assigned(hears(room, alice, carol))
    left = alice.line(line).stream
    alice.hear(room.post(Left(carol.peer, Reason.USER_HANGUP)))
    for number in range(3):
        found = assigned(comes(room, alice, f"guest{number}"))
        assert all(alice.line(name).stream != left for name in found) and room.in_step()


def test_a_voice_that_takes_the_last_pair_has_its_picture_there() -> None:
    room, (alice, _) = call("alice", "bob")
    comes(room, alice, "carol")
    alice.hear(room.post(Left(room.callers["carol"].peer, Reason.USER_HANGUP)))
    dave = Caller(room, "dave").join()
    dave.flow("f", "h", "q")
    dave.sound()
    told = hears(room, alice, dave)
    assert [one for one in told if isinstance(one, Offer)], "no pair is left, and there are lines to be given back"
    told = alice.want(dave)
    assert not [one for one in told if isinstance(one, Offer)] and len(assigned(told)) == 1 and room.in_step()
    ready = [slot.kind for slot in room.peer("alice").slots if slot.use is not None and slot.use.spare]
    assert sorted(ready) == LEAST * [Kind.AUDIO] + LEAST * [Kind.VIDEO]
