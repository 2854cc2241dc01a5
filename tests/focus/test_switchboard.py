"""Many conferences over one engine: each its own, and what breaks in one stays there."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

import pytest
from offers import TRANSPORT_CC_URI, channel, microphone, offer, picture
from roster import CountedNames
from table import Table

from focus.commands import Appeared, Connected, Estimate, Message, Opened, Send
from focus.held import AGAIN
from focus.limits import Limits
from focus.switchboard import Figures, Switchboard
from focus.vocabulary import (
    SINGLE,
    Answer,
    Answered,
    Ended,
    Join,
    Offer,
    Offered,
    Owner,
    Paused,
    PeerId,
    Reason,
    Selected,
    TakesSpares,
    Told,
    Want,
    Wanted,
)
from focus.vocabulary import ConferenceId as Name

ONE, TWO = Name("one"), Name("two")


class Trap(CountedNames):
    """Names that break when they are told to, as a bug of ours would."""

    armed = False

    def token(self, size: int) -> str:
        if self.armed:
            raise RuntimeError("a bug")
        return super().token(size)


@dataclass(slots=True)
class Notebook:
    """A face that writes down what it is told; it may break too."""

    told: list[tuple[Name, Told]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    broken: bool = False
    called: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, conference: Name, told: Told) -> None:
        if self.broken:
            raise RuntimeError("a bug")
        self.told.append((conference, told))
        self.called.set()

    def hear(self, conference: Name, peer: PeerId, text: str) -> None:
        if self.broken:
            raise RuntimeError("a bug")
        self.heard.append(text)


class Wide(Table):
    """It knows what links carry."""

    wide = True


class Exchange:
    """A switchboard in virtual time."""

    def __init__(self, limits: Limits | None = None, engine: Table | None = None) -> None:
        self.engine, self.face, self.names = engine or Table(), Notebook(), Trap()
        self.now = 0.0
        self.board = Switchboard(
            self.engine, self.face, limits or Limits(), ("opus", "vp8"), self.names, lambda: self.now
        )

    def turn(self) -> None:
        # The engine's answer to what a turn decided comes in the next.
        self.board.turn(self.now)
        self.board.turn(self.now)

    def join(self, conference: Name, name: str) -> PeerId:
        peer = PeerId(name)
        msids = [f"a=msid:{name} {kind}" for kind in ("audio", "video")]
        text = offer(microphone("0", "sendrecv", msids[0]), picture("1", "sendrecv", msids[1]), channel())
        self.board.post(conference, Join(peer, Owner(f"@{name}:example.org", "D"), text, ()))
        self.turn()
        self.engine.say(Connected(peer), Opened(peer))
        self.board.post(conference, Selected(peer))
        self.turn()
        return peer

    def told(self, peer: PeerId) -> list[type[Told]]:
        return [type(told) for _, told in self.face.told if told.peer == peer]


def watched(exchange: Exchange, conference: Name, watcher: PeerId, other: PeerId) -> None:
    """Somebody wants somebody else's camera, and the client takes it."""
    exchange.board.post(conference, Wanted(watcher, (Want(str(other), "video"),), ()))
    exchange.turn()
    text = offer(microphone(), picture(), channel(), picture("w0", "recvonly", f"a=extmap:5 {TRANSPORT_CC_URI}"))
    exchange.board.post(conference, Answered(watcher, text, ()))
    exchange.turn()


async def test_conferences_share_an_engine_and_nothing_else() -> None:
    exchange = Exchange()
    a, b = exchange.join(ONE, "a"), exchange.join(ONE, "b")
    c, d = exchange.join(TWO, "c"), exchange.join(TWO, "d")
    watched(exchange, ONE, a, b)
    watched(exchange, TWO, c, d)
    assert {(route.peer, route.track.split("/")[0]) for route in exchange.engine.routes.values()} == {(a, b), (c, d)}
    assert exchange.board.figures() == Figures(2, 4, 8, 2, 0)
    views = [told for name, told in exchange.face.told if name == ONE and hasattr(told, "streams")]
    assert not any(s.owner.user[1] in "cd" for told in views for s in told.streams)


async def test_a_bug_takes_down_one_conference_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange()
    a, b = exchange.join(ONE, "a"), exchange.join(ONE, "b")
    c, d = exchange.join(TWO, "c"), exchange.join(TWO, "d")
    watched(exchange, ONE, a, b)
    exchange.names.armed = True
    with caplog.at_level(logging.CRITICAL):
        exchange.board.post(ONE, Join(PeerId("x"), Owner("@x:example.org", "D"), offer(microphone()), ()))
        exchange.board.turn(exchange.now)
    exchange.names.armed = False
    assert exchange.board.faults["bug"] == 1
    for peer in (a, b, PeerId("x")):
        assert exchange.face.told[-1][0] == ONE and exchange.told(peer)[-1] is Ended
    assert set(exchange.engine.peers) == {c, d} and not exchange.engine.routes
    watched(exchange, TWO, c, d)
    assert exchange.told(c)[-1] is Offer and len(exchange.engine.routes) == 1
    again = exchange.join(ONE, "e")
    assert Answer in exchange.told(again), "and the conference may begin anew"


