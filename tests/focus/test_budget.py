"""A peer's link is shared among what it watches: what the engine is told to carry follows the estimate."""

from __future__ import annotations

import math

import pytest
from room import Caller, Room

from focus.commands import Appeared, Estimate, Rates, Vanished
from focus.limits import Limits
from focus.vocabulary import SINGLE, Kind, Paused, Rid


def call(
    people: int = 4, wide: bool = True, width: int = 1280, limits: Limits | None = None, tells: bool = True
) -> tuple[Room, Caller, list[Caller]]:
    """A room in which everybody sends three layers, and one who watches all others at one size."""
    room = Room(wide=wide, limits=limits or Limits(rest_hold=math.inf))
    callers = [Caller(room, chr(ord("a") + number), tells=tells or number > 0).join() for number in range(people)]
    for caller in callers:
        caller.flow("f", "h", "q")
        caller.sound()
    watcher, *others = callers
    for other in others:
        watcher.want(other, width, width * 9 // 16)
    room.wait(1)
    return room, watcher, others


def carried(room: Room, watcher: Caller, others: list[Caller]) -> str:
    """What goes to a watcher of each of the others: a for sound, and the picture's layer, - while it is paused."""
    found = ""
    layers = {route.track: room.engine.layers[number] for number, route in room.engine.routes.items()
              if route.peer == watcher.peer}  # fmt: skip
    for other in others:
        for track in room.running.conference.of(other.peer):
            layer = layers.get(track.id)
            found += "-" if layer is None else layer or "a" if track.kind is Kind.VIDEO else "a"
        found += " "
    return found.strip()


def test_a_narrow_link_costs_pictures_and_never_sound_and_nobody_else_notices() -> None:
    room, watcher, others = call()
    bystander = others[0]
    bystander.want(others[1], 1280, 720)
    room.wait(1)
    assert carried(room, watcher, others) == "af af af"
    for bps, expected in ((3_000_000, "ah ah ah"), (600_000, "aq aq aq"), (300_000, "aq a- a-"), (64_000, "a- a- a-")):
        room.post(Estimate(watcher.peer, bps))
        assert sorted(carried(room, watcher, others).split(), key="a- aq ah af".index) == sorted(
            expected.split(), key="a- aq ah af".index
        )
        assert carried(room, bystander, [others[1]]) == "af"
    room.post(Estimate(watcher.peer, 20_000_000))
    room.wait(6)
    assert carried(room, watcher, others) == "af af af"


def test_the_larger_tile_stays_sharp_when_the_link_gets_narrow() -> None:
    room, watcher, others = call(width=320)
    watcher.want(others[2], 1280, 720)
    room.wait(1)
    room.post(Estimate(watcher.peer, 1_200_000))
    assert carried(room, watcher, others) == "aq aq ah"


def test_measured_rates_count_and_not_what_a_layer_usually_takes() -> None:
    room, watcher, others = call(2)
    room.post(Estimate(watcher.peer, 1_000_000))
    assert carried(room, watcher, others) == "ah"
    track = room.track(others[0].name, "1")
    room.post(Rates(track, ((Rid("q"), 60_000), (Rid("h"), 180_000), (Rid("f"), 700_000))))
    room.wait(3)
    assert carried(room, watcher, others) == "af"
    room.post(Rates(track, ((Rid("q"), 150_000), (Rid("h"), 600_000), (Rid("f"), 2_400_000))))
    assert carried(room, watcher, others) == "ah"


def test_a_picture_that_is_paused_for_the_link_keeps_its_line_and_route() -> None:
    room, watcher, others = call()
    routes, offers = dict(room.engine.routes), len(watcher.offers)
    room.post(Estimate(watcher.peer, 64_000))
    room.wait(2)
    room.post(Estimate(watcher.peer, 20_000_000))
    room.wait(6)
    assert room.engine.routes == routes and len(watcher.offers) == offers
    assert carried(room, watcher, others) == "af af af"


def test_a_watcher_is_told_which_pictures_its_link_does_not_carry_and_nobody_else_is() -> None:
    room, watcher, others = call()
    routes = [route for route in room.engine.routes.values() if route.peer == watcher.peer]
    pictures = [route.mid for route in routes if room.running.conference.tracks[route.track].kind is Kind.VIDEO]
    assert not [told for told in room.told if isinstance(told, Paused)]
    for bps, paused in ((300_000, 2), (290_000, 2), (64_000, 3)):
        room.post(Estimate(watcher.peer, bps))
        room.wait(2)
        told = [effect for effect in room.told if isinstance(effect, Paused)]
        assert {effect.peer for effect in told} == {watcher.peer}
        assert len(told[-1].mids) == paused and set(told[-1].mids) <= set(pictures)
        assert carried(room, watcher, others).count("-") == paused
    numbers = [effect.number for effect in told]
    assert numbers == [1] * 6 + [2] * 6, "each change is told six times, and nothing that is none"
    room.wait(5)
    assert len([effect for effect in room.told if isinstance(effect, Paused)]) == 12
    room.post(Estimate(watcher.peer, 20_000_000))
    room.wait(8)
    last = [effect for effect in room.told if isinstance(effect, Paused)][-1]
    assert last.mids == () and last.number > 2


def test_a_small_change_of_estimate_is_no_news() -> None:
    room, watcher, _ = call()
    room.post(Estimate(watcher.peer, 3_000_000))
    before = room.peer(watcher.name)
    room.post(Estimate(watcher.peer, 3_050_000))
    assert room.peer(watcher.name) is before


@pytest.mark.parametrize("wide", [False, True], ids=["engine reads none", "peer tells none"])
@pytest.mark.parametrize("bps", [300_000, 900_000])
def test_where_nobody_probes_a_receivers_own_estimate_counts_when_it_is_less_than_what_is_sent(
    bps: int, wide: bool
) -> None:
    room, watcher, others = call(wide=wide, tells=False)
    room.post(Estimate(watcher.peer, 10_000_000))
    room.wait(3)
    assert carried(room, watcher, others) == "af af af"
    room.post(Estimate(watcher.peer, bps))
    narrow = carried(room, watcher, others)
    assert "f" not in narrow
    # It follows what it gets, a bit above: waiting for more would be waiting for ever.
    for _ in range(20):
        has = room.peer(watcher.name).allotment
        sent = sum(ask.costs[has.places[key]] for key, ask in has.asks.items())
        room.post(Estimate(watcher.peer, int(1.1 * sent) + 10_000))
        room.wait(3)
        assert not room.running.conference.tuning.links, "nobody's rates are moved for a link that nobody knows"
    assert carried(room, watcher, others) == "af af af"


@pytest.mark.parametrize("goes_on", [False, True])
def test_what_a_receiver_said_of_its_link_holds_as_long_as_it_says_so(goes_on: bool) -> None:
    room, watcher, others = call(tells=False)
    room.post(Estimate(watcher.peer, 10_000_000))
    room.wait(3)
    room.post(Estimate(watcher.peer, 60_000))
    assert carried(room, watcher, others) == "a- a- a-"
    for _ in range(90):
        room.wait(1)
        if goes_on:
            room.post(Estimate(watcher.peer, 60_100))
    assert carried(room, watcher, others) == ("a- a- a-" if goes_on else "af af af")


def test_what_was_said_before_more_was_sent_is_no_word_about_that() -> None:
    room, watcher, others = call(2, width=320, tells=False)
    room.post(Estimate(watcher.peer, 10_000_000))
    room.wait(10)
    room.post(Estimate(watcher.peer, 300_000))
    for name in "xyz":
        others.append(Caller(room, name).join())
        others[-1].flow("f", "h", "q")
        watcher.want(others[-1], 320, 180)
    # It is told again only if it has something new to say.
    for _ in range(8):
        room.wait(0.5)
        assert carried(room, watcher, others) == "aq aq aq aq"


def test_who_comes_is_seen_at_once_and_at_nobodys_cost_where_only_the_receiver_knows_the_link() -> None:
    room, watcher, others = call(3, tells=False)
    room.post(Estimate(watcher.peer, 10_000_000))
    room.wait(10)
    for name in "xyz":
        newcomer = Caller(room, name).join()
        newcomer.flow("f", "h", "q")
        newcomer.sound()
        watcher.want(newcomer, 320, 180)
        assert carried(room, watcher, [newcomer]) == "aq"
        assert carried(room, watcher, others) == "af af", "at nobody's cost"


def test_a_camera_that_comes_back_with_its_largest_layer_first_is_not_held_back() -> None:
    room, watcher, others = call(2)
    track = room.track(others[0].name, "1")
    room.post(Estimate(watcher.peer, 1_000_000))
    room.post(*[Vanished(track, Rid(rid)) for rid in "qhf"])
    room.wait(1)
    room.post(Appeared(track, Rid("f"), 1280, 720))
    assert carried(room, watcher, others) == "aq"
    room.post(Appeared(track, Rid("h"), 640, 360), Appeared(track, Rid("q"), 320, 180))
    room.wait(2)
    assert carried(room, watcher, others) == "ah"
    assert not [told for told in room.told if isinstance(told, Paused)]


def test_a_layer_that_takes_less_for_a_moment_is_not_taken_for_a_cheap_one() -> None:
    room, watcher, others = call(2)
    track = room.track(others[0].name, "1")

    def rates(full: int) -> Rates:
        return Rates(track, ((Rid("q"), 150_000), (Rid("h"), 600_000), (Rid("f"), full)))

    room.post(rates(2_400_000))
    room.post(Estimate(watcher.peer, 1_500_000))
    assert carried(room, watcher, others) == "ah"
    for _ in range(2):
        room.post(rates(900_000))
        room.wait(1)
    assert carried(room, watcher, others) == "ah"
    for _ in range(20):
        room.post(rates(900_000))
        room.wait(1)
    assert carried(room, watcher, others) == "af"


def test_sound_is_a_bit_of_the_budget_as_measured() -> None:
    room, watcher, others = call(2)
    room.post(Rates(room.track(others[0].name, "0"), ((SINGLE, 130_000),)))
    room.post(Estimate(watcher.peer, 270_000))
    assert carried(room, watcher, others) == "a-"


def test_the_engine_knows_what_a_peer_could_use_and_asks_its_link_for_no_more() -> None:
    room, watcher, others = call()
    assert 7_000_000 < room.engine.needs[watcher.peer] < 9_000_000
    watcher.unwant(others[0])
    watcher.unwant(others[1])
    room.wait(1)
    assert 2_000_000 < room.engine.needs[watcher.peer] < 3_000_000
    assert others[0].peer not in room.engine.needs, "it watches nobody"


def test_who_has_the_floor_stays_sharp_when_the_link_gets_narrow() -> None:
    room, watcher, others = call()
    room.post(Estimate(watcher.peer, 1_200_000))
    others[1].speak()
    room.wait(6)
    assert carried(room, watcher, others) == "aq ah aq"
    others[2].speak(6)
    room.wait(6)
    assert carried(room, watcher, others) == "aq aq ah"


def test_a_pinned_picture_stays_sharp_whoever_speaks() -> None:
    room, watcher, others = call()
    watcher.want(others[0], 1280, 720, pinned=True)
    others[1].speak()
    room.post(Estimate(watcher.peer, 1_200_000))
    room.wait(6)
    assert carried(room, watcher, others) == "ah aq aq"


def test_of_more_pictures_than_one_peer_gets_those_that_count_most_go_out() -> None:
    room, watcher, others = call(5, limits=Limits(rest_hold=math.inf, pictures=2))
    assert carried(room, watcher, others) == "af af a- a-"
    others[3].speak()
    assert carried(room, watcher, others) == "af a- a- af"
    watcher.want(others[2], 1280, 720, pinned=True)
    assert carried(room, watcher, others) == "a- a- af af"
    watcher.unwant(others[2])
    assert carried(room, watcher, [*others[:2], others[3]]) == "af a- af"


def test_pictures_beyond_the_limit_keep_line_and_route_and_cost_the_link_nothing() -> None:
    room, watcher, others = call(5, limits=Limits(rest_hold=math.inf, pictures=2))
    routes, offers = dict(room.engine.routes), len(watcher.offers)
    assert room.engine.needs[watcher.peer] < 6_000_000
    others[3].speak()
    assert room.engine.routes == routes and len(watcher.offers) == offers


def parts(layer: str, *rates: int, sizes: int = 1) -> tuple[tuple[Rid, int, int, int], ...]:
    """Rates of a layer's parts: temporal ids within spatial ids."""
    rate = len(rates) // sizes
    return tuple((Rid(layer), place // rate, place % rate, bps) for place, bps in enumerate(rates))


@pytest.mark.parametrize(
    ("bps", "layer", "part"),
    [
        (5_000_000, "f", (None, None)),
        (2_300_000, "f", (None, 1)),
        (900_000, "h", (None, None)),
        (560_000, "h", (None, 1)),
        (200_000, "q", (None, None)),
        (140_000, "q", (None, 0)),
        (100_000, None, (None, None)),
    ],
)
def test_fewer_pictures_a_second_come_before_smaller_ones_and_before_none(
    bps: int, layer: str | None, part: tuple[int | None, int | None]
) -> None:
    room, watcher, others = call(2)
    told = ((Rid("q"), 150_000), (Rid("h"), 600_000), (Rid("f"), 2_400_000))
    each = (
        *parts("q", 90_000, 120_000, 150_000), *parts("h", 360_000, 480_000, 600_000),
        *parts("f", 1_440_000, 1_920_000, 2_400_000),
    )  # fmt: skip
    room.post(Rates(room.track(others[0].name, "1"), told, each))
    room.post(Estimate(watcher.peer, bps))
    (route,) = (number for number, route in room.engine.routes.items()
                if route.peer == watcher.peer and route.track == room.track(others[0].name, "1"))  # fmt: skip
    assert (room.engine.layers[route], room.engine.parts[route]) == (layer, part)


@pytest.mark.parametrize(
    ("width", "bps", "part"),
    [
        (1280, 3_000_000, (None, None)), (1280, 1_200_000, (None, 0)), (1280, 700_000, (1, None)),
        (640, 3_000_000, (1, None)), (320, 3_000_000, (0, None)), (320, 100_000, (0, 0)),
    ],
)  # fmt: skip
def test_layers_within_one_stream_are_chosen_as_streams_are(
    width: int, bps: int, part: tuple[int | None, int | None]
) -> None:
    room = Room(wide=True)
    sender, watcher = Caller(room, "a").join(), Caller(room, "b").join()
    sender.flow("f")
    sender.sound()
    watcher.want(sender, width, width * 9 // 16)
    room.wait(1)
    track = room.track(sender.name, "1")
    each = parts("f", 60_000, 120_000, 280_000, 480_000, 1_000_000, 2_000_000, sizes=3)
    room.post(Rates(track, ((Rid("f"), 2_000_000),), each))
    room.post(Estimate(watcher.peer, bps))
    (route,) = (number for number, route in room.engine.routes.items() if route.track == track)
    assert room.engine.parts[route] == part
