"""What the signalling agent needs of a homeserver, as types.

`matrix.py` and `olm.py` keep this contract over HTTP; tests keep it in memory. Nothing
here knows calls, and nothing that implements it may: a batch is handed over as it came,
with one thing settled, namely who truly sent each to-device message.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Content = Mapping[str, Any]
"Event content as parsed JSON: attacker-chosen, to be checked by `events.parse`."


@dataclass(frozen=True, slots=True)
class ToDevice:
    """One to-device message, decrypted if it was encrypted."""

    sender: str
    "The user, authenticated by the homeservers."
    type: str
    content: Content
    device: str | None
    "The device that Olm proved to be the sender's; None for a plain message, whose device is only a claim."


@dataclass(frozen=True, slots=True)
class StateEvent:
    """One piece of room state."""

    room: str
    type: str
    key: str
    sender: str
    content: Content
    sent: int
    "origin_server_ts, milliseconds since the epoch: claimed by the sender's server."


@dataclass(frozen=True, slots=True)
class Invited:
    """We are invited to a room."""

    room: str
    sender: str


@dataclass(frozen=True, slots=True)
class Gone:
    """We are no longer in a room: left, kicked or banned."""

    room: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What one sync brought: rooms first (state, in order), then messages."""

    rooms: tuple[StateEvent | Invited | Gone, ...]
    messages: tuple[ToDevice, ...]
    first: bool
    "This batch holds the whole state of every joined room: the agent has just started."


class Link(Protocol):
    """A focus account's way to its homeserver."""

    @property
    def user(self) -> str: ...

    @property
    def device(self) -> str: ...

    def batches(self) -> AsyncIterator[Batch]:
        """Yield batches for ever. A batch counts as handled, and is never seen again, once the next is asked for."""

    async def send(self, user: str, device: str, type: str, content: Content, *, encrypted: bool) -> None:
        """Send one to-device message, by Olm if asked. Raises `Unreachable` when that cannot be done."""

    async def join(self, room: str) -> None: ...

    async def leave(self, room: str) -> None: ...


class Memory(Protocol):
    """A small store that outlives the process, for what a restarted focus must know."""

    def load(self, name: str) -> Any:
        """The JSON value saved under a name, None if there is none."""

    def save(self, name: str, value: Any) -> None:
        """Save a JSON value under a name."""


class Unreachable(Exception):
    """A device cannot be reached as asked: no keys, or the homeserver refuses."""
