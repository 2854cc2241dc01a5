"""The focus account at its homeserver: `Link` over HTTP and Olm.

It syncs with a filter that lets through what calls need and nothing that people say,
hands batches over in order, and remembers how far it got only when a batch has been
handled. It settles who truly sent each message; what messages mean is the agent's affair.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import aiohttp

from signalling.devices import Devices
from signalling.link import Batch, Content, Gone, Invited, StateEvent, ToDevice, Unreachable
from signalling.matrix import Homeserver, MatrixError, endpoint
from signalling.olm import Olm, Unopened
from signalling.store import Store

log = logging.getLogger(__name__)

ENCRYPTED = "m.room.encrypted"
POLL = 30_000
"Milliseconds that the homeserver holds a sync without news."
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"Seconds before the sync is asked for again after a failure, doubled for each in a row."

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

FILTER: dict[str, Any] = {
    "presence": {"types": []},
    "account_data": {"types": []},
    "room": {
        "account_data": {"types": []},
        "ephemeral": {"types": []},
        "state": {"types": STATE, "lazy_load_members": False},
        # Changes of state come in the timeline; a redaction of state comes in no other way.
        "timeline": {"types": [*STATE, REDACTION], "limit": 50},
    },
}

SECRETS = ("m.room_key", "m.forwarded_room_key", "m.room_key.", "m.room_key_request", "m.secret.", "m.dummy")
"Opened or not, these are of no use to a focus and are dropped unread."


class LinkFailed(Exception):
    """The account cannot be used, and trying again will not help. The text says what to do."""


class MatrixLink:
    """See `link.Link`. `start` first, `close` last; `batches` may be run once."""

    def __init__(
        self,
        base_url: str,
        access_token: str,
        user: str,
        device: str,
        store: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.faults: Counter[str] = Counter()
        "To-device messages that were not handed on, by why."
        self.synced: float | None = None
        "When the homeserver last answered a sync, by `clock`."
        self._where = (base_url, access_token)
        self._user, self._device = user, device
        self._clock = clock
        self.memory = Store(store)
        self._olm = Olm(user, device, self.memory)
        self._session: aiohttp.ClientSession | None = None
        self._beginning: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def user(self) -> str:
        """The focus's user id."""
        return self._user

    @property
    def device(self) -> str:
        """The focus's device id."""
        return self._device

    async def start(self) -> None:
        """Log in and publish our keys, waiting for the homeserver if it is away. Raises `LinkFailed`."""
        self._session = aiohttp.ClientSession()
        base_url, token = self._where
        self._server = Homeserver(base_url, token, self._session)
        self._devices = Devices(self._server, self._clock)
        pause = FIRST_PAUSE
        while True:
            try:
                await self._check()
                self._filter = await self._server.filter(self._user, FILTER)
                return
            except MatrixError as error:
                if error.signed_out:
                    raise LinkFailed("the homeserver does not know the access token: run `weir setup`") from error
                if not error.passing:
                    raise LinkFailed(f"the homeserver refuses: {error}") from error
                log.warning("the homeserver is away", extra={"again_in": pause})
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _check(self) -> None:
        who = await self._server.whoami()
        if (who.user_id, who.device_id) != (self._user, self._device):
            raise LinkFailed(
                f"the access token is that of {who.user_id} on device {who.device_id}, not of {self._user} on"
                f" {self._device}: mend matrix.user, matrix.device or the token"
            )
        answer = await self._server.request("POST", endpoint("keys", "query"), {"device_keys": {self._user: []}})
        there = answer.get("device_keys", {}).get(self._user, {}).get(self._device)
        if there is not None and there.get("keys") != self._olm.device_keys()["keys"]:
            # Others have sessions with the old keys; a device never changes its keys.
            raise LinkFailed("the store is lost: the device has other keys. Run `weir setup --new-device`")
        counts = await self._server.request("POST", endpoint("keys", "upload"), {})
        self._held = dict(counts.get("one_time_key_counts", {}))
        await self._publish(None if there is not None else {})

    async def _publish(self, unused_fallback: object) -> None:
        """Fill up our keys at the homeserver. None: whether a fallback key is unused is not known yet."""
        held = self._held.get("signed_curve25519", 0)
        fallback = unused_fallback is None or (isinstance(unused_fallback, list) and bool(unused_fallback))
        body = self._olm.upload(held if isinstance(held, int) else 0, fallback)
        if body is not None:
            answer = await self._server.request("POST", endpoint("keys", "upload"), body)
            self._olm.uploaded()
            self._held = dict(answer.get("one_time_key_counts", {}))

    async def close(self) -> None:
        """Close the connection and the store."""
        self._olm.flush()
        if self._session is not None:
            await self._session.close()
        self.memory.close()

    # In.

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield what each sync brings. Raises `LinkFailed` when the account is signed out."""
        since, first = self.memory.since, True
        pause = FIRST_PAUSE
        while True:
            try:
                answer = await self._server.sync(since, self._filter, 0 if first else POLL, full_state=first)
                self.synced = self._clock()
                batch = await self._batch(answer, first)
            except MatrixError as error:
                if error.signed_out:
                    raise LinkFailed("the homeserver has signed the focus out: run `weir setup`") from error
                self.faults["sync_failed"] += 1
                log.warning("the sync failed", extra={"status": error.status, "again_in": pause})
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            if batch.rooms or batch.messages or first:
                yield batch
            # Handled: what it changed and where we are now go to disk together with nothing in between.
            first, pause = False, FIRST_PAUSE
            self._olm.flush()
            since = str(answer["next_batch"])
            self.memory.since = since
            await self._keep_published(answer)

    async def _keep_published(self, answer: Mapping[str, Any]) -> None:
        self._held = dict(answer.get("device_one_time_keys_count", {}))
        try:
            await self._publish(answer.get("device_unused_fallback_key_types"))
        except MatrixError:
            self.faults["upload_failed"] += 1  # the next sync asks again

    async def _batch(self, answer: Mapping[str, Any], first: bool) -> Batch:
        self._devices.changed(answer.get("device_lists", {}).get("changed", []))
        rooms = answer.get("rooms", {})
        events: list[StateEvent | Invited | Gone] = []
        for room, part in rooms.get("join", {}).items():
            events += await self._state(room, part)
        for room, part in rooms.get("invite", {}).items():
            sender = self._inviter(part)
            if sender is not None:
                events.append(Invited(room, sender))
        events += [Gone(room) for room in rooms.get("leave", {})]
        messages = [await self._message(event) for event in answer.get("to_device", {}).get("events", [])]
        return Batch(tuple(events), tuple(message for message in messages if message is not None), first)

    async def _state(self, room: str, part: Mapping[str, Any]) -> list[StateEvent]:
        raw = [*part.get("state", {}).get("events", []), *part.get("timeline", {}).get("events", [])]
        found: list[StateEvent] = []
        for event in raw:
            if event.get("type") == REDACTION:
                event = await self._redacted(room, event)
            read = state_event(room, event)
            if read is not None:
                found.append(read)
        return found

    async def _redacted(self, room: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a piece of state is after a redaction, an empty mapping if it was no state of ours."""
        target = event.get("redacts") or event.get("content", {}).get("redacts")
        try:
            old = await self._server.event(room, str(target))
            if old.get("type") not in STATE or "state_key" not in old:
                return {}
            return {**old, "content": await self._server.get_state(room, old["type"], old["state_key"])}
        except MatrixError:
            return {}

    def _inviter(self, part: Mapping[str, Any]) -> str | None:
        for event in part.get("invite_state", {}).get("events", []):
            if event.get("type") == "m.room.member" and event.get("state_key") == self._user:
                return str(event.get("sender"))
        return None

    async def _message(self, event: Any) -> ToDevice | None:
        """One to-device event, opened; None if there is nothing to act on."""
        try:
            type, sender, content = event["type"], event["sender"], event["content"]
        except (KeyError, TypeError):
            self.faults["malformed"] += 1
            return None
        if not (isinstance(type, str) and isinstance(sender, str) and isinstance(content, dict)):
            self.faults["malformed"] += 1
            return None
        device = None
        if type == ENCRYPTED:
            key = content.get("sender_key")
            known = await self._devices.by_key(sender, key) if isinstance(key, str) else None
            if known is None:
                self.faults["unknown_device"] += 1
                return None
            try:
                type, content = self._olm.open(known, content)
            except Unopened as fault:
                self.faults[str(fault)] += 1
                return None
            device = known.id
        if type.startswith(SECRETS):
            self.faults["room_key_dropped"] += 1
            return None
        return ToDevice(sender, type, content, device)

    # Out.

    async def send(self, user: str, device: str, type: str, content: Content, *, encrypted: bool) -> None:
        """Send one to-device message, by Olm if asked. Raises `Unreachable`."""
        try:
            if encrypted:
                type, content = ENCRYPTED, await self._sealed(user, device, type, content)
            await self._server.send_to_device(type, {user: {device: content}})
        except (MatrixError, Unopened) as error:
            raise Unreachable(str(error)) from error

    async def _sealed(self, user: str, device: str, type: str, content: Content) -> dict[str, Any]:
        to = await self._devices.by_id(user, device)
        if to is None:
            raise Unreachable("the device has no keys")
        # One at a time for a device, or each of several first messages would spend a one-time key.
        lock = self._beginning.setdefault(to.curve25519, asyncio.Lock())
        async with lock:
            if not self._olm.has_session(to):
                key = await self._devices.one_time_key(to)
                if key is None:
                    raise Unreachable("the device has no one-time key")
                self._olm.begin(to, key)
            return self._olm.seal(to, type, content)

    async def join(self, room: str) -> None:
        """Join a room that we are invited to. Raises `MatrixError`."""
        await self._server.join(room)

    async def leave(self, room: str) -> None:
        """Leave a room. Raises `MatrixError`."""
        await self._server.leave(room)


def state_event(room: str, event: Mapping[str, Any]) -> StateEvent | None:
    """One raw event as state, None if it is none."""
    key, type, sender = event.get("state_key"), event.get("type"), event.get("sender")
    content, sent = event.get("content"), event.get("origin_server_ts")
    if not (isinstance(key, str) and isinstance(type, str) and isinstance(sender, str) and isinstance(content, dict)):
        return None
    return StateEvent(room, type, key, sender, content, sent if isinstance(sent, int) else 0)
