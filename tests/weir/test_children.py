"""Child processes: kept ones come back, none outlives us."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from weir.children import Child

FOREVER = [sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110  # another process's doing: there is no event to wait for
        await asyncio.sleep(0.02)


async def test_a_kept_child_is_started_again(tmp_path: Path) -> None:
    pids: asyncio.Queue[int] = asyncio.Queue()
    child = Child("c", FOREVER, tmp_path / "c.log", kept=True, started=pids.put_nowait)
    await child.start()
    first = await pids.get()
    os.kill(first, signal.SIGKILL)
    second = await pids.get()
    assert first != second
    assert child.starts == 2
    await child.stop()
    await until(lambda: gone(second))


async def test_a_child_that_is_not_kept_reports_its_end(tmp_path: Path) -> None:
    child = Child("c", [sys.executable, "-c", "print('bye'); raise SystemExit(3)"], tmp_path / "c.log")
    await child.start()
    assert await child.ended() == 3
    assert child.tail() == "bye"
    assert not child.alive


async def test_a_child_that_will_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weir.children.PATIENCE", 0.2)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    child = Child("c", [sys.executable, "-c", deaf], tmp_path / "c.log")
    await child.start()
    await until(lambda: "up" in child.tail())
    assert child.process is not None
    await child.stop()
    assert child.process.returncode == -signal.SIGKILL


async def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = f"""
import asyncio, pathlib, signal
from weir.children import Child
async def main():
    child = Child("c", {FOREVER!r}, pathlib.Path({str(tmp_path / "c.log")!r}), kept=True)
    await child.start()
    print(child.process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await until(lambda: gone(pid))
