"""What each event does to a conference, and that a peer's fault costs what carried it and nobody else anything."""

from __future__ import annotations

import pytest
from offers import FINGERPRINT, channel, microphone, offer, picture
from room import Caller, Room, settled
from roster import CountedNames
from table import Table

from focus.commands import Appeared, Connected, Estimate, Levels, Loss, Lost, Message, Opened, Rates, Switched, Vanished
from focus.faults import PeerFault
from focus.limits import Limits
from focus.snapshot import Conference
from focus.step import step
from focus.vocabulary import (
    SINGLE,
    Alive,
    Answer,
    Answered,
    ConferenceId,
    Described,
    Ended,
    Join,
    Left,
    Offered,
    Owner,
    PeerId,
    Purpose,
    Reason,
    RouteId,
    Selected,
    Stream,
    Ticked,
    TrackId,
    View,
    Want,
    Wanted,
)

GUEST, OWNER = PeerId("guest"), Owner("@guest:example.org", "DEVICE")


def again(*more: list[str], **changes: str) -> str:
    """A later offer of a caller: its own lines and more."""
    return offer(microphone(), picture(), channel(), *more, **changes)


# Joining.


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("", "sdp_no_version", Reason.BAD_DESCRIPTION),
        (offer(microphone())[:200], "sdp_no_media", Reason.BAD_DESCRIPTION),
        (offer(microphone(), setup="passive"), "sdp_dtls_role", Reason.BAD_DESCRIPTION),
        (offer(microphone(), setup="holdconn"), "sdp_dtls_role", Reason.BAD_DESCRIPTION),
        (offer(*[microphone(str(n)) for n in range(11)]), "too_many_tracks", Reason.BUSY),
        (offer(*[picture(str(n)) for n in range(11)]), "too_many_tracks", Reason.BUSY),
    ],
)
def test_an_offer_that_cannot_be_served_is_refused_with_a_reason(text: str, name: str, reason: Reason) -> None:
    room = Room()
    alice = Caller(room, "alice").join()
    before = room.running.conference
    assert room.post(Join(GUEST, OWNER, text, ())) == [Ended(GUEST, reason)]
    assert room.faults == {name: 1}
    assert room.running.conference == before and list(room.engine.peers) == [alice.peer]


def test_the_limit_of_participants_holds_on_both_sides() -> None:
    room = Room(Limits(participants=2))
    for name in ("a", "b"):
        Caller(room, name).join()
    told = Caller(room, "c").dial()
    assert told == [Ended(PeerId("c"), Reason.BUSY)] and room.faults == {"too_many_participants": 1}


def test_who_comes_sees_who_is_there_and_is_seen() -> None:
    room = Room()
    alice = Caller(room, "alice").join()
    bob = Caller(room, "bob")
    told = bob.dial()
    assert [effect.streams for effect in told if isinstance(effect, Answer)] == [(alice.stream,)]
    assert [effect for effect in told if isinstance(effect, View)] == [View(alice.peer, (bob.stream,))]


# Faults of a live peer.


BAD: list[tuple[object, str]] = [
    (Offered(GUEST, "", ()), "sdp_no_version"),
    (Offered(GUEST, again()[:300], ()), "sdp_no_rtcp_mux"),
    (Offered(GUEST, again(setup="passive"), ()), "sdp_dtls_role"),
    (Offered(GUEST, offer(microphone(), picture()), ()), "sdp_m_line_gone"),
    (Offered(GUEST, offer(picture(), microphone(), channel()), ()), "sdp_m_line_order"),
    (Offered(GUEST, again(fingerprint=FINGERPRINT.replace("AB", "CD")), ()), "sdp_fingerprint_changed"),
    (Offered(GUEST, again(*[picture(f"x{n}") for n in range(10)]), ()), "too_many_tracks"),
    (Join(GUEST, OWNER, "", ()), "sdp_no_version"),
    (Wanted(GUEST, tuple(Want("s", f"t{n}") for n in range(301)), ()), "too_many_subscriptions"),
]


