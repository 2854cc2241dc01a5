"""What a publisher is asked to send: all that somebody needs at once, and no more than that after a while."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from room import Caller, Room
from roster import F, H, Q

from bench.participants import sdp
from focus.commands import Appeared, Vanished
from focus.demand import due, duty, top
from focus.limits import Limits
from focus.snapshot import Duty
from focus.subscribe import chosen
from focus.vocabulary import Demand, Left, Needed, Obeys, Reason, Rid, Told, Want

LIMITS = Limits()
RANKS = (Q, H, F)
RANKED = ((Q, (320.0, 180.0)), (H, (640.0, 360.0)), (F, (1280.0, 720.0)))


def said(told: list[Told], caller: Caller) -> list[tuple[Rid, ...]]:
    """The layers of its camera that a caller was asked for, each time that it was."""
    found = [effect for effect in told if isinstance(effect, Demand) and effect.peer == caller.peer]
    assert all(len(each.pictures) == 1 for each in found)
    return [each.pictures[0].layers for each in found]


def call(*names: str) -> tuple[Room, list[Caller]]:
    """Some people, each with a camera in three layers that flow."""
    room = Room(LIMITS)
    callers = [Caller(room, name) for name in names]
    for caller in callers:
        caller.join()
        caller.flow("f", "h", "q")
    room.wait(LIMITS.rise_hold)
    return room, callers


def test_whom_nobody_watches_is_asked_for_nothing_within_two_seconds() -> None:
    room, [alice] = call("alice")
    assert said(room.told, alice) == [RANKS], "at first everything, since somebody may come"
    assert said(room.wait(2), alice) == [()]
    assert said(room.wait(20), alice) == [], "told once"


def test_a_publisher_is_named_its_picture_as_it_names_it_itself() -> None:
    room, [alice] = call("alice")
    [demand] = [effect for effect in room.wait(2) if isinstance(effect, Demand)]
    assert demand == Demand(alice.peer, (Needed(alice.local.stream, alice.local.video, ()),))


def test_who_comes_to_watch_gets_the_publisher_asked_at_once() -> None:
    room, [alice, bob] = call("alice", "bob")
    room.wait(2)
    assert said(bob.want(alice, 640, 360), alice) == [(Q, H)], "the right layer, and what it may fall back on"
    assert said(bob.want(alice, 1280, 720), alice) == [RANKS]


def test_a_layer_that_nobody_needs_any_more_is_kept_for_a_while() -> None:
    room, [alice, bob, carol] = call("alice", "bob", "carol")
    bob.want(alice, 1280, 720)
    carol.want(alice, 320, 180)
    room.wait(10)
    assert said(bob.want(alice, 320, 180), alice) == []
    assert said(room.wait(LIMITS.layer_hold - 0.5), alice) == []
    assert said(room.wait(1), alice) == [(Q,)]


def test_who_looks_away_for_a_moment_changes_nothing() -> None:
    room, [alice, bob] = call("alice", "bob")
    bob.want(alice, 1280, 720)
    room.wait(10)
    told = bob.unwant(alice)
    told += room.wait(0.5)
    told += bob.want(alice, 1280, 720)
    assert said(told + room.wait(20), alice) == []


@pytest.mark.parametrize("how", ["unwant", "leave", "shrink"])
def test_the_largest_wish_counts(how: str) -> None:
    room, [alice, bob, carol] = call("alice", "bob", "carol")
    bob.want(alice, 1280, 720)
    carol.want(alice, 640, 360)
    room.wait(10)
    match how:
        case "unwant":
            bob.unwant(alice)
        case "leave":
            room.post(Left(bob.peer, Reason.USER_HANGUP))
            del room.callers["bob"]
        case _:
            bob.want(alice, 160, 90)
    assert said(room.wait(10), alice) == [(Q, H)]


def test_a_paused_layer_is_asked_for_and_taken_when_it_comes() -> None:
    room, [alice, bob, carol] = call("alice", "bob", "carol")
    bob.want(alice, 320, 180)
    room.wait(10)
    track = room.track("alice", "1")
    room.post(Vanished(track, F), Vanished(track, H))
    told = carol.want(alice, 1280, 720)
    assert said(told, alice) == [RANKS]
    assert layers(room, "carol") == [Q], "meanwhile the one that flows"
    room.post(Appeared(track, F, 1280, 720))
    assert layers(room, "carol") == [F]
    assert layers(room, "bob") == [Q], "nobody else notices"


def test_a_paused_picture_keeps_its_routes_and_says_nothing_of_a_camera_turned_off() -> None:
    room, [alice, bob] = call("alice", "bob")
    bob.want(alice, 320, 180)
    room.wait(10)
    routes = dict(room.engine.routes)
    track = room.track("alice", "1")
    told = room.post(*[Vanished(track, rid) for rid in RANKS])
    assert room.engine.routes == routes
    assert [effect for effect in told if not isinstance(effect, Demand)] == []


def test_what_comes_first_after_a_pause_is_shown_first() -> None:
    room, [alice, bob] = call("alice", "bob")
    room.wait(2)
    track = room.track("alice", "1")
    room.post(*[Vanished(track, rid) for rid in RANKS])
    bob.want(alice, 1280, 720)
    assert layers(room, "bob") == [Q]
    # Probes run ahead of pictures, in any order.
    room.post(Appeared(track, F, 1280, 720), Appeared(track, H, 640, 360), Appeared(track, Q, 320, 180))
    assert layers(room, "bob") == [Q]
    room.wait(LIMITS.rise_hold)
    assert layers(room, "bob") == [F]


def test_where_nothing_comes_all_layers_are_asked_for() -> None:
    """A browser sends none of the layers that a small capture has no pixels for."""
    room, [alice, bob] = call("alice", "bob")
    room.wait(2)
    track = room.track("alice", "1")
    room.post(*[Vanished(track, rid) for rid in RANKS])
    assert said(bob.want(alice, 160, 90), alice) == [(Q,)]
    assert said(room.wait(3), alice) == [RANKS]
    # Only the first layer comes, as it is the only one there can be: it stays.
    room.post(Appeared(track, F, 160, 90))
    assert said(room.wait(20), alice)[-1] == (F,)
    assert layers(room, "bob") == [F]


def test_nobody_counts_as_watching_oneself() -> None:
    room, [alice] = call("alice")
    room.wait(2)
    assert said(alice.want(alice, 1280, 720), alice) == []


def layers(room: Room, name: str) -> list[Rid | None]:
    """What a caller's routes of pictures carry."""
    routes = [route for route in room.engine.routes.values() if route.peer == name and route.rtx_ssrc is not None]
    return [room.engine.layers[route.route] for route in routes]


