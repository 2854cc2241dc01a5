"""A meeting is planned as a whole: layers are given the rates that those who watch can receive."""

from __future__ import annotations

import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from focus.ask import BITS_A_PIXEL, Ask, Class, Option
from focus.joint import PARTS, Meeting, Publisher, Shown, Viewer, fixed, joint, ladder, search, total, valued
from focus.vocabulary import SINGLE

SIZES = (320 * 180.0, 640 * 360.0, 1280 * 720.0)
THUMB, LARGE = SIZES[0], SIZES[2]
WORK = 2000


def publisher(name: str, uplink: float = 5e6) -> Publisher[str]:
    return Publisher(name, ladder(SIZES), uplink)


def test_those_on_thin_links_see_everybody_where_fixed_layers_showed_them_two() -> None:
    publishers = {name: publisher(name) for name in "abcdefgh"}
    pictures = tuple(Shown(name, THUMB) for name in publishers)
    meeting = Meeting(publishers, (Viewer(pictures, 0.5e6), Viewer(pictures, 0.5e6)))
    rates = joint(meeting, random.Random(1), work=WORK)
    smallest = [next(rate for rate in of if rate is not None) for of in rates.values()]
    assert sum(smallest) <= 0.5e6, "all eight fit"
    assert total(meeting, rates) > 1.3 * total(meeting, fixed(meeting))


def test_one_thin_link_does_not_spoil_it_for_the_many() -> None:
    publishers = {name: publisher(name) for name in "abcd"}
    pictures = tuple(Shown(name, LARGE) for name in publishers)
    meeting = Meeting(publishers, (Viewer(pictures, 0.3e6), *(Viewer(pictures, 12e6) for _ in range(6))))
    rates = joint(meeting, random.Random(1), work=WORK)
    top = min(of[2] or 0 for of in rates.values())
    assert top >= 0.8 * BITS_A_PIXEL * LARGE


def test_nobody_is_asked_for_more_than_its_link_up_carries() -> None:
    publishers = {"thin": publisher("thin", 700e3), "wide": publisher("wide")}
    pictures = (Shown("thin", LARGE), Shown("wide", LARGE))
    meeting = Meeting(publishers, (Viewer(pictures, 8e6),))
    rates = joint(meeting, random.Random(1), work=WORK)
    assert sum(rate or 0 for rate in rates["thin"]) <= 700e3


def test_what_was_found_before_is_kept() -> None:
    publishers = {name: publisher(name) for name in "abcdef"}
    pictures = tuple(Shown(name, THUMB) for name in publishers)
    meeting = Meeting(publishers, (Viewer(pictures, 0.4e6),))
    found = joint(meeting, random.Random(1), work=WORK)
    again = joint(meeting, random.Random(2), begin=found, work=0)
    assert total(meeting, again) >= total(meeting, fixed(meeting))
    later = joint(meeting, random.Random(2), begin=found, work=20)
    assert total(meeting, later) >= 0.999 * total(meeting, found)


@st.composite
def meetings(draw: st.DrawFn) -> Meeting[int]:
    count = draw(st.integers(1, 4))
    publishers = {
        number: Publisher(number, ladder(SIZES[: draw(st.integers(1, 3))]), draw(st.sampled_from([1e5, 8e5, 5e6])))
        for number in range(count)
    }
    shown = st.builds(Shown, st.integers(0, count - 1), st.sampled_from(SIZES), st.sampled_from([1.0, 4.0]))
    viewer = st.builds(Viewer, st.lists(shown, max_size=4).map(tuple), st.floats(1e5, 9e6))
    return Meeting(publishers, tuple(draw(st.lists(viewer, min_size=1, max_size=4))))


@given(meetings(), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_a_meeting_never_ends_below_the_fixed_rates_and_links_up_are_kept(meeting: Meeting[int], seed: int) -> None:
    rates = joint(meeting, random.Random(seed), work=300)
    assert total(meeting, rates) >= total(meeting, fixed(meeting)) * (1 - 1e-9)
    for key, of in rates.items():
        assert sum(rate or 0 for rate in of) <= meeting.publishers[key].uplink + 1e-6


@given(meetings(), st.integers(0, 99), st.sampled_from([0.9, 0.98, 1.0]))
@settings(deadline=None, max_examples=60)
def test_nobody_is_left_with_less_than_the_part_that_all_keep(meeting: Meeting[int], seed: int, least: float) -> None:
    found = search(meeting, random.Random(seed), {}, 300, least, PARTS, 0.1)
    alone = fixed(meeting)
    assert abs(total(meeting, found.rates) - total(meeting, alone) - found.gain) < 1e-6
    for viewer in meeting.viewers:
        assert valued(meeting, viewer, found.rates) >= least * valued(meeting, viewer, alone) - 1e-5


def test_short_searches_in_a_row_go_as_far_as_a_long_one() -> None:
    publishers = {name: publisher(name) for name in "abcdef"}
    pictures = tuple(Shown(name, LARGE) for name in publishers)
    links = (0.5e6, 0.9e6, 2e6, math.inf, math.inf)
    meeting = Meeting(publishers, tuple(Viewer(pictures, link) for link in links))
    long = search(meeting, random.Random(1), {}, WORK, 0.98, PARTS, 0.1)
    rates, gains = fixed(meeting), [0.0]
    for look in range(WORK // 100):
        found = search(meeting, random.Random(look), rates, 100, 0.98, PARTS, 0.1)
        rates = dict(found.rates)
        gains.append(found.gain)
    assert gains == sorted(gains) and gains[-1] > 0.9 * long.gain > 0


def test_what_stands_beside_the_pictures_is_carried_too() -> None:
    publishers = {name: publisher(name) for name in "ab"}
    sound = Ask(Class.AUDIO, (Option(SINGLE, 40_000.0),))
    pictures = (Shown("a", THUMB, top=0), Shown("b", THUMB, top=0))
    beside = Viewer(pictures, 0.32e6, (sound, sound))
    meeting = Meeting(publishers, (beside,))
    assert valued(meeting, beside, fixed(meeting)) == 1.0, "one of two"
    rates = joint(meeting, random.Random(1), work=WORK)
    assert sum(of[0] or 0 for of in rates.values()) <= 0.24e6
    assert valued(meeting, beside, rates) > 1.5


def test_nobody_there_is_nothing_to_plan() -> None:
    empty: Meeting[int] = Meeting({}, ())
    assert joint(empty, random.Random(1)) == {}
