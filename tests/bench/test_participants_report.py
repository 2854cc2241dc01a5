"""What participants report of a call's last moment."""

from __future__ import annotations

import random
import time
from types import SimpleNamespace
from typing import Any, cast

from bench.participants import media, report
from bench.participants.call import Call, Seat
from bench.participants.habits import Habits
from bench.participants.known import Known
from bench.participants.member import Participant


async def post(type: str, content: dict[str, Any]) -> None:
    """Nobody listens."""


async def test_who_leaves_first_takes_no_picture_out_of_the_others_report() -> None:
    person = media.Person("Ada", [], [], [])
    seat = Seat(0, 1, "@ada:x", "DEV", "session", "conf", ("@f:x", "F"), person, Known(()), time.monotonic)
    call = Call(seat, Habits(random.Random(1)), post)
    ada = cast(Participant, SimpleNamespace(seat=seat, calls=[call], state="left", ends={}))
    call.asked = {("stream", "track"): (320, 180)}
    flowed = report.flows([ada], 10.0)
    # Whoever sent it has left by now, and the focus has said so.
    call.asked = {}
    told = report.all_of([ada], 10.0, flowed, 20.0, 1.0)
    assert (told["each"][0]["flowing"], told["each"][0]["wanted"], told["clean"]) == (0, 1, False)