NEEDS = st.one_of(st.none(), st.integers(0, 2))
STORIES = st.lists(st.tuples(st.floats(0.01, 8), NEEDS, st.booleans()), min_size=1, max_size=12)


@given(STORIES)
def test_what_is_needed_is_always_asked_for_and_what_is_not_for_no_longer_than_its_hold(
    story: list[tuple[float, int | None, bool]],
) -> None:
    now, made, unneeded = 100.0, None, dict.fromkeys(RANKS, 100.0)
    for step, need, flows in story:
        now += step
        made = duty(made, RANKS, need, flows, LIMITS, now)
        wanted = RANKS[: need + 1] if need is not None else ()
        assert set(wanted) <= set(made.layers), "up at once"
        for rid in RANKS:
            if rid in wanted:
                unneeded[rid] = -1.0
            elif unneeded[rid] < 0:
                unneeded[rid] = now
        for rid in set(made.layers) - set(wanted):
            searching = made.silent is not None and now >= made.silent + LIMITS.silent_patience
            assert searching or now - (dict(made.spare)[rid]) < LIMITS.layer_hold, "down after the hold"
        assert made.layers == RANKS[: len(made.layers)], "never a larger one without the smaller"


@given(STORIES)
def test_asking_again_at_the_same_time_changes_nothing(story: list[tuple[float, int | None, bool]]) -> None:
    now, made = 100.0, None
    for step, need, flows in story:
        now += step
        made = duty(made, RANKS, need, flows, LIMITS, now)
        assert duty(made, RANKS, need, flows, LIMITS, now) == made


