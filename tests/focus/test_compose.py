"""What we write: whole and well formed, in the peer's numbers, and nothing in an answer that was not offered."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offers import CHROMIUM, MID_URI, TRANSPORT_CC_URI, channel, microphone, offer, picture
from room import Caller, Room

from bench.participants import sdp as browser
from focus import sdp
from focus.commands import Connected, Opened
from focus.description import FEEDBACK, URIS
from focus.vocabulary import Answer, Answered, Join, Kind, Offer, Offered, Owner, PeerId, Selected, Told, Want, Wanted

SNAPSHOTS = Path(__file__).parent / "snapshots"
GUEST, OWNER = PeerId("guest"), Owner("@guest:example.org", "DEVICE")
OPPOSITE = {"sendrecv": "recvonly", "sendonly": "recvonly", "recvonly": "inactive", "inactive": "inactive"}


def answered(told: list[Told]) -> str:
    return next(effect.sdp for effect in told if isinstance(effect, Answer))


def offered(told: list[Told]) -> str:
    return next(effect.sdp for effect in told if isinstance(effect, Offer))


def answer_to(text: str) -> str:
    return answered(Room().post(Join(GUEST, OWNER, text, ())))


def well_formed(text: str) -> sdp.Session:
    """What any browser wants of a description."""
    browser.read(text)
    session = sdp.parse(text)
    assert sdp.dump(session) == text
    mids = [section.value("mid") or "" for section in session.sections]
    alive = [mid for mid, section in zip(mids, session.sections, strict=True) if section.media[1] != 0]
    assert session.head.value("group") == " ".join(["BUNDLE", *alive])
    assert len(set(mids)) == len(mids) and all(mids)
    meanings: dict[str, set[str]] = {}
    codecs: dict[str, set[str]] = {}
    for section in session.sections:
        if section.media[1] == 0:
            continue
        for name in ("ice-ufrag", "ice-pwd", "fingerprint", "setup"):
            assert len(section.values(name)) == 1, f"one {name} a section"
        assert len(section.values("msid")) <= 1
        if section.media[0] == "application":
            continue
        assert section.flag("rtcp-mux")
        directions = [d for d in OPPOSITE if section.flag(d)]
        assert len(directions) == 1
        assert bool(section.values("msid")) == (directions == ["sendonly"])
        numbers = {value.split(" ")[0] for value in section.values("rtpmap")}
        assert set(section.media[3]) == numbers, "every payload type is explained, and no other"
        for name in ("fmtp", "rtcp-fb"):
            assert {value.split(" ")[0] for value in section.values(name)} <= numbers
        for value in section.values("extmap"):
            meanings.setdefault(value.split(" ")[0], set()).add(value.split(" ")[1])
        for value in section.values("rtpmap"):
            codecs.setdefault(value.split(" ")[0], set()).add(value.split(" ")[1])
        declared = [value.split(" ")[0] for value in section.values("rid")]
        assert [f"recv {';'.join(declared)}"] == section.values("simulcast") or not declared
    assert all(len(uris) == 1 for uris in meanings.values()), "an id means one extension in the whole bundle"
    assert all(len(names) == 1 for names in codecs.values()), "and a payload type one codec"
    return session


def only_what_was_offered(answer: str, offer: str) -> None:
    ours, theirs = well_formed(answer), sdp.parse(offer)
    assert len(ours.sections) == len(theirs.sections)
    assert theirs.head.flag("extmap-allow-mixed") or not ours.head.flag("extmap-allow-mixed")
    for mine, yours in zip(ours.sections, theirs.sections, strict=True):
        assert mine.value("mid") == yours.value("mid")
        assert mine.media[0] == yours.media[0] and mine.media[2] == yours.media[2]
        if mine.media[1] == 0:
            continue
        assert yours.media[1] != 0, "a stopped line is not revived by an answer"
        assert mine.value("setup") == "passive", "we are the DTLS server"
        assert set(mine.media[3]) <= set(yours.media[3])
        for name in ("extmap", "rtcp-fb"):
            allowed = {value.replace("* ", f"{mine.media[3][0]} ") for value in yours.values(name)}
            assert set(mine.values(name)) <= allowed, name
        assert yours.flag("rtcp-rsize") or not mine.flag("rtcp-rsize")
        assert yours.flag("rtcp-mux") or not mine.flag("rtcp-mux")


# Whole texts.


def snapshot(name: str, text: str) -> None:
    """Compare with the text that was looked at. To renew it: delete the file, run, look at the new one."""
    path = SNAPSHOTS / name
    if not path.exists():
        path.write_bytes(text.encode())
    assert text == path.read_bytes().decode()


def test_the_answer_to_a_real_offer_reads_as_it_was_looked_at() -> None:
    text = answer_to(CHROMIUM)
    only_what_was_offered(text, CHROMIUM)
    snapshot("answer.sdp", text)


def test_the_offer_of_another_persons_tracks_reads_as_it_was_looked_at() -> None:
    room = Room()
    alice = Caller(room, "alice").join()
    room.post(Join(GUEST, OWNER, CHROMIUM, ()))
    room.post(Connected(GUEST), Selected(GUEST))
    wants = (Want(alice.local.stream, alice.local.audio), Want(alice.local.stream, alice.local.video, 640, 360))
    text = offered(room.post(Wanted(GUEST, wants, ())))
    well_formed(text)
    snapshot("offer.sdp", text)


# Answers.


def test_layers_mids_and_numbers_are_the_peers() -> None:
    simulcast = ["a=rid:q send", "a=rid:h send", "a=rid:f send", "a=simulcast:send q;h;f"]
    text = offer(picture("cam", "sendonly", f"a=extmap:9 {TRANSPORT_CC_URI}", *simulcast), microphone("mic"))
    video, audio = sdp.parse(answer_to(text)).sections
    assert (video.value("mid"), audio.value("mid")) == ("cam", "mic")
    assert video.values("rid") == ["q recv", "h recv", "f recv"] and video.value("simulcast") == "recv q;h;f"
    assert video.values("extmap") == [f"4 {MID_URI}", f"9 {TRANSPORT_CC_URI}"]
    assert video.media[3] == ("96", "97") and audio.media[3] == ("111",)


def test_our_addresses_are_inline_once_and_the_peers_are_nowhere() -> None:
    text = answer_to(CHROMIUM)
    candidates = [line for line in text.split("\r\n") if line.startswith("a=candidate")]
    assert candidates == ["a=candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host generation 0"]
    assert text.count("a=end-of-candidates") == 1
    assert "192.0.2.2" not in text and "fd00::2" not in text


@pytest.mark.parametrize("setup", ["actpass", "active"])
def test_an_offer_that_lets_its_peer_open_dtls_is_answered_as_server(setup: str) -> None:
    assert sdp.parse(answer_to(offer(microphone(), setup=setup))).sections[0].value("setup") == "passive"


@pytest.mark.parametrize("direction", OPPOSITE)
def test_we_only_ever_receive_on_a_line_of_the_peers(direction: str) -> None:
    text = answer_to(offer(microphone("0", direction), channel("1")))
    assert sdp.parse(text).sections[0].flag(OPPOSITE[direction])


ANY_FEEDBACK = st.sets(st.sampled_from([*FEEDBACK[Kind.VIDEO], "ccm tmmbr", "nack sli", "rrtr"]))
ANY_EXTENSIONS = st.dictionaries(st.sampled_from([*URIS, "urn:x-other"]), st.integers(1, 255))


@st.composite
def sections(draw: st.DrawFn, mid: str, directions: list[str]) -> list[str]:
    """A section with any subset of what browsers offer."""
    kind = draw(st.sampled_from([microphone, picture]))
    section = [line for line in kind(mid, draw(st.sampled_from(directions))) if not line.startswith("a=extmap")]
    pt = draw(st.sampled_from(["*", "111" if kind is microphone else "96"]))
    section += [f"a=rtcp-fb:{pt} {what}" for what in sorted(draw(ANY_FEEDBACK))]
    ids = {uri: number for number, uri in {n: uri for uri, n in draw(ANY_EXTENSIONS).items()}.items()}
    section += [f"a=extmap:{number} {uri}" for uri, number in ids.items()]
    section += ["a=rtcp-rsize"] if draw(st.booleans()) else []
    if draw(st.booleans()):
        section[0] = section[0].replace(" 9 ", " 0 ")
    return section


def one_meaning(parts: list[list[str]]) -> list[list[str]]:
    """The same sections with every extension id meaning one thing (RFC 8843 §9)."""
    seen: dict[str, str] = {}
    kept = []
    for section in parts:
        lines = []
        for line in section:
            if line.startswith("a=extmap:"):
                number, uri = line[9:].split(" ")
                if seen.setdefault(number, uri) != uri:
                    continue
            lines.append(line)
        kept.append(lines)
    return kept


DIRECTIONS = list(OPPOSITE)


@settings(deadline=None)
@given(
    st.lists(st.just(DIRECTIONS), min_size=1, max_size=4).flatmap(
        lambda each: st.tuples(*[sections(str(n), directions) for n, directions in enumerate(each)])
    ),
    st.booleans(),
)
def test_an_answer_holds_nothing_that_was_not_offered(parts: tuple[list[str], ...], mixed: bool) -> None:
    text = offer(*one_meaning([*parts]), channel("dc"), head="a=extmap-allow-mixed" if mixed else "")
    only_what_was_offered(answer_to(text), text)


@settings(deadline=None, max_examples=50)
@given(sections("w0", DIRECTIONS), sections("w1", DIRECTIONS), st.booleans())
def test_so_does_an_answer_on_the_lines_that_we_added(one: list[str], two: list[str], mixed: bool) -> None:
    room = Room()
    alice, guest = Caller(room, "a").join(), Caller(room, "guest").join()
    guest.want(alice)
    # Our lines keep their kind, whatever else the peer says of them.
    one = ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=rtpmap:111 opus/48000/2", *(x for x in one[1:] if "rtpmap" not in x)]
    two = ["m=video 9 UDP/TLS/RTP/SAVPF 96", "a=rtpmap:96 VP8/90000", *(x for x in two[1:] if "rtpmap" not in x)]
    one, two = ([x for x in section if "fmtp" not in x and "rtcp-fb" not in x] for section in (one, two))
    parts = one_meaning([microphone(), picture(), channel(), one, two])
    text = offer(*parts, head="a=extmap-allow-mixed" if mixed else "", fingerprint=guest.local.fingerprint)
    only_what_was_offered(answered(room.post(Offered(GUEST, text, ()))), text)


# Our own offers.


def test_an_offer_proposes_all_that_we_understand_in_the_peers_numbers() -> None:
    room = Room()
    alice = Caller(room, "a").join()
    room.post(Join(GUEST, OWNER, offer(picture("0", "sendrecv", "a=extmap:7 urn:3gpp:video-orientation")), ()))
    room.post(Connected(GUEST), Selected(GUEST))
    text = offered(room.post(Wanted(GUEST, (Want(alice.local.stream, alice.local.video),), ())))
    section = well_formed(text).sections[-1]
    assert section.values("rtcp-fb") == [f"96 {what}" for what in ("goog-remb", "ccm fir", "nack", "nack pli")]
    assert section.values("extmap") == [f"4 {MID_URI}", "7 urn:3gpp:video-orientation"]
    assert section.flag("rtcp-rsize") and section.value("msid") == "a-stream a-video"


@pytest.mark.parametrize("wide", [True, False])
def test_subscribers_are_asked_for_transport_wide_feedback_where_the_engine_reads_it(wide: bool) -> None:
    room = Room(wide=wide)
    alice, guest = Caller(room, "a").join(), Caller(room, "guest").join()
    text = offered(guest.want(alice))
    lines = well_formed(text).sections[-2:]
    assert len(lines) == 2
    for line in lines:
        assert any(TRANSPORT_CC_URI in value for value in line.values("extmap")) is wide
        assert any(value.endswith(" transport-cc") for value in line.values("rtcp-fb")) is wide
    assert {bool(route.extensions.transport_cc) for route in room.engine.routes.values()} == {wide}
    # A browser's own offer names all that it knows, also on our lines.
    known = f"a=extmap:9 {TRANSPORT_CC_URI}"
    ours = [microphone("w0", "recvonly", known), picture("w1", "recvonly", known)]
    text = offer(microphone(), picture(), channel(), *ours, fingerprint=guest.local.fingerprint)
    agreed = sdp.parse(answered(room.post(Offered(guest.peer, text, ()))))
    assert [TRANSPORT_CC_URI in " ".join(line.values("extmap")) for line in agreed.sections[-2:]] == [wide, wide]
    assert {bool(route.extensions.transport_cc) for route in room.engine.routes.values()} == {wide}


def test_an_offer_says_who_opens_dtls_is_the_peers_choice_and_counts_versions() -> None:
    room = Room()
    alice, guest = Caller(room, "a").join(), Caller(room, "guest").join()
    texts = [effect.sdp for effect in guest.want(alice) if isinstance(effect, Offer)]
    texts += [effect.sdp for effect in guest.unwant(alice) if isinstance(effect, Offer)]
    origins = [next(line for line in text.split("\r\n") if line.startswith("o=")).split(" ") for text in texts]
    assert [origin[2] for origin in origins] == ["2", "3"] and origins[0][1] == origins[1][1]
    assert all(section.value("setup") == "actpass" for section in sdp.parse(texts[0]).sections)


def test_a_peer_with_nothing_but_a_data_channel_is_offered_tracks_too() -> None:
    room = Room()
    alice = Caller(room, "a").join()
    room.post(Join(GUEST, OWNER, offer(channel()), ()))
    room.post(Connected(GUEST), Opened(GUEST), Selected(GUEST))
    stream = alice.local.stream
    wants = (Want(stream, alice.local.audio), Want(stream, alice.local.video))
    _, audio, video = well_formed(offered(room.post(Wanted(GUEST, wants, ())))).sections
    assert (audio.media[3], video.media[3]) == (("111",), ("96", "97"))
    assert audio.values("extmap") == [f"1 {MID_URI}", "5 urn:ietf:params:rtp-hdrext:ssrc-audio-level"]
    assert video.values("extmap") == [f"1 {MID_URI}"]


def test_payload_types_of_one_peer_mean_one_codec_each() -> None:
    # An audio-only peer that uses for sound the number that we would take for pictures.
    audio = [line.replace("111", "96") for line in microphone()]
    room = Room()
    alice = Caller(room, "a").join()
    room.post(Join(GUEST, OWNER, offer(audio), ()))
    room.post(Connected(GUEST), Selected(GUEST))
    text = offered(room.post(Wanted(GUEST, (Want(alice.local.stream, alice.local.video),), ())))
    assert well_formed(text).sections[-1].media[3] == ("98", "99")


def test_a_line_that_the_peer_stopped_stays_stopped() -> None:
    room = Room()
    alice, guest = Caller(room, "a").join(), Caller(room, "guest").join()
    guest.want(alice)
    stopped = ["m=audio 0 UDP/TLS/RTP/SAVPF 111", "a=mid:w0", "a=inactive"]
    text = offer(
        microphone(), picture(), channel(), stopped, picture("w1", "recvonly"), fingerprint=guest.local.fingerprint
    )
    told = room.post(Offered(GUEST, text, ()))
    assert sdp.parse(answered(told)).sections[3].media[1] == 0
    ours = sdp.parse(offered(told)).sections[3]
    assert ours.media[1] == 0 and ours.value("mid") == "w0"
    room.post(Answered(GUEST, text, ()))
    assert room.engine.carrying() == {"w1"}
