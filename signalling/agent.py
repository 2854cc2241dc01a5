"""The signalling agent: the homeserver's batches in, neutral focus events out, and back, in order.

One consumer takes rooms and messages as they come; `admission.py` judges, `leg.py` says
what is legal now, and `Spokesman` (`speech.py`) writes what we say. One bad event is
counted and costs nothing else (security G6).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from focus.faults import PeerFault
from focus.switchboard import Switchboard
from focus.vocabulary import (
    Alive,
    Answered,
    ConferenceId,
    Described,
    Ended,
    Join,
    Left,
    Names,
    Offered,
    PeerId,
    Reason,
    Selected,
    Told,
    View,
    Wanted,
)
from signalling import admission, events, metadata
from signalling.admission import Caller
from signalling.door import Door, Knock
from signalling.leg import Leg, Move, Way
from signalling.limits import SignallingLimits
from signalling.link import Batch, Gone, Invited, Link, Memory, StateEvent, ToDevice
from signalling.membership import Room, apply, flaws, server
from signalling.order import Order
from signalling.outbox import Outbox
from signalling.registry import Registry
from signalling.speech import Spokesman

log = logging.getLogger(__name__)

LOOK = 0.25
"Seconds between looks at what waits."


class Agent:
    """The Matrix face of a switchboard. See `focus.switchboard.Face`."""

    def __init__(
        self,
        link: Link,
        switchboard: Switchboard,
        names: Names,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        limits: SignallingLimits,
        *,
        inviting: tuple[str, ...] = (),
        memory: Memory | None = None,
    ) -> None:
        self.faults: Counter[str] = Counter()
        "What was refused or dropped, by why."
        self._link = link
        self._switchboard = switchboard
        self._names = names
        self._clock = clock
        self._wall = wall_clock
        self._limits = limits
        self._inviting = inviting
        self._rooms: dict[str, Room] = {}
        self._legs = Registry(memory)
        self._waiting: list[Knock] = []
        self._door = Door(limits)
        self._order: Order[tuple[ToDevice, events.Header]] = Order(limits.reorder, limits.reorder_timeout)
        self._outbox = Outbox(link, self.faults)
        self._speech = Spokesman(link, self._outbox, switchboard)
        self._errands: set[asyncio.Task[None]] = set()

    # The actor.

    async def run(self) -> None:
        """Work until cancelled, or until the link gives up."""
        looking = asyncio.get_running_loop().create_task(self._keep_looking())
        try:
            async for batch in self._link.batches():
                self.take(batch)
        finally:
            looking.cancel()

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            self.look()

    def take(self, batch: Batch) -> None:
        """Take one batch: rooms, then those who wait for them, then messages."""
        touched: dict[str, None] = {}
        for event in batch.rooms:
            try:
                self._room(event, touched)
            except Exception:
                self._contain("room event")
        for name in touched:
            self._recheck(name)
        if batch.first:
            self._wake_ghosts()
        self.look()
        for message in batch.messages:
            self._guard(lambda message=message: self._message(message))  # type: ignore[misc]

    def look(self) -> None:
        """Look at what waits: messages out of order, invites ahead of their state."""
        now = self._clock()
        for message, header in self._order.overdue(now):
            self._guard(lambda message=message, header=header: self._deliver(message, header))  # type: ignore[misc]
        waiting, self._waiting = self._waiting, []
        for knock in waiting:
            self._guard(lambda knock=knock: self._judge(knock))  # type: ignore[misc]

    def _guard(self, work: Callable[[], None]) -> None:
        """Do one piece of work; a peer's fault is counted, a bug of ours too, and the loop goes on."""
        try:
            work()
        except PeerFault as fault:
            self.faults[fault.what] += 1
        except Exception:
            self._contain("message")

    def _contain(self, what: str) -> None:
        self.faults["bug"] += 1
        log.exception("a %s could not be handled", what)

    # Rooms.

    def _room(self, event: StateEvent | Invited | Gone, touched: dict[str, None]) -> None:
        match event:
            case StateEvent():
                self.faults.update(flaws(event))
                room = self._rooms.get(event.room) or Room(event.room)
                self._rooms[event.room] = apply(room, event)
                touched[event.room] = None
            case Gone():
                self._rooms.pop(event.room, None)
                touched[event.room] = None
            case Invited():
                if server(event.sender) not in (server(self._link.user), *self._inviting):
                    self.faults["invite_from_elsewhere"] += 1
                elif len(self._rooms) >= self._limits.rooms:
                    self.faults["too_many_rooms"] += 1
                else:
                    self._errand(self._link.join(event.room))

    def _errand(self, work: object) -> None:
        """Something slow that nobody waits for."""

        async def run() -> None:
            try:
                await work  # type: ignore[misc]
            except Exception:
                self._contain("room errand")

        task = asyncio.get_running_loop().create_task(run())
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def _recheck(self, name: str) -> None:
        """A room changed: end whoever may not stay, and leave when nobody else is there."""
        room = self._rooms.get(name)
        for leg in self._legs:
            if leg.room == name and not admission.stays(room, self._us, leg.caller):
                self._end(leg, Reason.CALL_ENDED)
        if room is not None and room.members.get(self._link.user) == "join":
            if not any(m in ("join", "invite") for user, m in room.members.items() if user != self._link.user):
                self._rooms.pop(name)
                self._errand(self._link.leave(name))

    @property
    def _us(self) -> tuple[str, str]:
        return self._link.user, self._link.device

    def _wake_ghosts(self) -> None:
        """We have just started: whoever's entry names us has a dead call, and should dial again at once."""
        now = int(self._wall() * 1000)
        calls = {(g.user, g.device, g.session, g.conf): g for g in self._legs.ghosts()}
        for room in self._rooms.values():
            for conf, user, entry in admission.named(room, self._us, now):
                if self._legs.of_key((room.id, conf, user, entry.device)) is not None:
                    continue
                caller = Caller(user, entry.device, entry.session, conf, None)
                self._speech.hang_up_ghost(caller, calls.get((user, entry.device, entry.session, conf)))

    # Messages.

    def _message(self, message: ToDevice) -> None:
        """One to-device message: ours? in order?"""
        if not message.type.startswith(("m.call.", "org.matrix.call.")):
            return
        self._door.speak(message.sender, self._clock())
        header = events.header(message.content)
        if header.to_session != events.FOCUS_SESSION:
            raise PeerFault("not_for_us")
        if message.device is not None and message.device != header.device:
            raise PeerFault("device_not_proven")
        key = (message.sender, header.device, header.call)
        if self._order.seen(key, header.seq):
            raise PeerFault("repeated")
        for ready, head in self._order.take(key, header.seq, (message, header), self._clock()):
            self._guard(lambda ready=ready, head=head: self._deliver(ready, head))  # type: ignore[misc]

    def _deliver(self, message: ToDevice, header: events.Header) -> None:
        event = events.parse(message.type, message.content)
        if isinstance(event, events.Invite):
            caller = Caller(message.sender, header.device, header.session, header.conf, message.device)
            return self._invited(Knock(caller, header.call, event, self._clock()))
        leg = self._legs.of_call(message.sender, header.device, header.call)
        if leg is None:
            self._hung_up_early(message, header, event)
            self.faults["unknown_call"] += not isinstance(event, events.Candidates | events.Hangup)
            return None
        if leg.caller.conf != header.conf or leg.caller.session != header.session:
            raise PeerFault("foreign_leg")
        if leg.encrypted and message.device is None:
            raise PeerFault("downgraded")
        return self._of_leg(leg, event)

    def _hung_up_early(self, message: ToDevice, header: events.Header, event: events.Message) -> None:
        """A hangup for an invite that still waits withdraws it."""
        if isinstance(event, events.Hangup):
            mine = (message.sender, header.device, header.call)
            self._waiting = [k for k in self._waiting if (k.caller.user, k.caller.device, k.call) != mine]

    def _of_leg(self, leg: Leg, event: events.Message) -> None:
        match event:
            case events.SelectAnswer():
                leg.move(Move.SELECT)
                if event.party == self._link.device:
                    self._switchboard.post(leg.conference, Selected(leg.peer))
                else:
                    self._drop(leg, Reason.USER_HANGUP)
            case events.Negotiate():
                self._negotiate(leg, event, Way.MESSAGE)
            case events.MetadataChanged():
                self._describe(leg, event)
            case events.Hangup() | events.Reject():
                leg.move(Move.END)
                self._drop(leg, Reason.USER_HANGUP)
            case events.Candidates():
                # Addresses that a client names are never dialled: nothing to do with them.
                leg.move(Move.CANDIDATES)
            case events.Unknown():
                self.faults["unknown_type"] += 1
            case events.Invite():
                raise AssertionError("an invite goes to the door first")

    def _negotiate(self, leg: Leg, event: events.Negotiate, way: Way) -> None:
        leg.move(Move.NEGOTIATE)
        streams = metadata.read(event.metadata, leg.owner)
        if event.type == "offer":
            leg.way = way
            self._switchboard.post(leg.conference, Offered(leg.peer, event.sdp, streams))
        else:
            self._switchboard.post(leg.conference, Answered(leg.peer, event.sdp, streams))

    def _describe(self, leg: Leg, event: events.MetadataChanged) -> None:
        leg.move(Move.DESCRIBE)
        self._switchboard.post(leg.conference, Described(leg.peer, metadata.read(event.metadata, leg.owner)))

    # Invites.

    def _invited(self, knock: Knock) -> None:
        """Somebody dials: within its rate, and not the same call again?"""
        caller = knock.caller
        leg = self._legs.of_call(caller.user, caller.device, knock.call)
        if leg is not None and leg.caller == caller:
            if leg.opened and knock.invite.sdp == leg.invited:
                self.faults["repeated"] += 1
                return
            leg.move(Move.INVITE)
            leg.way = Way.INVITE
            streams = metadata.read(knock.invite.metadata, leg.owner)
            self._switchboard.post(leg.conference, Offered(leg.peer, knock.invite.sdp, streams))
            return
        if (why := self._door.shut(knock, self._clock())) is not None:
            self.faults[why] += 1
            return
        self._judge(knock)

    def _judge(self, knock: Knock) -> None:
        match admission.admit(self._rooms, self._us, knock.caller, int(self._wall() * 1000)):
            case admission.Admit(room):
                self._admit(knock, room)
            case admission.Wait(why):
                if self._clock() - knock.since > self._limits.wait_for_state:
                    self._refuse(knock, why)
                elif len(self._waiting) >= self._limits.waiting:
                    self.faults["too_many_waiting"] += 1
                else:
                    self._waiting.append(knock)
            case admission.Refuse(why):
                self._refuse(knock, why)

    def _refuse(self, knock: Knock, why: str) -> None:
        """Say no once. An invite of a session that is over came late, delivered again (digest §20.7): say nothing."""
        self.faults[f"refused_{why}"] += 1
        caller = knock.caller
        if why not in ("session", "device") and self._door.first_refusal(caller.user, caller.device, knock.call):
            self._speech.reject(caller, knock.call, why)

    def _admit(self, knock: Knock, room: str) -> None:
        caller = knock.caller
        leg = Leg(
            PeerId(self._names.token(16)),
            ConferenceId(f"{room} {caller.conf}"),
            room,
            caller,
            knock.call,
            encrypted=caller.proven is not None,
            invited=knock.invite.sdp,
        )
        before = self._legs.of_key(leg.key)
        if before is None and self._legs.count(caller.user) >= self._limits.calls_per_user:
            return self._refuse(knock, "too_many_calls")
        if before is not None:
            self._drop(before, Reason.REPLACED)
        self._legs.add(leg)
        streams = metadata.read(knock.invite.metadata, leg.owner)
        return self._switchboard.post(leg.conference, Join(leg.peer, leg.owner, knock.invite.sdp, streams))

    # Ends.

    def _drop(self, leg: Leg, reason: Reason) -> None:
        """End a leg without a word to the client."""
        self._forget(leg)
        self._switchboard.post(leg.conference, Left(leg.peer, reason))

    def _forget(self, leg: Leg) -> None:
        self._legs.remove(leg)
        name = (leg.caller.user, leg.caller.device, leg.call)
        self._order.forget(name)
        self._door.close(*name)

    def _end(self, leg: Leg, reason: Reason) -> None:
        """End a leg and tell the client."""
        self._drop(leg, reason)
        self._speech.hang_up(leg, reason)

    async def farewell(self) -> None:
        """We shut down: tell every client, so that it dials again or elsewhere."""
        for leg in self._legs:
            self._end(leg, Reason.USER_HANGUP)
        await self._outbox.flush(3.0)

    # The face.

    def tell(self, conference: ConferenceId, told: Told) -> None:
        """Carry an effect of the conference to its client."""
        leg = self._legs.of_peer(told.peer)
        if leg is None:
            return
        if isinstance(told, Ended):
            self._forget(leg)
            self._speech.hang_up(leg, told.reason)
        else:
            leg.opened = leg.opened or isinstance(told, View)
            self._speech.say(leg, told)

    def hear(self, conference: ConferenceId, peer: PeerId, text: str) -> None:
        """One message of the client's data channel."""
        leg = self._legs.of_peer(peer)
        if leg is not None:
            leg.opened = True
            self._guard(lambda: self._heard(leg, text))

    def _heard(self, leg: Leg, text: str) -> None:
        event = events.parse_channel(text, self._limits.text, self._limits.depth)
        match event:
            case events.TrackSubscription():
                leg.move(Move.SUBSCRIBE)
                self._switchboard.post(leg.conference, Wanted(leg.peer, event.subscribe, event.unsubscribe))
            case events.Negotiate():
                self._negotiate(leg, event, Way.CHANNEL)
            case events.MetadataChanged():
                self._describe(leg, event)
            case events.Pong():
                leg.move(Move.PONG)
                self._switchboard.post(leg.conference, Alive(leg.peer))
            case events.Ping():
                self._speech.pong(leg)
            case events.Taken():
                self._switchboard.post(leg.conference, event.what(leg.peer))
            case events.Unknown():
                self.faults["channel_unknown_type"] += 1

