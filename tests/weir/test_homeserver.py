"""The homeserver that demo and tests run: it keeps its people, yields its folder to one run, and leaves nothing behind.

Most of these start a Synapse of their own, beside the one of the other tests.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from weir.homeserver import HomeserverFailed, LocalHomeserver, free_port, install, run, usage

pytestmark = [pytest.mark.synapse, pytest.mark.timeout(60)]


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


async def test_one_that_was_left_behind_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weir.homeserver.die_with_parent", lambda: None)
    starter = "import asyncio, os, sys; from pathlib import Path; from weir.homeserver import LocalHomeserver\n"
    starter += "import weir.homeserver; weir.homeserver.die_with_parent = lambda: None\n"
    starter += "server = LocalHomeserver(Path(sys.argv[1])); asyncio.run(server.start()); print(server.pid); os._exit(1)"
    command = [sys.executable, "-c", starter, str(tmp_path / "hs")]
    killed = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    pid = int((await killed.communicate())[0])
    assert usage(pid).rss > 0, "it runs on"
    server = LocalHomeserver(tmp_path / "hs")
    await server.start()
    try:
        assert server.pid != pid
        assert not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()
    finally:
        await server.stop()


async def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    starter = "import asyncio, os, sys; from pathlib import Path; from weir.homeserver import LocalHomeserver\n"
    starter += "server = LocalHomeserver(Path(sys.argv[1])); asyncio.run(server.start()); print(server.pid, flush=True)\n"
    starter += "os.kill(os.getpid(), 9)"
    command = [sys.executable, "-c", starter, str(tmp_path / "hs")]
    killed = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    pid = int((await killed.communicate())[0])
    async with asyncio.timeout(20):
        while Path(f"/proc/{pid}/stat").exists() and usage(pid).rss:
            await asyncio.sleep(0.05)


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with __import__("socket").create_server(("127.0.0.1", 0)) as taken:
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
    assert 0 < free_port("127.0.0.1") < 65536
    assert usage(os.getpid()).cpu > 0
