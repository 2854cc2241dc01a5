"""What signalling may cost. On by default (security §4)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignallingLimits:
    """Every limit and every patience of the Matrix face."""

    joins_per_second: float = 2.0
    "Invites of one user, on average."
    joins_burst: int = 10
    "Invites of one user at once."
    messages_per_second: float = 20.0
    "To-device messages of one user, on average."
    messages_burst: int = 100
    "To-device messages of one user at once."
    calls_per_user: int = 4
    "Calls that one user may be in at once, on all devices together."
    waiting: int = 200
    "Invites held until room state confirms them, over all rooms."
    wait_for_state: float = 5.0
    "Seconds that an invite may be ahead of its member event."
    reorder: int = 32
    "Messages of one leg held back until the missing one before them comes."
    reorder_timeout: float = 3.0
    "Seconds after which a missing message is given up."
    rooms: int = 1000
    "Rooms that the focus stays in."
    refusals: int = 5000
    "Refused calls remembered, so that each is told once; and as many that ended, so that none begins twice."
    text: int = 262_144
    "Characters of one data channel message."
    depth: int = 32
    "Nesting of JSON."
