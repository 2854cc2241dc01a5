"""The way from one plan to the next: nothing for two alike, and the same end whatever the way."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from offers import channel, microphone, offer, picture
from room import Caller, Room, settled
from roster import CountedNames
from table import Table

from focus.commands import Appeared, Estimate, Levels, Rates, Vanished
from focus.limits import Limits
from focus.plan import NOTHING, Plan, changes, plan
from focus.settle import settle
from focus.snapshot import NONE_HELD, UNSHARED, Conference
from focus.vocabulary import (
    Answer,
    Ended,
    Join,
    Left,
    Offered,
    PeerId,
    Reason,
    Rid,
    TakesSpares,
    Told,
    Want,
    Wanted,
)

NAMES = ("alice", "bob", "carol")
VIEWS = (
    st.tuples(st.just("join"), st.sampled_from(NAMES)),
    st.tuples(st.just("leave"), st.sampled_from(NAMES)),
    st.tuples(st.just("want"), st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from([0, 300, 600, 1200])),
    st.tuples(st.sampled_from(["hear", "unhear", "unsee"]), st.sampled_from(NAMES), st.sampled_from(NAMES)),
)
ACTIONS = st.one_of(
    *VIEWS,
    st.tuples(st.just("unwant"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("appear"), st.sampled_from(NAMES), st.sampled_from("fhq")),
    st.tuples(st.just("vanish"), st.sampled_from(NAMES), st.sampled_from("fhq")),
    st.tuples(st.just("mute"), st.sampled_from(NAMES)),
    st.tuples(st.just("loud"), st.sampled_from(NAMES), st.sampled_from([0, 66, 67, 90, 127])),
    st.tuples(st.just("restart"), st.sampled_from(NAMES), st.integers(1000, 1003)),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 1.0, 6.0, 21.0])),
    st.tuples(st.just("deafen"), st.sampled_from(NAMES)),
    st.tuples(st.just("spares"), st.sampled_from(NAMES)),
    st.tuples(st.just("link"), st.sampled_from(NAMES), st.sampled_from([100_000, 400_000, 900_000, 5_000_000])),
    st.tuples(st.just("cost"), st.sampled_from(NAMES), st.sampled_from([100_000, 300_000])),
)


def ours(caller: Caller) -> list[list[str]]:
    """The lines that the focus added, as a client has them in its own next offer."""
    return [
        (microphone if section.kind == "audio" else picture)(section.mid, "recvonly") for section in caller.sections[3:]
    ]


def act(room: Room, callers: dict[str, Caller], action: tuple[object, ...]) -> None:
    """Something that happens in a call."""
    match action:
        case ("join", str(name)) if name not in callers or callers[name].peer not in room.engine.peers:
            callers[name] = Caller(room, name).join()
        case ("wait", float(seconds)):
            room.wait(seconds)
        case (str(verb), str(name), *rest) if name in callers and callers[name].peer in room.engine.peers:
            caller = callers[name]
            told: list[Told] = []
            match (verb, *rest):
                case ("leave",):
                    told = room.post(Left(caller.peer, Reason.USER_HANGUP))
                case ("spares",):
                    told = caller.hear(room.post(TakesSpares(caller.peer)))
                case ("deafen",):
                    caller.answering = not caller.answering
                case ("want", str(other), int(size)) if other in callers:
                    caller.want(callers[other], size, size)
                case ("unwant", str(other)) if other in callers:
                    caller.unwant(callers[other])
                case ("hear", str(other)) if other in callers:
                    local = callers[other].local
                    told = caller.hear(room.post(Wanted(caller.peer, (Want(local.stream, local.audio),), ())))
                case ("unhear" | "unsee", str(other)) if other in callers:
                    local = callers[other].local
                    gone = local.audio if verb == "unhear" else local.video
                    told = caller.hear(room.post(Wanted(caller.peer, (), ((local.stream, gone),))))
                case ("appear", str(rid)):
                    told = room.post(*[Appeared(t.id, Rid(rid), 0, 0) for t in room.running.conference.of(caller.peer)])
                case ("vanish", str(rid)):
                    told = room.post(*[Vanished(t.id, Rid(rid)) for t in room.running.conference.of(caller.peer)])
                case ("mute",):
                    told = caller.reoffer(offer(microphone(), picture("1", "inactive"), channel(), *ours(caller)))
                case ("restart", int(number)):
                    told = caller.reoffer(offer(microphone(), picture(), channel(), *ours(caller), ufrag=f"u{number}"))
                case ("link", int(bps)):
                    told = room.post(Estimate(caller.peer, bps))
                case ("cost", int(bps)):
                    rates = tuple((Rid(rid), bps * times) for rid, times in (("q", 1), ("h", 3), ("f", 10)))
                    told = room.post(*[Rates(t.id, rates) for t in room.running.conference.of(caller.peer)])
                case ("loud", int(level)):
                    told = room.post(Levels(room.track(name, "0"), level, bytes((level,)) * 50))
            for other_caller in callers.values():
                other_caller.hear([effect for effect in told if effect.peer != caller.peer])
        case _:
            pass


def commands(old: Plan, new: Plan) -> list[object]:
    return [effect for effect in changes(old, new) if not isinstance(effect, Told)]


def built(wanted: Plan) -> Table:
    """An engine that was brought from nothing to a plan."""
    table = Table()
    for command in commands(NOTHING, wanted):
        table.submit((command,))  # type: ignore[arg-type]
    return table


def facts(conference: Conference) -> Conference:
    """A conference without what was only looked up in it, and when to look again. Asks are known by identity, and
    what a link leaves out is told again by time alone."""
    kept = Conference(conference.id, conference.limits, conference.codecs)
    peers = {
        name: replace(peer, known={}, written={}, allotment=UNSHARED, held=NONE_HELD)
        for name, peer in conference.peers.items()
    }
    return replace(
        conference, peers=peers, roster=kept.roster, tuning=kept.tuning, asked={}, due={}, sought=kept.sought,
        review=kept.review,
    )  # fmt: skip


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(st.lists(st.one_of(*VIEWS), min_size=10, max_size=25))
def test_whoever_comes_into_view_their_lips_move(actions: list[tuple[object, ...]]) -> None:
    room = Room()
    callers: dict[str, Caller] = {}
    pairs = [("want", name, other, 300) for name in NAMES for other in NAMES if name != other]
    for action in [*(("join", name) for name in NAMES), *pairs, *actions]:
        act(room, callers, action)
        if action[0] == "join":
            act(room, callers, ("spares", action[1]))
        assert room.in_step()


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.lists(ACTIONS, max_size=25), st.booleans())
def test_whatever_happens_the_engine_is_where_the_plan_is(actions: list[tuple[object, ...]], wide: bool) -> None:
    room = Room(limits=Limits(small_call=1, voices=1), wide=wide)
    callers = {name: Caller(room, name).join() for name in NAMES}
    for name, other in ((a, b) for a in NAMES for b in NAMES if a != b):
        callers[name].want(callers[other], 300, 300)
    previous = NOTHING
    for action in actions:
        act(room, callers, action)
        now = plan(room.running.conference)
        assert changes(now, now) == (), "two plans alike need nothing"
        assert room.running._planned.legs == now.legs, "what was taken over is as if made anew"
        conference = room.running.conference
        nobody = Conference(conference.id, conference.limits, conference.codecs, conference.wide)
        again = settle(conference, nobody, room.engine.fingerprint, room.now, CountedNames())
        assert facts(again) == facts(conference), "whom nothing had happened to needed nothing"
        fresh = built(now)
        engine = room.engine
        assert (engine.tracks, engine.routes, engine.layers) == (fresh.tracks, fresh.routes, fresh.layers)
        assert set(engine.peers) == set(fresh.peers)
        # One step from the plan before to this one ends in the same place.
        jumped = built(previous)
        for command in commands(previous, now):
            jumped.submit((command,))  # type: ignore[arg-type]
        assert (jumped.tracks, jumped.routes, jumped.layers) == (fresh.tracks, fresh.routes, fresh.layers)
        # And all can be taken down.
        for command in commands(now, NOTHING):
            fresh.submit((command,))  # type: ignore[arg-type]
        assert not (fresh.peers or fresh.tracks or fresh.routes or fresh.layers)
        previous = now
    assert not room.faults


def test_an_engine_that_lost_count_can_be_told_everything_again() -> None:
    room = Room()
    alice, bob = Caller(room, "alice").join(), Caller(room, "bob").join()
    alice.want(bob)
    again = built(plan(room.running.conference))
    assert (again.peers, again.tracks, again.routes) == (room.engine.peers, room.engine.tracks, room.engine.routes)


def test_a_layer_moves_by_one_command() -> None:
    room = Room()
    alice, bob = Caller(room, "alice").join(), Caller(room, "bob").join()
    bob.flow("f", "h", "q")
    room.wait(room.limits.rise_hold)
    alice.want(bob, 320, 180)
    before = plan(room.running.conference)
    alice.want(bob, 1280, 720)
    [command] = changes(before, plan(room.running.conference))
    assert getattr(command, "layer", None) == "f"


def test_people_are_told_only_what_is_new_and_an_end_last() -> None:
    room = Room()
    alice, bob = Caller(room, "alice").join(), Caller(room, "bob").join()
    told = room.post(Wanted(alice.peer, (Want("nothing", "there"),), ()), Join(PeerId("x"), bob.owner, "", ()))
    assert told == [Ended(PeerId("x"), Reason.BAD_DESCRIPTION)]
    told = room.post(Offered(bob.peer, offer(microphone(), picture(), channel()), (bob.stream,)))
    assert [type(effect) for effect in settled(told)] == [Answer]


def test_an_end_is_told_once() -> None:
    room = Room()
    alice = Caller(room, "alice").join()
    now = plan(room.running.conference)
    ended = replace(now, ended=((alice.peer, Reason.KEEP_ALIVE),))
    assert changes(now, ended) == (Ended(alice.peer, Reason.KEEP_ALIVE),)
    assert changes(ended, ended) == ()
