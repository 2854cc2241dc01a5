"""Who may enter a call, and who may stay in it.

Pure, over rosters. Authority is room membership and the user's own member event, as our
own homeserver tells them; what a client claims must match them. New access fails closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from signalling.membership import Device, Room, allowed, server

Why = Literal["device", "banned", "server_acl", "no_call", "not_joined", "not_in_call", "session", "focus", "expired"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who dials in, and what for."""

    user: str
    device: str
    "As claimed in the message."
    session: str
    conf: str
    proven: str | None
    "The device that Olm proved, None for a plain message."


@dataclass(frozen=True, slots=True)
class Admit:
    """Let in, to the call of this room."""

    room: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Room state does not allow it yet, but could within seconds: an invite may run ahead of state."""

    why: Why


@dataclass(frozen=True, slots=True)
class Refuse:
    """Never, as things stand."""

    why: Why


Verdict = Admit | Wait | Refuse


def admit(rooms: Mapping[str, Room], focus: tuple[str, str], caller: Caller, now: int) -> Verdict:
    """Judge an invite. `focus` is our user and device; `now` in milliseconds since the epoch."""
    if caller.proven is not None and caller.proven != caller.device:
        return Refuse("device")
    best: Verdict = Wait("no_call")
    for room in rooms.values():
        if not room.calls.get(caller.conf):
            continue
        verdict = _in_room(room, focus, caller, now)
        if isinstance(verdict, Admit):
            return verdict
        best = verdict
    return best


def _in_room(room: Room, focus: tuple[str, str], caller: Caller, now: int) -> Verdict:
    if room.members.get(caller.user) == "ban":
        return Refuse("banned")
    if not allowed(room.acl, server(caller.user)):
        return Refuse("server_acl")
    if not room.joined(caller.user):
        return Wait("not_joined")
    entry = room.device(caller.conf, caller.user, caller.device)
    if entry is None:
        return Wait("not_in_call")
    if entry.session != caller.session:
        return Wait("session")
    if not _uses(entry, focus):
        return Wait("focus")
    if entry.expires <= now:
        return Wait("expired")
    return Admit(room.id)


def _uses(entry: Device, focus: tuple[str, str]) -> bool:
    """The entry names this focus, or names none (foci are a hint: digest §16.16)."""
    return not entry.foci or focus in entry.foci


def stays(room: Room | None, focus: tuple[str, str], caller: Caller) -> bool:
    """Whether somebody who was let in may stay: as for entering, but for expiry.

    An expired entry ends a call only when media and data channel are silent too, and that
    the conference's keep-alive sees.
    """
    if room is None or not room.calls.get(caller.conf) or not room.joined(caller.user):
        return False
    entry = room.device(caller.conf, caller.user, caller.device)
    return entry is not None and entry.session == caller.session and _uses(entry, focus)


def named(room: Room, focus: tuple[str, str], now: int) -> list[tuple[str, str, Device]]:
    """Live devices whose entries name this focus, as (conf_id, user, entry): whom a restarted focus owes a word."""
    found: list[tuple[str, str, Device]] = []
    for user, calls in room.entries.items():
        if not room.joined(user):
            continue
        for conf, devices in calls.items():
            if room.calls.get(conf):
                found.extend(
                    (conf, user, entry)
                    for entry in devices
                    if entry.foci and focus in entry.foci and entry.expires > now
                )
    return found
