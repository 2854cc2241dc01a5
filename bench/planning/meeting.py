"""A large conference as it stands after everybody was answered, without a single SDP: for measuring what decides.

So many publishers, each with a camera in three layers; everybody else watches all of them on lines
that were agreed long ago, one large and the others small, over links of all widths. No time, no engine.
"""

from __future__ import annotations

import random
from types import MappingProxyType

from focus.commands import Codec, Credentials
from focus.conference import Running
from focus.description import Line
from focus.limits import Limits
from focus.names import RandomNames
from focus.snapshot import Conference, Peer, Published, Slot, Use
from focus.vocabulary import (
    ConferenceId,
    Description,
    Kind,
    Owner,
    PeerId,
    Purpose,
    Rid,
    RouteId,
    Stream,
    TrackId,
    Want,
)

SIZES = {Rid("f"): (1280, 720), Rid("h"): (640, 360), Rid("q"): (320, 180)}
RATES = {Rid("f"): 2_500_000, Rid("h"): 500_000, Rid("q"): 150_000}
LINKS = (300_000, 800_000, 1_500_000, 3_000_000, 6_000_000, 12_000_000, 30_000_000)
"What may be sent to somebody, bits a second."
LAYOUTS = ((160, 90), (320, 180), (320, 180), (480, 270))
"Pixels of the small tiles."
STAGE = (1280, 720)
EXTENSIONS = (
    (4, "urn:ietf:params:rtp-hdrext:sdes:mid"),
    (10, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
    (3, "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"),
)
VP8 = Codec("vp8", 90_000, 96, 97)


def _line(mid: str, direction: str, msid: tuple[str, str] | None, rids: tuple[Rid, ...]) -> Line:
    return Line(
        mid, "video", "UDP/TLS/RTP/SAVPF", ("96", "97"), False, direction, msid, (VP8,), (), EXTENSIONS, rids, (),
    )  # fmt: skip


def meeting(subscribers: int, tracks: int, seed: int = 1) -> Running:
    """A conference at rest: the first `tracks` of its `subscribers` publish, and all watch all others.

    Its first `work` plans it from nothing.
    """
    chance = random.Random(seed)
    names = [PeerId(f"peer{number}") for number in range(subscribers)]
    published: dict[TrackId, Published] = {}
    for name in names[:tracks]:
        line = _line("1", "sendonly", (f"{name}-stream", f"{name}-camera"), tuple(SIZES))
        new = TrackId(f"{name}/1/abcd")
        published[new] = Published(
            new, name, "1", f"{name}-stream", f"{name}-camera", f"{name}-stream", f"{name}-camera", line,
            MappingProxyType(SIZES),
        )  # fmt: skip
    running = Running(
        ConferenceId("large"), Limits(participants=subscribers + 1), ("vp8",), RandomNames(), ("sha-256", "AB"), 1, True
    )
    peers: dict[PeerId, Peer] = {}
    routes = 0
    for name in names:
        slots: list[Slot] = []
        watched = [track for track in published.values() if track.peer != name]
        for number, track in enumerate(watched):
            routes += 1
            use = Use(track.id, RouteId(routes), track.stream, track.name, routes, subscribers * tracks + routes)
            line = _line(f"w{number}", "recvonly", None, ())
            slots.append(Slot(line.mid, Kind.VIDEO, use, use, True, line))
        stage = chance.randrange(len(watched))
        owner = Owner(f"@{name}:example.org", "DEVICE")
        camera = Description(f"{name}-camera", Kind.VIDEO, 1280, 720)
        streams = (Stream(f"{name}-stream", owner, Purpose.USERMEDIA, False, False, (camera,)),)
        small = chance.choice(LAYOUTS)
        peers[name] = Peer(
            name, owner, 1, Credentials("ours", "ours"), Credentials("theirs", "theirs"), (("sha-256", "AB"),), True,
            0.0, (), streams if name in names[:tracks] else (),
            candidates=(), slots=tuple(slots), owed=False, connected_at=0.0, selected=True,
            wants=MappingProxyType(
                {
                    (track.stream, track.name): Want(track.stream, track.name, *(STAGE if n == stage else small))
                    for n, track in enumerate(watched)
                }
            ),
            estimate=int(chance.choice(LINKS) * chance.uniform(0.8, 1.2)),
        )  # fmt: skip
    conference = Conference(
        ConferenceId("large"), running.conference.limits, ("vp8",), True, MappingProxyType(peers),
        MappingProxyType(published), MappingProxyType({name: MappingProxyType(dict(RATES)) for name in published}),
    )  # fmt: skip
    running.conference = conference
    return running
