"""The only file that speaks HTTP to a homeserver: the Matrix client-server API, as far as a focus needs it.

It knows requests, retries and sizes. It knows neither Olm nor calls: `account.py` puts
this and `olm.py` together, and participants that need no encryption use this alone.
Paths are those of the Matrix specification, `/_matrix/client/v3` unless said otherwise.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from signalling.link import Content

TIMEOUT = 30.0
"Seconds for one request, from asking to the last byte."
TRIES = 5
"How often one request is made in all: with the waits below this rides over a restart of the homeserver."
FIRST_WAIT, LONGEST_WAIT = 0.25, 10.0
"Seconds before the second try, doubled for each further one; half of it is chance, so that crowds spread."
LONGEST_LIMIT = 60.0
"Seconds: a rate limit that asks for more is an error (Synapse may ask for minutes at login)."
LARGEST_RESPONSE = 64 * 1024 * 1024
"Bytes. The state of a room with 50,000 members is about 40 MB; more than this is no room we can serve."

UNREACHED = "WEIR_UNREACHED"
"The errcode of a `MatrixError` for which no answer came at all."


class MatrixError(Exception):
    """The homeserver refused, or did not answer. `status` 0 and errcode `WEIR_UNREACHED`: no answer at all."""

    def __init__(
        self, status: int, errcode: str, error: str, retry_after: float | None = None, *, unheard: bool = False
    ) -> None:
        super().__init__(f"{status} {errcode}: {error}")
        self.status = status
        self.errcode = errcode
        self.error = error
        self.retry_after = retry_after
        "Seconds that the homeserver asked us to wait, if it did."
        self.unheard = unheard or status in (429, 503)
        "The homeserver has certainly not carried out what we asked."

    @property
    def signed_out(self) -> bool:
        """The access token is no longer good: no retry can help."""
        return self.status == 401 and self.errcode in ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN")

    @property
    def passing(self) -> bool:
        """Worth another try: the homeserver was away, busy, or asked us to slow down."""
        return self.status in (0, 429) or self.status >= 500


@dataclass(frozen=True, slots=True)
class Login:
    """A user's device, and the token that speaks for it. The token is a secret: never print it."""

    user_id: str
    device_id: str
    access_token: str


def endpoint(*parts: str, version: str = "v3") -> str:
    """The path of a client-server endpoint; each part is escaped, so ids need no care."""
    return f"/_matrix/client/{version}/" + "/".join(escaped(part) for part in parts)


def escaped(part: str) -> str:
    """One path or query part. Lone surrogates, which JSON can carry, become `?`: such an id exists nowhere."""
    return quote(part, safe="", errors="replace")


