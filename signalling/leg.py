"""One call leg as a transition table, and the record of it.

Every transition of a leg is in `LEG` and nowhere else; what a table entry does is in
`agent.py`. A move that the table lacks is the peer's fault and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from focus.faults import PeerFault
from focus.vocabulary import ConferenceId, Owner, PeerId, Reason
from signalling.admission import Caller


class State(StrEnum):
    """How far a leg has come."""

    JOINING = "joining"
    "Admitted; the conference makes the answer."
    ANSWERED = "answered"
    "The answer is on its way."
    LIVE = "live"
    "The peer said that it took our answer, or spoke on the data channel."
    ENDED = "ended"


class Move(StrEnum):
    """What can happen to a leg."""

    ANSWER = "answer"
    SELECT = "select_answer"
    CANDIDATES = "candidates"
    NEGOTIATE = "negotiate"
    DESCRIBE = "sdp_stream_metadata_changed"
    SUBSCRIBE = "track_subscription"
    PONG = "pong"
    INVITE = "invite"
    "The same call, offered again."
    END = "hangup"


class Way(StrEnum):
    """How the peer's newest offer came: its answer goes the same way."""

    INVITE = "invite"
    MESSAGE = "message"
    "A to-device `m.call.negotiate`."
    CHANNEL = "channel"


LEG: dict[State, dict[Move, State]] = {
    State.JOINING: {
        Move.ANSWER: State.ANSWERED,
        Move.CANDIDATES: State.JOINING,
        Move.DESCRIBE: State.JOINING,
        Move.INVITE: State.JOINING,
        Move.END: State.ENDED,
    },
    State.ANSWERED: {
        Move.ANSWER: State.ANSWERED,
        Move.SELECT: State.LIVE,
        Move.CANDIDATES: State.ANSWERED,
        Move.NEGOTIATE: State.ANSWERED,
        Move.DESCRIBE: State.ANSWERED,
        Move.SUBSCRIBE: State.LIVE,
        Move.PONG: State.LIVE,
        Move.INVITE: State.ANSWERED,
        Move.END: State.ENDED,
    },
    State.LIVE: {
        Move.ANSWER: State.LIVE,
        Move.SELECT: State.LIVE,
        Move.CANDIDATES: State.LIVE,
        Move.NEGOTIATE: State.LIVE,
        Move.DESCRIBE: State.LIVE,
        Move.SUBSCRIBE: State.LIVE,
        Move.PONG: State.LIVE,
        Move.INVITE: State.LIVE,
        Move.END: State.ENDED,
    },
    State.ENDED: {},
}


@dataclass(slots=True)
class Leg:
    """A peer as signalling knows it."""

    peer: PeerId
    conference: ConferenceId
    room: str
    caller: Caller
    call: str
    encrypted: bool
    "The invite came by Olm: so goes all that we send."
    invited: str
    "The invite's SDP, to know the same invite again."
    state: State = State.JOINING
    sent: int = 0
    "Our next seq."
    opened: bool = False
    "The data channel is open."
    way: Way = Way.INVITE

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Room, call, user, device: whoever has the same key replaces this leg (digest §2)."""
        return self.room, self.caller.conf, self.caller.user, self.caller.device

    @property
    def owner(self) -> Owner:
        """To whom its streams belong."""
        return Owner(self.caller.user, self.caller.device)

    def move(self, move: Move) -> None:
        """Go on by the table. Raises PeerFault for an illegal move, which changes nothing."""
        after = LEG[self.state].get(move)
        if after is None:
            raise PeerFault("illegal_move", Reason.UNKNOWN)
        self.state = after

    def next_seq(self) -> int:
        """Number our next to-device message."""
        self.sent += 1
        return self.sent - 1
