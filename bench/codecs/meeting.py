"""One conference without Matrix: a real engine and control plane, and guests that are handed descriptions.

Everybody subscribes to everybody. It knows when a guest was answered, not what it decodes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Protocol

from bench.browser import until
from focus.codecs import carried
from focus.engine import Engine, Settings, choose
from focus.limits import Limits
from focus.names import RandomNames
from focus.sdp import parse
from focus.switchboard import Switchboard
from focus.vocabulary import (
    Alive,
    Answer,
    Answered,
    ConferenceId,
    Ended,
    Join,
    Left,
    Offer,
    Owner,
    PeerId,
    Ping,
    Reason,
    Selected,
    Stream,
    Told,
    View,
    Want,
    Wanted,
)

ROOM = ConferenceId("meeting")
SIZE = 1280
"Pixels. Everybody shows everybody large."


class Guest(Protocol):
    """A WebRTC stack with a camera and a microphone."""

    @property
    def name(self) -> str:
        """Unique in the meeting."""

    async def offer(self) -> str:
        """Its first offer, with a data channel."""

    async def take_answer(self, sdp: str) -> None:
        """Take the focus's answer to it."""

    async def take_offer(self, sdp: str) -> str:
        """Take an offer of the focus and answer."""

    async def close(self) -> None:
        """Hang up."""


class Meeting:
    """See `focus.switchboard.Face`."""

    def __init__(self, engine: Engine, order: Iterable[str]) -> None:
        self.board = Switchboard(
            engine, self, Limits(first_offer_hold=0.5), carried(engine.codecs, order), RandomNames(), time.monotonic
        )
        self.engine = engine
        self.ended: dict[str, Reason] = {}
        self.lines: dict[str, dict[str, str]] = {}
        "Guest -> line of ours that carries something -> whose."
        self.subscribed: dict[str, float] = {}
        "When a guest last answered an offer (monotonic)."
        self._told: dict[PeerId, asyncio.Queue[Told]] = {}
        self._guests: dict[PeerId, tuple[Guest, asyncio.Task[None]]] = {}
        self._owners: dict[str, str] = {}
        self._offered: dict[PeerId, set[tuple[str, str]]] = {}
        self._wanted: dict[PeerId, set[tuple[str, str]]] = {}
        self._names = 0

    def tell(self, conference: ConferenceId, told: Told) -> None:
        """Carry an effect to its guest."""
        self._told[told.peer].put_nowait(told)

    def hear(self, conference: ConferenceId, peer: PeerId, text: str) -> None:
        """Nobody says anything."""

    async def admit(self, guest: Guest) -> None:
        """Let a guest in."""
        self._names += 1
        peer = PeerId(f"{guest.name}{self._names}")
        self._told[peer] = asyncio.Queue()
        offer = await guest.offer()
        self._guests[peer] = guest, asyncio.create_task(self._serve(peer, guest))
        self.board.post(ROOM, Join(peer, Owner(guest.name, "DEVICE"), offer, ()))

    async def _serve(self, peer: PeerId, guest: Guest) -> None:
        """Carry descriptions to and fro, and subscribe to all that is advertised."""
        wanted = self._wanted.setdefault(peer, set())
        while True:
            told = await self._told[peer].get()
            streams: tuple[Stream, ...] = ()
            match told:
                case Answer():
                    await guest.take_answer(told.sdp)
                    self.board.post(ROOM, Selected(peer))
                    streams = told.streams
                case Offer():
                    streams = told.streams
                    self._owners.update({stream.id: stream.owner.user for stream in streams})
                    answer = await guest.take_offer(told.sdp)
                    self.lines[guest.name] = self._carried(told.sdp)
                    self.subscribed[guest.name] = time.monotonic()
                    self.board.post(ROOM, Answered(peer, answer, ()))
                case View():
                    streams = told.streams
                case Ping():
                    self.board.post(ROOM, Alive(peer))
                case Ended():
                    self.ended[guest.name] = told.reason
                    return
            self._owners.update({stream.id: stream.owner.user for stream in streams})
            new = {(stream.id, track.name) for stream in streams for track in stream.tracks} - wanted
            if new:
                wanted.update(new)
                self.board.post(ROOM, Wanted(peer, tuple(Want(*each, SIZE, SIZE) for each in sorted(new)), ()))

    def _carried(self, sdp: str) -> dict[str, str]:
        found = {}
        for section in parse(sdp).sections:
            stream = (section.value("msid") or "").split(" ")[0]
            if stream in self._owners:
                found[section.value("mid") or ""] = self._owners[stream]
        return found

    def show(self, guest: str, whose: str, width: int, height: int) -> None:
        """Have a guest show somebody's picture in this size from now on."""
        peer = next(name for name, (one, _) in self._guests.items() if one.name == guest)
        tracks = [(stream, name) for stream, name in self._wanted[peer] if self._owners[stream] == whose]
        self.board.post(ROOM, Wanted(peer, tuple(Want(*track, width, height) for track in tracks), ()))

    async def dismiss(self) -> None:
        """Let everybody go, wait until the focus has, and hang up. Raises `TimeoutError`."""
        serving = [task for _, task in self._guests.values()]
        for task in serving:
            # Whoever goes is told of those who went before, and could answer no more.
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        for peer in self._guests:
            self.board.post(ROOM, Left(peer, Reason.USER_HANGUP))

        async def empty() -> bool:
            return not self.board.conferences()

        try:
            await until(empty, 5.0, "everybody is gone")
        finally:
            guests = [guest for guest, _ in self._guests.values()]
            self._guests.clear()
            for guest in guests:
                await guest.close()

    def state(self) -> str:
        """What to know of a call in which something is missing."""
        counters, board = self.engine.counters(), self.board
        drops = {drop.value: count for drop, count in counters.drops if count}
        return (
            f"ended {self.ended or 'nobody'}, lines {self.lines}, faults {dict(board.faults)}, {board.figures()},"
            f" in {counters.packets_in}, out {counters.packets_out}, keyframe requests {counters.keyframe_requests},"
            f" drops {drops}"
        )

    def failed(self) -> None:
        """Raise what went wrong with a guest, if anything did."""
        for _, task in self._guests.values():
            if task.done() and not task.cancelled():
                task.result()


@asynccontextmanager
async def meeting(engine: str, order: Iterable[str]) -> AsyncIterator[Meeting]:
    """A conference on loopback that prefers codecs in this order. Raises `focus.native.Unavailable`."""
    made = choose(engine, Settings(addresses=("127.0.0.1",)))
    held = Meeting(made, order)
    running = asyncio.create_task(held.board.run())
    try:
        yield held
    finally:
        try:
            await held.dismiss()
        finally:
            running.cancel()
            await made.close()
