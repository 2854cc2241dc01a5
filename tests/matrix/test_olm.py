"""Olm between two devices: what is opened, and the forgeries that are not."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vodozemac import Session

from signalling.devices import Device, read_device, signed_by
from signalling.olm import ONE_TIME_KEYS, PICKLE_KEY, SESSIONS_EACH, Olm, Unopened
from signalling.store import Store, StoreInUse


class Side:
    """One device with its store, and how the other side sees it."""

    def __init__(self, folder: Path, user: str, id: str) -> None:
        self.folder, self.user, self.id = folder, user, id
        self.store = Store(folder)
        self.olm = Olm(user, id, self.store)

    @property
    def seen(self) -> Device:
        device = read_device(self.user, self.id, self.olm.device_keys())
        assert device is not None
        return device

    def keys(self) -> list[str]:
        """One-time keys, as if claimed from a homeserver."""
        body = self.olm.upload(0, True)
        assert body is not None
        assert all(signed_by(k, self.user, self.id, self.seen.ed25519) for k in body["one_time_keys"].values())
        self.olm.uploaded()
        return [key["key"] for key in body["one_time_keys"].values()]

    def restarted(self) -> Side:
        """The same device in a new process; what was not flushed is lost."""
        self.store.close()
        return Side(self.folder, self.user, self.id)


@pytest.fixture
def ann(tmp_path: Path) -> Iterator[Side]:
    side = Side(tmp_path / "ann", "@ann:x", "ANN")
    yield side
    side.store.close()


@pytest.fixture
def focus(tmp_path: Path) -> Iterator[Side]:
    side = Side(tmp_path / "focus", "@focus:y", "FOCUS")
    yield side
    side.store.close()


def acquainted(ann: Side, focus: Side) -> None:
    ann.olm.begin(focus.seen, focus.keys()[0])


def test_a_message_is_opened_and_answered_in_the_same_session(ann: Side, focus: Side) -> None:
    acquainted(ann, focus)
    invite = ann.olm.seal(focus.seen, "m.call.invite", {"call_id": "1"})
    assert focus.olm.open(ann.seen, invite) == ("m.call.invite", {"call_id": "1"})
    assert focus.olm.has_session(ann.seen)
    answer = focus.olm.seal(ann.seen, "m.call.answer", {"call_id": "1"})
    assert ann.olm.open(focus.seen, answer) == ("m.call.answer", {"call_id": "1"})
    second = ann.olm.seal(focus.seen, "m.call.hangup", {})
    assert second["ciphertext"][focus.olm.curve25519]["type"] == 1
    assert focus.olm.open(ann.seen, second)[0] == "m.call.hangup"


def test_sessions_outlive_a_restart_of_either_side(ann: Side, focus: Side) -> None:
    acquainted(ann, focus)
    focus.olm.open(ann.seen, ann.olm.seal(focus.seen, "m.a", {}))
    focus.olm.flush()
    focus = focus.restarted()
    waiting = [ann.olm.seal(focus.seen, "m.b", {"n": n}) for n in range(3)]
    assert [focus.olm.open(ann.seen, each)[1]["n"] for each in waiting] == [0, 1, 2]
    ann = ann.restarted()
    assert ann.olm.open(focus.seen, focus.olm.seal(ann.seen, "m.c", {}))[0] == "m.c"
    ann.store.close()
    focus.store.close()


def test_a_message_that_was_not_handled_before_a_crash_opens_again(ann: Side, focus: Side) -> None:
    acquainted(ann, focus)
    first = ann.olm.seal(focus.seen, "m.a", {})
    focus.olm.open(ann.seen, first)
    focus = focus.restarted()  # no flush: the batch was not handled
    assert focus.olm.open(ann.seen, first)[0] == "m.a"
    focus.store.close()


def test_a_replayed_message_is_not_opened_twice(ann: Side, focus: Side) -> None:
    acquainted(ann, focus)
    first = ann.olm.seal(focus.seen, "m.a", {})
    focus.olm.open(ann.seen, first)
    for _ in range(2):
        with pytest.raises(Unopened, match="undecryptable"):
            focus.olm.open(ann.seen, first)
        focus.olm.flush()


def test_no_message_key_is_used_twice_even_after_a_crash(ann: Side, focus: Side) -> None:
    acquainted(ann, focus)
    focus.olm.open(ann.seen, ann.olm.seal(focus.seen, "m.a", {}))
    bodies = set()
    for _ in range(3):
        bodies.add(json.dumps(focus.olm.seal(ann.seen, "m.same", {})))
        focus = focus.restarted()
    assert len(bodies) == 3
    for body in bodies:
        assert ann.olm.open(focus.seen, json.loads(body))[0] == "m.same"
    focus.store.close()


# Forgeries: the cryptography is in order, what is inside lies.


def forged(ann: Side, focus: Side, **lies: Any) -> dict[str, Any]:
    """A well encrypted message of Ann's whose payload has these fields replaced."""
    payload: dict[str, Any] = {
        "type": "m.call.invite", "content": {}, "sender": ann.user, "keys": {"ed25519": ann.olm.ed25519},
        "recipient": focus.user, "recipient_keys": {"ed25519": focus.olm.ed25519},
    } | lies  # fmt: skip
    ann.olm.seal(focus.seen, "m.warm", {})
    ((id, pickle),) = ann.store.sessions(focus.seen.curve25519)
    session = Session.from_pickle(pickle, PICKLE_KEY)
    kind, body = session.encrypt(json.dumps(payload).encode()).to_parts()
    ann.store.write(None, [(focus.seen.curve25519, id, session.pickle(PICKLE_KEY))], SESSIONS_EACH)
    ciphertext = {focus.olm.curve25519: {"type": kind, "body": base64.b64encode(body).decode()}}
    return {"algorithm": "m.olm.v1.curve25519-aes-sha2", "sender_key": ann.olm.curve25519, "ciphertext": ciphertext}


