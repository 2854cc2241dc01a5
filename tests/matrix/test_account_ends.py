"""What a `MatrixLink` cannot go on from, what it says then, and what it waits out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from signalling.account import LinkFailed
from signalling.matrix import Login
from tests.conftest import SignUp
from tests.matrix.following import Open, following, until


async def test_a_lost_store_is_refused_and_says_what_to_do(sign_up: SignUp, at: Open) -> None:
    focus = await (await sign_up("focus")).whoami()
    async with following(at(focus, "first")) as follower:
        await follower.next()
    link = at(focus, "second")
    with pytest.raises(LinkFailed, match="--new-device"):
        await link.start()
    await link.close()


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda login: Login(login.user_id, "OTHER", login.access_token), "matrix.device"),
        (lambda login: Login("@other:localhost", login.device_id, login.access_token), "matrix.user"),
        (lambda login: Login(login.user_id, login.device_id, "syt_wrong"), "weir setup"),
    ],
)
async def test_a_wrong_account_is_refused_and_says_what_to_do(
    sign_up: SignUp, at: Open, wrong: Callable[[Login], Login], word: str
) -> None:
    link = at(wrong(await (await sign_up("focus")).whoami()), "f")
    with pytest.raises(LinkFailed, match=word):
        await link.start()
    await link.close()


async def test_signing_the_device_out_ends_the_link(sign_up: SignUp, at: Open) -> None:
    focus = await sign_up("focus")
    async with following(at(await focus.whoami(), "f")) as follower:
        await follower.next()
        await focus.request("POST", "/_matrix/client/v3/logout")
        with pytest.raises(LinkFailed, match="signed the focus out"):
            await follower.next()


async def test_a_failing_homeserver_is_waited_for(
    sign_up: SignUp, at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, focus = await sign_up("alice"), await (await sign_up("focus")).whoami()
    monkeypatch.setattr("signalling.account.FIRST_PAUSE", 0.05)
    link = at(focus, "f")
    async with following(link) as follower:
        await follower.next()
        there, link._server.base_url = link._server.base_url, "http://127.0.0.1:9"
        await alice.send_to_device("m.x", {focus.user_id: {focus.device_id: {"n": 1}}})
        assert (await follower.message()).content == {"n": 1}  # the poll that was under way
        await until(lambda: link.faults["sync_failed"] >= 2)
        await alice.send_to_device("m.x", {focus.user_id: {focus.device_id: {"n": 2}}})
        link._server.base_url = there
        assert (await follower.message()).content == {"n": 2}
