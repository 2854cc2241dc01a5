"""How often somebody may speak and knock, that each is refused once at most, and that no call begins twice.

Bounded memory whatever strangers do. Time comes from the caller.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from focus.faults import PeerFault
from focus.switchboard import Bucket
from signalling.admission import Caller
from signalling.events import Invite
from signalling.limits import SignallingLimits

MOST_USERS = 10_000


@dataclass(frozen=True, slots=True)
class Knock:
    """An invite, with what is known of its sender."""

    caller: Caller
    call: str
    invite: Invite
    since: float
    "Monotonic seconds."


class Door:
    """Counts knocks and refusals."""

    def __init__(self, limits: SignallingLimits) -> None:
        self._limits = limits
        self._invites: OrderedDict[str, Bucket] = OrderedDict()
        self._messages: OrderedDict[str, Bucket] = OrderedDict()
        self._refused: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self._over: OrderedDict[tuple[str, str, str], None] = OrderedDict()

    def shut(self, knock: Knock, now: float) -> str | None:
        """Why a knock is not even looked at, None if it is; it then counts."""
        caller = knock.caller
        if (caller.user, caller.device, knock.call) in self._over:
            return "call_is_over"
        return None if self._within_rate(caller.user, now) else "too_many_invites"

    def _within_rate(self, user: str, now: float) -> bool:
        return take(self._invites, user, self._limits.joins_burst, self._limits.joins_per_second, now)

    def speak(self, user: str, now: float) -> None:
        """A user sends a message of any kind. Raises `PeerFault` when that is once too often."""
        if not take(self._messages, user, self._limits.messages_burst, self._limits.messages_per_second, now):
            raise PeerFault("too_many_messages")

    def first_refusal(self, user: str, device: str, call: str) -> bool:
        """Whether this call is refused for the first time."""
        name = (user, device, call)
        if name in self._refused:
            return False
        self._note(self._refused, name)
        return True

    def close(self, user: str, device: str, call: str) -> None:
        """This call is over: whatever invites to it from now on is old."""
        self._note(self._over, (user, device, call))

    def _note(self, names: OrderedDict[tuple[str, str, str], None], name: tuple[str, str, str]) -> None:
        names[name] = None
        while len(names) > self._limits.refusals:
            names.popitem(last=False)


def take(buckets: OrderedDict[str, Bucket], user: str, burst: int, per_second: float, now: float) -> bool:
    """Take a token from a user's bucket; False when it is empty."""
    bucket = buckets.setdefault(user, Bucket(burst, now))
    while len(buckets) > MOST_USERS:
        buckets.popitem(last=False)
    bucket.tokens = min(burst, bucket.tokens + (now - bucket.since) * per_second)
    bucket.since = now
    if bucket.tokens < 1:
        return False
    bucket.tokens -= 1
    return True
