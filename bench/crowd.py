"""Native synthetic clients, joined to an event loop: who dials whom, what is sent and expected, what came of it.

No packet enters Python: a thread of the native module sends, answers and keeps the books.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from focus.commands import Close, Codec, Command, Event, Extensions
from focus.native import crowd
from focus.vocabulary import PeerId

if TYPE_CHECKING:
    from focus.native import _native

E = TypeVar("E")

WITHIN = 30.0
"Seconds for an event to come."


@dataclass(frozen=True, slots=True)
class Stream:
    """What a client sends: frames of equal packets, at an even pace."""

    ssrc: int
    mid: str
    codec: Codec
    extensions: Extensions
    fps: float = 30.0
    burst: int = 9
    "Packets a frame."
    size: int = 1200
    "Bytes of a packet before it is sealed."
    rtx_ssrc: int | None = None
    rid: str = ""
    "Empty without simulcast."
    keyframe_every: int = 0
    "Frames from one keyframe to the next if nobody asks; 0 for the first alone."
    width: int = 1280
    height: int = 720
    level: int = 20
    "Loudness of sound, in dB below the loudest (RFC 6464)."


@dataclass(frozen=True, slots=True)
class Watch:
    """What a client receives and keeps a book of."""

    ssrc: int
    codec: Codec
    extensions: Extensions
    rtx_ssrc: int | None = None


class Crowd:
    """Clients by name. Made inside a running event loop. Raises `focus.native.Unavailable` where it is not built."""

    def __init__(self, *, opened: int = 1, joined: bool = False, rest_ms: float = 0.0, keeps: bool = True) -> None:
        """One packet in `opened` is decrypted and checked. `joined`: the kernel may join what comes (UDP_GRO).

        `rest_ms`: sockets are left alone so long after each look, so that what comes wakes nobody. `keeps`: events are
        kept for `saw`.
        """
        self.keeps = keeps
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.native: _native.Crowd = crowd()(opened=opened, joined=joined, rest_ms=rest_ms)
        self.events: list[Event] = []
        self.on_event: Callable[[Event], None] = lambda event: None
        "Called with each event."
        self._came = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        asyncio.get_running_loop().add_reader(self.native.eventfd(), self._rung)

    @property
    def fingerprint(self) -> tuple[str, str]:
        """Of the certificate that all clients share."""
        return self.native.fingerprint

    def submit(self, *commands: Command) -> None:
        """`Open` dials; `Close`, `Restart` and `Send` are for who is there."""
        self.native.submit(commands)

    def leave(self, peer: PeerId) -> None:
        """Say goodbye; nothing more is heard of the client."""
        self.native.submit([Close(peer)])
        self.events = [event for event in self.events if getattr(event, "peer", None) != peer]

    async def saw(self, kind: type[E], **fields: Any) -> E:
        """The first event of a kind whose fields have these values, waited for. Raises `TimeoutError`."""

        def found() -> E | None:
            for event in self.events:
                if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items()):
                    return event
            return None

        async with asyncio.timeout(WITHIN), self._came:
            await self._came.wait_for(lambda: found() is not None)
        event = found()
        assert event is not None, "it was waited for"
        return event

    def figures(self) -> Mapping[str, int]:
        """What all books together say since `begin`, and what was sent since the start."""
        return self.native.figures()

    def close(self) -> None:
        """Free the sockets. Who shall say goodbye must `leave` first."""
        asyncio.get_running_loop().remove_reader(self.native.eventfd())
        self.native.close()

    def _rung(self) -> None:
        self.native.heard()
        came = self.native.drain()
        if self.keeps:
            self.events += came
        for event in came:
            self.on_event(event)
        task = asyncio.ensure_future(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._came:
            self._came.notify_all()
