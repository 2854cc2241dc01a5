"""The participants' own VP8 packetiser and reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.participants import vp8

KEYFRAME = bytes.fromhex("500000") + b"\x9d\x01\x2a" + (1280).to_bytes(2, "little") + (720).to_bytes(2, "little")


@given(st.binary(min_size=1, max_size=20_000))
def test_a_cut_frame_is_whole_again_when_joined(frame: bytes) -> None:
    pieces = vp8.cut(frame)
    assert b"".join(pieces) == frame
    assert all(0 < len(piece) <= vp8.PAYLOAD for piece in pieces)


@given(st.booleans(), st.integers(0, 0x7FFF), st.integers(0, 255), st.binary(min_size=1, max_size=50))
def test_what_is_described_is_read(first: bool, picture: int, tl0: int, body: bytes) -> None:
    part = vp8.read(vp8.describe(first, picture, tl0) + body)
    assert (part.first, part.picture, part.tl0, part.tid, part.body) == (first, picture, tl0, 0, body)


def test_a_keyframe_tells_its_size() -> None:
    assert vp8.read(vp8.describe(True, 7, 7) + KEYFRAME).size == (1280, 720)


@pytest.mark.parametrize(
    "payload, size",
    [
        (vp8.describe(False, 7, 7) + KEYFRAME, None),  # not the start of a frame
        (vp8.describe(True, 7, 7) + b"\x51" + KEYFRAME[1:], None),  # P bit: no keyframe
        (vp8.describe(True, 7, 7) + KEYFRAME[:3] + b"\x9d\x01\x2b" + KEYFRAME[6:], None),  # corrupt start code
        (vp8.describe(True, 7, 7) + KEYFRAME[:9], None),  # cut off before the size ends
    ],
)
def test_anything_else_has_no_size(payload: bytes, size: None) -> None:
    assert vp8.read(payload).size is size


@given(st.binary(max_size=12))
def test_a_broken_payload_is_a_value_error_or_a_part(payload: bytes) -> None:
    try:
        assert vp8.read(payload).body
    except ValueError:
        pass


@pytest.mark.parametrize("cut", range(1, 7))
def test_every_prefix_of_a_descriptor_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="descriptor|body"):
        vp8.read(vp8.describe(True, 300, 7)[:cut])
