"""What follows from time and from what was asked: deadlines, pings, offers and the lines they use."""

from __future__ import annotations

import pytest
from offers import channel, microphone, offer, picture
from room import Caller, Room, settled
from table import ADDRESS

from focus.commands import Connected, Message, Opened, Reachable, Restart
from focus.limits import Limits
from focus.lines import line_name
from focus.vocabulary import (
    Answer,
    Answered,
    Ended,
    Join,
    Left,
    Offer,
    Offered,
    Owner,
    PeerId,
    Ping,
    Reason,
    Selected,
    Told,
    View,
    Want,
    Wanted,
)

GUEST, OWNER = PeerId("guest"), Owner("@guest:example.org", "DEVICE")


def of(told: list[Told], kind: type[Told]) -> list[Told]:
    return [effect for effect in told if isinstance(effect, kind)]


# Answers and deadlines.


def test_an_answer_waits_until_we_know_where_we_can_be_reached() -> None:
    room = Room()
    room.engine.gathering = True
    assert not room.post(Join(GUEST, OWNER, offer(microphone()), ()))
    assert of(room.post(Reachable(GUEST, ADDRESS)), Answer)


@pytest.mark.parametrize("answered", [True, False])
def test_a_peer_that_never_connects_is_given_up(answered: bool) -> None:
    room = Room()
    room.engine.gathering = not answered
    caller = Caller(room, "guest")
    caller.dial()
    assert not of(room.wait(30.0), Ended)
    assert of(room.wait(0.25), Ended) == [Ended(GUEST, Reason.ICE_FAILED)]
    assert not room.engine.peers and room.running.over


def test_a_peer_whose_channel_never_opens_is_given_up() -> None:
    room = Room()
    Caller(room, "guest").dial()
    room.post(Connected(GUEST))
    assert not of(room.wait(30.0), Ended)
    assert of(room.wait(0.25), Ended) == [Ended(GUEST, Reason.KEEP_ALIVE)]


def test_a_peer_without_a_data_channel_stays() -> None:
    room = Room()
    room.post(Join(GUEST, OWNER, offer(microphone()), ()))
    room.post(Connected(GUEST), Selected(GUEST))
    assert not of(room.wait(120.0), Ended)


# Pings.


def test_a_peer_is_pinged_every_five_seconds_and_stays_while_it_answers() -> None:
    room = Room()
    Caller(room, "guest").join()
    told = room.wait(60.0)
    assert len(of(told, Ping)) == 12 and not of(told, Ended)


def test_a_silent_peer_is_gone_after_twenty_seconds_and_nobody_else_is() -> None:
    room = Room()
    silent, other = Caller(room, "guest", alive=False).join(), Caller(room, "other").join()
    assert not of(room.wait(20.0), Ended)
    assert of(room.wait(0.25), Ended) == [Ended(silent.peer, Reason.KEEP_ALIVE)]
    room.wait(60.0)
    assert list(room.engine.peers) == [other.peer]


def test_any_message_is_a_sign_of_life() -> None:
    room = Room()
    Caller(room, "guest", alive=False).join()
    for _ in range(10):
        assert not of(room.wait(15.0), Ended)
        room.post(Message(GUEST, "{}"))


# When an offer may be made.


def test_the_first_offer_waits_until_the_client_has_applied_the_answer() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest")
    guest.dial()
    guest.want(alice)
    room.post(Connected(GUEST))
    assert not of(room.post(Opened(GUEST)), Offer)
    assert of(room.post(Selected(GUEST)), Offer)


def test_the_first_offer_does_not_wait_for_ever() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest")
    guest.dial()
    guest.want(alice)
    room.post(Connected(GUEST), Opened(GUEST))
    assert not of(room.wait(3.0), Offer)
    assert of(room.wait(0.25), Offer)


def test_no_offer_is_made_before_the_channel_that_carries_it() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest")
    guest.dial()
    guest.want(alice)
    assert not of(room.post(Connected(GUEST), Selected(GUEST)), Offer)
    assert not of(room.wait(10.0), Offer)
    assert of(room.post(Opened(GUEST)), Offer)


def test_wishes_that_come_together_or_meanwhile_share_one_offer() -> None:
    room = Room()
    alice, bob, carol = (Caller(room, name).join() for name in ("alice", "bob", "carol"))
    guest = Caller(room, "guest", answering=False).join()
    assert len(of(guest.want(alice), Offer)) == 1
    assert not of(guest.want(bob), Offer) and not of(guest.want(carol), Offer)
    guest.answering = True
    told = room.wait(5.25)
    assert len(of(told, Offer)) == 1, "the one that was not answered, made anew with all that is wanted by now"
    assert {section.stream for section in guest.sections if section.stream} == {
        "alice-stream", "bob-stream", "carol-stream",
    }  # fmt: skip
    assert len(room.engine.routes) == 6


