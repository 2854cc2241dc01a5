"""How often somebody may knock, and that each is refused once at most.

Bounded memory whatever strangers do. Time comes from the caller.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

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
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._refused: OrderedDict[tuple[str, str, str], None] = OrderedDict()

    def within_rate(self, user: str, now: float) -> bool:
        """Whether a user may dial once more now; it then counts."""
        limits = self._limits
        bucket = self._buckets.setdefault(user, Bucket(limits.joins_burst, now))
        while len(self._buckets) > MOST_USERS:
            self._buckets.popitem(last=False)
        bucket.tokens = min(limits.joins_burst, bucket.tokens + (now - bucket.since) * limits.joins_per_second)
        bucket.since = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def first_refusal(self, user: str, device: str, call: str) -> bool:
        """Whether this call is refused for the first time."""
        name = (user, device, call)
        if name in self._refused:
            return False
        self._refused[name] = None
        while len(self._refused) > self._limits.refusals:
            self._refused.popitem(last=False)
        return True
