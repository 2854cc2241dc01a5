"""Stream metadata: whose a stream is comes from the sender that was authenticated, and from nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focus.vocabulary import SINGLE, Description, Kind, Needed, Owner, Purpose, Rid, Stream
from signalling.metadata import MOST_STREAMS, MOST_TRACKS, dump, dump_demand, read

ALICE = Owner("@alice:here.test", "DEV")
WORDS: dict[str, Any] = {
    "user_id": "@bob:here.test", "device_id": "BOBDEV", "purpose": "m.usermedia", "audio_muted": True,
    "video_muted": False,
    "tracks": {"a": {"kind": "audio"}, "v": {"kind": "video", "width": 1280, "height": 720}},
}  # fmt: skip
TRACKS = (Description("a", Kind.AUDIO), Description("v", Kind.VIDEO, 1280, 720))
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*WORDS, "kind"]), inner, max_size=4),
    max_leaves=15,
)


def test_a_stream_belongs_to_its_sender_whatever_it_claims() -> None:
    assert read({"s": WORDS}, ALICE) == (Stream("s", ALICE, Purpose.USERMEDIA, True, False, TRACKS),)


def test_what_others_are_told_names_the_owner_and_all_tracks() -> None:
    told = dump(read({"s": WORDS, "t": WORDS | {"purpose": "m.screenshare"}}, ALICE))
    assert told == {
        "s": WORDS | {"user_id": ALICE.user, "device_id": ALICE.device},
        "t": WORDS | {"user_id": ALICE.user, "device_id": ALICE.device, "purpose": "m.screenshare"},
    }


@pytest.mark.parametrize(
    ("changes", "streams"),
    [
        ({"purpose": "org.example.hologram"}, 0),
        ({"purpose": 7}, 0),
        ({"purpose": []}, 0),
        ({"audio_muted": "yes", "video_muted": 1}, 1),
        ({"tracks": []}, 1),
        ({"tracks": {"x": {"kind": "smell"}, "y": 7, "": {"kind": "audio"}}}, 1),
        ({"tracks": {"v": {"kind": "video", "width": -5, "height": 1e9}}}, 1),
    ],
)
def test_what_cannot_be_understood_is_left_out(changes: dict[str, Any], streams: int) -> None:
    found = read({"s": WORDS | changes}, ALICE)
    assert len(found) == streams
    for stream in found:
        assert isinstance(stream.audio_muted, bool) and isinstance(stream.video_muted, bool)
        assert all((track.width, track.height) in ((0, 0), (1280, 720)) for track in stream.tracks)


@pytest.mark.parametrize("nothing", [None, {}, {"": WORDS}, {"s" * 256: WORDS}, {"s": None}, {"s": [WORDS]}])
def test_no_stream_is_no_stream(nothing: Any) -> None:
    assert read(nothing, ALICE) == ()


def test_streams_and_tracks_are_bounded() -> None:
    tracks = {f"t{number}": {"kind": "audio"} for number in range(1000)}
    found = read({f"s{number}": WORDS | {"tracks": tracks} for number in range(1000)}, ALICE)
    assert len(found) == MOST_STREAMS
    assert {len(stream.tracks) for stream in found} == {MOST_TRACKS}


@given(st.dictionaries(st.text(max_size=5), json, max_size=5))
def test_whatever_is_said_every_stream_is_its_senders(words: dict[str, Any]) -> None:
    found = read(words, ALICE)
    assert {stream.owner for stream in found} <= {ALICE}
    assert read(dump(found), ALICE) == found


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        (Needed("s", "v", (Rid("q"), Rid("h"))), {"active": True, "rids": ["q", "h"]}),
        (Needed("s", "v", ()), {"active": False, "rids": []}),
        (Needed("s", "v", (SINGLE,)), {"active": True, "rids": []}),
        (
            Needed("s", "v", (Rid("q"),), ((Rid("q"), 60_000),)),
            {"active": True, "rids": ["q"], "rates": {"q": 60_000}},
        ),
    ],
)
def test_what_is_needed_of_a_picture_is_said_in_layers_and_rates(needed: Needed, words: dict[str, object]) -> None:
    assert dump_demand((needed,)) == {"tracks": [{"stream_id": "s", "track_id": "v", **words}]}
