"""Room state to a roster: which calls live, who is in them with which devices, who is in the room.

Pure: state events in, a frozen `Room` out. Times are compared elsewhere. MatrixRTC events
of the same type name are not ours and change nothing (digest §19.3).
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

from signalling.link import StateEvent

CALL = ("org.matrix.msc3401.call", "m.call")
MEMBER = ("org.matrix.msc3401.call.member", "m.call.member")
ACTIVE = ("org.matrix.msc3898.foci.active", "m.foci.active")
MOST_CALLS, MOST_DEVICES = 8, 32
"Read from one user's entry; the rest is left out."
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Device:
    """One device's entry in a call (digest §3.2)."""

    device: str
    session: str
    expires: int
    "Milliseconds since the epoch."
    foci: tuple[tuple[str, str], ...] | None
    "Foci that it uses, as (user, device); None when it names none at all."


@dataclass(frozen=True, slots=True)
class Acl:
    """m.room.server_acl."""

    allow: tuple[str, ...]
    deny: tuple[str, ...]
    literals: bool


@dataclass(frozen=True, slots=True)
class Room:
    """What signalling knows of one room."""

    id: str
    calls: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    "By conf_id: whether it lives."
    members: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    "Membership by user."
    entries: Mapping[str, Mapping[str, tuple[Device, ...]]] = field(default_factory=lambda: MappingProxyType({}))
    "Call member entries: by user, then by conf_id."
    acl: Acl | None = None
    encrypted: bool = False

    def joined(self, user: str) -> bool:
        """In the room, and of a server that the room does not deny."""
        return self.members.get(user) == "join" and allowed(self.acl, server(user))

    def device(self, conf: str, user: str, device: str) -> Device | None:
        """A device's entry in a call, whatever else holds."""
        listed = self.entries.get(user, {}).get(conf, ())
        return next((entry for entry in listed if entry.device == device), None)


def server(user: str) -> str:
    """The server part of a user id, with its port."""
    return user.partition(":")[2]


def _put(mapping: Mapping[str, V], key: str, value: V | None) -> Mapping[str, V]:
    changed = {k: v for k, v in mapping.items() if k != key}
    if value is not None:
        changed[key] = value
    return MappingProxyType(changed)


def apply(room: Room, event: StateEvent) -> Room:
    """Take one state event in."""
    content = event.content if isinstance(event.content, Mapping) else {}
    if event.type in CALL:
        lives = bool(content) and not content.get("m.terminated") and isinstance(content.get("m.intent"), str)
        return replace(room, calls=_put(room.calls, event.key, lives))
    if event.type in MEMBER:
        # Only the user itself can write its entry. MatrixRTC keys its events otherwise, or has no m.calls.
        if event.key != event.sender:
            return room
        return replace(room, entries=_put(room.entries, event.key, _entries(content) or None))
    match event.type:
        case "m.room.member":
            membership = content.get("membership")
            return replace(
                room, members=_put(room.members, event.key, membership if isinstance(membership, str) else None)
            )
        case "m.room.server_acl":
            return replace(room, acl=_acl(content))
        case "m.room.encryption":
            return replace(room, encrypted=bool(content))
        case _:
            return room


def flaws(event: StateEvent) -> tuple[str, ...]:
    """What of a piece of state cannot be understood, each as a metric label; what else it says counts all the same.

    Events of MatrixRTC are not ours, so nothing is wrong with them.
    """
    content = event.content if isinstance(event.content, Mapping) else {}
    if event.type in CALL:
        ended = not content or content.get("m.terminated")
        return () if ended or isinstance(content.get("m.intent"), str) else ("call_intent",)
    if event.type in MEMBER:
        if "m.calls" not in content:
            return ()
        return ("member_of_another",) if event.key != event.sender else tuple(_member_flaws(content))
    if event.type == "m.room.member" and not isinstance(content.get("membership"), str):
        return ("membership",)
    if event.type == "m.room.server_acl":
        lists = [content.get(name, []) for name in ("allow", "deny")]
        sound = all(isinstance(found, list) and all(isinstance(item, str) for item in found) for found in lists)
        return () if sound else ("server_acl",)
    return ()


