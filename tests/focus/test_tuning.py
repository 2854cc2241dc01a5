"""Publishers are told rates for their layers when that shows everybody more, and nobody notably less."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from room import Caller, Room
from roster import F, H, Q

from focus import tuning
from focus.commands import Estimate, Rates
from focus.limits import Limits
from focus.tuning import EVERY, HOLD, LEAST, NEWS, Told, told_now
from focus.vocabulary import Demand, Described, Left, Obeys, Purpose, Reason, Rid, Stream

LADDER = {Q: 150_000, H: 500_000, F: 1_700_000}


@dataclass
class Meeting:
    """Everybody watches everybody; encoders spend what their ladder or the focus gives them."""

    people: int = 6
    wide: bool = True
    obeying: bool = True
    width: int = 1280
    ladder: dict[Rid, int] = field(default_factory=lambda: dict(LADDER))
    room: Room = field(init=False)
    callers: list[Caller] = field(init=False)
    demands: list[Demand] = field(default_factory=list)
    "Those that told of rates, or took that back."

    def __post_init__(self) -> None:
        self.room = Room(wide=self.wide, limits=Limits(rest_hold=math.inf))
        self.callers = [Caller(self.room, chr(ord("a") + number)).join() for number in range(self.people)]
        for caller in self.callers:
            caller.flow("f", "h", "q")
            caller.sound()
            if self.obeying:
                self.room.post(Obeys(caller.peer))
        for caller in self.callers:
            for other in self.callers:
                if other is not caller:
                    caller.want(other, self.width, self.width * 9 // 16)
        self.go(3)

    def told(self, caller: Caller) -> dict[Rid, int]:
        """The rates that a caller was told last."""
        found = [each for each in self.room.told if isinstance(each, Demand) and each.peer == caller.peer]
        return {rid: bps for picture in found[-1].pictures for rid, bps in picture.rates}

    def go(self, seconds: float) -> None:
        """Let time pass; what layers take is measured each second."""
        for _ in range(int(seconds)):
            before = {caller.name: self.told(caller) for caller in self.callers if self.room.told}
            for caller in self.callers:
                flowing = self.room.running.conference.tracks[self.room.track(caller.name, "1")].layers
                told = before.get(caller.name, {})
                ladder = {rid: most for rid, most in self.ladder.items() if rid in flowing}
                bps = tuple((rid, min(most, told.get(rid, most))) for rid, most in ladder.items())
                self.room.post(Rates(self.room.track(caller.name, "1"), bps))
            self.room.wait(1)
            after = {caller.name: self.told(caller) for caller in self.callers}
            self.demands += [Demand(c.peer, ()) for c in self.callers if before.get(c.name, {}) != after[c.name]]

    def link(self, caller: Caller, bps: int) -> None:
        self.room.post(Estimate(caller.peer, bps))

    def seen(self, caller: Caller) -> str:
        """The layers of the others that a caller gets, - while one is paused."""
        layers = self.room.engine.layers
        routes = [route for route in self.room.engine.routes.values() if route.peer == caller.peer and route.rtx_ssrc]
        return "".join(sorted(layers[route.route] or "-" for route in routes))


def thin(**changes: object) -> tuple[Meeting, Caller]:
    """A meeting of six in which one has a link for two of the smallest layers, the others for everything."""
    meeting = Meeting(**changes)  # type: ignore[arg-type]
    watcher = meeting.callers[0]
    meeting.link(watcher, 620_000)
    return meeting, watcher


def test_who_saw_some_of_the_others_sees_all_and_nobody_with_a_wide_link_sees_less() -> None:
    meeting = Meeting()
    watcher = meeting.callers[0]
    for other in meeting.callers[1:]:
        watcher.want(other, 320, 180)
    meeting.link(watcher, 620_000)
    assert "-" in meeting.seen(watcher)
    meeting.go(40)
    assert meeting.seen(watcher) == "qqqqq"
    assert all(meeting.told(caller).get(Q, 150_000) < 150_000 for caller in meeting.callers[1:])
    assert not any(F in meeting.told(caller) for caller in meeting.callers)
    assert {meeting.seen(caller) for caller in meeting.callers[1:]} == {"fffff"}


def test_while_every_link_carries_all_nobody_is_told_anything() -> None:
    meeting = Meeting()
    for caller in meeting.callers:
        meeting.link(caller, 30_000_000)
    meeting.go(20)
    assert not meeting.demands


@pytest.mark.parametrize("changes", [{"wide": False}, {"obeying": False}])
def test_rates_are_not_told_where_links_are_not_known_nor_to_whom_does_not_obey(changes: dict[str, bool]) -> None:
    meeting, _ = thin(**changes)
    meeting.go(20)
    assert not meeting.demands


def test_a_screen_keeps_its_own_rates() -> None:
    meeting = Meeting()
    watcher, sharer = meeting.callers[:2]
    stream = sharer.stream
    words = Stream(stream.id, stream.owner, Purpose.SCREENSHARE, False, False, stream.tracks)
    meeting.room.post(Described(sharer.peer, (words,)))
    meeting.link(watcher, 620_000)
    meeting.go(30)
    assert not meeting.told(sharer) and meeting.told(meeting.callers[2])


def test_in_a_conference_that_is_too_large_publishers_keep_their_own_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "MOST", 59)
    meeting, _ = thin()
    meeting.go(20)
    assert not meeting.demands


def test_less_is_told_after_a_while_and_more_at_once() -> None:
    meeting, watcher = thin()
    meeting.go(HOLD - 1)
    assert not meeting.demands, "a link may be thin for a moment"
    meeting.go(20)
    assert meeting.demands
    meeting.link(watcher, 30_000_000)
    meeting.go(EVERY + 1)
    assert not any(meeting.told(caller) for caller in meeting.callers)
    meeting.go(10)
    assert meeting.seen(watcher) == "fffff"


def test_a_link_that_is_wide_again_is_found_to_be_though_little_is_sent_on_it() -> None:
    meeting, watcher = thin()
    need = meeting.room.engine.needs[watcher.peer]
    meeting.go(30)
    assert meeting.told(meeting.callers[1])
    assert meeting.room.engine.needs[watcher.peer] > 0.9 * need, "the link is probed for what all would take untold"


@pytest.mark.parametrize("by", [0.04, 0.15, 0.3])
def test_estimates_that_waver_are_no_news_to_publishers(by: float) -> None:
    meeting, watcher = thin()
    meeting.go(40)
    meeting.demands.clear()
    for number in range(60):
        meeting.link(watcher, int(620_000 * (1 + by * math.sin(number))))
        meeting.go(1)
    assert len(meeting.demands) <= 4 * len(meeting.callers), "four times a minute at most"
    assert meeting.seen(watcher).count("-") < 3


def test_who_leaves_takes_the_reason_along() -> None:
    meeting, watcher = thin()
    meeting.go(30)
    meeting.callers.remove(watcher)
    del meeting.room.callers[watcher.name]
    meeting.room.post(Left(watcher.peer, Reason.USER_HANGUP))
    meeting.go(EVERY + 1)
    assert not any(meeting.told(caller) for caller in meeting.callers)
    assert not meeting.room.faults


def test_no_layer_is_told_less_than_makes_a_picture() -> None:
    meeting, watcher = thin(ladder={Q: 60_000, H: 200_000, F: 700_000})
    meeting.link(watcher, 300_000)
    meeting.go(40)
    told = [bps for caller in meeting.callers for bps in meeting.told(caller).values()]
    assert told and min(told) >= LEAST


RATES = st.dictionaries(st.sampled_from([Q, H, F]), st.integers(30_000, 2_000_000))
STEPS = st.lists(st.tuples(st.floats(0.1, 5), RATES), min_size=1, max_size=12)


@given(STEPS)
def test_more_is_told_at_once_and_less_no_sooner_than_after_the_hold(steps: list[tuple[float, Told]]) -> None:
    now, lower = 100.0, None
    told: Told = {}
    called_less: float | None = None
    for step, called in steps:
        now += step
        before = told
        told, lower = told_now(before, called, lower, now)
        less = any(bps < before.get(rid, math.inf) * (1 - NEWS) for rid, bps in called.items())
        called_less = (now if called_less is None else called_less) if less else None
        for rid, bps in before.items():
            assert rid in called or rid not in told, "its own rate is the most"
            if rid in called:
                assert told[rid] >= called[rid] * (1 - NEWS) or called[rid] < bps
                assert told[rid] >= bps or (called_less is not None and now >= called_less + HOLD)
        for rid in told.keys() - before.keys():
            assert told[rid] == called[rid] and called_less is not None and now >= called_less + HOLD
        if called_less is not None and now >= called_less + HOLD:
            assert told == called
            called_less = None


@given(RATES, st.floats(1 - NEWS + 0.01, 1 + NEWS - 0.01))
def test_what_hardly_differs_is_not_told_anew(told: Told, by: float) -> None:
    called = {rid: int(bps * by) for rid, bps in told.items()}
    assert told_now(told, called, None, 5.0) == (told, None)
