"""The answers to "are you there?" and "can you take a call?".

`/healthz` says that the event loop runs. `/readyz` says 503, with the reasons, while the
homeserver has not been heard for too long or the loop is late: a new call would suffer.
Calls that run are no reason to restart a focus that is merely not ready.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

SYNC_FRESH = 75.0
"Seconds: a quiet sync answers every 30, one may be lost, and a homeserver may take a while."

LOOP_LATE = 1.0
"Seconds of delay of the event loop within the last few seconds."


@dataclass(frozen=True, slots=True)
class State:
    """What readiness is judged by."""

    sync_age: float | None
    "Seconds since the homeserver last answered, None before the first time."
    loop_lag: float
    "The longest delay lately, in seconds."
    stopping: bool


def reasons(state: State) -> list[str]:
    """Why no new call should come here; empty when ready."""
    found = []
    if state.stopping:
        found.append("stopping")
    if state.sync_age is None:
        found.append("no answer from the homeserver yet")
    elif state.sync_age > SYNC_FRESH:
        found.append(f"no answer from the homeserver for {state.sync_age:.0f} s")
    if state.loop_lag > LOOP_LATE:
        found.append(f"the event loop was {state.loop_lag:.1f} s late")
    return found


def routes(state: Callable[[], State]) -> list[web.AbstractRouteDef]:
    """`/healthz` and `/readyz`."""

    async def live(_: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def ready(_: web.Request) -> web.Response:
        found = reasons(state())
        return web.json_response({"ready": not found, "reasons": found}, status=503 if found else 200)

    return [web.get("/healthz", live), web.get("/readyz", ready)]
