"""What must be equal between what two tables did upon the same scenario, and which differences were chosen.

RTP is compared as a receiver reads it, RTCP by its effect, events in order (levels by their
newest value), drops by reason. How bytes are laid out (the order of header extensions,
padding, how feedback is cut into packets) is an engine's own affair.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from actions import Connect, Control, Media, Miss, Sent, Step, Submit, Tick, Timed, Totals
from focus.commands import Drop, Estimate, Event, Expect, Extensions, Levels, Rates, Route
from focus.vocabulary import PeerId
from media_bytes import Rtp, read
from told import Told, tell


class Chosen(StrEnum):
    """Differences that the other engine's README explains as improvements."""

    TRANSPORT_NUMBERS = "transport_numbers"
    "Packets out carry transport-wide numbers where the sink negotiated them, without a gap for each peer."
    FEEDBACK_READ = "feedback_read"
    "Transport-wide feedback of subscribers is read, so that a malformed one is counted."
    LINK_ESTIMATED = "link_estimated"
    "Whose feedback tells of packets has its link estimated from them. What follows rests on that: not compared."


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the two sides did not do alike."""

    seed: int
    step: int
    now: float
    action: str
    what: str
    law: str
    other: str

    def __str__(self) -> str:
        head = f"seed {self.seed}, step {self.step} at {self.now:.3f} s, {self.action}: {self.what}"
        return f"{head}\n    law   {self.law}\n    other {self.other}"


@dataclass(slots=True)
class Verdict:
    """What a comparison found."""

    differences: list[Difference] = field(default_factory=list)
    chosen: Counter[Chosen] = field(default_factory=Counter)


MOST = 20
"Differences listed of one scenario: what follows the first is mostly its consequence."


class Comparison:
    """Two tables' steps, side by side."""

    def __init__(self, seed: int) -> None:
        self.verdict = Verdict()
        self._seed = seed
        self._ids: dict[tuple[PeerId, int], Extensions] = {}
        "Extension ids by sink and SSRC."
        self._numbers: dict[PeerId, int] = {}
        "The newest transport-wide number of each sink."
        self._before: tuple[Totals, Totals] = {}, {}
        "As of the tick before, on both sides."
        self._feedback = 0
        "Packets of transport-wide feedback that came in since then."
        self._at: tuple[int, float, str] = (0, 0.0, "")

    def run(self, actions: Sequence[Timed], law: Sequence[Step], other: Sequence[Step]) -> Verdict:
        """Compare step by step."""
        for step, ((now, action), one, two) in enumerate(zip(actions, law, other, strict=True)):
            self._at = step, now, describe(action)
            if isinstance(action, Submit) and isinstance(action.command, Route):
                route = action.command
                for ssrc in (route.ssrc, route.rtx_ssrc):
                    if ssrc is not None:
                        self._ids[route.peer, ssrc] = route.extensions
            if isinstance(action, Control):
                told = feedback_in(action.compound)
                self._feedback += told
                if told and estimates(two.events, action.peer) and not estimates(one.events, action.peer):
                    self.verdict.chosen[Chosen.LINK_ESTIMATED] += 1
                    break
            if one.sent != two.sent:
                self._sent(one.sent, two.sent)
            if one.events != two.events:
                self._events(one.events, two.events, isinstance(action, Tick))
            if one.totals is not None and two.totals is not None:
                self._totals(one.totals, two.totals)
            if len(self.verdict.differences) >= MOST:
                break
        return self.verdict

    def _differ(self, what: str, law: object, other: object) -> None:
        step, now, action = self._at
        self.verdict.differences.append(Difference(self._seed, step, now, action, what, short(law), short(other)))

    def _sent(self, law: list[Sent], other: list[Sent]) -> None:
        here, there = streams(law), streams(other)
        self._transport_numbers(other, there)
        for key in sorted(here.keys() | there.keys()):
            one, two = here.get(key, []), there.get(key, [])
            if len(one) != len(two):
                numbers = [[packet.sequence for packet in packets] for packets in (one, two)]
                self._differ(f"packets to {key[0]} on {key[1]:#x}", *numbers)
            for a, b in zip(one, two, strict=False):
                self._packet(key, a, b)
        told, heard = tell(law), tell(other)
        for peer in sorted(told.keys() | heard.keys()):
            self._reports(peer, told.get(peer, Told()), heard.get(peer, Told()))

    def _transport_numbers(self, sent: list[Sent], read: Mapping[tuple[PeerId, int], Sequence[Rtp]]) -> None:
        """Take the numbers that only the other side writes out of its packets, and see that each follows the last."""
        waiting = {key: iter(packets) for key, packets in read.items()}
        for peer, kind, data in sent:
            key = peer, int.from_bytes(data[8:12], "big")
            ids = self._ids.get(key)
            if kind != "rtp" or ids is None or not ids.transport_cc:
                continue
            number = next(waiting[key]).extensions.pop(ids.transport_cc, None)
            if number is None:
                continue
            newest, value = self._numbers.get(peer), int.from_bytes(number, "big")
            if len(number) != 2 or newest is not None and value != newest + 1 & 0xFFFF:
                self._differ(f"transport-wide number to {peer}", newest, value)
            self._numbers[peer] = value
            self.verdict.chosen[Chosen.TRANSPORT_NUMBERS] += 1

    def _packet(self, key: tuple[PeerId, int], law: Rtp, other: Rtp) -> None:
        for name in Rtp.__slots__:
            a, b = getattr(law, name), getattr(other, name)
            if a != b:
                self._differ(f"{name} of {law.sequence} to {key[0]} on {key[1]:#x}", a, b)

    def _reports(self, peer: PeerId, law: Told, other: Told) -> None:
        for name in Told.__slots__:
            a, b = getattr(law, name), getattr(other, name)
            if a != b and not (name == "rounded" and near(a, b)):
                self._differ(f"{name} told to {peer}", a, b)

    def _events(self, law: list[Event], other: list[Event], ticked: bool) -> None:
        (edges, levels), (edges_too, levels_too) = parted(law), parted(other)
        if ticked:
            # Whose timer goes first is nobody's business.
            edges, edges_too = sorted(edges, key=repr), sorted(edges_too, key=repr)
        if edges != edges_too:
            self._differ("events", edges, edges_too)
        if levels != levels_too:
            self._differ("levels", levels, levels_too)

    def _totals(self, law: Totals, other: Totals) -> None:
        for name in sorted(law.keys() | other.keys()):
            a, b = (now.get(name, 0) - then.get(name, 0) for now, then in zip((law, other), self._before, strict=True))
            if name == Drop.MALFORMED_RTCP and 0 < b - a <= self._feedback:
                self.verdict.chosen[Chosen.FEEDBACK_READ] += b - a
            elif a != b:
                self._differ(f"count of {name} since the tick before", a, b)
        self._before, self._feedback = (law, other), 0