@pytest.mark.parametrize(
    ("lies", "why"),
    [
        ({"sender": "@bob:x"}, "forged_sender"),
        ({"recipient": "@other:y"}, "forged_recipient"),
        ({"recipient_keys": {"ed25519": "A" * 43}}, "forged_recipient_key"),
        ({"keys": {"ed25519": "B" * 43}}, "forged_sender_key"),
        ({"sender_device": "BOB"}, "forged_device"),
        ({"keys": {}}, "malformed"),
        ({"recipient_keys": None}, "malformed"),
        ({"content": []}, "malformed"),
        ({"type": 5}, "malformed"),
    ],
)
def test_a_payload_that_lies_is_not_acted_on(ann: Side, focus: Side, lies: dict[str, Any], why: str) -> None:
    acquainted(ann, focus)
    with pytest.raises(Unopened, match=f"^{why}$"):
        focus.olm.open(ann.seen, forged(ann, focus, **lies))
    assert focus.olm.open(ann.seen, forged(ann, focus)) == ("m.call.invite", {})


def test_another_device_cannot_pass_on_what_ann_encrypted(ann: Side, focus: Side, tmp_path: Path) -> None:
    bob = Side(tmp_path / "bob", "@bob:x", "BOB")
    acquainted(ann, focus)
    stolen = ann.olm.seal(focus.seen, "m.call.invite", {})
    with pytest.raises(Unopened):
        focus.olm.open(bob.seen, stolen)
    with pytest.raises(Unopened):
        focus.olm.open(bob.seen, stolen | {"sender_key": bob.olm.curve25519})
    bob.store.close()


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_a_cut_or_bent_body_is_counted_and_harms_nothing(ann: Side, focus: Side, cut: int) -> None:
    acquainted(ann, focus)
    for _ in range(2):
        whole = ann.olm.seal(focus.seen, "m.a", {"n": cut})
        mine = whole["ciphertext"][focus.olm.curve25519]
        body = mine["body"]
        bent = body[:cut] + ("A" if body[cut] != "A" else "B") + body[cut + 1 :]
        for bad in (body[:cut], bent):
            with pytest.raises(Unopened):
                focus.olm.open(ann.seen, {**whole, "ciphertext": {focus.olm.curve25519: {**mine, "body": bad}}})
        assert focus.olm.open(ann.seen, whole)[1] == {"n": cut}
        ann.olm.open(focus.seen, focus.olm.seal(ann.seen, "m.b", {}))  # the second round is of type 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(content=st.dictionaries(st.sampled_from(["algorithm", "ciphertext"]), json_values), body=json_values)
