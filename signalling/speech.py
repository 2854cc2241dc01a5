"""What we say: effects of a conference as MSC3401 to-device and MSC3898 data channel messages.

It writes and sends; it decides nothing. Encrypted legs are answered encrypted, plain ones
plain; after the first answer everything goes over the data channel, unless the client
asked otherwise or has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from focus.switchboard import Switchboard
from focus.vocabulary import Answer, Assigned, Demand, Offer, Paused, Ping, Reason, Speakers, Stream, Told, View
from signalling import events, metadata
from signalling.admission import Caller
from signalling.leg import Leg, Move, State, Way
from signalling.link import Link
from signalling.outbox import Outbox
from signalling.registry import Ghost


class Spokesman:
    """Writes messages and hands them to the outbox or the data channel."""

    def __init__(self, link: Link, outbox: Outbox, switchboard: Switchboard) -> None:
        self._link = link
        self._outbox = outbox
        self._switchboard = switchboard

    def say(self, leg: Leg, told: Told) -> None:
        """Carry an effect to the leg's client."""
        match told:
            case Answer():
                leg.move(Move.ANSWER)
                self._answer(leg, told)
            case Offer():
                self._describe(leg, "offer", told.sdp, told.streams, by_channel=leg.opened)
            case View():
                self._channel(leg, "m.call.sdp_stream_metadata_changed", {events.METADATA: metadata.dump(told.streams)})
            case Ping():
                self._channel(leg, "m.call.ping", {})
            case Demand():
                self._channel(leg, events.DEMAND, metadata.dump_demand(told.pictures))
            case Speakers():
                self._channel(leg, events.SPEAKERS, {"streams": list(told.order)})
            case Paused():
                self._channel(leg, events.PAUSED, {"number": told.number, "mids": list(told.mids)}, urgent=True)
            case Assigned():
                tracks = {line: {"stream_id": stream, "track_id": track} for line, stream, track in told.tracks}
                self._channel(leg, events.ASSIGNED, {"tracks": tracks})
            case _:
                raise AssertionError("an end is told by hang_up")

    def pong(self, leg: Leg) -> None:
        """Answer a client that pings us."""
        self._channel(leg, "m.call.pong", {})

    def _answer(self, leg: Leg, told: Answer) -> None:
        if leg.way is not Way.INVITE:
            by_channel = leg.way is Way.CHANNEL
            return self._describe(leg, "answer", told.sdp, told.streams, by_channel=by_channel)
        described = metadata.dump(told.streams)
        self._to_device(
            leg,
            "m.call.answer",
            {
                "answer": {"type": "answer", "sdp": told.sdp},
                events.UNSTABLE_METADATA: described,
                events.METADATA: described,
            },
        )
        # All candidates are in the description; this is MSC2746's end of candidates.
        return self._to_device(leg, "m.call.candidates", {"candidates": [{"candidate": ""}]})

    def _describe(self, leg: Leg, kind: str, sdp: str, streams: tuple[Stream, ...], *, by_channel: bool) -> None:
        described = metadata.dump(streams)
        content: dict[str, Any] = {"description": {"type": kind, "sdp": sdp}, events.METADATA: described}
        if by_channel:
            return self._channel(leg, "m.call.negotiate", content)
        content |= {events.UNSTABLE_METADATA: described, "lifetime": 60_000}
        return self._to_device(leg, "m.call.negotiate", content)

    def hang_up(self, leg: Leg, reason: Reason) -> None:
        """Tell the client that its call is over, or was never taken."""
        kind = "m.call.reject" if leg.state is State.JOINING else "m.call.hangup"
        self._to_device(leg, kind, {"reason": reason.value})

    def reject(self, caller: Caller, call: str, why: str) -> None:
        """Refuse an invite. The client learns that it was refused, and a word about why."""
        self._send(caller, call, 0, "m.call.reject", {"reason": why}, encrypted=caller.proven is not None)

    def hang_up_ghost(self, caller: Caller, ghost: Ghost | None) -> None:
        """Tell the client of a leg that a restart of ours killed. Its number is unknown, so it has none."""
        call = ghost.call if ghost is not None else ""
        encrypted = ghost is not None and ghost.encrypted
        self._send(caller, call, None, "m.call.hangup", {"reason": "user_hangup"}, encrypted=encrypted)

    def _to_device(self, leg: Leg, type: str, content: Mapping[str, Any]) -> None:
        self._send(leg.caller, leg.call, leg.next_seq(), type, content, encrypted=leg.encrypted)

    def _send(
        self, caller: Caller, call: str, seq: int | None, type: str, content: Mapping[str, Any], *, encrypted: bool
    ) -> None:
        us = self._link.device
        head = events.dump_header(
            events.Header(caller.conf, call, us, us, events.FOCUS_SESSION, caller.session, seq)
        )
        if not call:
            del head["call_id"]
        self._outbox.send(caller.user, caller.device, type, {**head, **content}, encrypted=encrypted)

    def _channel(self, leg: Leg, type: str, content: Mapping[str, Any], *, urgent: bool = False) -> None:
        self._switchboard.say(leg.conference, leg.peer, events.dump_channel(type, content), urgent=urgent)
