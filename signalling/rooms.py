"""What a sync says of rooms, as state in order: the filter, and where the sync alone does not say enough.

Three things must be fetched: state that was redacted (the sync has only the redaction), a
room of which the sync skipped a part, and one whose history may have forked. Stripped state of invites comes from
homeservers that we do not trust; nothing here may fall over it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from signalling.link import Gone, Invited, StateEvent
from signalling.matrix import Homeserver, MatrixError

STATE = [
    "m.room.create",
    "m.room.member",
    "m.room.power_levels",
    "m.room.server_acl",
    "m.room.encryption",
    "org.matrix.msc3401.call",
    "org.matrix.msc3401.call.member",
    "m.call",
    "m.call.member",
]
REDACTION = "m.room.redaction"

NOTHING: dict[str, Any] = {"not_types": ["*"]}
FILTER: dict[str, Any] = {
    "presence": NOTHING,
    "account_data": NOTHING,
    "room": {
        "account_data": NOTHING,
        "ephemeral": NOTHING,
        "state": {"types": STATE, "lazy_load_members": False},
        # Changes of state come in the timeline; a redaction of state comes in no other way.
        "timeline": {"types": [*STATE, REDACTION], "limit": 100},
    },
}


class Rooms:
    """Reads the `rooms` part of syncs for one user."""

    def __init__(self, server: Homeserver, user: str, faults: Counter[str]) -> None:
        self._server = server
        self._user = user
        self._faults = faults

    async def read(self, answer: Mapping[str, Any], first: bool) -> tuple[StateEvent | Invited | Gone, ...]:
        """What a sync brought of rooms. Raises `MatrixError` when the homeserver went away meanwhile."""
        rooms = answer.get("rooms", {})
        found: list[StateEvent | Invited | Gone] = []
        for room, part in rooms.get("join", {}).items():
            found += await self._joined(room, part, first)
        for room, part in rooms.get("invite", {}).items():
            sender = self._inviter(part)
            if sender is None:
                self._faults["malformed"] += 1
            else:
                found.append(Invited(room, sender))
        found += [Gone(room) for room in rooms.get("leave", {})]
        return tuple(found)

    async def _joined(self, room: str, part: Mapping[str, Any], first: bool) -> list[StateEvent]:
        timeline, before = part.get("timeline", {}), part.get("state", {}).get("events", [])
        found: list[StateEvent] = []
        for event in [*before, *timeline.get("events", [])]:
            if isinstance(event, dict) and event.get("type") == REDACTION:
                event = await self._redacted(room, event)
                if event is None:
                    continue
            read = state_event(room, event)
            if read is not None:
                found.append(read)
            else:
                self._faults["not_state"] += 1
        # A part was skipped, and with it perhaps redactions. (A first sync has all state, and no past to miss.)
        skipped = timeline.get("limited") and not first
        # State is told as of the start of the timeline. When two servers write at once, that start may lie on one
        # branch of the room's history, and undo in our eyes what the other did: a join, or a ban (MSC4222).
        forked = before and timeline.get("events")
        if skipped or forked:
            found += await self._all(room)
        return found

    async def _all(self, room: str) -> list[StateEvent]:
        try:
            events = await self._server.state(room)
        except MatrixError as error:
            if error.passing or error.signed_out:
                raise
            return []  # we have just been put out of the room; the next sync says so
        read = (state_event(room, event) for event in events if event.get("type") in STATE)
        return [event for event in read if event is not None]

    async def _redacted(self, room: str, redaction: Mapping[str, Any]) -> object:
        """What a piece of state is after a redaction; None if that was not about state of ours."""
        target = redaction.get("redacts")
        if target is None:  # since room version 11 inside the content
            content = redaction.get("content")
            target = content.get("redacts") if isinstance(content, dict) else None
        try:
            old = await self._server.event(room, str(target))
            type, key = old.get("type"), old.get("state_key")
            if type not in STATE or not isinstance(key, str):
                return None
            # The redacted event may be an old one: what counts is what is in force now.
            now = await self._server.state_event(room, type, key)
        except MatrixError as error:
            if error.passing or error.signed_out:
                raise
            return None
        return now if state_event(room, now) is not None else {**old, "content": now}

    def _inviter(self, part: object) -> str | None:
        match part:
            case {"invite_state": {"events": list(events)}}:
                for event in events:
                    match event:
                        case {"type": "m.room.member", "state_key": self._user, "sender": str(sender)}:
                            return sender
        return None


def state_event(room: str, event: object) -> StateEvent | None:
    """One raw event as state, None if it is none."""
    match event:
        case {"type": str(type), "state_key": str(key), "sender": str(sender), "content": dict(content), **rest}:
            sent = rest.get("origin_server_ts")
            return StateEvent(room, type, key, sender, content, sent if isinstance(sent, int) else 0)
    return None
