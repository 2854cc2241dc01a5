"""`weir setup` on a real homeserver: an account from a secret or a token, a new device, a look at a room."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from signalling.account import LinkFailed, MatrixLink
from signalling.matrix import Homeserver
from tests.conftest import SignUp
from weir.commands import setup as command
from weir.config import Config, load, read_token
from weir.homeserver import LocalHomeserver
from weir.setup import CALL_STATE, SetupFailed, adopt, check_room, new_device, register


def link(config: Config) -> MatrixLink:
    matrix = config.matrix
    token = read_token(matrix.access_token_file)
    return MatrixLink(matrix.homeserver, token, matrix.user, matrix.device, matrix.store)


async def signs_in(config: Config) -> None:
    focus = link(config)
    try:
        await focus.start()
    finally:
        await focus.close()


async def test_a_secret_makes_an_account_that_runs(
    homeserver: LocalHomeserver, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    server = Homeserver(homeserver.base_url, None, http)
    made = await register(server, homeserver.registration_secret, "focus-by-secret", tmp_path / "f")
    config = load(made.config)
    assert (config.matrix.user, config.matrix.device) == ("@focus-by-secret:localhost", made.device)
    await signs_in(config)
    for secret in ("access-token", "password"):
        assert (tmp_path / "f" / secret).stat().st_mode & 0o077 == 0
    with pytest.raises(SetupFailed, match="--user"):
        await register(server, homeserver.registration_secret, "focus-by-secret", tmp_path / "g")
    with pytest.raises(SetupFailed, match="registration secret"):
        await register(server, "wrong", "focus-by-wrong-secret", tmp_path / "g")
    assert not (tmp_path / "g").exists()


async def test_a_token_makes_a_folder_that_runs(sign_up: SignUp, tmp_path: Path) -> None:
    made = await adopt(await sign_up("focus-by-token"), tmp_path)
    await signs_in(load(made.config))


async def test_a_lost_store_needs_and_gets_a_new_device(
    homeserver: LocalHomeserver, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    server = Homeserver(homeserver.base_url, None, http)
    made = await register(server, homeserver.registration_secret, "focus-of-two-devices", tmp_path)
    old = load(made.config)
    await signs_in(old)
    old.matrix.store.rename(tmp_path / "lost")
    with pytest.raises(LinkFailed, match="--new-device"):
        await signs_in(old)
    again = await new_device(made.config, http)
    assert again.user == made.user and again.device != made.device
    config = load(made.config)
    assert config.matrix.device == again.device
    await signs_in(config)
    devices = await Homeserver(homeserver.base_url, read_token(config.matrix.access_token_file), http).request(
        "GET", "/_matrix/client/v3/devices"
    )
    assert [device["device_id"] for device in devices["devices"]] == [again.device]


async def test_a_room_is_ready_or_says_what_it_lacks(sign_up: SignUp) -> None:
    admin, focus = await sign_up("admin"), await sign_up("focus")
    user = (await focus.whoami()).user_id
    room = await admin.create_room()
    found = await check_room(admin, user, room)
    assert len(found) == 3
    assert found[0].endswith("invite it") and all("needs 50" in problem for problem in found[1:])
    await admin.invite(room, user)
    levels = await admin.get_state(room, "m.room.power_levels")
    await admin.put_state(room, "m.room.power_levels", "", levels | {"events": dict.fromkeys(CALL_STATE, 0)})
    assert await check_room(admin, user, room) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "--homeserver"),
        (["--homeserver", "http://127.0.0.1:9"], "--secret-file"),
        (["--homeserver", "http://127.0.0.1:9", "--token-file", "none"], "none"),
    ],
)
def test_the_command_says_what_is_missing(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import argparse

    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    assert command.run(parser.parse_args(words)) == 1
    assert told in capsys.readouterr().err
