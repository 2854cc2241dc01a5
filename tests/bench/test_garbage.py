"""The garbage bench sends what it says, hears every reply, and a call beside it loses nothing."""

from __future__ import annotations

import os
import random

import pytest
from aioice import Candidate, ice, stun

from bench import garbage, packet
from bench.forwarding import noise
from focus.native import available

HEARD = noise.Heard((b"\x90" + bytes(60),), (b"\x00\x01" + bytes(58),), (b"\x16" + bytes(60),), ("near:far",))


def test_every_kind_of_garbage_is_among_it_and_it_is_the_same_each_time() -> None:
    made = noise.pool(1, HEARD, noise.KINDS, 20_000)
    assert made == noise.pool(1, HEARD, noise.KINDS, 20_000)
    assert {data[0] for data in made if data} == set(range(256))
    assert b"" in made and max(map(len, made)) > 1400
    assert HEARD.packets[0] in made, "what is sealed is repeated"
    assert HEARD.checks[0] not in made, "what proves who wrote it is not"


def test_a_check_of_a_peer_is_well_formed() -> None:
    message = stun.parse_message(noise.check_of_a_peer(random.Random(1), HEARD))
    assert message.attributes["USERNAME"] == "near:far"


async def test_a_reply_is_what_answers_nothing() -> None:
    protocol = ice.StunProtocol(ice.Connection(ice_controlling=True))
    protocol.local_candidate = Candidate.from_sdp("1 1 udp 1 127.0.0.1 1 typ host")
    ears = garbage.Ears(protocol)
    ears.connected = True
    asked = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    ears.sending(bytes(asked))
    answer = bytes(stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, asked.transaction_id))
    foreign = bytes(stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, bytes(12)))
    for data, replies in ((answer, 0), (answer, 20), (foreign, 20), (b"\x15" + bytes(12), 13)):
        before = ears.replies
        ears.datagram_received(data, ("127.0.0.1", 1))
        assert ears.replies - before == replies


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("engine", ["native"] if available() else ["reference"])
async def test_a_call_beside_garbage_loses_nothing(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    monkeypatch.setattr(packet, "WARM_UP", 1.1)
    monkeypatch.setattr(garbage, "WARM_UP", 1.1)
    found = await garbage.measure(engine, 500, 1.0, 0.5, frozenset(os.sched_getaffinity(0)))
    assert found["reply_bytes"] == found["peers_lost"] == found["loss"] == 0, found
    assert found["drops"]["not_demuxed"] > 0 and found["sources"] > 20