def test_wanting_the_same_again_or_another_size_needs_no_offer() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest").join()
    alice.flow("f", "h", "q")
    room.wait(room.limits.rise_hold)
    guest.want(alice, 320, 180)
    camera = next(number for number, route in room.engine.routes.items() if route.mid == "w1")
    for width, height, rid in ((320, 180, "q"), (1280, 720, "f"), (640, 360, "h")):
        assert settled(guest.want(alice, width, height)) == []
        assert room.engine.layers[camera] == rid


# The watchdog.


def test_an_unanswered_offer_is_made_anew_and_at_last_the_peer_is_given_up() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest", answering=False).join()
    told = guest.want(alice)
    told += room.wait(32.0)
    offers = [effect.sdp for effect in told if isinstance(effect, Offer)]
    versions = [text.split("\r\n")[1].split(" ")[2] for text in offers]
    assert versions == ["2", "3", "4", "5", "6", "7"]
    assert of(told, Ended) == [Ended(GUEST, Reason.KEEP_ALIVE)]
    assert list(room.engine.peers) == [alice.peer] and not room.engine.routes


def test_a_bad_answer_is_as_good_as_none() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest", answering=False).join()
    guest.want(alice)
    for text in ("", "v=0\r\n", offer(microphone(), picture(), channel())):
        assert room.post(Answered(GUEST, text, ())) == []
    assert room.faults == {"sdp_no_version": 1, "sdp_no_media": 1, "sdp_answer_order": 1}
    assert not room.engine.routes
    guest.answering = True
    assert of(room.wait(5.25), Offer) and len(room.engine.routes) == 2


def test_an_answer_that_nobody_waits_for_is_ignored() -> None:
    room = Room()
    Caller(room, "guest").join()
    before = room.running.conference
    assert room.post(Answered(GUEST, "nonsense", ())) == []
    assert room.running.conference == before and not room.faults


# Colliding offers.


def test_when_offers_collide_ours_gives_way_and_is_made_again() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest", answering=False).join()
    guest.want(alice)
    text = offer(microphone(), picture(), channel(), fingerprint=guest.local.fingerprint)
    guest.answering = True
    told = guest.reoffer(text)
    assert [type(effect) for effect in settled(told) if effect.peer == GUEST] == [Answer, Offer]
    assert len(room.engine.routes) == 2


def test_a_restart_of_ice_keeps_the_transport_and_changes_our_credentials() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest").join()
    guest.want(alice)
    ssrcs, opened = [route.ssrc for route in room.engine.routes.values()], room.engine.peers[GUEST]
    ours = [microphone("w0", "recvonly"), picture("w1", "recvonly")]
    text = offer(
        microphone(), picture(), channel(), *ours, ufrag="another", fingerprint=guest.local.fingerprint
    )
    room.engine.gathering = True
    assert settled(room.post(Offered(GUEST, text, ()))) == [], "the answer names the new addresses"
    told = room.post(Reachable(GUEST, ADDRESS))
    restart = room.engine.restarts[GUEST]
    assert isinstance(restart, Restart) and restart.remote.ufrag == "another" and restart.local != opened.local
    answer = next(effect.sdp for effect in told if isinstance(effect, Answer))
    assert f"a=ice-ufrag:{restart.local.ufrag}\r\n" in answer
    assert [route.ssrc for route in room.engine.routes.values()] == ssrcs and room.engine.carrying() == {"w0", "w1"}
    assert room.engine.peers[GUEST] == opened
    assert not of(told, Offer), "what was agreed still holds"


# Lines.


def test_a_line_is_freed_and_used_again_under_another_name() -> None:
    room = Room()
    alice, bob = Caller(room, "alice").join(), Caller(room, "bob").join()
    guest = Caller(room, "guest").join()
    guest.want(alice)
    before = {route.mid: route for route in room.engine.routes.values()}
    guest.unwant(alice)
    assert not room.engine.routes
    assert [section.direction for section in guest.sections[3:]] == ["inactive", "inactive"]
    assert [section.stream for section in guest.sections[3:]] == ["", ""]
    guest.want(bob)
    after = {route.mid: route for route in room.engine.routes.values()}
    assert set(after) == set(before) == {"w0", "w1"}
    assert {section.mid: section.stream for section in guest.sections[3:]} == {"w0": "bob-stream", "w1": "bob-stream"}
    assert not {route.ssrc for route in after.values()} & {route.ssrc for route in before.values()}


