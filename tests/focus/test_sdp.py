"""Session descriptions as text: nothing is lost, and nothing hostile gets further than a fault with a name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offers import CHROMIUM, channel, microphone, offer, picture

from focus import sdp
from focus.codecs import FORMATS
from focus.description import Remote, read
from focus.faults import PeerFault

MOST = 240
EVERY = tuple(FORMATS)


def understood(text: str) -> Remote | str:
    """What a text says, or the name of its fault. Anything else that is raised fails the test."""
    try:
        return read(sdp.parse(text), MOST, EVERY)
    except PeerFault as fault:
        assert fault.what.replace("_", "").isalnum(), "a metric label"
        return fault.what


def fault(text: str) -> str:
    found = understood(text)
    assert isinstance(found, str), "this should have been refused"
    return found


# Lossless.


def test_a_real_offer_comes_back_letter_for_letter() -> None:
    assert sdp.dump(sdp.parse(CHROMIUM)) == CHROMIUM


@given(
    st.lists(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="\xa0"), max_size=40))
)
def test_any_printable_lines_come_back_letter_for_letter(values: list[str]) -> None:
    text = "v=0\r\n" + "".join(f"a={value}\r\n" for value in values if value.isprintable())
    assert sdp.dump(sdp.parse(text)) == text


def test_bare_line_feeds_are_read_too() -> None:
    assert sdp.parse(CHROMIUM.replace("\r\n", "\n")) == sdp.parse(CHROMIUM)


def test_attributes_are_found_by_whole_name() -> None:
    section = sdp.Section("m=audio 9 X 1\na=rid:f send\na=rid:h send\na=ridge:x\na=rtcp-mux")
    assert section.values("rid") == ["f send", "h send"]
    assert (section.value("rid"), section.value("ri")) == ("f send", None)
    assert section.flag("rtcp-mux") and not section.flag("rtcp")


# Hostile.


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "sdp_no_version"),
        ("v=1\r\n", "sdp_no_version"),
        ("\r\nv=0\r\n", "sdp_no_version"),
        ("v=0\r\n", "sdp_no_media"),
        ("v=0\r\nx\r\n", "sdp_line"),
        ("v=0\r\n\r\ns=-\r\n", "sdp_line"),
        ("v=0\r\na=x\0y\r\n", "sdp_line"),
        ("v=0\r\na=x\ry\r\n", "sdp_line"),
        ("v=0\r\na=x\u2028y\r\n", "sdp_line"),
        ("v=0\r\na=\ud800\r\n", "sdp_line"),
        ("v=0\r\nm=audio\r\n", "sdp_media_line"),
        ("v=0\r\nm=audio x UDP 1\r\n", "sdp_media_line"),
        ("v=0\r\nm=audio -1 UDP 1\r\n", "sdp_media_line"),
        ("v=0\r\nm=audio \u0663 UDP 1\r\n", "sdp_media_line"),
        ("v=0\r\nm=audio 123456 UDP 1\r\n", "sdp_media_line"),
    ],
)
def test_what_is_no_description_is_refused_by_name(text: str, name: str) -> None:
    assert fault(text) == name


LINE = "a=" + "x" * (sdp.LONGEST_LINE - 2)


@pytest.mark.parametrize(
    ("most", "more", "name"),
    [
        (f"v=0\r\n{LINE}\r\n", f"v=0\r\n{LINE}x\r\n", "sdp_line"),
        (
            "v=0\r\n" + "a=x\r\n" * (sdp.MOST_LINES - 1),
            "v=0\r\n" + "a=x\r\n" * sdp.MOST_LINES,
            "sdp_too_many_lines",
        ),
        (
            "v=0\r\n" + "m=audio 9 X 1\r\n" * sdp.MOST_SECTIONS,
            "v=0\r\n" + "m=audio 9 X 1\r\n" * (sdp.MOST_SECTIONS + 1),
            "sdp_too_many_sections",
        ),
        (
            ("v=0\r\n" + f"{LINE}\r\n" * 64)[: sdp.LONGEST - 2] + "\r\n",
            ("v=0\r\n" + f"{LINE}\r\n" * 64)[: sdp.LONGEST - 2] + "x\r\n",
            "sdp_too_long",
        ),
        (
            "v=0\r\n" + ("a=" + "é" * 1000 + "\r\n") * 130,
            "v=0\r\n" + ("a=" + "é" * 1000 + "\r\n") * 131,
            "sdp_too_long",
        ),
    ],
    ids=["line", "lines", "sections", "text", "bytes"],
)
def test_each_bound_holds_on_both_sides(most: str, more: str, name: str) -> None:
    sdp.parse(most)
    with pytest.raises(PeerFault, match=name):
        sdp.parse(more)


def test_the_number_of_m_lines_is_bounded() -> None:
    lines = [microphone(str(n), "inactive") for n in range(MOST)]
    assert isinstance(understood(offer(*lines)), Remote)
    assert fault(offer(*lines, channel("last"))) == "sdp_too_many_sections"


@pytest.mark.parametrize(
    "text",
    [
        offer(microphone("0", "sendrecv", *[f"a=rtpmap:{n % 128} opus/48000/2" for n in range(4000)])),
        offer(microphone("0", "sendrecv", *["a=fmtp:111 " + ";".join(["apt=111"] * 500)] * 60)),
        offer(["m=audio 9 UDP/TLS/RTP/SAVPF " + " ".join(["111"] * 1000), *microphone()[1:]]),
        offer(picture("1", "sendonly", "a=simulcast:send " + ";".join(["f"] * 2000), "a=rid:f send")),
        offer(picture("1", "sendonly", *["a=extmap:4 urn:x"] * 4000)),
        offer(microphone(), head="a=group:BUNDLE " + "0 " * 2000),
    ],
    ids=["rtpmap", "fmtp", "formats", "rids", "extmap", "bundle"],
)
def test_a_bomb_costs_no_more_than_its_length(text: str) -> None:
    assert len(text) < sdp.LONGEST
    understood(text)


@pytest.mark.parametrize("lines", range(CHROMIUM.count("\r\n")))
def test_a_real_offer_cut_after_any_line_is_read_or_refused(lines: int) -> None:
    understood("".join(CHROMIUM.splitlines(keepends=True)[:lines]))


@settings(deadline=None)
@given(st.integers(0, len(CHROMIUM)))
def test_a_real_offer_cut_anywhere_is_read_or_refused(end: int) -> None:
    understood(CHROMIUM[:end])


@settings(deadline=None)
@given(st.integers(0, len(CHROMIUM)), st.integers(0, 60), st.text(max_size=20))
def test_a_real_offer_with_anything_in_it_is_read_or_refused(start: int, gone: int, text: str) -> None:
    understood(CHROMIUM[:start] + text + CHROMIUM[start + gone :])


LINES = CHROMIUM.splitlines(keepends=True)


@settings(deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=5), st.integers(0, len(LINES)), st.permutations(range(6)))
def test_a_real_offer_with_lines_out_of_place_is_read_or_refused(
    more: list[str], at: int, order: list[int]
) -> None:
    window = LINES[at : at + 6]
    shuffled = [window[n] for n in order if n < len(window)]
    understood("".join([*LINES[:at], *more, *shuffled, *LINES[at + 6 :]]))


VALUE = st.one_of(st.text(max_size=12), st.integers().map(str), st.sampled_from(["send f;h", "0 1", "111 x", "*", " "]))
NAMES = [
    "mid", "rid", "simulcast", "extmap", "rtpmap", "fmtp", "rtcp-fb", "msid", "ssrc", "ssrc-group", "group", "setup",
    "ice-ufrag", "ice-pwd", "fingerprint", "sctp-port", "max-message-size",
]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUE), min_size=1, max_size=4), st.integers(5, len(LINES) - 1))
def test_a_real_offer_with_attributes_of_any_value_is_read_or_refused(
    attributes: list[tuple[str, str]], at: int
) -> None:
    corrupted = [f"a={name}:{value}\r\n" for name, value in attributes]
    names = tuple(f"a={name}:" for name, _ in attributes)
    rest = [line for line in LINES[at:] if not line.startswith(names)]
    understood("".join([*LINES[:at], *corrupted, *rest]))


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    understood(text)
    understood("v=0\r\n" + text)