def _member_flaws(content: Mapping[str, Any]) -> Iterator[str]:
    calls = content["m.calls"]
    if not isinstance(calls, list):
        yield "member_calls"
        return
    if len(calls) > MOST_CALLS:
        yield "member_too_many"
    for call in calls[:MOST_CALLS]:
        if not isinstance(call, Mapping) or not isinstance(call.get("m.call_id"), str):
            yield "member_call"
        elif not isinstance(devices := call.get("m.devices"), list):
            yield "member_devices"
        else:
            if len(devices) > MOST_DEVICES:
                yield "member_too_many"
            for item in devices[:MOST_DEVICES]:
                if not isinstance(item, Mapping) or _device(item, content.get("m.expires_ts")) is None:
                    yield "member_device"


def _entries(content: Mapping[str, Any]) -> Mapping[str, tuple[Device, ...]]:
    found: dict[str, tuple[Device, ...]] = {}
    fallback = content.get("m.expires_ts")
    calls = content.get("m.calls")
    for call in calls[:MOST_CALLS] if isinstance(calls, list) else ():
        if not isinstance(call, Mapping) or not isinstance(call.get("m.call_id"), str):
            continue
        devices = call.get("m.devices")
        if isinstance(devices, list):
            read = [_device(item, fallback) for item in devices[:MOST_DEVICES] if isinstance(item, Mapping)]
            found[call["m.call_id"]] = tuple(device for device in read if device is not None)
    return MappingProxyType(found)


def _device(item: Mapping[str, Any], fallback: object) -> Device | None:
    device, session = item.get("device_id"), item.get("session_id")
    expires = item.get("expires_ts", fallback)
    if not isinstance(device, str) or not isinstance(session, str) or isinstance(expires, bool):
        return None
    # A range, because JSON has numbers that no clock has: 1e999, say.
    if not isinstance(expires, int | float) or not 0 <= expires < 1 << 53:
        return None
    if not isinstance(item.get("feeds", []), list):
        return None
    listed = next((item[name] for name in ACTIVE if isinstance(item.get(name), list)), None)
    foci: tuple[tuple[str, str], ...] | None = None
    if listed is not None:
        foci = tuple(
            (focus["user_id"], focus["device_id"])
            for focus in listed[:8]
            if isinstance(focus, Mapping)
            and isinstance(focus.get("user_id"), str)
            and isinstance(focus.get("device_id"), str)
            # A `type` marks MatrixRTC's foci, which are not of our kind.
            and "type" not in focus
        )
    return Device(device[:255], session[:255], int(expires), foci)


def _acl(content: Mapping[str, Any]) -> Acl | None:
    if not content:
        return None
    return Acl(
        tuple(item for item in content.get("allow", []) if isinstance(item, str))
        if isinstance(content.get("allow"), list)
        else (),
        tuple(item for item in content.get("deny", []) if isinstance(item, str))
        if isinstance(content.get("deny"), list)
        else (),
        content.get("allow_ip_literals") is not False,
    )


def allowed(acl: Acl | None, name: str) -> bool:
    """Whether a room's server ACL lets a server take part (Matrix client-server API, m.room.server_acl)."""
    if acl is None:
        return True
    host = re.sub(r":\d{1,5}$", "", name).lower()
    if not acl.literals and _literal(host):
        return False
    if any(_matches(host, pattern) for pattern in acl.deny):
        return False
    return any(_matches(host, pattern) for pattern in acl.allow)


def _literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _matches(host: str, pattern: str) -> bool:
    """Matrix globs know `*` and `?` only; brackets are letters."""
    literal = pattern.lower().replace("[", "[[]")
    return len(pattern) <= 255 and fnmatch.fnmatchcase(host, literal)
