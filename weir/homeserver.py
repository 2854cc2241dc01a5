"""A real Synapse on this machine, for the demo, the tests and the benches.

It lives in a virtual environment of its own, keeps everything in one folder and listens
on a free port of one address. How it is set up is in `synapse.py`; what is said to it over
HTTP is said by `signalling/matrix.py`.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import aiohttp

from signalling.matrix import Homeserver, Login, MatrixError
from weir.children import die_with_parent
from weir.synapse import configuration, write_secret

ROOT = Path(__file__).resolve().parent.parent
VERSION = "1.163.2"
"The Synapse that everything here was tried against; requirements/synapse.txt pins what it needs, with hashes."
REQUIREMENTS = ROOT / "requirements" / "synapse.txt"
READY_WITHIN = 60.0
"Seconds. A first start makes the database: 2 s on an idle machine, far more on a busy one."
ANSWER_WITHIN = 5.0
"Seconds for one look whether it answers: whoever else has the port may never do so."
STOP_WITHIN = 10.0
"Seconds from SIGTERM to SIGKILL. SQLite survives either."
LOOK_AGAIN = 0.05
"Seconds between two looks at a process that starts or stops: it has no event to wait for."
PORT_TRIES = 3
"A port found free can be taken before Synapse has it."

Progress = Callable[[str], None]
"Told one short line per step of something long."


class HomeserverFailed(Exception):
    """The homeserver could not be installed or started; the message says what to look at."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used."""

    rss: int
    "Bytes of resident memory, now."
    cpu: float
    "Seconds of processor time since it started."


