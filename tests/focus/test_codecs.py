"""Which payload formats a call uses: what is accepted of an offer, in whose numbers, and who can then decode what."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offers import CHROMIUM, MID_URI, channel, microphone, offer
from room import Caller, Room
from test_compose import answered, offered, only_what_was_offered, snapshot, well_formed

from focus import sdp
from focus.codecs import FORMATS, PREFERRED, carried, fits, named
from focus.commands import Connected, Opened
from focus.description import read
from focus.vocabulary import Answered, Join, Kind, Owner, PeerId, Selected, Want, Wanted

GUEST, OWNER = PeerId("guest"), Owner("@guest:example.org", "DEVICE")
EVERY = carried(FORMATS, PREFERRED)
PICTURES = tuple(name for name in FORMATS if FORMATS[name].kind is Kind.VIDEO)
H264 = "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
DEPENDENCY_URI = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"


def camera(
    *formats: tuple[str, str], mid: str = "0", direction: str = "sendonly", first: int = 40, rtx: bool = True
) -> list[str]:
    """A section of pictures in these formats, as pairs of `a=rtpmap` and `a=fmtp`, in a numbering of its own."""
    lines, numbers = [], []
    for place, (encoding, parameters) in enumerate(formats):
        pt = first + 2 * place
        numbers += [str(pt), *([str(pt + 1)] if rtx else [])]
        lines += [f"a=rtpmap:{pt} {encoding}", f"a=rtcp-fb:{pt} nack", f"a=rtcp-fb:{pt} nack pli"]
        lines += [f"a=fmtp:{pt} {parameters}"] if parameters else []
        lines += [f"a=rtpmap:{pt + 1} rtx/90000", f"a=fmtp:{pt + 1} apt={pt}"] if rtx else []
    head = [f"m=video 9 UDP/TLS/RTP/SAVPF {' '.join(numbers)}", f"a=mid:{mid}", f"a={direction}", "a=rtcp-mux"]
    return [*head, *lines, f"a=extmap:4 {MID_URI}"]


def accepted(section: list[str], codecs: tuple[str, ...] = EVERY) -> list[tuple[str, int, int | None]]:
    """What of a section is accepted: names and numbers."""
    [line, _] = read(sdp.parse(offer(section, channel("dc"))), 240, codecs).lines
    return [(codec.name, codec.pt, codec.rtx_pt) for codec in line.codecs]


def numbers(section: sdp.Section) -> dict[str, str]:
    """Encodings of a section by payload type."""
    return {pt: name for value in section.values("rtpmap") for pt, name in [value.split(" ")]}


# Which payload type is which format.


@pytest.mark.parametrize(
    ("encoding", "parameters", "name"),
    [
        ("VP8/90000", "", "vp8"),
        ("vp8/90000", "max-fs=12288;max-fr=60", "vp8"),
        ("VP8/48000", "", None),
        ("VP8", "", None),
        ("VP80/90000", "", None),
        ("opus/48000/2", "minptime=10", "opus"),
        ("opus/48000", "", "opus"),
        ("rtx/90000", "apt=96", None),
        ("VP9/90000", "", "vp9"),
        ("VP9/90000", "profile-id=0", "vp9"),
        ("VP9/90000", "profile-id=2", None),
        ("AV1/90000", "", "av1"),
        ("AV1/90000", "level-idx=5;profile=0;tier=0", "av1"),
        ("AV1/90000", "level-idx=5;profile=1;tier=0", None),
        (*H264, "h264"),
        ("H264/90000", "Profile-Level-Id=42E034; packetization-mode=1", "h264"),
        ("H264/90000", "packetization-mode=1;profile-level-id=42c00d", "h264"),
        ("H264/90000", "packetization-mode=1;profile-level-id=4d801f", "h264"),
        ("H264/90000", "packetization-mode=1;profile-level-id=58c01f", "h264"),
        ("H264/90000", "packetization-mode=1;profile-level-id=42001f", None),
        ("H264/90000", "packetization-mode=1;profile-level-id=4d001f", None),
        ("H264/90000", "packetization-mode=1;profile-level-id=640c1f", None),
        ("H264/90000", "packetization-mode=0;profile-level-id=42e01f", None),
        ("H264/90000", "profile-level-id=42e01f", None),
        ("H264/90000", "packetization-mode=1", None),
        ("H264/90000", "packetization-mode=1;profile-level-id=42e01", None),
        ("H264/90000", "packetization-mode=1;profile-level-id=42e01z", None),
        ("H264/90000", "", None),
    ],
)
def test_a_format_is_known_by_its_name_clock_and_profile(encoding: str, parameters: str, name: str | None) -> None:
    found = named(encoding)
    assert (found.name if found is not None and fits(found, parameters) else None) == name


@given(st.sampled_from(list(FORMATS.values())), st.text(max_size=60))
def test_whatever_parameters_say_they_fit_or_do_not(known: object, text: str) -> None:
    assert fits(known, text) in (True, False)  # type: ignore[arg-type]


def test_what_an_engine_lacks_is_left_out_and_the_operators_order_holds() -> None:
    assert carried(("opus", "vp8"), PREFERRED) == ("opus", "vp8")
    assert carried(("vp8", "vp9", "opus"), ("av1", "vp9", "vp8")) == ("opus", "vp9", "vp8")


# Answers.


def test_a_browsers_whole_choice_is_accepted_with_its_retransmissions_in_our_order() -> None:
    video = read(sdp.parse(CHROMIUM), 240, ("opus", "av1", "h264", "vp9", "vp8")).lines[1]
    assert [codec.name for codec in video.codecs] == ["av1", "h264", "vp9", "vp8"]
    assert all(codec.rtx_pt is not None for codec in video.codecs)
    assert len(video.fmtp) == 3 and video.feedback == ("transport-cc", "goog-remb", "ccm fir", "nack", "nack pli")


def test_the_first_payload_type_that_fits_stands_for_its_format() -> None:
    section = camera(("H264/90000", "packetization-mode=1;profile-level-id=64001f"), H264, ("VP8/90000", ""), H264)
    assert accepted(section) == [("vp8", 44, 45), ("h264", 42, 43)]
    assert accepted(camera(("VP9/90000", ""), rtx=False)) == [("vp9", 40, None)]
    assert accepted(camera(("VP9/90000", ""), H264), ("opus", "vp8")) == []


@pytest.mark.parametrize("order", [PREFERRED, PREFERRED[::-1]])
def test_an_answer_names_the_formats_in_the_operators_order_with_the_offered_parameters(order: tuple[str, ...]) -> None:
    text = answered(Room(codecs=carried(FORMATS, order)).post(Join(GUEST, OWNER, CHROMIUM, ())))
    only_what_was_offered(text, CHROMIUM)
    section = sdp.parse(text).sections[1]
    encodings = numbers(section)
    assert [encodings[pt].split("/")[0].lower() for pt in section.media[3][::2]] == list(order)
    assert all(encodings[pt] == "rtx/90000" for pt in section.media[3][1::2])
    assert set(section.values("fmtp")) <= set(sdp.parse(CHROMIUM).sections[1].values("fmtp"))


def test_the_answer_in_every_format_reads_as_it_was_looked_at() -> None:
    snapshot("answer-every-codec.sdp", answered(Room(codecs=EVERY).post(Join(GUEST, OWNER, CHROMIUM, ()))))


FORMS = [(FORMATS[name].encoding, FORMATS[name].parameters) for name in PICTURES]
FORMS += [("VP9/90000", "profile-id=2"), ("H264/90000", "packetization-mode=0;profile-level-id=42e01f")]


@settings(deadline=None, max_examples=50)
@given(st.permutations(FORMS), st.integers(0, len(FORMS)), st.booleans(), st.permutations(PICTURES), st.integers(1, 4))
def test_whatever_is_offered_the_answer_holds_nothing_else(
    forms: list[tuple[str, str]], count: int, rtx: bool, order: list[str], wanted: int
) -> None:
    text = offer(camera(*forms[: max(1, count)], rtx=rtx), channel("dc"))
    room = Room(codecs=carried(FORMATS, order[:wanted]))
    only_what_was_offered(answered(room.post(Join(GUEST, OWNER, text, ()))), text)


def test_feedback_that_only_some_of_the_formats_have_is_left_out() -> None:
    section = camera(("VP8/90000", ""), ("VP9/90000", ""))
    said = read(sdp.parse(offer([*section, "a=rtcp-fb:42 ccm fir"], channel("dc"))), 240, EVERY)
    assert said.lines[0].feedback == ("nack", "nack pli")


# Offers, and who decodes what.


def meet(room: Room, section: list[str]) -> tuple[Caller, str]:
    """Alice publishes VP8; a guest with this section wants her picture. What the guest is offered."""
    alice = Caller(room, "alice").join()
    room.post(Join(GUEST, OWNER, offer(section, channel("dc")), ()))
    room.post(Connected(GUEST), Opened(GUEST), Selected(GUEST))
    return alice, offered(room.post(Wanted(GUEST, (Want(alice.local.stream, alice.local.video),), ())))


@pytest.mark.parametrize("section", [camera(("VP9/90000", ""), first=98), camera(*FORMS, first=40), microphone("0")])
def test_an_offer_proposes_every_format_in_the_peers_numbers_where_it_has_some(section: list[str]) -> None:
    _, text = meet(Room(codecs=EVERY), section)
    line = well_formed(text).sections[-1]
    encodings = numbers(line)
    names = [encodings[pt].split("/")[0].lower() for pt in line.media[3]]
    assert [name for name in names if name != "rtx"] == list(PREFERRED)
    for value in (value for value in section if value.startswith("a=rtpmap") and "rtx" not in value):
        pt, encoding = value[9:].split(" ")
        known = named(encoding)
        parameters = next((v.partition(" ")[2] for v in section if v.startswith(f"a=fmtp:{pt} ")), "")
        if known is not None and known.kind is Kind.VIDEO and fits(known, parameters):
            assert encodings[pt] == encoding, "its own number"


def test_the_offer_in_every_format_reads_as_it_was_looked_at() -> None:
    _, text = meet(Room(codecs=EVERY), camera(("VP9/90000", ""), first=96))
    snapshot("offer-every-codec.sdp", text)


def test_who_has_no_line_is_offered_the_dependency_descriptor_where_av1_may_come() -> None:
    for codecs, told in ((EVERY, True), (("opus", "vp8"), False)):
        alice = Caller(room := Room(codecs=codecs), "alice").join()
        room.post(Join(GUEST, OWNER, offer(channel()), ()))
        room.post(Connected(GUEST), Opened(GUEST), Selected(GUEST))
        text = offered(room.post(Wanted(GUEST, (Want(alice.local.stream, alice.local.video),), ())))
        assert (DEPENDENCY_URI in text) is told


@pytest.mark.parametrize(("kept", "decodes"), [("VP8", True), ("VP9", False), ("AV1", False)])
def test_a_track_goes_to_whom_can_decode_it_and_nobody_else(kept: str, decodes: bool) -> None:
    room = Room(codecs=EVERY)
    _, text = meet(room, camera(("VP9/90000", "")))
    session = sdp.parse(text)
    encodings = numbers(session.sections[-1])
    [pt] = [number for number, encoding in encodings.items() if encoding.startswith(kept)]
    ours = [
        line
        for line in session.sections[-1].lines
        if not line.startswith(("a=rtpmap", "a=fmtp", "a=rtcp-fb", "a=msid", "a=ssrc", "a=sendonly", "m="))
    ]
    ours = [f"m=video 9 UDP/TLS/RTP/SAVPF {pt}", *ours, "a=recvonly", f"a=rtpmap:{pt} {encodings[pt]}"]
    answer = offer(camera(("VP9/90000", "")), channel("dc"), ours, setup="active")
    room.post(Answered(GUEST, answer, ()))
    [route] = room.engine.routes.values()
    assert [codec.pt for codec in route.codecs] == [int(pt)]
    assert room.engine.carrying() == ({"w0"} if decodes else set())
    assert not room.faults


def test_a_route_takes_every_format_that_its_peer_does_in_that_peers_numbers() -> None:
    room = Room(codecs=EVERY)
    _, text = meet(room, camera(*FORMS, first=100))
    session = sdp.parse(text)
    answer = offer(
        camera(*FORMS, first=100), channel("dc"),
        [
            line.replace("a=sendonly", "a=recvonly")
            for line in session.sections[-1].lines
            if not line.startswith(("a=msid", "a=ssrc", "a=setup"))
        ],
        setup="active",
    )  # fmt: skip
    room.post(Answered(GUEST, answer, ()))
    [route] = room.engine.routes.values()
    assert {codec.name: codec.pt for codec in route.codecs} == {"vp8": 100, "vp9": 102, "h264": 104, "av1": 106}
    assert room.engine.carrying() == {"w0"}
