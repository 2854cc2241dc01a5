"""Bad input of every kind at a running demo: counted by reason in its metrics, while everybody's picture moves on.

Through the real homeserver, a real data channel, a real SRTP session, and from a stranger's
socket. Which reason each input earns is tried one by one in `tests/hostile`.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import socket
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bench.browser import until
from bench.participants import media, sdp
from bench.participants.accounts import Account
from bench.participants.aiortc_line import AiortcLine
from bench.participants.call import Seat
from bench.participants.habits import Habits
from bench.participants.known import Known
from bench.participants.member import CALL, MEMBER, Participant, live_call
from bench.participants.transport import Transport
from bench.stage import Stage, stage
from focus.commands import Drop
from packets import FOREIGN, RTCP, RTP, STRANGE, cut, flipped
from signalling.matrix import Homeserver
from vectors import CALL_EVENTS, CHANNEL, MEMBER_EVENTS, SDP, TO_DEVICE, corrupted_text, header, shortened

pytestmark = [pytest.mark.slow, pytest.mark.synapse, pytest.mark.timeout(240)]

SENDABLE = 50_000
"Characters of JSON; more than about this no homeserver carries in one event."
Reasons = Counter[tuple[str, str]]
"What the metrics must count at least: (`drop` or the room of a fault, reason)."


async def counted(stand: Stage, http: aiohttp.ClientSession) -> Reasons:
    """What the focus counted so far."""
    async with http.get(stand.now()["metrics"]) as answer:
        text = await answer.text()
    found: Reasons = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "weir_drops_total":
                found["drop", sample.labels["reason"]] = int(sample.value)
            elif sample.name == "weir_faults_total":
                found[sample.labels["room"], sample.labels["reason"]] = int(sample.value)
    return found


async def throw_messages(stand: Stage, server: Homeserver, device: str, conf: str) -> Reasons:
    """Malformed to-device messages."""
    user, focus_device = stand.focus
    thrown: Reasons = Counter()
    for number, (reason, type, changes) in enumerate(TO_DEVICE):
        content = header(device, f"c{number}", conf) | dict(changes)
        if len(json.dumps(content)) < SENDABLE:
            await server.send_to_device(type, {user: {focus_device: content}})
            thrown["signalling", reason] += 1
    return thrown


async def throw_state(stand: Stage, server: Homeserver, user: str) -> Reasons:
    """Malformed call and member events."""
    thrown: Reasons = Counter()
    for number, (reason, content) in enumerate((*MEMBER_EVENTS, *CALL_EVENTS)):
        type, key = (MEMBER, user) if number < len(MEMBER_EVENTS) else (CALL, f"bad{number}")
        await server.put_state(stand.room, type, key, content)
        thrown["signalling", reason] += 1
    return thrown


async def throw_descriptions(stand: Stage, persons: list[tuple[Account, Homeserver]], conf: str) -> Reasons:
    """Invites of people who may enter, with descriptions that are none."""
    user, focus_device = stand.focus
    for account, server in persons:
        await server.join(stand.room)
        entry = {
            "device_id": account.device_id, "session_id": "s", "expires_ts": int((time.time() + 3600) * 1000),
            "feeds": [], "org.matrix.msc3898.foci.active": [{"user_id": user, "device_id": focus_device}],
        }  # fmt: skip
        content = {"m.calls": [{"m.call_id": conf, "m.devices": [entry]}]}
        await server.put_state(stand.room, MEMBER, account.user_id, content)
    fingerprint = "sha-256 " + ":".join(["AB"] * 32)
    whole = sdp.offer(sdp.Local("abcd", secrets.token_hex(12), fingerprint, "s", "mic", "cam", 1234, "x"))
    thrown: Reasons = Counter()
    for number, (reason, old, new) in enumerate(SDP):
        account, server = persons[number % len(persons)]
        offer = {"type": "offer", "sdp": whole.replace(old, new)}
        if len(offer["sdp"]) < SENDABLE:
            invite = header(account.device_id, f"s{number}", conf) | {"offer": offer}
            await server.send_to_device("m.call.invite", {user: {focus_device: invite}})
            thrown["switchboard", reason] += 1
    return thrown


def throw_texts(mallory: Participant, chance: random.Random) -> Reasons:
    """Malformed messages on the data channel, and a few twins."""
    assert mallory.call is not None
    thrown: Reasons = Counter()
    for reason, text in CHANNEL:
        mallory.call.line.say(text)
        thrown["signalling", reason] += 1
        for twin in (shortened(text, chance) or "", corrupted_text(text, chance)):
            mallory.call.line.say(twin)
    return thrown


def transport_of(mallory: Participant) -> Transport:
    """What carries a call in Python."""
    assert mallory.call is not None and isinstance(mallory.call.line, AiortcLine)
    return mallory.call.line.transport


def throw_packets(mallory: Participant, chance: random.Random) -> Reasons:
    """Malformed RTP and RTCP under valid keys, and twins that are no longer under any."""
    transport = transport_of(mallory)
    session, pair = transport.dtls._tx_srtp, transport.ice._connection._nominated[1]
    assert session is not None
    thrown: Reasons = Counter()
    for number, (reason, plain) in enumerate((*RTP, *RTCP)):
        control = number >= len(RTP)
        if not control:
            # On a stream of its own: to the focus, a packet that can be read at all is then one of nobody.
            plain = plain[:8] + (FOREIGN + number).to_bytes(4, "big") + plain[12:]
            readable = reason is not Drop.MALFORMED or not plain[0] & 0x20
            reason = Drop.UNKNOWN_SSRC if readable else reason
        sealed = session.protect_rtcp(plain) if control else session.protect(plain)
        for datagram in (sealed, cut(sealed, chance), flipped(sealed, chance)):
            pair.protocol.transport.sendto(datagram, pair.remote_addr)
        thrown["drop", reason.value] += 1
    return thrown


def throw_datagrams(mallory: Participant) -> Reasons:
    """Garbage to the media port, from nobody."""
    address = transport_of(mallory).ice._connection._nominated[1].remote_addr
    thrown: Reasons = Counter()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for reason, datagram in STRANGE:
            stranger.sendto(datagram, address)
            thrown["drop", reason.value] += 1
    return thrown


def pictures(viewer: Participant, of: set[str]) -> Mapping[str, int]:
    """Frames that the viewer received so far of each of these users."""
    if viewer.call is None:
        return {}
    owners = {stream: told.get("user_id") for stream, told in viewer.call.streams.items()}
    return {
        str(owners[track.name[0]]): track.found.frames
        for track in viewer.call.line.live()
        if track.found.kind == "video" and owners.get(track.name[0]) in of
    }


async def test_bad_input_is_counted_by_reason_and_the_call_goes_on(http: aiohttp.ClientSession) -> None:
    chance = random.Random(1)
    async with stage(2, page=False) as stand:
        people = await asyncio.to_thread(media.people, 2)
        known = await asyncio.to_thread(Known, people)
        accounts = await stand.accounts(6, http)
        servers = [Homeserver(stand.homeserver, account.access_token, http) for account in accounts]
        await servers[0].join(stand.room)
        conf = await live_call(servers[0], stand.room)
        assert conf is not None
        viewer, mallory = (
            Participant(
                servers[n], stand.room,
                Seat(n, 2, accounts[n].user_id, accounts[n].device_id, secrets.token_hex(4), conf, stand.focus,
                     people[n], known, time.monotonic),
                Habits(random.Random(n)),
            )
            for n in (0, 1)
        )  # fmt: skip
        leaving = asyncio.Event()
        inside: list[Any] = [asyncio.ensure_future(one.run(leaving)) for one in (viewer, mallory)]
        strangers = {account.user_id for account in accounts}

        def others() -> set[str]:
            told = viewer.call.streams.values() if viewer.call is not None else ()
            return {str(one.get("user_id")) for one in told} - strangers

        async def moving() -> bool:
            seen = pictures(viewer, others())
            return len(seen) == 2 and min(seen.values()) > 20 and mallory.state == "dialling" and connected(mallory)

        await until(moving, 60, "two moving pictures, and everybody in")
        before = await counted(stand, http)
        thrown = throw_texts(mallory, chance) + throw_packets(mallory, chance) + throw_datagrams(mallory)
        thrown += await throw_messages(stand, servers[2], accounts[2].device_id, conf)
        await servers[3].join(stand.room)
        thrown += await throw_state(stand, servers[3], accounts[3].user_id)
        thrown += await throw_descriptions(stand, list(zip(accounts[4:], servers[4:], strict=True)), conf)

        async def all_counted() -> bool:
            return not thrown - (await counted(stand, http) - before)

        try:
            await until(all_counted, 20, "every reason in the metrics")
        except TimeoutError:
            missing = thrown - (await counted(stand, http) - before)
            raise AssertionError(f"not counted: {dict(missing)}") from None
        assert not [reason for reason in await counted(stand, http) if reason[1] == "bug"]
        frames = pictures(viewer, others())

        async def moved_on() -> bool:
            now = pictures(viewer, others())
            return len(now) == 2 and all(now[user] > count + 20 for user, count in frames.items())

        await until(moved_on, 20, "both pictures moving on")
        assert len(frames) == 2 and [len(viewer.calls), sum(viewer.ends.values())] == [1, 0], "one call, to the end"
        assert await stand.metric(http, "weir_peers") == 4
        leaving.set()
        await asyncio.wait(inside, timeout=20)
        for task in inside:
            task.cancel()
        await asyncio.gather(*inside, return_exceptions=True)


def connected(one: Participant) -> bool:
    """Whether its data channel is open."""
    return one.call is not None and one.call.connected > 0