def compare(seed: int, actions: Sequence[Timed], law: Sequence[Step], other: Sequence[Step]) -> Verdict:
    """Compare what two tables did upon the same actions; `law` is the reference engine's."""
    return Comparison(seed).run(actions, law, other)


def streams(sent: list[Sent]) -> dict[tuple[PeerId, int], list[Rtp]]:
    """RTP by receiver and SSRC, in order."""
    found: dict[tuple[PeerId, int], list[Rtp]] = {}
    for peer, kind, data in sent:
        if kind == "rtp":
            packet = read(data)
            found.setdefault((peer, packet.ssrc), []).append(packet)
    return found


def feedback_in(compound: bytes) -> int:
    """How many packets of a compound one, up to its first malformed one, are transport-wide feedback."""
    found = 0
    while len(compound) >= 4 and compound[0] >> 6 == 2:
        found += compound[0] & 31 == 15 and compound[1] == 205
        compound = compound[4 * (int.from_bytes(compound[2:4], "big") + 1) :]
    return found


def estimates(events: list[Event], peer: PeerId) -> bool:
    """Whether a peer's link was estimated."""
    return any(isinstance(event, Estimate) and event.peer == peer for event in events)


def parted(events: list[Event]) -> tuple[list[Event], dict[tuple[str, str], Event]]:
    """Edges in order, and levels by what they are about."""
    edges: list[Event] = []
    levels: dict[tuple[str, str], Event] = {}
    for event in events:
        match event:
            case Estimate():
                levels["estimate", event.peer] = event
            case Levels():
                levels["levels", event.track] = event
            case Rates():
                levels["rates", event.track] = Rates(event.track, tuple(sorted(event.bps)), tuple(sorted(event.parts)))
            case _:
                edges.append(event)
    return edges, levels


def near(law: dict[str, int], other: dict[str, int]) -> bool:
    """Whether the same is said, numbers up to one unit."""
    return law.keys() == other.keys() and all(abs(law[key] - other[key]) <= 1 for key in law)


def describe(action: object) -> str:
    """An action in a few words."""
    match action:
        case Submit(command):
            match command:
                case Route() | Expect():
                    return f"{type(command).__name__} {command.track}"
                case _:
                    return repr(command)[:90]
        case Media(peer, packet):
            return f"RTP from {peer}, {len(packet)} bytes {packet[:24].hex()}"
        case Control(peer, compound):
            return f"RTCP from {peer}, {len(compound)} bytes {compound[:24].hex()}"
        case Connect() | Miss() | Tick():
            return repr(action)[:90]
    return repr(action)[:90]


def short(value: object) -> str:
    """A value on one line."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes {value[:40].hex()}"
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + " ..."