@pytest.mark.parametrize(("event", "name"), BAD, ids=[f"{type(event).__name__} {name}" for event, name in BAD])
def test_a_fault_in_a_running_call_is_counted_and_the_call_goes_on(event: object, name: str) -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest").join()
    alice.want(guest)
    before, routes = room.running.conference, dict(room.engine.routes)
    assert room.post(event) == []  # type: ignore[arg-type]
    assert room.faults == {name: 1}
    assert room.running.conference == before and room.engine.routes == routes and routes
    # And a good offer afterwards is answered.
    told = guest.reoffer(again(picture("3", "sendonly", "a=msid:screen s")))
    assert [type(effect) for effect in settled(told) if effect.peer == GUEST] == [Answer]


def test_one_bad_event_costs_the_others_in_its_batch_nothing() -> None:
    room = Room()
    alice = Caller(room, "alice")
    good = Join(alice.peer, alice.owner, offer(microphone()), (alice.stream,))
    told = room.post(Join(GUEST, OWNER, "nonsense", ()), good)
    assert [(type(effect), effect.peer) for effect in told] == [(Ended, GUEST), (Answer, alice.peer)]


def test_a_step_that_fails_leaves_no_trace() -> None:
    names = CountedNames()
    empty = Conference(ConferenceId("c"), Limits(), ("opus", "vp8"))
    conference = step(empty, Join(GUEST, OWNER, again(), ()), 0.0, names)
    with pytest.raises(PeerFault):
        step(conference, Offered(GUEST, again(setup="passive"), ()), 1.0, names)
    assert conference.peers[GUEST].lines[0].mid == "0"


EVERYTHING = [
    Offered(GUEST, again(), ()),
    Answered(GUEST, again(), ()),
    Selected(GUEST),
    Wanted(GUEST, (Want("s", "t"),), ()),
    Described(GUEST, ()),
    Alive(GUEST),
    Left(GUEST, Reason.USER_HANGUP),
    Ticked(),
    Connected(GUEST),
    Opened(GUEST),
    Lost(GUEST, Loss.ICE),
    Message(GUEST, ""),
    Estimate(GUEST, 1),
    Appeared(TrackId("guest/1/x"), SINGLE, 1, 1),
    Vanished(TrackId("guest/1/x"), SINGLE),
    Rates(TrackId("guest/1/x"), ()),
    Levels(TrackId("guest/1/x"), 1),
    Switched(RouteId(1), None),
]


@pytest.mark.parametrize("event", EVERYTHING, ids=lambda event: type(event).__name__)
def test_events_of_a_peer_that_is_gone_change_nothing(event: object) -> None:
    room = Room()
    Caller(room, "alice").join()
    before = room.running.conference
    assert room.post(event) == []  # type: ignore[arg-type]
    assert room.running.conference == before and not room.faults


# Leaving.


@pytest.mark.parametrize(
    ("loss", "connected", "reason"),
    [
        (Loss.ICE, True, Reason.ICE_TIMEOUT),
        (Loss.DTLS, True, Reason.ICE_FAILED),
        (Loss.CLOSED, True, Reason.USER_HANGUP),
        (Loss.ICE, False, Reason.ICE_FAILED),
        (Loss.DTLS, False, Reason.ICE_FAILED),
        (Loss.CLOSED, False, Reason.ICE_FAILED),
    ],
)
def test_a_lost_transport_ends_the_call_with_its_reason(loss: Loss, connected: bool, reason: Reason) -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest")
    guest.dial()
    if connected:
        room.post(Connected(GUEST))
    told = room.post(Lost(GUEST, loss))
    assert told == [View(alice.peer, ()), Ended(GUEST, reason)]


def test_whoever_leaves_leaves_nothing_behind() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest").join()
    guest.want(alice)
    alice.want(guest)
    assert len(room.engine.routes) == 4
    told = alice.hear(room.post(Left(GUEST, Reason.USER_HANGUP)))
    assert not [effect for effect in told if effect.peer == GUEST], "who left is not told so"
    assert not room.engine.routes and {track.peer for track in room.engine.tracks.values()} == {alice.peer}
    alice.hear(room.post(Left(alice.peer, Reason.USER_HANGUP)))
    assert room.engine == Table(used=room.engine.used, events=[]) and room.running.over


# What a peer publishes.


