"""What each key of [limits] and [signalling] may hold. Defaults and meanings: focus/limits.py, signalling/limits.py.

A bound keeps a slip from becoming an outage: nothing may be switched off by a zero, and
nothing may be made so large that it is no limit. A test holds this table and the limits together.
"""

from __future__ import annotations

from weir.keys import Rule, real, whole

LIMITS: dict[str, Rule] = {
    "conferences": whole(1, 100_000),
    "participants": whole(1, 10_000),
    "tracks_each_kind": whole(1, 100),
    "subscriptions": whole(1, 10_000),
    "m_lines": whole(4, 10_000),
    "pictures": whole(1, 10_000),
    "small_call": whole(0, 10_000),
    "voices": whole(1, 1_000),
    "messages_per_second": real(1, 1_000),
    "messages_burst": whole(1, 10_000),
    "ping_every": real(1, 60, "seconds"),
    "ping_timeout": real(2, 300, "seconds"),
    "connect_timeout": real(5, 300, "seconds"),
    "channel_timeout": real(5, 300, "seconds"),
    "offer_timeout": real(1, 60, "seconds"),
    "offer_tries": whole(1, 100),
    "first_offer_hold": real(0, 30, "seconds"),
    "idle_hold": real(0, 60, "seconds"),
    "rest_hold": real(1, 3_600, "seconds"),
    "layer_hold": real(0, 600, "seconds"),
    "rise_hold": real(0, 10, "seconds"),
    "silent_patience": real(1, 60, "seconds"),
}

SIGNALLING: dict[str, Rule] = {
    "joins_per_second": real(0.1, 1_000),
    "joins_burst": whole(1, 10_000),
    "messages_per_second": real(1, 1_000),
    "messages_burst": whole(1, 10_000),
    "calls_per_user": whole(1, 1_000),
    "waiting": whole(1, 100_000),
    "wait_for_state": real(0, 60, "seconds"),
    "reorder": whole(1, 10_000),
    "reorder_timeout": real(0.1, 60, "seconds"),
    "rooms": whole(1, 1_000_000),
    "refusals": whole(1, 1_000_000),
    "text": whole(16_384, 1_048_576, "characters"),
    "depth": whole(8, 100),
}
