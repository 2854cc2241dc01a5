"""What `Homeserver` promises, against a real Synapse."""

from __future__ import annotations

import pytest

from signalling.matrix import MatrixError
from tests.conftest import SignUp
from weir.homeserver import LocalHomeserver


async def test_an_account_knows_who_it_is(sign_up: SignUp) -> None:
    alice = await sign_up("alice")
    login = await alice.whoami()
    assert login.user_id.startswith("@alice")
    assert login.device_id and login.access_token == alice.access_token


async def test_a_refusal_names_status_and_code(sign_up: SignUp) -> None:
    alice = await sign_up("alice")
    with pytest.raises(MatrixError) as caught:
        await alice.join("!nowhere:localhost")
    assert caught.value.status in (400, 403, 404)
    assert caught.value.errcode.startswith("M_")


async def test_a_plain_to_device_message_arrives(sign_up: SignUp) -> None:
    alice, bob = await sign_up("alice"), await sign_up("bob")
    to = await bob.whoami()
    await alice.send_to_device("m.call.invite", {to.user_id: {to.device_id: {"call_id": "c"}}})
    filter_id = await bob.filter(to.user_id, {"room": {"rooms": []}})
    answer = await bob.sync(None, filter_id, 0)
    assert [event["content"] for event in answer["to_device"]["events"]] == [{"call_id": "c"}]


async def test_the_homeserver_tells_its_memory_and_cpu(homeserver: LocalHomeserver) -> None:
    used = homeserver.usage()
    assert used.rss > 50_000_000 and used.cpu > 0.1


async def test_registering_twice_logs_in(homeserver: LocalHomeserver) -> None:
    first = await homeserver.register("twice", "secret")
    second = await homeserver.register("twice", "secret")
    assert first.user_id == second.user_id and first.device_id != second.device_id
