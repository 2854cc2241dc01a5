"""Our Olm account and sessions: open what was encrypted to us, encrypt to a device. No HTTP, no clock.

An opened message counts only if all that its inside says fits what is known outside: the
sender, us as recipient, our key, and the ed25519 key of the device whose identity key
encrypted it. Room keys are of no use to a focus; nothing here can keep one.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from vodozemac import Account, AnyOlmMessage, Curve25519PublicKey, PreKeyMessage, Session

from signalling.devices import OLM, Device, canonical
from signalling.link import Content
from signalling.store import Store

PICKLE_KEY = bytes(32)
"The store's folder is what protects the account; a key beside it would protect nothing."
ONE_TIME_KEYS = 50
"Kept on the homeserver. Each new caller takes one; the fallback key serves when they run out."
SESSIONS_EACH = 5
"Sessions kept with one device; clients make a new one now and then and use the newest."
UNDECRYPTABLE = "undecryptable"
MOST_TEXT = 256 * 1024
"Characters of one encrypted body. Synapse takes no to-device message beyond 64 KiB."


class Unopened(Exception):
    """An encrypted message is not acted on. The text is a metric label."""

    @property
    def wedged(self) -> bool:
        """The sender's sessions and ours do not fit each other: a new one may mend it."""
        return str(self) == UNDECRYPTABLE


