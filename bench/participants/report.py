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
from bench.participants.receiver import Incoming

FRESH = 2.0
"Seconds: a picture whose newest frame is older does not flow."


def tracks(call: Call) -> list[Incoming]:
    """Every track that a call received, those of the past too."""
    return [*call.receiver.past, *call.receiver.live.values()]


def flowing(call: Call, now: float) -> tuple[int, int]:
    """Return how many of the wanted pictures flow, and how many are wanted. `now` in seconds of the call's clock."""
    wanted = [name for name, size in call.asked.items() if size is not None]
    seen = [call.receiver.track(*name) for name in wanted]
    fresh = [one for one in seen if one is not None and one.check.newest_frame > now - FRESH]
    return len(fresh), len(wanted)


Flows = dict[int, tuple[int, int]]
"`flowing` of each participant's newest call, by number."


def flows(participants: Sequence[Participant], now: float) -> Flows:
    """What flows at a moment. Once somebody has left, the others are told and want less."""
    return {one.seat.number: flowing(one.calls[-1], now) for one in participants if one.calls}


def faults(participant: Participant) -> Counter[str]:
    """All faults that a participant noted, by name."""
    total: Counter[str] = Counter()
    for call in participant.calls:
        total.update(call.faults)
        total.update(call.publisher.faults)
        total.update({f"dropped {name}": n for name, n in call.receiver.drops.items() if name not in HARMLESS})
        for track in tracks(call):
            total.update({name: n for name, n in track.check.faults.items() if n})
    return total


HARMLESS = {"padding", "after_end"}
"Drops that belong to a healthy call."


def one(participant: Participant, now: float, flow: tuple[int, int] | None) -> dict[str, Any]:
    """Return one participant's report, as of `now` where it matters. `flow`: see `Flows`."""
    calls = participant.calls
    call = calls[-1] if calls else None
    received = [track for one in calls for track in tracks(one)]
    switches = sorted(s for track in received for s in track.check.switches)
    pictures = [track.check for track in received if track.check.kind == "video"]
    report: dict[str, Any] = {
        "participant": participant.seat.number + 1,
        "name": participant.seat.person.name,
        "state": participant.state,
        "dials": len(calls),
        "ends": dict(participant.ends),
        "join_seconds": [join for join in map(join_time, calls) if join is not None],
        "packets_out": sum(one.transport.packets_out for one in calls),
        "packets_in": sum(one.transport.packets_in for one in calls),
        "retransmitted": sum(one.publisher.retransmitted for one in calls),
        "told_missing": sum(one.publisher.told_missing for one in calls),
        "keyframe_requests": sum(one.publisher.keyframe_requests for one in calls),
        "recovered": sum(track.order.recovered for track in received),
        "duplicates": sum(track.order.duplicates for track in received),
        "frames": sum(check.frames for check in pictures),
        "longest_gap": round(max((check.longest_gap for check in pictures), default=0.0), 3),
        "switches": len(switches),
        "switch_p50": quantile(switches, 0.5),
        "switch_worst": quantile(switches, 1.0),
        "unsettled": sum(1 for check in pictures if check.wanted_at),
        "faults": dict(faults(participant)),
    }
    if call is not None:
        report["flowing"], report["wanted"] = flow or (0, 0)
        report["tracks"] = [
            {
                "user": call.owners.get(track.name[0], ""),
                "stream": track.name[0],
                "track": track.name[1],
                **track.check.summary(now),
            }
            for track in tracks(call)
        ]
    return report


def join_time(call: Call) -> float | None:
    """Seconds from a call's invite to the first packet of its first keyframe, None if none came."""
    firsts = [track.check.first_frame for track in tracks(call) if track.check.first_frame is not None]
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
        frames = sum(track.check.frames for track in tracks(call)) if call else 0
        packets = call.transport.packets_in if call else 0
        old_frames, old_packets = before.get(number, (0, 0))
        before[number] = (frames, packets)
        shown = "{}/{}".format(*flowing(call, call.seat.clock())) if call else "0/0"
        gap = max((track.check.longest_gap for track in tracks(call)), default=0.0) if call else 0.0
        wrong = ", ".join(f"{name} {n}" for name, n in faults(participant).most_common(3)) or "none"
        rows.append(
            f"{number + 1:>3} {participant.seat.person.name:<8} {state:<14} {shown:>9} "
            f"{max(0, frames - old_frames) / seconds:>9.1f} {max(0, packets - old_packets) / seconds:>10.0f} "
            f"{gap:>6.2f}  {wrong}"
        )
    return "\n".join(rows)
