"""The verdict of `make demo CHECK=1`: nobody may be missing anywhere."""

from __future__ import annotations

from weir.check import Seen, participants_see, table, verdict

PEOPLE = ["a", "b", "c"]


def everybody() -> list[Seen]:
    return [Seen(v, p, 30.0, 320, 180, 50) for v in PEOPLE for p in PEOPLE if v != p]


def test_everybody_sees_everybody() -> None:
    assert verdict(everybody(), 3) == (True, "6 of 6 streams decoded: 3 viewers, 2 publishers each")


def test_one_missing_stream_is_short() -> None:
    assert not verdict(everybody()[1:], 3)[0]


def test_a_still_picture_or_a_silent_one_is_short() -> None:
    for bad in (Seen("a", "b", 0.5, 320, 180, 50), Seen("a", "b", 30.0, 0, 0, 50), Seen("a", "b", 30.0, 320, 180, 0)):
        rows = [bad, *everybody()[1:]]
        assert not verdict(rows, 3)[0]
        assert "short" in table(rows)


def test_one_stream_seen_twice_counts_once() -> None:
    rows = everybody()
    assert not verdict([*rows[1:], rows[1]], 3)[0]


def test_the_participants_report_becomes_rows() -> None:
    video = {"kind": "video", "user": "@b:x", "stream": "s", "pace": 29.5, "width": 640, "height": 360, "packets": 900}
    audio = {"kind": "audio", "user": "@b:x", "stream": "s", "pace": 0.0, "width": 0, "height": 0, "packets": 400}
    report = {"each": [{"name": "Ada", "tracks": [video, audio]}, {"name": "Ben"}]}
    assert participants_see(report) == [Seen("Ada", "@b:x", 29.5, 640, 360, 400)]
