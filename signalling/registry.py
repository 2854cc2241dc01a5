"""The legs that live, by every name that finds them, and remembered across a restart.

It keeps tables; what happens to a leg is decided in `agent.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from focus.vocabulary import PeerId
from signalling.leg import Leg
from signalling.link import Memory

REMEMBERED = "legs"


@dataclass(frozen=True, slots=True)
class Ghost:
    """A leg of the process before this one: its client must dial again."""

    user: str
    device: str
    session: str
    conf: str
    call: str
    encrypted: bool


class Registry:
    """All legs."""

    def __init__(self, memory: Memory | None) -> None:
        self._memory = memory
        self._peers: dict[PeerId, Leg] = {}
        self._keys: dict[tuple[str, str, str, str], Leg] = {}
        self._calls: dict[tuple[str, str, str], Leg] = {}

    def __iter__(self) -> Iterator[Leg]:
        return iter(list(self._peers.values()))

    def __len__(self) -> int:
        return len(self._peers)

    def count(self, user: str) -> int:
        """How many legs a user has, on all devices."""
        return sum(leg.caller.user == user for leg in self._peers.values())

    def add(self, leg: Leg) -> None:
        """A leg begins."""
        self._peers[leg.peer] = leg
        self._keys[leg.key] = leg
        self._calls[leg.caller.user, leg.caller.device, leg.call] = leg
        self._save()

    def remove(self, leg: Leg) -> None:
        """A leg is over."""
        self._peers.pop(leg.peer, None)
        if self._keys.get(leg.key) is leg:
            del self._keys[leg.key]
        name = (leg.caller.user, leg.caller.device, leg.call)
        if self._calls.get(name) is leg:
            del self._calls[name]
        self._save()

    def of_peer(self, peer: PeerId) -> Leg | None:
        """The leg of a peer."""
        return self._peers.get(peer)

    def of_key(self, key: tuple[str, str, str, str]) -> Leg | None:
        """The leg that somebody with this key would replace."""
        return self._keys.get(key)

    def of_call(self, user: str, device: str, call: str) -> Leg | None:
        """The leg that a message belongs to."""
        return self._calls.get((user, device, call))

    def ghosts(self) -> list[Ghost]:
        """Legs that the process before this one left behind."""
        saved = self._memory.load(REMEMBERED) if self._memory is not None else None
        return [Ghost(*row) for row in saved or [] if isinstance(row, list) and len(row) == 6]

    def _save(self) -> None:
        if self._memory is not None:
            self._memory.save(
                REMEMBERED,
                [
                    [leg.caller.user, leg.caller.device, leg.caller.session, leg.caller.conf, leg.call, leg.encrypted]
                    for leg in self._peers.values()
                ],
            )
