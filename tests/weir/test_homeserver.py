"""The homeserver that demo and tests run: it keeps its people, yields its folder to one run, and leaves nothing behind.

Most of these start a Synapse of their own, beside the one of the other tests.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bench.browser import until
from weir.homeserver import HomeserverFailed, LocalHomeserver, free_port, install, is_free, run, usage
from weir.synapse import configuration

pytestmark = [pytest.mark.synapse, pytest.mark.timeout(60)]


@pytest.mark.slow
async def test_accounts_outlive_a_restart_and_a_folder_has_one_homeserver(tmp_path: Path) -> None:
    told: list[str] = []
    server = LocalHomeserver(tmp_path / "hs", progress=told.append)
    await server.start()
    try:
        with pytest.raises(HomeserverFailed, match="in use"):
            await LocalHomeserver(tmp_path / "hs").start()
        first = await server.register("alice", "secret")
        pid = server.pid
    finally:
        await server.stop()
        await server.stop()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(HomeserverFailed, match="not running"):
        server.usage()
    await server.start()
    try:
        second = await server.register("alice", "secret")
    finally:
        await server.stop()
    assert (first.user_id, first.device_id != second.device_id) == (second.user_id, True)
    assert any("ready" in line for line in told)
    assert all((tmp_path / "hs" / name).stat().st_mode & 0o077 == 0 for name in ("homeserver.json", "signing.key"))


STARTER = """
import asyncio, os, sys
from pathlib import Path
import weir.homeserver
server = weir.homeserver.LocalHomeserver(Path(sys.argv[1]))
"""
"The beginning of a program that starts a homeserver in the folder that it is given."


async def pid_from(program: str, folder: Path) -> int:
    """Run a program that prints a process id, to its end."""
    command = [sys.executable, "-c", STARTER + program, str(folder)]
    ran = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    return int((await ran.communicate())[0])


async def gone(pid: int) -> bool:
    """Whether a process is no more, or only its exit code is left."""
    try:
        return usage(pid).rss == 0
    except OSError:
        return True


@pytest.mark.slow
async def test_one_that_was_left_behind_is_ended(tmp_path: Path) -> None:
    pid = await pid_from(
        "weir.homeserver.die_with_parent = lambda: None\n"
        "asyncio.run(server.start()); print(server.pid, flush=True); os._exit(1)",
        tmp_path / "hs",
    )
    assert not await gone(pid)
    server = LocalHomeserver(tmp_path / "hs")
    await server.start()
    try:
        assert server.pid != pid
        assert await gone(pid)
    finally:
        await server.stop()


@pytest.mark.slow
async def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    pid = await pid_from(
        "asyncio.run(server.start()); print(server.pid, flush=True); os.kill(os.getpid(), 9)", tmp_path / "hs"
    )
    await until(lambda: gone(pid), 20, "the homeserver ended")


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = LocalHomeserver(tmp_path / "hs", port=taken.getsockname()[1])
        with pytest.raises(HomeserverFailed, match="in use"):
            await server.start()


def test_a_given_environment_must_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIR_SYNAPSE_VENV", str(tmp_path))
    with pytest.raises(HomeserverFailed, match="bin/python"):
        install(lambda line: None)


def test_a_failed_installation_shows_its_last_words() -> None:
    with pytest.raises(HomeserverFailed, match="no such package"):
        run([sys.executable, "-c", "print('no such package'); raise SystemExit(1)"], lambda line: None)


def test_free_ports_are_free() -> None:
    port = free_port("127.0.0.1")
    assert is_free("127.0.0.1", port)
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free("127.0.0.1", port)


def test_a_process_is_known_by_what_it_used() -> None:
    assert usage(os.getpid()).cpu > 0


def test_it_knows_no_other_homeserver_unless_it_is_told_a_port_for_them(tmp_path: Path) -> None:
    given = dict.fromkeys(("registration", "macaroon", "form"), "x")
    alone = configuration(tmp_path, "localhost", "127.0.0.1", 8008, None, given)
    assert alone["federation_domain_whitelist"] == [] and "tls_certificate_path" not in alone
    meeting = configuration(tmp_path, "localhost:8448", "127.0.0.1", 8008, 8448, given)
    assert "federation_domain_whitelist" not in meeting
    key = tmp_path / "tls.key"
    assert meeting["tls_private_key_path"] == str(key) and key.stat().st_mode & 0o077 == 0
    before = key.read_bytes()
    assert configuration(tmp_path, "localhost:8448", "127.0.0.1", 8008, 8448, given) == meeting
    assert key.read_bytes() == before, "the key is kept"
