"""Which layer follows from a visible size: the nearest that is not smaller, within 10 %."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from roster import F, H, Q, camera

from focus.subscribe import layer, sizes
from focus.vocabulary import SINGLE, Rid, Want

WATERFALL = [
    # What flows (L, M, H are q, h, f), the camera's full size, the visible size, the layer.
    ("LMH", (1728, 1056), (878, 799), "M"),
    ("LMH", (1920, 1080), (320, 240), "L"),
    # Differs: Waterfall chose M, 960x540, for 1900x1000, because it looked for the nearest size; a person would see
    # a picture of half the resolution. H is the nearest that is not smaller.
    ("LMH", (1920, 1080), (1900, 1000), "H"),
    ("LMH", (1920, 1080), (0, 0), "L"),
    ("LMH", (1280, 720), (1280, 720), "H"),
    ("LMH", (1280, 720), (640, 480), "M"),
    ("LMH", (1280, 720), (320, 240), "L"),
    ("LM", (1280, 720), (1600, 1000), "M"),
    ("LM", (1280, 720), (500, 500), "M"),
    ("L", (1280, 720), (1600, 1000), "L"),
    ("L", (1280, 720), (500, 500), "L"),
    # Differs: Waterfall chose L where the full size was untold. Clients that tell none still show large tiles, so
    # we take the customary 1280x720 until a keyframe tells the size.
    ("LMH", (0, 0), (1600, 1000), "H"),
    ("LMH", (0, 0), (0, 0), "L"),
    ("LMH", (600, 400), (0, 0), "L"),
    ("H", (1280, 720), (200, 200), "H"),
]
"The vectors of the protocol digest, section 17; a comment stands where our rule says something else."
LETTERS = {"L": Q, "M": H, "H": F}


@pytest.mark.parametrize(("flowing", "full", "visible", "chosen"), WATERFALL)
def test_the_layer_follows_the_visible_size(
    flowing: str, full: tuple[int, int], visible: tuple[int, int], chosen: str
) -> None:
    track = camera(layers={LETTERS[letter]: (0, 0) for letter in flowing})
    assert layer(track, Want("stream", "track", *visible), full) == LETTERS[chosen]


def test_a_track_without_simulcast_has_one_layer_whatever_is_wanted() -> None:
    assert layer(camera(rids=(), layers={SINGLE: (640, 360)}), Want("stream", "track", 10, 10), (640, 360)) == SINGLE


@pytest.mark.parametrize(
    ("visible", "chosen"),
    [
        ((355, 200), Q),  # 320 is 9.9 % less than 355
        ((356, 201), H),
        ((711, 400), H),  # 640 is 9.98 % less than 711
        ((712, 401), F),
        ((1280, 180), Q),  # a wide low box shows a picture of 320x180
        ((180, 1280), Q),  # and so does a narrow high one
        ((9999, 9999), F),
        ((1, 1), Q),
    ],
)
def test_ten_percent_less_still_counts_as_not_smaller(visible: tuple[int, int], chosen: Rid) -> None:
    track = camera(layers={F: (1280, 720), H: (640, 360), Q: (320, 180)})
    assert layer(track, Want("stream", "track", *visible), (1280, 720)) == chosen


def test_a_portrait_camera_is_measured_by_the_side_that_fills_the_tile() -> None:
    track = camera(layers={F: (720, 1280), H: (360, 640), Q: (180, 320)})
    assert layer(track, Want("stream", "track", 320, 180), (720, 1280)) == Q
    assert layer(track, Want("stream", "track", 320, 640), (720, 1280)) == H


@pytest.mark.parametrize(
    ("flowing", "visible", "chosen"),
    [
        ((F, Q), (640, 360), Q),  # the nearest lower one that flows, since more may not fit
        ((F, H), (320, 180), H),  # else the nearest higher
        ((), (640, 360), Q),  # nothing flows: the one that comes first
    ],
)
def test_where_the_right_layer_does_not_flow_the_nearest_does(
    flowing: tuple[Rid, ...], visible: tuple[int, int], chosen: Rid
) -> None:
    track = camera(layers=dict.fromkeys(flowing, (0, 0)))
    assert layer(track, Want("stream", "track", *visible), (1280, 720)) == chosen


def test_a_measured_size_outweighs_a_told_one() -> None:
    # The browser halved what it sends: h is 320 wide now, whatever the camera said of itself.
    track = camera(layers={F: (640, 360), H: (320, 180), Q: (160, 90)})
    assert layer(track, Want("stream", "track", 320, 180), (1280, 720)) == H


PIXELS = st.integers(1, 4000)
LAYERS = st.lists(st.tuples(PIXELS, PIXELS), min_size=2, max_size=4)


def shown(visible: tuple[int, int], picture: tuple[float, float]) -> float:
    """How much a picture is enlarged to fill a box without being cut."""
    return min(visible[0] / picture[0], visible[1] / picture[1])


@given(LAYERS, PIXELS, PIXELS)
def test_a_picture_is_enlarged_by_more_than_a_tenth_only_if_every_layer_would_be(
    measured: list[tuple[int, int]], width: int, height: int
) -> None:
    rids = tuple(Rid(f"r{n}") for n in range(len(measured)))
    track = camera(rids, dict(zip(rids, measured, strict=True)))
    chosen = layer(track, Want("stream", "track", width, height), (0, 0))
    pictures = dict(sizes(rids, track.layers, (0, 0)))
    if shown((width, height), pictures[chosen]) > 1 / 0.9:
        assert all(shown((width, height), picture) > 1 / 0.9 for picture in pictures.values())


@given(PIXELS, PIXELS, st.integers(0, 2000), st.integers(0, 2000), st.sets(st.sampled_from([F, H, Q])))
def test_a_larger_tile_never_gets_a_smaller_layer(
    width: int, height: int, wider: int, higher: int, flowing: set[Rid]
) -> None:
    track = camera(layers=dict.fromkeys(flowing, (0, 0)))
    order = [Q, H, F]
    small = layer(track, Want("stream", "track", width, height), (1280, 720))
    large = layer(track, Want("stream", "track", width + wider, height + higher), (1280, 720))
    assert order.index(large) >= order.index(small)


@given(PIXELS, PIXELS, st.sets(st.sampled_from([F, H, Q]), min_size=1))
def test_what_is_chosen_flows_if_anything_does(width: int, height: int, flowing: set[Rid]) -> None:
    track = camera(layers=dict.fromkeys(flowing, (0, 0)))
    assert layer(track, Want("stream", "track", width, height), (1280, 720)) in flowing


@given(PIXELS, PIXELS)
def test_no_smaller_layer_would_have_done(width: int, height: int) -> None:
    track = camera(layers={F: (1280, 720), H: (640, 360), Q: (320, 180)})
    chosen = layer(track, Want("stream", "track", width, height), (1280, 720))
    assume(chosen != Q)
    smaller = {F: (640, 360), H: (320, 180)}[chosen]
    assert shown((width, height), smaller) > 1 / 0.9, "a smaller layer costs everybody less"