def test_a_camera_that_comes_back_keeps_the_stream_it_was_known_by() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest").join()
    alice.want(guest)
    routes = dict(room.engine.routes)
    for stream in ("temporary", "guest-stream"):
        camera = picture("1", "sendrecv", f"a=msid:{stream} guest-video")
        text = offer(microphone("0", "sendrecv", f"a=msid:{stream} guest-audio"), camera, channel())
        moved = Stream(stream, guest.owner, Purpose.USERMEDIA, False, False, guest.stream.tracks)
        told = room.post(Offered(GUEST, text, (moved,)))
        assert [type(effect) for effect in settled(told)] == [Answer], "nobody else hears of it"
    assert room.engine.routes == routes


@pytest.mark.parametrize("msid", ["a=msid:only-a-stream", "a=msid:- t", "a=msid:-", "a=x"])
def test_tracks_without_names_get_some(msid: str) -> None:
    room = Room()
    alice = Caller(room, "alice").join()
    room.post(Join(GUEST, OWNER, offer(microphone("0", "sendonly", msid), picture("1", "sendonly", msid)), ()))
    [*_, view] = [effect for effect in room.told if isinstance(effect, View) and effect.peer == alice.peer]
    names = [(stream.id, track.name) for stream in view.streams for track in stream.tracks]
    assert len(set(names)) == 2 and all(stream and name for stream, name in names)
    told = alice.hear(room.post(Wanted(alice.peer, tuple(Want(stream, name) for stream, name in names), ())))
    assert len(room.engine.routes) == 2 and told


def test_two_people_with_the_same_ids_are_told_apart() -> None:
    room = Room()
    alice = Caller(room, "alice").join()
    same = picture("1", "sendonly", "a=msid:stream track")
    for name in ("b", "c"):
        room.post(Join(PeerId(name), Owner(f"@{name}:example.org", "D"), offer(same), ()))
    view = next(effect for effect in reversed(room.told) if isinstance(effect, View) and effect.peer == alice.peer)
    assert len({stream.id for stream in view.streams}) == 2


def test_a_stopped_line_is_unpublished_and_may_come_back() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest").join()
    alice.want(guest)
    first = room.track("guest", "1")
    alice.hear(room.post(Offered(GUEST, offer(microphone(), picture("1", "inactive"), channel()), ())))
    assert {track.mid for track in room.running.conference.of(GUEST)} == {"0"} and len(room.engine.routes) == 1
    back = picture("1", "sendrecv", "a=msid:guest-stream guest-video")
    alice.hear(guest.reoffer(offer(microphone(), back, channel())))
    assert room.track("guest", "1") != first and len(room.engine.routes) == 2, "wanted all along"


def test_a_stopped_line_may_be_recycled_under_another_mid() -> None:
    room = Room()
    guest = Caller(room, "guest").join()
    guest.reoffer(offer(microphone(), picture("1", "inactive"), channel()))
    told = guest.reoffer(offer(microphone(), picture("7", "sendonly"), channel()))
    assert [type(effect) for effect in settled(told)] == [Answer] and room.track("guest", "7")
    assert not room.faults


def test_wishes_for_what_does_not_exist_yet_are_kept() -> None:
    room = Room()
    guest = Caller(room, "guest").join()
    guest.hear(room.post(Wanted(GUEST, (Want("alice-stream", "alice-video", 320, 180),), ())))
    assert not room.engine.routes
    alice = Caller(room, "alice")
    guest.hear(alice.dial())
    assert [route.track for route in room.engine.routes.values()] == [room.track("alice", "1")]


def test_nobody_gets_what_is_their_own() -> None:
    room = Room()
    guest = Caller(room, "guest").join()
    assert guest.want(guest) == [] and not room.engine.routes


@pytest.mark.parametrize("count", [300, 301])
def test_the_limit_of_subscriptions_holds_on_both_sides(count: int) -> None:
    room = Room()
    Caller(room, "guest").join()
    room.post(Wanted(GUEST, tuple(Want("s", f"t{n}") for n in range(count)), ()))
    assert len(room.peer("guest").wants) == (300 if count == 300 else 0)
    assert room.faults["too_many_subscriptions"] == (count == 301)