async def test_a_face_that_breaks_is_counted_and_the_call_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange()
    a = exchange.join(ONE, "a")
    exchange.face.broken = True
    with caplog.at_level(logging.CRITICAL):
        exchange.engine.say(Message(a, "{}"))
        exchange.join(ONE, "b")
    assert exchange.board.faults["bug"] >= 2
    assert len(exchange.engine.peers) == 2


async def test_lines_that_are_ready_for_others_are_no_routes() -> None:
    exchange = Exchange()
    a, b = exchange.join(ONE, "a"), exchange.join(ONE, "b")
    exchange.board.post(ONE, TakesSpares(a))
    watched(exchange, ONE, a, b)
    offered = next(told.sdp for _, told in reversed(exchange.face.told) if isinstance(told, Offer))
    assert offered.count("a=mid:w") > 1
    assert exchange.board.figures() == Figures(1, 2, 4, 1, 0)


async def test_an_empty_conference_is_forgotten() -> None:
    exchange = Exchange()
    exchange.join(ONE, "a")
    exchange.board.end(ONE, Reason.CALL_ENDED)
    exchange.turn()
    assert exchange.board.figures() == Figures(0, 0, 0, 0, 0) and not exchange.engine.peers


async def test_only_a_caller_starts_a_conference_and_only_so_many() -> None:
    exchange = Exchange(Limits(conferences=1))
    exchange.board.post(ONE, Selected(PeerId("a")))
    exchange.turn()
    assert exchange.board.conferences() == 0
    a = exchange.join(ONE, "a")
    b = exchange.join(TWO, "b")
    assert exchange.told(b) == [Ended] and exchange.board.faults["too_many_conferences"] == 1
    assert exchange.board.peers() == 1 and a in exchange.engine.peers


async def test_messages_reach_the_face_within_a_rate_of_each_peers_own() -> None:
    exchange = Exchange(Limits(messages_burst=10, messages_per_second=2))
    a, b = exchange.join(ONE, "a"), exchange.join(ONE, "b")
    exchange.engine.say(*[Message(a, f"a{n}") for n in range(15)], Message(b, "b"))
    exchange.turn()
    assert exchange.face.heard == [*[f"a{n}" for n in range(10)], "b"]
    assert exchange.board.faults["too_many_messages"] == 5
    exchange.now += 1.0
    exchange.engine.say(*[Message(a, "later") for _ in range(5)])
    exchange.turn()
    assert exchange.face.heard[11:] == ["later", "later"]


async def test_words_go_only_to_a_peer_of_that_conference() -> None:
    exchange = Exchange()
    a = exchange.join(ONE, "a")
    exchange.board.say(ONE, a, "hello")
    exchange.board.say(TWO, a, "not here")
    exchange.board.say(ONE, PeerId("gone"), "nor here")
    assert exchange.engine.sent == [Send(a, "hello")]


async def test_all_that_a_turn_says_comes_to_the_engine_at_once() -> None:
    exchange = Exchange()
    exchange.join(ONE, "a")
    c = exchange.join(TWO, "c")
    told: list[int] = []

    class Talker(Notebook):
        def tell(self, conference: Name, told_now: Told) -> None:
            exchange.board.say(conference, told_now.peer, "words")
            told.append(len(exchange.engine.sent))

    exchange.board.face = Talker()
    exchange.board.post(ONE, Join(PeerId("b"), Owner("@b:example.org", "D"), offer(microphone(), channel()), ()))
    exchange.board.post(TWO, Offered(c, offer(microphone("0", "sendrecv"), picture("1", "sendrecv"), channel()), ()))
    exchange.board.turn(exchange.now)
    assert len(told) >= 2 and set(told) == {0}, "nothing was said before the turn was over"
    assert len(exchange.engine.sent) == len(told)


async def test_what_is_paused_is_told_again_though_nothing_happens_and_no_tick_comes() -> None:
    exchange = Exchange(engine=Wide())
    watcher, other = exchange.join(ONE, "a"), exchange.join(ONE, "b")
    watched(exchange, ONE, watcher, other)
    track = next(
        name for name, expected in exchange.engine.tracks.items() if expected.peer == other and expected.mid == "1"
    )
    exchange.engine.say(Appeared(track, SINGLE, 640, 360), Estimate(watcher, 40_000))
    exchange.turn()
    start = exchange.now
    counts = []
    for after in AGAIN:
        exchange.now = start + after
        exchange.turn()
        counts.append(exchange.told(watcher).count(Paused))
    assert counts == list(range(1, len(AGAIN) + 1))
    exchange.now += 1
    exchange.turn()
    assert exchange.told(watcher).count(Paused) == len(AGAIN)


async def test_it_works_when_woken_and_looks_at_deadlines_by_itself() -> None:
    exchange = Exchange()
    running = asyncio.create_task(exchange.board.run())
    exchange.board.post(ONE, Join(PeerId("a"), Owner("@a:example.org", "D"), offer(microphone()), ()))
    async with asyncio.timeout(10):
        await exchange.face.called.wait()
        exchange.face.called.clear()
        assert exchange.told(PeerId("a")) == [Answer]
        exchange.now += 60.0
        await exchange.face.called.wait()
    assert exchange.told(PeerId("a")) == [Answer, Ended]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