class LocalHomeserver:
    """One Synapse process. The folder keeps its accounts and rooms from one start to the next."""

    def __init__(
        self,
        folder: Path,
        *,
        progress: Progress = lambda line: None,
        server_name: str = "localhost",
        address: str = "127.0.0.1",
        port: int | None = None,
        federation: int | None = None,
    ) -> None:
        """`federation`: a port for other homeservers on this machine, which becomes part of the name; without, none."""
        self.folder = folder.resolve()
        self.server_name = server_name if federation is None else f"{server_name}:{federation}"
        self._progress = progress
        self._address = address
        self._wanted_port = port
        self._federation = federation
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    @property
    def base_url(self) -> str:
        """Where clients reach it."""
        return f"http://{self._address}:{self._port}"

    @property
    def pid(self) -> int:
        """Its process. Raises `HomeserverFailed` when it does not run."""
        if self._process is None:
            raise HomeserverFailed("the homeserver is not running")
        return self._process.pid

    @property
    def registration_secret(self) -> str:
        """What `Homeserver.register` needs to make accounts here."""
        return self._secret("registration")

    def usage(self) -> Usage:
        """What the process has used so far."""
        return usage(self.pid)

    async def start(self) -> None:
        """Install if need be, start, and return when it answers. Raises `HomeserverFailed`; then nothing runs."""
        python = await asyncio.to_thread(install, self._progress)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take_folder()
        try:
            await self._end_leftover()
            await self._start(python)
        except BaseException:
            await self.stop()
            raise

    async def _start(self, python: Path) -> None:
        self._progress("starting the homeserver (Synapse)")
        for port in (self._wanted_port, self._federation):
            if port is not None and not is_free(self._address, port):
                raise HomeserverFailed(f"port {port} of {self._address} is in use")
        for left in reversed(range(PORT_TRIES)):
            self._port = self._wanted_port or free_port(self._address)
            self._launch(python)
            if await self._answers():
                self._progress(f"the homeserver is ready at {self.base_url}")
                return
            await self._end()
            if left == 0 or "Address already in use" not in self._last_words():
                raise HomeserverFailed(f"Synapse did not start; the end of {self._log}:\n{self._last_words()}")

    async def stop(self) -> None:
        """End the process and wait for it. Nothing happens when it does not run."""
        await self._end()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
        (self.folder / "pid").unlink(missing_ok=True)

    async def register(self, user: str, password: str, admin: bool = False) -> Login:
        """Make an account, or log in to it when it is there already. `user` is a localpart."""
        async with aiohttp.ClientSession() as session:
            door = Homeserver(self.base_url, None, session)
            try:
                return await door.register(self.registration_secret, user, password, admin=admin)
            except MatrixError as error:
                if error.errcode != "M_USER_IN_USE":
                    raise
                return await door.login(user, password, None, "Weir")

    def _take_folder(self) -> None:
        # The kernel lets go of it when we end, however we end.
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise HomeserverFailed(f"{self.folder} is in use: another run has its homeserver there") from None
        self._lock = lock

    @property
    def _log(self) -> Path:
        return self.folder / "synapse.log"

    def _launch(self, python: Path) -> None:
        config = self.folder / "homeserver.json"
        settings = configuration(
            self.folder, self.server_name, self._address, self._port, self._federation,
            {name: self._secret(name) for name in ("registration", "macaroon", "form")},
        )  # fmt: skip
        config.write_text(json.dumps(settings, indent=2))
        config.chmod(0o600)
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C in a terminal is for us, and we stop it in our own order.
            self._process = subprocess.Popen(
                [python, "-m", "synapse.app.homeserver", "-c", config],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        (self.folder / "pid").write_text(str(self._process.pid))

    async def _answers(self) -> bool:
        try:
            async with aiohttp.ClientSession() as session, asyncio.timeout(READY_WITHIN):
                door = Homeserver(self.base_url, None, session)
                while self._process is not None and self._process.poll() is None:
                    try:
                        await door.request("GET", "/_matrix/client/versions", tries=1, within=ANSWER_WITHIN)
                        return True
                    except MatrixError:
                        await asyncio.sleep(LOOK_AGAIN)
        except TimeoutError:
            pass
        return False

    async def _end_leftover(self) -> None:
        # Where the kernel could not tell it that we died. The folder is ours by now, so whoever started it is gone;
        # two on one database would ruin it.
        try:
            pid = int((self.folder / "pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return
        if str(self.folder / "homeserver.json").encode() not in command:
            return
        self._progress("ending a homeserver that an earlier run left behind")
        try:
            os.kill(pid, signal.SIGTERM)
            async with asyncio.timeout(STOP_WITHIN):
                while Path(f"/proc/{pid}/cmdline").read_bytes():  # noqa: ASYNC110  # no child of ours: nothing to await
                    await asyncio.sleep(LOOK_AGAIN)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            return

    def _last_words(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def _secret(self, name: str) -> str:
        path = self.folder / f"{name}.secret"
        if not path.exists():
            write_secret(path, secrets.token_urlsafe(32))
        return path.read_text()


def free_port(address: str) -> int:
    """A TCP port that nobody holds at this moment."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def is_free(address: str, port: int) -> bool:
    """Whether nobody listens on a TCP port at this moment."""
    with socket.socket() as probe:
        # As Synapse does: what is left of closed connections is in nobody's way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def usage(pid: int) -> Usage:
    """What a process has used. Raises `OSError` when it is gone."""
    # /proc/PID/stat: the command, in brackets, may hold spaces; utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return Usage(rss=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"), cpu=ticks / os.sysconf("SC_CLK_TCK"))


def install(progress: Progress) -> Path:
    """The Python of Synapse's environment; makes the environment first if it is absent or of another version.

    $WEIR_SYNAPSE_VENV names an environment that has Synapse already. Raises `HomeserverFailed`.
    """
    given = os.environ.get("WEIR_SYNAPSE_VENV")
    if given:
        python = Path(given).absolute() / "bin" / "python"
        if not python.exists():
            raise HomeserverFailed(f"WEIR_SYNAPSE_VENV is {given}, which has no bin/python")
        return python
    venv = ROOT / ".weir" / "synapse-venv"
    python, stamp = venv / "bin" / "python", venv / "installed"
    pinned = REQUIREMENTS.exists()
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest() if pinned else VERSION
    venv.parent.mkdir(parents=True, exist_ok=True)
    with (venv.parent / "synapse-venv.lock").open("w") as lock:
        # Tests and a demo may come here at once: the second waits, and finds it done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return python
        progress("making an environment for Synapse (once, about a minute)")
        run([sys.executable, "-m", "venv", "--clear", str(venv)], progress)
        what = ["--require-hashes", "-r", str(REQUIREMENTS)] if pinned else [f"matrix-synapse=={VERSION}"]
        run([str(python), "-m", "pip", "install", "--disable-pip-version-check", *what], progress)
        stamp.write_text(wanted)
    return python


def run(command: list[str], progress: Progress) -> None:
    """Run to the end, telling what is collected on the way. Raises `HomeserverFailed` with its last lines."""
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None, "a pipe was asked for"
        for line in process.stdout:
            lines.append(line)
            if line.startswith(("Collecting", "Installing")):
                progress(line.strip()[:100])
    if process.returncode != 0:
        raise HomeserverFailed(f"`{' '.join(command)}` failed:\n{''.join(lines[-15:])}")


if __name__ == "__main__":
    install(print)
