"""Many users dial through the homeserver at rising rates: `make bench NAME=signalling`.

locust, in an interpreter of its own, is the users: invite, wait for the answer, choose it,
change what is sent, hang up (subscriptions go over the data channel, which these users do
not have: `NAME=join` has it). Written: locust's HTML report, and a plot of answers a second,
p50, p95 and failures over time. Bar: 20 invites a second for 60 s and none lost, or the
homeserver shown to be the limit: its one process at 90 % of a core or more, the focus below.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.dials import Dial, dials, plot
from bench.participants import report, sdp
from bench.participants.accounts import Account
from bench.participants.member import LIFETIME, MEMBER, start_call
from bench.soak import Usage, usage
from bench.stage import Stage, stage
from signalling.matrix import Homeserver

PACE = 2.0
"Seconds between two dials of one user: the focus takes two a second of one user, and a person fewer."

FULL = 0.9
"Cores of a process of one thread from which on it counts as the limit."

BAR = 20.0
"Invites a second that must come through."

LOCUST = Path(".venv-locust/bin/locust")


@dataclass(frozen=True, slots=True)
class Step:
    """A rate, and for how long."""

    rate: float
    "Invites a second."
    seconds: float


async def seat(stand: Stage, accounts: list[Account], session: aiohttp.ClientSession) -> dict[str, Any]:
    """Put everybody into the room and the call's state; return what locust needs to know of them."""
    conf = f"load{secrets.token_hex(8)}"
    user, device = stand.focus
    people: list[dict[str, Any]] = []
    for account in accounts:
        server = Homeserver(stand.homeserver, account.access_token, session)
        await server.join(stand.room)
        if not people:
            await start_call(server, stand.room, conf)
        me = secrets.token_hex(4)
        entry = {
            "device_id": account.device_id, "session_id": me, "expires_ts": int((time.time() + LIFETIME) * 1000),
            "feeds": [{"purpose": "m.usermedia"}],
            "org.matrix.msc3898.foci.active": [{"user_id": user, "device_id": device}],
            "org.matrix.msc3898.foci.preferred": [],
        }  # fmt: skip
        calls = [{"m.call_id": conf, "m.devices": [entry]}]
        await server.put_state(stand.room, MEMBER, account.user_id, {"m.calls": calls})
        tracks = {"mic": {"kind": "audio"}, "cam": {"kind": "video", "width": 1280, "height": 720}}
        metadata = {"s": {"purpose": "m.usermedia", "audio_muted": False, "video_muted": False, "tracks": tracks}}
        people.append(
            {"user_id": account.user_id, "device_id": account.device_id, "access_token": account.access_token,
             "session": me, "metadata": metadata}
        )  # fmt: skip
    print(f"{len(people)} users are in the room", flush=True)
    fingerprint = "sha-256 " + ":".join(f"{byte:02X}" for byte in secrets.token_bytes(32))
    local = sdp.Local(secrets.token_hex(4), secrets.token_hex(12), fingerprint, "s", "mic", "cam", 1234, "load")
    return {"conf": conf, "accounts": people, "sdp": sdp.offer(local)}


async def drive(stand: Stage, load: dict[str, Any], out: Path) -> list[dict[str, Usage]]:
    """Run locust through all stages; return what each server had used, once a second."""
    (out / "load.json").write_text(json.dumps(load))
    (out / "dials.jsonl").unlink(missing_ok=True)
    environment = {**os.environ, "WEIR_LOAD": str(out / "load.json"), "WEIR_DIALS": str(out / "dials.jsonl")}
    command = [str(LOCUST.absolute()), "--locustfile", "bench/locustfile/signalling.py", "--headless", "--only-summary"]
    command += ["--html", str(out / "report.html"), "--csv", str(out / "locust"), "--exit-code-on-error", "0"]
    with (out / "locust.log").open("wb") as log:
        locust = await asyncio.create_subprocess_exec(*command, env=environment, stdout=log, stderr=log)
    used = []
    try:
        while locust.returncode is None:
            used.append({part: usage(stand.pid(part)) for part in ("focus", "synapse")})
            await asyncio.sleep(1)
    finally:
        if locust.returncode is None:
            locust.terminate()
            await locust.wait()
    if not (out / "dials.jsonl").exists():
        raise RuntimeError("locust made no dial:\n" + (out / "locust.log").read_text()[-2000:])
    return used


def judged(step: Step, found: list[Dial], used: list[dict[str, Usage]]) -> dict[str, Any]:
    """The figures of one stage. `used`: readings within it."""
    times = sorted(dial.ms for dial in found if dial.outcome == "answer")
    lasted = used[-1]["focus"].at - used[0]["focus"].at
    cores = {part: (used[-1][part].cpu - used[0][part].cpu) / lasted for part in used[0]}
    return {
        "rate": step.rate, "seconds": step.seconds, "invites": len(found), "answers": len(times),
        "answers_per_second": round(len(times) / step.seconds, 2), "lost": len(found) - len(times),
        "p50_ms": report.quantile(times, 0.5), "p95_ms": report.quantile(times, 0.95),
        "focus_cores": round(cores["focus"], 3), "synapse_cores": round(cores["synapse"], 3),
    }  # fmt: skip


async def measure(steps: list[Step], out: Path) -> dict[str, Any]:
    """Run all stages and judge."""
    out.mkdir(parents=True, exist_ok=True)
    async with stage(0, page=False) as stand, aiohttp.ClientSession() as session:
        users = max(round(step.rate * PACE) for step in steps)
        load = await seat(stand, await stand.accounts(users, session), session)
        load |= {
            "homeserver": stand.homeserver, "focus": stand.focus, "pace": PACE,
            "stages": [{"users": round(step.rate * PACE), "seconds": step.seconds} for step in steps],
        }  # fmt: skip
        used = await drive(stand, load, out)
    found = dials(out / "dials.jsonl")
    plot(found, out / "plot.svg")
    # Dials are told by the wall clock, processor time by the other one.
    apart = time.time() - time.monotonic()
    stages, begun = [], found[0].at
    for step in steps:
        end = begun + step.seconds
        within = [each for each in used if begun <= each["focus"].at + apart < end]
        stages.append(judged(step, [dial for dial in found if begun <= dial.at < end], within))
        begun = end
    files = {"report": str(out / "report.html"), "plot": str(out / "plot.svg")}
    return {"bench": "signalling", **files, **verdict(stages), "load": os.getloadavg()[0]}


def verdict(stages: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole result: the stage at the bar's rate decides, the last one if none has that rate."""
    bar = next((each for each in stages if each["rate"] == BAR), stages[-1])
    homeserver = bar["synapse_cores"] >= FULL > bar["focus_cores"]
    offered = bar["invites"] >= 0.95 * bar["rate"] * bar["seconds"]
    return {
        "stages": stages, "offered": offered, "lost_at_20": bar["lost"],
        "p50_ms": bar["p50_ms"], "p95_ms": bar["p95_ms"],
        "homeserver_is_the_limit": homeserver, "pass": (offered and bar["lost"] == 0) or homeserver,
    }  # fmt: skip


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.signalling", description=__doc__)
    parser.add_argument("--steps", default="5x15,10x15,20x60,40x20", help="rate x seconds, in order")
    parser.add_argument("--out", type=Path, default=Path(".weir/signalling"))
    arguments = parser.parse_args()
    steps = [Step(float(rate), float(long)) for rate, long in (s.split("x") for s in arguments.steps.split(","))]
    result = asyncio.run(measure(steps, arguments.out))
    print(json.dumps(result))
    return 0 if result["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