class Homeserver:
    """One account's view of its homeserver. Any number of requests may be under way at once."""

    def __init__(
        self,
        base_url: str,
        access_token: str | None,
        session: aiohttp.ClientSession,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.access_token = access_token
        self._session = session
        self._chance = chance
        self._transactions = secrets.token_hex(8)
        self._transaction = 0

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, str] | None = None,
        *,
        within: float = TIMEOUT,
        tries: int = TRIES,
        repeatable: bool = True,
    ) -> dict[str, Any]:
        """Ask, and return the answer's JSON object. Each try may take `within` seconds.

        A 429 is honoured and asked again; so is a 5xx or a broken connection, unless the
        request is not `repeatable`, having an effect that must not come twice.
        Raises `MatrixError` for every other outcome.
        """
        answer = await self._ask(method, path, body, query, within=within, tries=tries, repeatable=repeatable)
        if not isinstance(answer, dict):
            raise MatrixError(200, "M_NOT_JSON", "the answer is not a JSON object")
        return answer

    async def _ask(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, str] | None = None,
        *,
        within: float = TIMEOUT,
        tries: int = TRIES,
        repeatable: bool = True,
    ) -> Any:
        wait = FIRST_WAIT
        for left in reversed(range(tries)):
            try:
                return await self._once(method, path, body, query, within)
            except MatrixError as error:
                if left == 0 or not error.passing or not (repeatable or error.unheard):
                    raise
                if error.retry_after is not None and error.retry_after > LONGEST_LIMIT:
                    raise
                pause = wait * (0.5 + 0.5 * self._chance())
                if error.retry_after is not None:
                    pause += error.retry_after
            await asyncio.sleep(pause)
            wait = min(2 * wait, LONGEST_WAIT)
        raise AssertionError("the last try returns or raises")

    async def _once(
        self, method: str, path: str, body: object, query: Mapping[str, str] | None, within: float
    ) -> Any:
        url = self.base_url + path
        if query:
            url += "?" + "&".join(f"{escaped(key)}={escaped(value)}" for key, value in query.items())
        headers = {"Accept": "application/json"}
        if self.access_token is not None:
            headers["Authorization"] = f"Bearer {self.access_token}"
        payload = None
        if body is not None or method in ("POST", "PUT"):
            payload = json.dumps({} if body is None else body, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                method,
                URL(url, encoded=True),
                data=payload,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=within),
                allow_redirects=False,
            ) as response:
                raw = await bounded(response.content, LARGEST_RESPONSE)
                status, retry_header = response.status, response.headers.get("Retry-After")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            unheard = isinstance(error, aiohttp.ClientConnectorError)
            raise MatrixError(0, UNREACHED, str(error) or type(error).__name__, unheard=unheard) from error
        if raw is None:
            raise MatrixError(status, "WEIR_TOO_LARGE", f"an answer of more than {LARGEST_RESPONSE} bytes")
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError):
            if status < 300:
                raise MatrixError(status, "M_NOT_JSON", "the answer is not JSON") from None
            answer = None
        if status < 300:
            return answer
        raise refusal(status, answer, retry_header)

    async def login(self, user: str, password: str, device_id: str | None, device_name: str) -> Login:
        """Log in by password, keep the token for later requests, and say who we are now."""
        body: dict[str, Any] = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": user},
            "password": password,
            "initial_device_display_name": device_name,
        }
        if device_id is not None:
            body["device_id"] = device_id
        return self._signed_in(await self.request("POST", endpoint("login"), body))

    async def register(
        self, secret: str, user: str, password: str, *, admin: bool = False, device_name: str = "Weir"
    ) -> Login:
        """Make an account by a Synapse's `registration_shared_secret`. `user` is a localpart.

        Raises `MatrixError` with errcode `M_USER_IN_USE` when the account is there already,
        and with status 403 when the secret is wrong.
        """
        path = "/_synapse/admin/v1/register"
        nonce = str((await self.request("GET", path)).get("nonce"))
        fields = (nonce, user, password, "admin" if admin else "notadmin")
        mac = hmac.new(secret.encode(), "\0".join(fields).encode(), hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": user, "password": password, "admin": admin, "mac": mac}
        body["initial_device_display_name"] = device_name
        return self._signed_in(await self.request("POST", path, body, repeatable=False))

    def _signed_in(self, answer: Mapping[str, Any]) -> Login:
        user, device, token = answer.get("user_id"), answer.get("device_id"), answer.get("access_token")
        if not (isinstance(user, str) and isinstance(device, str) and isinstance(token, str)):
            raise MatrixError(200, "M_BAD_JSON", "a login without user_id, device_id and access_token")
        self.access_token = token
        return Login(user, device, token)

    async def whoami(self) -> Login:
        """Whose token this is."""
        answer = await self.request("GET", endpoint("account", "whoami"))
        return self._signed_in(answer | {"access_token": self.access_token})

    async def filter(self, user: str, definition: Mapping[str, Any]) -> str:
        """Store a sync filter; returns its id."""
        return str((await self.request("POST", endpoint("user", user, "filter"), definition))["filter_id"])

    async def sync(
        self, since: str | None, filter_id: str, timeout_ms: int, *, full_state: bool = False
    ) -> dict[str, Any]:
        """One long poll, tried once: the caller's loop knows best when to ask again."""
        query = {"filter": filter_id, "timeout": str(timeout_ms), "set_presence": "offline"}
        if since is not None:
            query["since"] = since
        if full_state:
            query["full_state"] = "true"
        return await self.request("GET", endpoint("sync"), query=query, within=timeout_ms / 1000 + TIMEOUT, tries=1)

    async def send_to_device(self, type: str, messages: Mapping[str, Mapping[str, Content]]) -> None:
        """Send one to-device message to each device in `messages`: user -> device (or `*`) -> content."""
        path = endpoint("sendToDevice", type, self._next_transaction())
        await self.request("PUT", path, {"messages": messages})

    async def state(self, room: str) -> list[dict[str, Any]]:
        """The current state of a room we are in, every type of it."""
        answer = await self._ask("GET", endpoint("rooms", room, "state"))
        if not isinstance(answer, list):
            raise MatrixError(200, "M_NOT_JSON", "room state that is not a list")
        return [event for event in answer if isinstance(event, dict)]

    async def event(self, room: str, event_id: str) -> dict[str, Any]:
        """One event of a room we are in."""
        return await self.request("GET", endpoint("rooms", room, "event", event_id))

    async def get_state(self, room: str, type: str, key: str = "") -> dict[str, Any]:
        """The content of one piece of room state. Raises `MatrixError` 404 when it was never set."""
        return await self.request("GET", endpoint("rooms", room, "state", type, key))

    async def state_event(self, room: str, type: str, key: str) -> dict[str, Any]:
        """One piece of room state as a whole event, where the homeserver gives that (Synapse); else its content."""
        return await self.request("GET", endpoint("rooms", room, "state", type, key), query={"format": "event"})

    async def put_state(self, room: str, type: str, key: str, content: Content) -> str:
        """Set one piece of room state; returns the event id."""
        return str((await self.request("PUT", endpoint("rooms", room, "state", type, key), content))["event_id"])

    async def send_event(self, room: str, type: str, content: Content) -> str:
        """Send one message event; returns the event id."""
        path = endpoint("rooms", room, "send", type, self._next_transaction())
        return str((await self.request("PUT", path, content))["event_id"])

    async def redact(self, room: str, event_id: str) -> None:
        """Redact one event."""
        await self.request("PUT", endpoint("rooms", room, "redact", event_id, self._next_transaction()))

    async def create_room(self, **options: Any) -> str:
        """Make a room (`options` as of POST /createRoom); returns its id."""
        return str((await self.request("POST", endpoint("createRoom"), options, repeatable=False))["room_id"])

    async def join(self, room_or_alias: str) -> str:
        """Join a room; returns its id."""
        return str((await self.request("POST", endpoint("join", room_or_alias)))["room_id"])

    async def leave(self, room: str) -> None:
        """Leave a room, or refuse an invite."""
        await self.request("POST", endpoint("rooms", room, "leave"))

    async def invite(self, room: str, user: str) -> None:
        """Invite a user to a room."""
        await self.request("POST", endpoint("rooms", room, "invite"), {"user_id": user})

    async def kick(self, room: str, user: str, reason: str = "") -> None:
        """Take a user out of a room."""
        await self.request("POST", endpoint("rooms", room, "kick"), {"user_id": user, "reason": reason})

    async def ban(self, room: str, user: str, reason: str = "") -> None:
        """Take a user out of a room, for good."""
        await self.request("POST", endpoint("rooms", room, "ban"), {"user_id": user, "reason": reason})

    def _next_transaction(self) -> str:
        # A retried PUT carries the same transaction id, so that the homeserver does it once.
        self._transaction += 1
        return f"{self._transactions}.{self._transaction}"


async def bounded(stream: aiohttp.StreamReader, most: int) -> bytes | None:
    """All of a body, or None when it is longer than `most` bytes (counted after decompression)."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in stream.iter_any():
        size += len(chunk)
        if size > most:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def refusal(status: int, answer: object, retry_after: str | None) -> MatrixError:
    """A response that is not a 2xx, as an error."""
    fields = answer if isinstance(answer, dict) else {}
    wait: float | None = None
    milliseconds = fields.get("retry_after_ms")
    if isinstance(milliseconds, int | float) and milliseconds >= 0:
        wait = milliseconds / 1000
    elif retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        wait = float(retry_after[:6])
    return MatrixError(status, str(fields.get("errcode", "M_UNKNOWN")), str(fields.get("error", ""))[:500], wait)