class Olm:
    """One device's Olm account. Changes are written by `flush`: before anything that relies on them leaves us."""

    def __init__(self, user: str, device: str, store: Store) -> None:
        self.user, self.device = user, device
        self._store = store
        pickle = store.account
        self.new = pickle is None
        "The store was empty: these keys have never been seen by anybody."
        self._account = Account() if pickle is None else Account.from_pickle(pickle, PICKLE_KEY)
        self._account_changed = pickle is None
        self._sessions: dict[tuple[str, str], Session] = {}
        self._changed: dict[tuple[str, str], None] = {}

    @property
    def curve25519(self) -> str:
        """Our identity key."""
        return self._account.curve25519_key.to_base64()

    @property
    def ed25519(self) -> str:
        """Our signing key."""
        return self._account.ed25519_key.to_base64()

    def flush(self) -> None:
        """Write what changed."""
        changed = [
            (curve, id, self._sessions[curve, id].pickle(PICKLE_KEY)) for curve, id in self._changed
        ]
        account = self._account.pickle(PICKLE_KEY) if self._account_changed else None
        if account is not None or changed:
            self._store.write(account, changed, SESSIONS_EACH)
        self._account_changed = False
        self._changed.clear()
        # Every session can be had from the store again: memory need not grow with the number of callers.
        self._sessions.clear()

    # Keys for the homeserver.

    def _signed(self, value: dict[str, Any]) -> dict[str, Any]:
        signature = self._account.sign(canonical(value)).to_base64()
        return value | {"signatures": {self.user: {f"ed25519:{self.device}": signature}}}

    def device_keys(self) -> dict[str, Any]:
        """Our device as others see it. Megolm is not among the algorithms: we read no room."""
        keys = {f"curve25519:{self.device}": self.curve25519, f"ed25519:{self.device}": self.ed25519}
        return self._signed({"user_id": self.user, "device_id": self.device, "algorithms": [OLM], "keys": keys})

    def upload(self, one_time_keys: int, fallback_key: bool) -> dict[str, Any] | None:
        """The body of a /keys/upload that fills up what the homeserver holds; None if nothing lacks.

        `one_time_keys`: how many it holds; `fallback_key`: it holds one that is unused.
        Written down before it is returned; call `uploaded` when it has arrived.
        """
        account = self._account
        # Keys that were made before a crash and never confirmed are sent again, not made anew.
        lacking = ONE_TIME_KEYS - one_time_keys - len(account.one_time_keys)
        if one_time_keys < ONE_TIME_KEYS // 2 and lacking > 0:
            account.generate_one_time_keys(lacking)
        if not fallback_key and not account.fallback_key:  # type: ignore[attr-defined]
            account.generate_fallback_key()  # type: ignore[attr-defined]
        fallback: dict[str, Curve25519PublicKey] = account.fallback_key  # type: ignore[attr-defined]
        if not account.one_time_keys and not fallback:
            return None
        self._account_changed = True
        self.flush()
        return {
            "device_keys": self.device_keys(),
            "one_time_keys": {
                f"signed_curve25519:{id}": self._signed({"key": key.to_base64()})
                for id, key in account.one_time_keys.items()
            },
            "fallback_keys": {
                f"signed_curve25519:{id}": self._signed({"key": key.to_base64(), "fallback": True})
                for id, key in fallback.items()
            },
        }

    def uploaded(self) -> None:
        """The last `upload` has arrived."""
        self._account.mark_keys_as_published()
        self._account_changed = True
        self.flush()

    # Messages.

    def open(self, device: Device, content: Content) -> tuple[str, dict[str, Any]]:
        """Decrypt an `m.room.encrypted` of this device and return the type and content inside. Raises `Unopened`."""
        kind, body = self._to_us(device, content)
        try:
            plaintext = self._decrypted(device.curve25519, kind, body)
        except ValueError:
            raise Unopened(UNDECRYPTABLE) from None
        try:
            payload = json.loads(plaintext)
        except (ValueError, RecursionError):
            raise Unopened("malformed") from None
        return self._checked(device, payload)

    def _to_us(self, device: Device, content: Content) -> tuple[int, str]:
        try:
            if content["algorithm"] != OLM or content["sender_key"] != device.curve25519:
                raise Unopened("not_olm")
            mine = content["ciphertext"][self.curve25519]
            kind, body = mine["type"], mine["body"]
        except (KeyError, TypeError):
            raise Unopened("not_for_our_key") from None
        if kind not in (0, 1) or isinstance(kind, bool) or not isinstance(body, str) or len(body) > MOST_TEXT:
            raise Unopened("malformed")
        return kind, body

    def _decrypted(self, curve25519: str, kind: int, body: str) -> bytes:
        """Raises `ValueError` (vodozemac's errors are such)."""
        if kind == 0:
            first = PreKeyMessage.from_base64(body)
            for id, session in self._with(curve25519):
                if session.session_matches(first):
                    return self._used(curve25519, id, session, session.decrypt(first.to_any()))
            session, plaintext = self._account.create_inbound_session(
                Curve25519PublicKey.from_base64(curve25519), first
            )
            self._account_changed = True  # the one-time key is spent
            return self._used(curve25519, session.session_id, session, plaintext)
        message = AnyOlmMessage.from_parts(1, base64.b64decode(body + "=" * (-len(body) % 4), validate=True))
        for id, session in self._with(curve25519):
            try:
                plaintext = session.decrypt(message)
            except ValueError:
                continue
            return self._used(curve25519, id, session, plaintext)
        raise ValueError("no session")

    def _with(self, curve25519: str) -> list[tuple[str, Session]]:
        """Our sessions with a device, the one used last first. Changed ones are newer than the store's."""
        stored = self._store.sessions(curve25519)
        for id, pickle in stored:
            if (curve25519, id) not in self._sessions:
                self._sessions[curve25519, id] = Session.from_pickle(pickle, PICKLE_KEY)
        changed = [id for curve, id in reversed(self._changed) if curve == curve25519]
        ids = dict.fromkeys([*changed, *(id for id, _ in stored)])
        return [(id, self._sessions[curve25519, id]) for id in ids]

    def _used(self, curve25519: str, id: str, session: Session, plaintext: bytes) -> bytes:
        self._sessions[curve25519, id] = session
        self._changed.pop((curve25519, id), None)
        self._changed[curve25519, id] = None
        return plaintext

    def _checked(self, device: Device, payload: Any) -> tuple[str, dict[str, Any]]:
        """What was encrypted says who sent it to whom: all of it must be true."""
        try:
            if payload["sender"] != device.user:
                raise Unopened("forged_sender")
            if payload["recipient"] != self.user:
                raise Unopened("forged_recipient")
            if payload["recipient_keys"]["ed25519"] != self.ed25519:
                raise Unopened("forged_recipient_key")
            if payload["keys"]["ed25519"] != device.ed25519:
                raise Unopened("forged_sender_key")
            if payload.get("sender_device", device.id) != device.id:
                raise Unopened("forged_device")
            type, content = payload["type"], payload["content"]
        except (KeyError, TypeError, AttributeError):
            raise Unopened("malformed") from None
        if not isinstance(type, str) or not isinstance(content, dict):
            raise Unopened("malformed")
        return type, content

    def has_session(self, device: Device) -> bool:
        """Whether we can encrypt to a device without a new one-time key of its."""
        return bool(self._with(device.curve25519))

    def begin(self, device: Device, one_time_key: str) -> None:
        """Start a session. Raises `Unopened` when the key is no key."""
        try:
            session = self._account.create_outbound_session(
                Curve25519PublicKey.from_base64(device.curve25519), Curve25519PublicKey.from_base64(one_time_key)
            )
        except ValueError:
            raise Unopened("bad_one_time_key") from None
        self._used(device.curve25519, session.session_id, session, b"")

    def seal(self, device: Device, type: str, content: Content) -> dict[str, Any]:
        """Encrypt to a device with which there is a session; the content of an `m.room.encrypted`.

        The ratchet's new state is on disk when this returns, so no message key is used twice.
        """
        id, session = self._with(device.curve25519)[0]
        payload = {
            "type": type,
            "content": content,
            "sender": self.user,
            "sender_device": self.device,
            "keys": {"ed25519": self.ed25519},
            "recipient": device.user,
            "recipient_keys": {"ed25519": device.ed25519},
            "org.matrix.msc4147.device_keys": self.device_keys(),
        }
        kind, ciphertext = session.encrypt(json.dumps(payload, allow_nan=False).encode()).to_parts()
        self._used(device.curve25519, id, session, b"")
        self.flush()
        body = base64.b64encode(ciphertext).decode().rstrip("=")
        return {
            "algorithm": OLM,
            "sender_key": self.curve25519,
            "ciphertext": {device.curve25519: {"type": kind, "body": body}},
        }