@given(STORIES)
def test_nothing_changes_before_it_is_due(story: list[tuple[float, int | None, bool]]) -> None:
    now, made = 100.0, None
    for step, need, flows in story:
        now += step
        made = duty(made, RANKS, need, flows, LIMITS, now)
        then = due(made, LIMITS, need is None, now)
        if then - now < 100:
            before = now + (then - now) * 0.99
            assert duty(made, RANKS, need, flows, LIMITS, before) == made
            after = duty(made, RANKS, need, flows, LIMITS, then)
            assert after != made or made.silent is not None


@given(st.integers(0, 3000), st.integers(0, 3000), st.sets(st.sampled_from(RANKS)))
def test_what_a_route_would_carry_is_needed(width: int, height: int, flowing: set[Rid]) -> None:
    want = Want("stream", "track", width, height)
    need = top(RANKED, dict.fromkeys(flowing, (0, 0)), want)
    assert RANKS.index(chosen(RANKED, flowing, want)) <= need


def test_a_picture_without_layers_is_asked_for_or_not() -> None:
    one = (Rid(""),)
    made = duty(None, one, 0, True, LIMITS, 5.0)
    assert made == Duty(one, (), None, None)
    made = duty(made, one, None, True, LIMITS, 6.0)
    assert made.layers == one
    assert duty(made, one, None, True, LIMITS, 7.0).layers == ()


# Clients that do not know what we ask.


def direction(caller: Caller) -> str:
    """Of a caller's own camera line, as the focus offered it last."""
    return next(section.direction for section in caller.offers[-1].sections if section.mid == "1")


def test_the_line_of_a_client_that_does_not_obey_is_stopped_and_started_again_at_once() -> None:
    room, [alice, bob] = call("alice", "bob")
    bob.want(alice, 640, 360)
    room.wait(20)
    bob.unwant(alice)
    room.wait(LIMITS.idle_hold + LIMITS.rest_hold - 1)
    assert not alice.offers
    room.wait(2)
    assert len(alice.offers) == 1 and direction(alice) == "inactive"
    track = room.track("alice", "1")
    room.post(*[Vanished(track, rid) for rid in RANKS])
    told = bob.want(alice, 640, 360)
    alice.hear(told)
    assert len(alice.offers) == 2 and direction(alice) == "recvonly"
    room.wait(20)
    assert len(alice.offers) == 2 and room.track("alice", "1") == track, "it is the same track"
    assert not room.faults


def test_an_answer_to_a_client_whose_line_rests_lets_it_rest() -> None:
    room, [alice] = call("alice")
    room.wait(20)
    assert direction(alice) == "inactive"
    alice.reoffer(sdp.offer(alice.local))
    assert next(section.direction for section in alice.sections if section.mid == "1") == "inactive"
    count = len(alice.offers)
    room.wait(20)
    assert len(alice.offers) == count, "all is said"


def test_a_client_that_obeys_keeps_its_line() -> None:
    room, [alice] = call("alice")
    room.post(Obeys(alice.peer))
    room.wait(60)
    assert not alice.offers


def test_who_says_late_that_he_obeys_gets_his_line_back() -> None:
    room, [alice] = call("alice")
    room.wait(20)
    assert direction(alice) == "inactive"
    alice.hear(room.post(Obeys(alice.peer)))
    assert direction(alice) == "recvonly"
