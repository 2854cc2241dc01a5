"""What a peer is told that it may subscribe to."""

from __future__ import annotations

import pytest
from offers import channel, microphone, offer, picture
from room import Caller, Room

from focus.vocabulary import (
    Described,
    Description,
    Join,
    Kind,
    Offered,
    Owner,
    PeerId,
    Purpose,
    Stream,
    View,
)

FORGED = Owner("@somebody:else", "X")


def seen(room: Room, by: Caller) -> tuple[Stream, ...]:
    """The newest view that a caller was told."""
    return next(
        effect.streams for effect in reversed(room.told) if effect.peer == by.peer and hasattr(effect, "streams")
    )


def described(*tracks: Description, name: str = "guest-stream", purpose: Purpose = Purpose.USERMEDIA) -> Stream:
    return Stream(name, FORGED, purpose, False, True, tracks)


def test_mutes_purposes_and_sizes_are_the_publishers_words_and_the_owner_is_not() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest").join()
    words = described(
        Description("guest-audio", Kind.AUDIO, 640, 360), Description("guest-video", Kind.VIDEO, 640, 360)
    )
    assert [type(effect) for effect in room.post(Described(guest.peer, (words,)))] == [View]
    [stream] = seen(room, alice)
    assert stream.owner == guest.owner and (stream.audio_muted, stream.video_muted) == (False, True)
    assert stream.tracks == (
        Description("guest-audio", Kind.AUDIO), Description("guest-video", Kind.VIDEO, 640, 360),
    )  # fmt: skip


def test_the_same_words_again_are_not_told_again() -> None:
    room = Room()
    Caller(room, "alice").join()
    guest = Caller(room, "guest").join()
    assert room.post(Described(guest.peer, (guest.stream,))) == []


@pytest.mark.parametrize(
    ("streams", "names"),
    [
        ((), {"guest-audio", "guest-video"}),  # nothing was said at all: user media
        ((described(),), {"guest-audio", "guest-video"}),  # the stream without its tracks
        ((described(Description("guest-audio", Kind.AUDIO)),), {"guest-audio"}),  # what is left out is for nobody
        ((described(Description("guest-video", Kind.AUDIO)),), set()),  # a track of another kind is another track
        ((described(name="other"),), set()),
        ((described(Description("guest-video", Kind.VIDEO), name="other"),), {"guest-video"}),  # the track id decides
    ],
)
def test_a_track_is_found_by_its_id_else_by_its_stream(streams: tuple[Stream, ...], names: set[str]) -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest").join()
    room.post(Described(guest.peer, streams))
    assert {track.name for stream in seen(room, alice) for track in stream.tracks} == names


def test_a_screen_share_is_a_stream_of_its_own() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest").join()
    screen = described(Description("s", Kind.VIDEO, 1920, 1080), name="screen", purpose=Purpose.SCREENSHARE)
    text = offer(microphone(), picture(), channel(), picture("3", "sendonly", "a=msid:screen s"))
    room.post(Offered(guest.peer, text, (guest.stream, screen)))
    assert [(stream.id, stream.purpose) for stream in seen(room, alice)] == [
        ("guest-stream", Purpose.USERMEDIA), ("screen", Purpose.SCREENSHARE),
    ]  # fmt: skip


def test_two_people_share_a_screen_at_once() -> None:
    room = Room()
    alice, bob, carol = (Caller(room, name).join() for name in ("alice", "bob", "carol"))
    for caller in (bob, carol):
        screen = described(Description("s", Kind.VIDEO), name="screen", purpose=Purpose.SCREENSHARE)
        text = offer(microphone(), picture(), channel(), picture("3", "sendonly", "a=msid:screen s"))
        room.post(Offered(caller.peer, text, (caller.stream, screen)))
    shared = [stream for stream in seen(room, alice) if stream.purpose is Purpose.SCREENSHARE]
    assert [stream.owner for stream in shared] == [bob.owner, carol.owner]
    assert len({stream.id for stream in shared}) == 2


def test_a_device_never_sees_itself_not_even_as_it_was_before_a_reload() -> None:
    room = Room()
    alice, guest = Caller(room, "alice").join(), Caller(room, "guest").join()
    again = PeerId("guest2")
    told = room.post(Join(again, guest.owner, offer(microphone()), ()))
    answer = next(effect for effect in told if effect.peer == again)
    assert [stream.owner for stream in answer.streams] == [alice.owner]  # type: ignore[union-attr]


def test_two_devices_of_one_person_see_each_other() -> None:
    room = Room()
    guest = Caller(room, "guest").join()
    other = Owner(guest.owner.user, "OTHER")
    told = room.post(Join(PeerId("guest2"), other, offer(microphone()), ()))
    assert View(guest.peer, seen(room, guest)) in told and seen(room, guest)[0].owner == other
