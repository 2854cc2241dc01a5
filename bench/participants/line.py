"""The media half of one participant's call, as the other half sees it.

`aiortc_line.py` and `native_line.py` are two of a kind that share no code below this
contract. Whoever holds a line knows neither packets nor sockets; a line knows nothing of
Matrix, of streams' owners, or of what a person wants to see.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bench.participants import media
from bench.participants.found import Found
from bench.participants.known import Known
from bench.participants.sdp import Remote, Section


class Unconnected(Exception):
    """ICE, DTLS or the data channel did not come up. The text says which."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a line counted so far, beside its tracks."""

    packets_in: int = 0
    packets_out: int = 0
    retransmitted: int = 0
    told_missing: int = 0
    "Packets that transport-wide feedback called missing."
    keyframe_requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    drops: Counter[str] = field(default_factory=Counter)
    "Received and of no use, by reason."


class Track(Protocol):
    """One received track on one m-line, for as long as it keeps its SSRC."""

    frame: Callable[[bytes], None] | None
    "Given every whole frame that a decoder could take, if it is set before the first one comes."

    @property
    def name(self) -> tuple[str, str]:
        """Stream id and track id."""

    @property
    def found(self) -> Found:
        """What was seen of it, as of when the track was asked for."""

    @property
    def recovered(self) -> int:
        """Packets that came after they had been asked for."""

    @property
    def duplicates(self) -> int:
        """Packets that had come before."""


class Line(Protocol):
    """Used once: dial again with a new one."""

    on_text: Callable[[str], None]
    "Called with each text on the data channel."
    on_track: Callable[[Track], None]

    @property
    def closed(self) -> asyncio.Event:
        """Set when the transport is gone, whoever ended it."""

    @property
    def credentials(self) -> tuple[str, str]:
        """Our ICE user fragment and password."""

    @property
    def fingerprint(self) -> str:
        """Hash name and digest, as the attribute of SDP has them."""

    @property
    def audio_ssrc(self) -> int:
        """Of the microphone, which alone SDP tells."""

    @property
    def active(self) -> bool:
        """Whether we are the DTLS client."""

    async def gather(self, remote: Remote) -> list[str]:
        """Open the socket that faces the focus; return our candidates as attribute values. Raises `Unconnected`."""

    async def connect(self, remote: Remote) -> None:
        """Bring everything up, the data channel too. Raises `Unconnected`."""

    async def flow(self) -> None:
        """Send, and answer what comes, until cancelled."""

    def heard(self) -> int:
        """Packets that came so far."""

    def say(self, text: str) -> None:
        """Send one text on the data channel; dropped when it is not open."""

    def expect(self, sections: Iterable[Section]) -> None:
        """Follow the focus's newest offer."""

    def want(self, name: tuple[str, str], size: tuple[int, int]) -> None:
        """Note that a picture was asked for in this size; nothing if it is not received yet."""

    def live(self) -> Sequence[Track]:
        """The tracks that are received now."""

    def tracks(self) -> Sequence[Track]:
        """Every track so far."""

    def counts(self) -> Counts:
        """What was counted."""

    async def close(self) -> None:
        """End the transport and free its socket."""


class Stack(Protocol):
    """Makes the lines of all who sit in one process."""

    def line(
        self, person: media.Person, known: Known, cname: str, talks: Callable[[float], bool], clock: Callable[[], float]
    ) -> Line:
        """Return a line that sends what `person` shows, and says it while `talks`. `clock`: seconds of the call."""

    def close(self) -> None:
        """Free what all lines share. They are closed by then."""


def changes(live: Mapping[str, Section], sections: Iterable[Section]) -> tuple[list[str], list[Section]]:
    """Return which mids end and which sections begin when the focus offers `sections`. `live`: by mid."""
    ended: list[str] = []
    begun: list[Section] = []
    for section in sections:
        if section.kind == "application" or section.mid in ("0", "1"):
            continue
        held = live.get(section.mid)
        sends = section.direction in ("sendonly", "sendrecv") and bool(section.ssrcs) and not section.rejected
        same = held is not None and told(held) == told(section)
        if held is not None and not (sends and same):
            ended.append(section.mid)
        if sends and not same:
            begun.append(section)
    return ended, begun


def told(section: Section) -> tuple[tuple[int, ...], str, str]:
    """Return what makes a track on an m-line another one."""
    return section.ssrcs, section.stream, section.track
