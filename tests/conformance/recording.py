"""The recorded call (tests/vectors/msc3898-call.jsonl): its rows, and its people as clients that speak its words.

Ids, metadata and the m-lines of each client's own are as recorded. What belongs to the
recorded transports is replaced: ICE credentials, fingerprints, candidates, and the m-lines
by which the recorded focus forwarded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from focus.vocabulary import Rid
from matrix_room import Room
from own_lines import Line
from scripted_client import Client

FILE = Path(__file__).resolve().parents[1] / "vectors" / "msc3898-call.jsonl"
FOCUS = ("@sfu:localhost:18448", "SFUDEV")
OF_THE_TRANSPORT = ("c=", "a=ice-", "a=fingerprint:", "a=setup:", "a=candidate:", "a=rtcp:")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file."""

    t: float
    "Seconds since the epoch."
    who: str
    channel: str
    "state, to_device, dc, pc or judge."
    direction: str
    type: str
    key: str
    content: dict[str, Any]

    @property
    def sdp(self) -> tuple[str, str] | None:
        """Kind and text of the description in it."""
        for name in ("offer", "answer", "description"):
            if isinstance(self.content.get(name), dict):
                return self.content[name]["type"], self.content[name]["sdp"]
        return None

    @property
    def streams(self) -> dict[str, Any] | None:
        """The metadata in it."""
        names = ("sdp_stream_metadata", "org.matrix.msc3077.sdp_stream_metadata")
        return next((self.content[name] for name in names if name in self.content), None)


def rows() -> list[Row]:
    """All rows, oldest first."""
    found = []
    for text in FILE.read_text().splitlines():
        row = json.loads(text)
        key = row.get("state_key", "")
        found.append(Row(row["t"] / 1000, row["who"], row["ch"], row["dir"], row["type"], key, row["content"]))
    return sorted(found, key=lambda row: row.t)


@dataclass
class Spoken(Line):
    """An m-line in the words of a recorded client."""

    words: list[str] = field(default_factory=list)

    def text(self, direction: str) -> list[str]:
        return [f"a={direction}" if line == "a=sendrecv" else line for line in self.words]


def spoken(text: str) -> list[Spoken | None]:
    """The m-lines of a recorded offer, None for the data channel."""
    found: list[Spoken | None] = []
    for part in text.split("\r\nm=")[1:]:
        lines = ["m=" + part.split("\r\n")[0], *(line for line in part.split("\r\n")[1:] if line)]
        if lines[0].startswith("m=application"):
            found.append(None)
            continue
        words = [line for line in lines if not line.startswith(OF_THE_TRANSPORT)]
        kind, _, rest = lines[0][2:].partition(" ")
        words[0] = f"m={kind} 9 {rest.split(' ', 1)[1]}"
        values = dict(line[2:].split(":", 1) for line in reversed(words) if line.startswith("a=") and ":" in line)
        stream, track = values["msid"].split(" ")
        rids = tuple(Rid(rid) for rid in values.get("simulcast", "").removeprefix("send ").split(";") if rid)
        line = Spoken(values["mid"], kind, stream, track, rids, words=words)
        if "ssrc" in values:
            line.ssrc = int(values["ssrc"].split(" ")[0])
        found.append(line)
    return found


class Replayed(Client):
    """Somebody of the recording."""

    def __init__(self, room: Room, user: str, invite: dict[str, Any]) -> None:
        name = user[1:].split(":")[0]
        super().__init__(room, name, invite["device_id"], invite["sender_session_id"])
        del room.home.devices[self.user, self.device]
        self.user = user
        room.home.devices[user, self.device] = self._to_device
        self.call, self.conf = invite["call_id"], invite["conf_id"]
        self.described: dict[str, Any] = {}

    @property
    def metadata(self) -> dict[str, Any]:
        return self.described

    def speak(self, text: str) -> dict[str, Any]:
        """Offer the m-lines of a recorded offer, and after them what the focus of this test has added."""
        for place, line in enumerate(spoken(text)):
            mid = line.mid if line is not None else str(place)
            if line is None:
                self.channel_mid = mid
            else:
                self.own[mid] = line
            if mid not in self.layout:
                self.layout.append(mid)
        return self.offer()
