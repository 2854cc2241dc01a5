"""What participants tell about a call: a table while it runs, one JSON object at its end.

It counts and adds up; it judges only with `clean`: no fault anywhere, and every track
that a participant wants is flowing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from bench.participants.call import Call
from bench.participants.member import Participant

FRESH = 2.0
"Seconds: a picture whose newest frame is older does not flow."


def flowing(call: Call, now: float) -> tuple[int, int]:
    """Return how many of the wanted pictures flow, and how many are wanted. `now` in seconds of the call's clock."""
    wanted = [name for name, size in call.asked.items() if size is not None]
    fresh = {track.name for track in call.line.live() if track.found.newest_frame > now - FRESH}
    return sum(1 for name in wanted if name in fresh), len(wanted)


Flows = dict[int, tuple[int, int]]
"`flowing` of each participant's newest call, by number."


def flows(participants: Sequence[Participant], now: float) -> Flows:
    """What flows at a moment. Once somebody has left, the others are told and want less."""
    return {one.seat.number: flowing(one.calls[-1], now) for one in participants if one.calls}


def faults(participant: Participant) -> Counter[str]:
    """All faults that a participant noted, by name."""
    total: Counter[str] = Counter()
    for call in participant.calls:
        counts = call.line.counts()
        total.update(call.faults + counts.faults)
        total.update({f"dropped {name}": n for name, n in counts.drops.items() if name not in HARMLESS})
        for track in call.line.tracks():
            total.update({name: n for name, n in track.found.faults.items() if n})
    return total


HARMLESS = {"padding", "after_end"}
"Drops that belong to a healthy call."


def one(participant: Participant, now: float, flow: tuple[int, int] | None) -> dict[str, Any]:
    """Return one participant's report, as of `now` where it matters. `flow`: see `Flows`."""
    calls = participant.calls
    call = calls[-1] if calls else None
    received = [track for one in calls for track in one.line.tracks()]
    switches = sorted(s for track in received for s in track.found.switches)
    pictures = [track.found for track in received if track.found.kind == "video"]
    counts = [one.line.counts() for one in calls]
    report: dict[str, Any] = {
        "participant": participant.seat.number + 1,
        "name": participant.seat.person.name,
        "state": participant.state,
        "dials": len(calls),
        "ends": dict(participant.ends),
        "join_seconds": [join for join in map(join_time, calls) if join is not None],
        "packets_out": sum(count.packets_out for count in counts),
        "packets_in": sum(count.packets_in for count in counts),
        "retransmitted": sum(count.retransmitted for count in counts),
        "told_missing": sum(count.told_missing for count in counts),
        "keyframe_requests": sum(count.keyframe_requests for count in counts),
        "recovered": sum(track.recovered for track in received),
        "duplicates": sum(track.duplicates for track in received),
        "frames": sum(found.frames for found in pictures),
        "longest_gap": round(max((found.longest_gap for found in pictures), default=0.0), 3),
        "switches": len(switches),
        "switch_p50": quantile(switches, 0.5),
        "switch_worst": quantile(switches, 1.0),
        "unsettled": sum(1 for found in pictures if found.wanted_at),
        "faults": dict(faults(participant)),
    }
    if call is not None:
        report["flowing"], report["wanted"] = flow or (0, 0)
        report["tracks"] = [
            {
                "user": call.owners.get(track.name[0], ""),
                "stream": track.name[0],
                "track": track.name[1],
                **track.found.summary(now),
            }
            for track in call.line.tracks()
        ]
    return report


def join_time(call: Call) -> float | None:
    """Seconds from a call's invite to the first packet of its first keyframe, None if none came."""
    firsts = [track.found.first_frame for track in call.line.tracks() if track.found.first_frame is not None]
    return round(min(firsts) - call.invited, 3) if firsts else None


def quantile(ordered: Sequence[float], part: float) -> float:
    """Return the value at `part` of a sorted list (nearest rank), 0 for an empty one."""
    return round(ordered[min(len(ordered) - 1, int(part * len(ordered)))], 3) if ordered else 0.0


def all_of(
    participants: Sequence[Participant], left: float, flowed: Flows, seconds: float, cpu: float
) -> dict[str, Any]:
    """Return the whole report.

    `left`: when they began to leave, on the call's clock, and `flowed` what flowed then: that counts, however
    long leaving took. `cpu`: this process's CPU seconds over `seconds`.
    """
    each = [one(participant, left, flowed.get(participant.seat.number)) for participant in participants]
    total: Counter[str] = Counter()
    for report in each:
        total.update(report["faults"])
    joins = sorted(join for report in each for join in report["join_seconds"])
    return {
        "participants": len(each),
        "seconds": round(seconds, 1),
        "cores": round(cpu / seconds, 3) if seconds else 0.0,
        "join_p50": quantile(joins, 0.5),
        "join_p95": quantile(joins, 0.95),
        "faults": dict(total),
        "clean": not total and all(r.get("flowing", 0) == r.get("wanted", 0) for r in each),
        "each": each,
    }


def table(participants: Sequence[Participant], before: dict[int, tuple[int, int]], seconds: float) -> str:
    """Return the live table; `before` holds frames and packets at the last one and is brought up to date."""
    rows = [f"{'':>3} {'name':<8} {'state':<14} {'pictures':>9} {'frames/s':>9} {'packets/s':>10} {'gap s':>6}  faults"]
    for participant in participants:
        number, call = participant.seat.number, participant.call
        inside = call is not None and call.connected and participant.state == "dialling"
        state = "in the call" if inside else participant.state
        seen = [track.found for track in call.line.tracks()] if call else []
        frames = sum(found.frames for found in seen)
        packets = call.line.heard() if call else 0
        old_frames, old_packets = before.get(number, (0, 0))
        before[number] = (frames, packets)
        shown = "{}/{}".format(*flowing(call, call.seat.clock())) if call else "0/0"
        gap = max((found.longest_gap for found in seen), default=0.0)
        wrong = ", ".join(f"{name} {n}" for name, n in faults(participant).most_common(3)) or "none"
        rows.append(
            f"{number + 1:>3} {participant.seat.person.name:<8} {state:<14} {shown:>9} "
            f"{max(0, frames - old_frames) / seconds:>9.1f} {max(0, packets - old_packets) / seconds:>10.0f} "
            f"{gap:>6.2f}  {wrong}"
        )
    return "\n".join(rows)
