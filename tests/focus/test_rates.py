"""What layers are taken for follows what they take, with care."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from room import Caller, Room

from focus.commands import Rates
from focus.rates import measured
from focus.snapshot import Conference
from focus.vocabulary import Rid, TrackId

Q = Rid("q")


@pytest.fixture
def call() -> tuple[Conference, TrackId]:
    room = Room(wide=True)
    caller = Caller(room, "a")
    caller.join()
    return room.running.conference, room.track("a", "1")


def taken(call: tuple[Conference, TrackId], seconds: list[int], told: int | None = None) -> list[int]:
    """What a layer is taken for that takes so much in each second."""
    conference, track = call
    found = []
    for second, bps in enumerate(seconds):
        if told is not None and second == 1:
            peers = {
                name: replace(peer, rates={track: {Q: told}}) for name, peer in conference.peers.items()
            }  # fmt: skip
            conference = replace(conference, peers=peers)
        conference = measured(conference, Rates(track, ((Q, bps),)), float(second))
        found.append(conference.rates[track][Q])
    return found


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param([100, 104, 97, 86], [100] * 4, id="it wavers"),
        pytest.param([100, 200, 100, 100], [100, 150, 150, 150], id="a keyframe"),
        pytest.param([100, 200, 200, 200], [100, 150, 175, 187], id="it takes more"),
        pytest.param([100] + [20] * 12, [100] * 5 + [70] * 5 + [49] * 3, id="it takes less"),
        pytest.param([100, 60, 60, 100, 60, 60, 60], [100] * 5 + [70, 70], id="a pause"),
    ],
)
def test_rises_are_believed_by_half_and_falls_later(
    call: tuple[Conference, TrackId], seconds: list[int], expected: list[int]
) -> None:
    assert taken(call, seconds) == pytest.approx(expected, abs=1)


def test_what_was_told_is_believed_at_once(call: tuple[Conference, TrackId]) -> None:
    assert taken(call, [100, 52, 50, 50], told=50) == pytest.approx([100, 52, 52, 52], abs=1)


def test_what_is_no_news_changes_nothing(call: tuple[Conference, TrackId]) -> None:
    conference, track = call
    known = measured(conference, Rates(track, ((Q, 100),)), 0.0)
    assert measured(known, Rates(track, ((Q, 103),)), 1.0) is known
    assert measured(known, Rates(TrackId("nobody/1/x"), ((Q, 103),)), 1.0) is known
