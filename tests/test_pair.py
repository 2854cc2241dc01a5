"""A whole call of the native engine in virtual time: it comes up on bad networks, carries, and says when it is over."""

from __future__ import annotations

import struct
import time

import pytest

from focus.commands import (
    Codec,
    Connected,
    Expect,
    Extensions,
    Loss,
    Lost,
    Message,
    Opened,
    Route,
    Send,
    SetLayer,
    Unroute,
)
from focus.native import available
from focus.vocabulary import SINGLE, Kind, RouteId, TrackId
from tests.pair import Far, Network
from tests.wire import Conditions

CLEAN = Conditions(delay=0.02)
OPUS = Codec("opus", 48_000, 111, None)
ENGINES = ["native"] if available() else []


def speech(number: int, ssrc: int) -> bytes:
    """A packet of a voice, as plaintext."""
    return struct.pack("!BBHII", 0x80, OPUS.pt, number & 0xFFFF, number * 960, ssrc) + bytes([number & 0xFF]) * 40


def talk(network: Network, far: Far, ssrc: int, first: int, packets: int) -> None:
    """Send a packet each 20 ms."""
    for number in range(first, first + packets):
        assert far.end.rtp(number, speech(number, ssrc))
        network.run(0.02)


def hear_each_other(network: Network, *callers: Far) -> None:
    """Route each voice to the next caller; caller n speaks on SSRC n + 1 and is heard on 100 + n."""
    for place, far in enumerate(callers):
        track = TrackId(f"{far.peer}/voice")
        to = callers[(place + 1) % len(callers)]
        route = RouteId(place + 1)
        network.submit(
            Expect(track, far.peer, "0", Kind.AUDIO, (OPUS,), Extensions(), (), (place + 1,)),
            Route(route, track, to.peer, "1", (OPUS,), Extensions(), 100 + place, None),
            SetLayer(route, SINGLE),
        )


def voices(far: Far) -> list[int]:
    """Sequence numbers of the media that somebody heard."""
    return [struct.unpack_from("!H", packet, 2)[0] for _, kind, packet in far.heard if kind == "rtp"]


pytestmark = pytest.mark.parametrize("engine", ENGINES)


def connected(network: Network, conditions: Conditions, *names: str, seconds: float = 30) -> list[Far]:
    """Callers whose channels are open at both ends."""
    callers = [network.call(name, conditions) for name in names]
    network.until(
        lambda: len(network.all(Opened)) == len(names) and all(far.all(Opened) for far in callers), seconds
    )
    return callers


def test_a_caller_connects_and_texts_go_both_ways(engine: str) -> None:
    network = Network(1)
    [ada] = connected(network, CLEAN, "ada", seconds=2)
    network.submit(Send(ada.peer, "welcome"))
    ada.end.submit(network.now, [Send(ada.peer, "hello")])
    network.run(0.2)
    assert [said.text for said in network.all(Message)] == ["hello"]
    assert [said.text for said in ada.all(Message)] == ["welcome"]


def test_media_flows_both_ways_in_order(engine: str) -> None:
    network = Network(2)
    ada, bob = connected(network, CLEAN, "ada", "bob")
    hear_each_other(network, ada, bob)
    for number in range(50):
        assert ada.end.rtp(number, speech(number, 1))
        assert bob.end.rtp(number, speech(number, 2))
        network.run(0.02)
    network.run(0.2)
    for far in (ada, bob):
        heard = voices(far)
        assert len(heard) == 50 and heard == [(heard[0] + step) & 0xFFFF for step in range(50)]


@pytest.mark.parametrize("first", range(5))
def test_a_call_comes_up_though_every_fifth_packet_is_lost(engine: str, first: int) -> None:
    network = Network(first)
    lost = tuple(place == first for place in range(5))
    connected(network, Conditions(delay=0.04, jitter=0.02, pattern=lost, overtaken=0.1, doubled=0.1), "ada", seconds=60)
    assert not network.all(Lost)


def test_a_cut_is_told_in_time_and_not_before(engine: str) -> None:
    network = Network(3)
    [ada] = connected(network, CLEAN, "ada")
    network.run(60)
    assert not network.all(Lost), "silence is no loss as long as checks are answered"
    network.cut(ada)
    cut = network.now
    network.until(lambda: network.all(Lost), 20)
    assert network.all(Lost) == [Lost(ada.peer, Loss.ICE)]
    # Consent lasts 12 s from the last answer, which is at most one interval of 2.5 s old.
    assert 9 <= network.now - cut <= 12.6


def test_a_short_cut_is_no_loss(engine: str) -> None:
    network = Network(4)
    ada, bob = connected(network, CLEAN, "ada", "bob")
    hear_each_other(network, ada, bob)
    network.cut(ada)
    network.run(5)
    network.heal(ada, CLEAN)
    network.run(3)
    talk(network, ada, 1, 0, 10)
    network.run(0.2)
    assert len(voices(bob)) == 10 and not network.all(Lost)


def test_new_credentials_carry_the_same_call_on(engine: str) -> None:
    network = Network(5)
    ada, bob = connected(network, CLEAN, "ada", "bob")
    hear_each_other(network, ada, bob)
    talk(network, ada, 1, 0, 20)
    network.restart(ada, 1)
    talk(network, ada, 1, 20, 150)
    network.run(0.5)
    heard = voices(bob)
    assert heard == [(heard[0] + step) & 0xFFFF for step in range(170)], "not one packet was lost"
    network.run(30)
    assert not network.all(Lost) and len(network.all(Connected)) == 2


def test_a_narrow_wire_delays_first_and_loses_then(engine: str) -> None:
    network = Network(6)
    ada, bob = connected(network, CLEAN, "ada", "bob")
    hear_each_other(network, ada, bob)
    bob.down.conditions = Conditions(delay=0.02, rate=20_000, queue=0.5)
    start = network.now
    # 52 bytes and a tag each 20 ms are more than 27 kbit/s.
    talk(network, ada, 1, 0, 200)
    network.run(2)
    times = [at for at, kind, _ in bob.heard if kind == "rtp"]
    assert 100 < len(times) < 180
    assert max(at - start for at in times) < 4 + 0.5 + 0.1


def test_a_route_that_is_gone_carries_nothing(engine: str) -> None:
    network = Network(7)
    ada, bob = connected(network, CLEAN, "ada", "bob")
    hear_each_other(network, ada, bob)
    network.submit(Unroute(RouteId(1)))
    talk(network, ada, 1, 0, 5)
    assert not voices(bob)


def test_a_minute_of_a_call_takes_a_moment(engine: str) -> None:
    network = Network(8)
    ada, bob = connected(network, CLEAN, "ada", "bob")
    hear_each_other(network, ada, bob)
    start = time.process_time()
    talk(network, ada, 1, 0, 3000)
    assert len(voices(bob)) >= 2998
    assert time.process_time() - start < 6
