"""Child processes that live and die with us.

Each writes to a log file of its own. One that is `kept` is started again when it ends
by itself, as a service manager would do; one that is not is reported. None outlives
this process: the kernel tells them when it dies, however it dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RESTART_AFTER = 0.5
"Seconds before a kept child is started again (RestartSec=500ms in deploy/weir.service)."

PATIENCE = 10.0
"Seconds between asking a child to end and ending it."

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """In the child, before it runs: have the kernel send SIGTERM when the parent is gone (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(slots=True)
class Child:
    """One process, and whatever has to happen when it starts again."""

    name: str
    command: Sequence[str]
    log: Path
    kept: bool = False
    started: Callable[[int], None] | None = None
    "Called with the pid after each start."
    starts: int = 0
    process: asyncio.subprocess.Process | None = None
    watch: asyncio.Task[int] | None = field(default=None, repr=False)

    async def start(self) -> None:
        """Start it and keep an eye on it."""
        await self._spawn()
        self.watch = asyncio.create_task(self._watch(), name=f"watch {self.name}")

    async def _spawn(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # Ctrl-C is ours: children are ended in order, not all at once
                preexec_fn=die_with_parent,
            )
        self.starts += 1
        if self.started is not None:
            self.started(self.process.pid)

    async def _watch(self) -> int:
        while True:
            assert self.process is not None, "watched only once started"
            code = await self.process.wait()
            if not self.kept:
                return code
            await asyncio.sleep(RESTART_AFTER)
            await self._spawn()

    async def ended(self) -> int:
        """Wait until it ends by itself, for good, and return its exit code."""
        assert self.watch is not None, "waited for only once started"
        return await asyncio.shield(self.watch)

    @property
    def alive(self) -> bool:
        """Whether the process runs just now."""
        return self.process is not None and self.process.returncode is None

    def tail(self, lines: int = 15) -> str:
        """The end of its log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    async def stop(self) -> None:
        """Ask it to end, wait, insist."""
        if self.watch is not None:
            self.watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.watch
            self.watch = None
        process = self.process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()
