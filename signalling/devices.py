"""Whose key is whose: other users' devices as their homeservers vouch for them, and keys signed by them.

A device counts only with a valid signature of its own ed25519 key over its keys (Matrix
specification, "Device keys"). Lists are asked for once, kept, and forgotten when the
sync says that they changed. It knows no Olm sessions.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vodozemac import Curve25519PublicKey, Ed25519PublicKey, Ed25519Signature

from signalling.matrix import Homeserver, MatrixError, endpoint

OLM = "m.olm.v1.curve25519-aes-sha2"
MOST_USERS = 10_000
"Users whose devices are kept."
MOST_DEVICES = 500
"Of one user; more are not looked at."
AGAIN_AFTER = 5.0
"Seconds before a user's devices are asked for again, when a message names one that we do not know."
WAIT_FOR_OTHERS = 5000
"Milliseconds that our homeserver may wait for another one: signalling of everybody waits meanwhile."


@dataclass(frozen=True, slots=True)
class Device:
    """One device, with keys that its own signature binds to it."""

    user: str
    id: str
    curve25519: str
    ed25519: str


def canonical(value: Mapping[str, Any]) -> bytes:
    """JSON as it is signed: keys sorted, no blanks, UTF-8 (Matrix specification, appendix "Canonical JSON")."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def signed_by(value: Mapping[str, Any], user: str, device: str, ed25519: str) -> bool:
    """Whether a signed JSON object carries this device's valid signature."""
    try:
        signature = value["signatures"][user][f"ed25519:{device}"]
        bare = {name: part for name, part in value.items() if name not in ("signatures", "unsigned")}
        key, over = Ed25519PublicKey.from_base64(ed25519), Ed25519Signature.from_base64(signature)
        key.verify_signature(canonical(bare), over)
    except (KeyError, TypeError, ValueError, RecursionError):
        return False
    return True


def read_device(user: str, id: str, keys: Any) -> Device | None:
    """One device of a /keys/query answer, None if anything about it does not fit."""
    try:
        curve25519, ed25519 = keys["keys"][f"curve25519:{id}"], keys["keys"][f"ed25519:{id}"]
        if (keys["user_id"], keys["device_id"]) != (user, id) or OLM not in keys["algorithms"]:
            return None
        Curve25519PublicKey.from_base64(curve25519)
    except (KeyError, TypeError, ValueError):
        return None
    return Device(user, id, curve25519, ed25519) if signed_by(keys, user, id, ed25519) else None


class Devices:
    """The devices of users that we have to do with."""

    def __init__(self, server: Homeserver, clock: Callable[[], float]) -> None:
        self._server = server
        self._clock = clock
        self._known: OrderedDict[str, tuple[Device, ...]] = OrderedDict()
        self._stale: set[str] = set()
        "Users whose list changed; the old one serves while the new one cannot be had."
        self._asked: OrderedDict[str, float] = OrderedDict()

    def changed(self, users: Iterable[str]) -> None:
        """These users' lists changed."""
        for user in users:
            self._asked.pop(user, None)
            if user in self._known:
                self._stale.add(user)

    def gone(self, users: Iterable[str]) -> None:
        """We share no room with these users any more, so nobody will tell of a change."""
        for user in users:
            self._known.pop(user, None)
            self._asked.pop(user, None)
            self._stale.discard(user)

    def at_hand(self, user: str, curve25519: str) -> Device | None:
        """The user's device with this identity key, if that can be said without asking."""
        if user in self._stale:
            return None
        return next((device for device in self._known.get(user, ()) if device.curve25519 == curve25519), None)

    async def by_key(self, user: str, curve25519: str) -> Device | None:
        """The user's device with this identity key."""
        return await self._find(user, lambda device: device.curve25519 == curve25519)

    async def by_id(self, user: str, id: str) -> Device | None:
        """The user's device with this id."""
        return await self._find(user, lambda device: device.id == id)

    async def _find(self, user: str, fits: Callable[[Device], bool]) -> Device | None:
        found = next(filter(fits, self._known.get(user, ())), None)
        if found is not None and user not in self._stale:
            return found
        asked = self._asked.get(user)
        if asked is None or self._clock() - asked >= AGAIN_AFTER:
            await self._ask(user)
            found = next(filter(fits, self._known.get(user, ())), None)
        return found

    async def _ask(self, user: str) -> None:
        self._asked[user] = self._clock()
        self._asked.move_to_end(user)
        stale = user in self._stale
        # Taken back before we ask: a change that is told meanwhile may not be in the answer.
        self._stale.discard(user)
        body = {"device_keys": {user: []}, "timeout": WAIT_FOR_OTHERS}
        raw = None
        try:
            answer = await self._server.request("POST", endpoint("keys", "query"), body, tries=2)
            raw = answer.get("device_keys", {}).get(user)
        except MatrixError:
            pass
        if not isinstance(raw, dict):
            if stale:
                self._stale.add(user)  # what we knew serves until the user's homeserver answers
        else:
            read = (read_device(user, id, keys) for id, keys in list(raw.items())[:MOST_DEVICES])
            self._known[user] = tuple(device for device in read if device is not None)
            self._known.move_to_end(user)
        for kept in (self._known, self._asked):
            while len(kept) > MOST_USERS:
                self._stale.discard(kept.popitem(last=False)[0])

    async def one_time_key(self, device: Device) -> str | None:
        """Take one of a device's one-time keys, for a new session; None if there is none with its signature.

        Raises `MatrixError`.
        """
        body = {"one_time_keys": {device.user: {device.id: "signed_curve25519"}}, "timeout": WAIT_FOR_OTHERS}
        answer = await self._server.request("POST", endpoint("keys", "claim"), body, repeatable=False)
        try:
            offered = answer["one_time_keys"][device.user][device.id]
            for name, key in offered.items():
                if name.startswith("signed_curve25519:") and signed_by(key, device.user, device.id, device.ed25519):
                    return str(key["key"])
        except (KeyError, TypeError, AttributeError):
            pass
        return None
