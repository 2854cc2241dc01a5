"""The focus account at its homeserver: `Link` over HTTP and Olm.

It syncs with a filter that lets through what calls need and nothing that people say,
hands batches over in order, and remembers how far it got only when a batch has been
handled. It settles who truly sent each message; what messages mean is the agent's affair.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import aiohttp

from signalling.devices import Device, Devices
from signalling.link import Batch, Content, Gone, Invited, StateEvent, Unreachable
from signalling.matrix import Homeserver, MatrixError, endpoint
from signalling.olm import Olm, Unopened
from signalling.opening import DUMMY, ENCRYPTED, Opening
from signalling.rooms import FILTER, Rooms
from signalling.store import Store

log = logging.getLogger(__name__)

POLL = 30_000
"Milliseconds that the homeserver holds a sync without news."
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"Seconds before a failed sync is asked for again, doubled for each in a row; half of it is chance."

DUMMY_AGAIN = 3600.0
"Seconds between two new sessions with a device whose messages could not be decrypted: more often mends nothing."
MOST_MENDED = 10_000
"Devices of which that is remembered."


Synced = tuple[tuple[StateEvent | Invited | Gone, ...], Mapping[str, Any]]
"What a sync said of rooms, and all of its answer."


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
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.faults: Counter[str] = Counter()
        "To-device messages that were not handed on, by why."
        self.synced: float | None = None
        "When the homeserver last answered a sync, by `clock`."
        self._where = (base_url, access_token)
        self._user, self._device = user, device
        self._clock, self._chance = clock, chance
        self.memory = Store(store)
        self._olm = Olm(user, device, self.memory)
        self._session: aiohttp.ClientSession | None = None
        self._beginning: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._held = 0
        "One-time keys of ours at the homeserver."
        self._opening: Opening | None = None
        self._mended: OrderedDict[str, float] = OrderedDict()
        self._mending: set[asyncio.Task[None]] = set()

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
        self._opening = Opening(self._devices, self._olm, self.faults, self._mend)
        self._rooms = Rooms(self._server, self._user, self.faults)
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
            await asyncio.sleep(self._spread(pause))
            pause = min(2 * pause, LONGEST_PAUSE)

    def _spread(self, pause: float) -> float:
        return pause * (0.5 + 0.5 * self._chance())

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
        self._hold(await self._server.request("POST", endpoint("keys", "upload"), {}), "one_time_key_counts")
        # Whether the fallback key is unused, the first sync tells; a device that is new there has none.
        await self._publish(fallback_unused=there is not None)

    def _hold(self, answer: Mapping[str, Any], name: str) -> None:
        match answer.get(name):
            case {"signed_curve25519": int(count)}:
                self._held = count
            case {}:
                self._held = 0  # left out: no change

    async def _publish(self, *, fallback_unused: bool) -> None:
        body = self._olm.upload(self._held, fallback_unused)
        if body is None:
            return
        try:
            answer = await self._server.request("POST", endpoint("keys", "upload"), body)
        except MatrixError as error:
            if error.status != 400:
                raise
            # Key ids that are taken, by a store that was wound back: these are given up, the next have other ids.
            self.faults["keys_refused"] += 1
            self._olm.uploaded()
            return
        self._olm.uploaded()
        self._hold(answer, "one_time_key_counts")

    async def close(self) -> None:
        """Close the connection and the store."""
        if self._opening is not None:
            await self._opening.close()
        for task in self._mending:
            task.cancel()
        await asyncio.gather(*self._mending, return_exceptions=True)
        self._olm.flush()
        if self._session is not None:
            await self._session.close()
        self.memory.close()

    # In.

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield what each sync brings, and what could be opened only later. Raises `LinkFailed` when signed out."""
        assert self._opening is not None, "start comes first"
        opening = self._opening
        syncing: asyncio.Task[Synced] | None = None
        since, first, pause = self.memory.since, True, FIRST_PAUSE
        try:
            while True:
                if syncing is None:
                    syncing = asyncio.create_task(self._sync(since, first))
                await first_of(syncing, opening.news)
                if not syncing.done():
                    yield Batch((), tuple(opening.drain()), False)
                    self._olm.flush()
                    continue
                try:
                    rooms, answer = syncing.result()
                except MatrixError as error:
                    syncing = None
                    since, first = self._failed(error, since, first)
                    await asyncio.sleep(self._spread(pause))
                    pause = min(2 * pause, LONGEST_PAUSE)
                    continue
                syncing, pause = None, FIRST_PAUSE
                for event in answer.get("to_device", {}).get("events", []):
                    opening.take(event)
                batch = Batch(rooms, tuple(opening.drain()), first)
                if batch.rooms or batch.messages or first:
                    yield batch
                # Handled. Ratchets first: a crash between the two costs a message that comes again and cannot be
                # opened twice, not one that was never seen.
                self._olm.flush()
                since, first = str(answer["next_batch"]), False
                self.memory.since = since
                await self._keep_published(answer)
        finally:
            if syncing is not None:
                syncing.cancel()
                await asyncio.gather(syncing, return_exceptions=True)

    async def _sync(self, since: str | None, first: bool) -> Synced:
        # The first asks for all state, with what waited. It is answered at once whatever the time-out says; but
        # Synapse answers a first sync out of a cache for two minutes if every parameter is the same.
        wait = int(1000 * self._chance()) if first else POLL
        answer = await self._server.sync(since, self._filter, wait, full_state=first)
        self.synced = self._clock()
        lists = answer.get("device_lists", {})
        self._devices.changed(lists.get("changed", []))
        self._devices.gone(lists.get("left", []))
        return await self._rooms.read(answer, first), answer

    def _failed(self, error: MatrixError, since: str | None, first: bool) -> tuple[str | None, bool]:
        """From where to go on."""
        if error.signed_out:
            raise LinkFailed("the homeserver has signed the focus out: run `weir setup`") from error
        log.warning("the sync failed", extra={"status": error.status})
        self.faults["sync_failed"] += 1
        if error.status == 400 and since is not None:
            # The homeserver does not know the place (its database was restored, say): begin anew.
            return None, True
        return since, first

    async def _keep_published(self, answer: Mapping[str, Any]) -> None:
        self._hold(answer, "device_one_time_keys_count")
        unused = answer.get("device_unused_fallback_key_types")
        try:
            # Left out by homeservers that have no fallback keys.
            await self._publish(fallback_unused=unused is None or "signed_curve25519" in unused)
        except MatrixError:
            self.faults["upload_failed"] += 1  # the next sync asks again

    def _mend(self, device: Device) -> None:
        """Something of this device could not be decrypted: begin a new session and make it known."""
        now, last = self._clock(), self._mended.get(device.curve25519)
        if last is not None and now - last < DUMMY_AGAIN:
            return
        self._mended[device.curve25519] = now
        self._mended.move_to_end(device.curve25519)
        while len(self._mended) > MOST_MENDED:
            self._mended.popitem(last=False)
        task = asyncio.get_running_loop().create_task(self._begin_anew(device))
        self._mending.add(task)
        task.add_done_callback(self._mending.discard)

    async def _begin_anew(self, device: Device) -> None:
        try:
            content = await self._sealed(device, DUMMY, {}, anew=True)
            await self._server.send_to_device(ENCRYPTED, {device.user: {device.id: content}})
        except (MatrixError, Unopened, Unreachable):
            self.faults["session_not_mended"] += 1

    # Out.

    async def send(self, user: str, device: str, type: str, content: Content, *, encrypted: bool) -> None:
        """Send one to-device message, by Olm if asked. Raises `Unreachable`."""
        try:
            if encrypted:
                to = await self._devices.by_id(user, device)
                if to is None:
                    raise Unreachable("the device has no keys")
                type, content = ENCRYPTED, await self._sealed(to, type, content)
            await self._server.send_to_device(type, {user: {device: content}})
        except (MatrixError, Unopened) as error:
            raise Unreachable(str(error)) from error

    async def _sealed(self, to: Device, type: str, content: Content, *, anew: bool = False) -> dict[str, Any]:
        # One at a time for a device, or each of several first messages would spend a one-time key.
        lock = self._beginning.setdefault(to.curve25519, asyncio.Lock())
        async with lock:
            if anew or not self._olm.has_session(to):
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



async def first_of(task: asyncio.Task[Any], event: asyncio.Event) -> None:
    """Wait until the task is done or the event is set."""
    if event.is_set():
        return
    setting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({task, setting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        setting.cancel()
