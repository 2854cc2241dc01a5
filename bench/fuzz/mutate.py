"""Texts that reach further: mutations of what reached new lines of our own code before.

Seeded. Coverage is the lines of `focus` and `signalling` that a text reaches, by
the interpreter's own tracing; a text that reaches a new one is kept and mutated in turn.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WATCHED = tuple(str(ROOT / room) + "/" for room in ("focus", "signalling"))
LONGEST = 2048
"Bytes of a text that is tried: long enough for a whole offer, short enough to keep."
SLOW = 1.0
"Seconds for one text, traced, on a busy machine."

WORDS: dict[str, tuple[bytes, ...]] = {
    "sdp": (
        b"\r\n", b"\n", b"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", b"m=video 0 X 96\r\n", b"a=mid:", b"a=rid:f send\r\n",
        b"a=simulcast:send f;~h,q\r\n", b"a=bundle-only\r\n", b"a=inactive\r\n", b"a=recvonly\r\n", b"a=sendrecv\r\n",
        b"a=group:BUNDLE 0 1 2\r\n", b"a=ssrc-group:FID 7 8\r\n", b"a=ssrc:4294967296 cname:x\r\n",
        b"a=rtcp-fb:* nack pli\r\n",
        b"a=rtcp-mux\r\n", b"a=extmap:4/sendrecv urn:ietf:params:rtp-hdrext:sdes:mid\r\n", b"a=fmtp:97 apt=96\r\n",
        b"a=max-message-size:0\r\n", b"a=sctp-port:65536\r\n", b"a=extmap-allow-mixed\r\n", b"a=msid:- t\r\n",
        b"a=fingerprint:sha-512 ", b"a=ice-ufrag:wxyz\r\n", b"a=rtcp-rsize\r\n",
    ),
    "messages": (
        b'{"type":"m.call.ping","content":{}}', b'"m.call.track_subscription"', b'"subscribe":[', b'"unsubscribe":[',
        b'"start":[', b'"stop":[', b'{"stream_id":"s","track_id":"t","width":1,"height":1}', b'"m.call.negotiate"',
        b'"description":{"type":"offer","sdp":"v=0"}', b'"sdp_stream_metadata":{', b'"purpose":"m.usermedia"',
        b'"tracks":{"t":{"kind":"video","width":9}}', b'"audio_muted":true', b"[[[[[[[[", b"]]]]", b"1e999", b"\\ud800",
        b"\\u0000", b"true", b"null", b"-0.0", b"99999999999999999999", b'"seq":0', b'"conf_id":"c"', b'"call_id":"c"',
        b'"dest_session_id":"sfu"', b'"m.call.sdp_stream_metadata_changed"', b'"offer":{"type":"offer","sdp":""}',
        b'"candidates":[{}]', b'"selected_party_id":"p"', b'"reason":"r"', b'"device_id":"D"',
    ),
}  # fmt: skip
"What a mutation may put in, by probe."
SEEDS: dict[str, tuple[str, ...]] = {
    "sdp": (),
    "messages": (
        """{"type":"m.call.track_subscription","content":{"subscribe":[{"stream_id":"cam","track_id":"pic","width":640,
            "height":360}],"unsubscribe":[{"stream_id":"cam","track_id":"pic"}]}}""",
        """{"type":"m.call.sdp_stream_metadata_changed","content":{"sdp_stream_metadata":{"cam":{
            "purpose":"m.usermedia","audio_muted":false,"video_muted":true,
            "tracks":{"pic":{"kind":"video","width":1280,"height":720}}}}}}""",
        """{"type":"m.call.negotiate","content":{"description":{"type":"answer","sdp":"v=0"}}}""",
        """{"version":"1","call_id":"c","conf_id":"r","party_id":"D","device_id":"D","sender_session_id":"s",
            "dest_session_id":"sfu","seq":0,"offer":{"type":"offer","sdp":"v=0"},"reason":"user_hangup",
            "candidates":[],"selected_party_id":"us","description":{"type":"answer","sdp":""}}""",
    ),
}
"What a search begins with."


@dataclass(slots=True)
class Found:
    """What a run brought."""

    executions: int = 0
    lines: int = 0
    kept: list[bytes] = field(default_factory=list)
    "Texts that reached new lines, in order; those that it began with come first."
    broken: list[tuple[bytes, str]] = field(default_factory=list)
    "Texts that broke a promise, and how."


class Reach:
    """Which lines of our own code have been reached."""

    def __init__(self) -> None:
        self.lines = 0
        self._missing: dict[CodeType, set[int]] = {}

    def run(self, probe: Callable[[bytes], None], text: bytes) -> bool:
        """Whether a text reaches a new line."""
        before = self.lines
        sys.settrace(self._enter)
        try:
            probe(text)
        finally:
            sys.settrace(None)
        return self.lines > before

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        missing = self._missing.get(code)
        if missing is None:
            ours = code.co_filename.startswith(WATCHED)
            missing = {line for _, _, line in code.co_lines() if line is not None} if ours else set()
            missing.discard(code.co_firstlineno)
            self._missing[code] = missing
        # What has been reached altogether is not looked at again: most of the work is done there.
        return self._line if missing else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        missing = self._missing[frame.f_code]
        if frame.f_lineno in missing:
            missing.discard(frame.f_lineno)
            self.lines += 1
        return self._line


def mutated(text: bytes, others: Sequence[bytes], words: Sequence[bytes], chance: random.Random) -> bytes:
    """A text with a few things changed."""
    for _ in range(chance.randrange(1, 5)):
        at, end = sorted(chance.randrange(len(text) + 1) for _ in range(2))
        lines = text.splitlines(keepends=True)
        match chance.randrange(9):
            case 0:
                text = text[:at] + text[end:]
            case 1:
                text = text[:end] + text[at:]
            case 2:
                text = text[:at] + chance.choice(words) + text[at:]
            case 3:
                text = text[:at] + chance.choice(words) + text[end:]
            case 4:
                text = text[:at] + bytes((chance.randrange(256),)) + text[at + 1 :]
            case 5:
                other = chance.choice(others)
                start = chance.randrange(len(other) + 1)
                text = text[:at] + other[start : start + chance.randrange(200)] + text[at:]
            case 6 if len(lines) > 1:
                one, two = chance.randrange(len(lines)), chance.randrange(len(lines))
                lines[one], lines[two] = lines[two], lines[one]
                text = b"".join(lines)
            case 7 if len(lines) > 1:
                lines.insert(chance.randrange(len(lines)), chance.choice(lines))
                text = b"".join(lines)
            case _ if lines:
                del lines[chance.randrange(len(lines))]
                text = b"".join(lines)
    return text[:LONGEST]


def search(
    probe: Callable[[bytes], None], begin: Sequence[bytes], words: Sequence[bytes], seconds: float, seed: int
) -> Found:
    """Try texts for so long. A promise that is broken twice in the same place is told once."""
    chance, reach, found = random.Random(seed), Reach(), Found()
    until = time.monotonic() + seconds
    places: set[tuple[str, int]] = set()
    pending = [text[:LONGEST] for text in begin] or [b""]
    while pending or time.monotonic() < until:
        text = pending.pop() if pending else mutated(chance.choice(found.kept), found.kept, words, chance)
        found.executions += 1
        started = time.process_time()
        try:
            new = reach.run(probe, text)
            assert time.process_time() - started < SLOW, "it takes too long"
        except Exception as error:  # whatever it is: it is no answer to a text
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace is not None else ("", 0)
            if place not in places:
                places.add(place)
                found.broken.append((text, f"{type(error).__name__}: {error} ({Path(place[0]).name}:{place[1]})"))
            new = False
        if new or not found.kept:
            found.kept.append(text)
    found.lines = reach.lines
    return found