def test_a_line_that_still_carries_a_track_for_the_client_is_not_taken_for_another() -> None:
    room = Room()
    alice, bob = Caller(room, "alice").join(), Caller(room, "bob").join()
    guest = Caller(room, "guest").join()
    guest.want(alice)
    gone = ((alice.local.stream, alice.local.video),)
    guest.hear(room.post(Wanted(GUEST, (Want(bob.local.stream, bob.local.video),), gone)))
    assert guest.line("bob-video").mid == "w2"
    assert guest.sections[4].direction == "inactive"


def test_nothing_is_ever_forwarded_on_a_line_of_the_clients() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest").join()
    screen, stopped = picture("3", "sendonly", "a=msid:screen s"), picture("3", "inactive")
    for section in (screen, stopped):
        guest.reoffer(offer(microphone(), picture(), channel(), section, fingerprint=guest.local.fingerprint))
    guest.want(alice)
    assert {route.mid for route in room.engine.routes.values()} == {"w0", "w1"}
    assert [section.mid for section in guest.sections] == ["0", "1", "2", "3", "w0", "w1"]


def test_a_name_that_the_client_took_is_not_used_for_a_line_of_ours() -> None:
    room = Room()
    alice = Caller(room, "alice").join()
    room.post(Join(GUEST, OWNER, offer(microphone("w0"), picture("w2")), ()))
    room.post(Connected(GUEST), Selected(GUEST))
    stream = alice.local.stream
    room.post(Wanted(GUEST, (Want(stream, alice.local.audio), Want(stream, alice.local.video)), ()))
    assert [slot.mid for slot in room.peer("guest").slots] == ["w1", "w3"]
    assert len(room.running.conference.of(GUEST)) == 2


def test_a_session_has_as_many_lines_as_the_limit_says_and_no_more() -> None:
    room = Room(Limits(m_lines=8))
    others = [Caller(room, name).join() for name in ("a", "b", "c", "d")]
    guest = Caller(room, "guest").join()
    for other in others:
        guest.want(other)
    assert len(guest.sections) == 8 and len(room.engine.carrying()) == 5
    guest.unwant(others[0])
    assert len(guest.sections) == 8
    assert len(room.engine.carrying()) == 5, "what was freed went to who waited"


def test_a_track_that_the_client_declines_is_neither_forwarded_nor_offered_for_ever() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest", answering=False).join()
    guest.want(alice)
    text = offer(microphone(), picture(), channel(), microphone("w0", "inactive"), picture("w1", "recvonly"))
    assert not of(room.post(Answered(GUEST, text, ())), Offer)
    assert room.engine.carrying() == {"w1"}
    assert not of(room.wait(60.0), Offer)


def test_what_a_client_stops_and_takes_again_goes_on_under_its_number() -> None:
    # A route made anew would begin its SSRC's numbers anew, under the same key (GCM nonces). `Table` refuses that.
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest").join()
    guest.want(alice)
    camera = next(number for number, route in room.engine.routes.items() if route.mid == "w1")
    for direction, carrying in (("inactive", {"w0"}), ("recvonly", {"w0", "w1"})):
        ours = [microphone("w0", "recvonly"), picture("w1", direction)]
        text = offer(microphone(), picture(), channel(), *ours, fingerprint=guest.local.fingerprint)
        guest.answering = False
        room.post(Offered(GUEST, text, ()))
        room.post(Answered(GUEST, text, ()))
        assert room.engine.carrying() == carrying and camera in room.engine.routes


def test_what_is_unwanted_and_wanted_again_at_once_goes_on_under_its_number() -> None:
    room = Room()
    alice, bob = Caller(room, "alice").join(), Caller(room, "bob").join()
    guest = Caller(room, "guest").join()
    guest.want(alice)
    routes = dict(room.engine.routes)
    guest.answering = False
    guest.want(bob)
    guest.unwant(alice)
    assert room.engine.routes == routes and not room.engine.carrying()
    guest.want(alice)
    assert room.engine.routes == routes and room.engine.carrying() == {"w0", "w1"}


def test_who_published_leaves_and_the_line_goes_silent() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest").join()
    guest.want(alice)
    told = guest.hear(room.post(Left(alice.peer, Reason.USER_HANGUP)))
    assert not room.engine.routes and {type(effect) for effect in told} == {Offer}
    assert told[0].streams == () and guest.sections[3].direction == "inactive"  # type: ignore[union-attr]
    assert not of(told, View), "the offer carried the view along"


def test_no_two_lines_have_one_name_and_packets_of_the_first_sixty_two_are_equally_long() -> None:
    names = [line_name(number) for number in range(5000)]
    assert len(set(names)) == len(names) and names[:3] == ["w0", "w1", "w2"]
    assert {len(name) for name in names[:62]} == {2} and len(names[62]) == 3
    assert all(name.isalnum() and name.isascii() for name in names)