def test_any_content_is_refused_with_a_reason(ann: Side, focus: Side, content: dict[str, Any], body: object) -> None:
    form = forms(ann, focus)
    for tried in (content, {**form, **content}, {**form, "ciphertext": {focus.olm.curve25519: body}}):
        with pytest.raises(Unopened):
            focus.olm.open(ann.seen, tried)


def forms(ann: Side, focus: Side) -> dict[str, Any]:
    return {
        "algorithm": "m.olm.v1.curve25519-aes-sha2",
        "sender_key": ann.olm.curve25519,
        "ciphertext": {focus.olm.curve25519: {"type": 0, "body": "A" * 40}},
    }


# Keys.


def test_keys_are_filled_up_and_sent_again_after_a_crash(focus: Side) -> None:
    first = focus.olm.upload(0, False)
    assert first is not None
    assert (len(first["one_time_keys"]), len(first["fallback_keys"])) == (ONE_TIME_KEYS, 1)
    focus = focus.restarted()  # the upload may or may not have arrived
    again = focus.olm.upload(0, False)
    assert again is not None
    assert again["one_time_keys"].keys() == first["one_time_keys"].keys()
    assert again["fallback_keys"] == first["fallback_keys"]
    focus.olm.uploaded()
    assert focus.olm.upload(ONE_TIME_KEYS, True) is None
    assert focus.olm.upload(ONE_TIME_KEYS // 2, True) is None
    refill = focus.olm.upload(ONE_TIME_KEYS // 2 - 1, True)
    assert refill is not None and len(refill["one_time_keys"]) == ONE_TIME_KEYS // 2 + 1
    focus.store.close()


def test_the_fallback_key_serves_many_and_is_replaced_once_used(ann: Side, focus: Side, tmp_path: Path) -> None:
    body = focus.olm.upload(ONE_TIME_KEYS, False)
    assert body is not None
    focus.olm.uploaded()
    (fallback,) = [key["key"] for key in body["fallback_keys"].values()]
    bob = Side(tmp_path / "bob", "@bob:x", "BOB")
    for side in (ann, bob):
        side.olm.begin(focus.seen, fallback)
        assert focus.olm.open(side.seen, side.olm.seal(focus.seen, "m.a", {}))[0] == "m.a"
    newer = focus.olm.upload(ONE_TIME_KEYS, False)
    assert newer is not None and newer["fallback_keys"] != body["fallback_keys"]
    bob.store.close()


def test_one_device_cannot_fill_the_store_with_sessions(ann: Side, focus: Side) -> None:
    for key in focus.keys()[: SESSIONS_EACH + 3]:
        ann.olm.begin(focus.seen, key)
        focus.olm.open(ann.seen, ann.olm.seal(focus.seen, "m.a", {}))
        focus.olm.flush()
    assert len(focus.store.sessions(ann.seen.curve25519)) == SESSIONS_EACH


def test_a_device_counts_only_with_its_own_signature(ann: Side) -> None:
    keys = ann.olm.device_keys()
    assert read_device("@ann:x", "ANN", keys) is not None
    bad: list[Any] = [
        None, [], {}, {**keys, "user_id": "@bob:x"}, {**keys, "device_id": "BOB"}, {**keys, "algorithms": []},
        {**keys, "signatures": {}}, {**keys, "extra": 1},
        {**keys, "keys": {**keys["keys"], "curve25519:ANN": "A" * 43}},
    ]  # fmt: skip
    assert [read_device("@ann:x", "ANN", each) for each in bad] == [None] * len(bad)
    assert read_device("@bob:x", "ANN", keys) is None
    assert read_device("@ann:x", "ANN", {**keys, "unsigned": {"device_display_name": "x"}}) is not None


# The store.


def test_the_store_is_for_one_process_and_one_owner(focus: Side) -> None:
    with pytest.raises(StoreInUse):
        Store(focus.folder)
    assert focus.folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in focus.folder.iterdir())


def test_the_store_has_no_place_for_room_keys(focus: Side) -> None:
    assert focus.store.tables() == {"value", "olm_session"}


def test_values_of_the_agent_do_not_meet_ours(focus: Side) -> None:
    focus.store.since = "s1"
    focus.store.save("since", {"a": [1]})
    assert (focus.store.since, focus.store.load("since"), focus.store.load("other")) == ("s1", {"a": [1]}, None)
