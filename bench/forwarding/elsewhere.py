"""An engine of another commit, driven as any engine apart: its process runs in a tree of its own, with its own code.

The tree comes out of the project's history into a folder of the caller's; its module in Rust is
built there and kept by commit, so that it is built once. Commands and events cross by name and
by the order of their fields: newer ones may have more fields at the end, which the older side
does not see, and a command that the other commit does not know must not be sent to it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

from bench.forwarding.apart import REPLY_WITHIN, Apart
from focus.engine import Settings

ROOT = Path(__file__).resolve().parents[2]
"The tree of what is here now."
CRATE = "focus/native"
MODULE = "_native.abi3.so"
ROOMS = ("bench", "focus")
"What an engine apart needs of a tree."
START = """
import sys
from multiprocessing.connection import Connection
import focus
from bench.forwarding.apart import serve
from focus.engine import Settings
pipe = Connection(int(sys.argv[1]))
pipe.send(focus.__file__)
name, cpus, settings = pipe.recv()
serve(pipe, name, cpus, Settings(**settings))
"""


class Unattainable(Exception):
    """That commit's engine cannot be had; the message says what to do."""


def checked_out(commit: str, folder: Path) -> Path:
    """A commit's tree in an empty folder, its module in Rust in place. Raises `Unattainable`."""
    found = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode != 0:
        raise Unattainable(
            f"the commit {commit} is not in this clone's history: run `git fetch --unshallow`, or clone without --depth"
        )
    archive = subprocess.run(["git", "archive", commit, *ROOMS], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    shutil.copy(built(found.stdout.strip(), folder / CRATE), folder / CRATE / MODULE)
    return folder


def built(commit: str, crate: Path) -> Path:
    """The module of a commit whose crate lies here. Kept in the ignored build folder."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / CRATE / "target")).resolve() / "elsewhere"
    module = target / commit / MODULE
    if not module.exists():
        if shutil.which("cargo") is None:
            raise Unattainable(f"the native engine of {commit[:7]} is to be built: install Rust (https://rustup.rs)")
        print(f"Building the native engine of {commit[:7]} (a few minutes, once) ...", flush=True)
        command = ["cargo", "build", "--release", "--quiet", "--locked", "--features", "python"]
        subprocess.run([*command, "--target-dir", str(target)], cwd=crate, check=True)
        module.parent.mkdir(parents=True, exist_ok=True)
        # Whoever is cut off here leaves nothing that looks whole.
        shutil.copy(target / "release" / "lib_native.so", module.with_suffix(".new"))
        module.with_suffix(".new").replace(module)
    return module


class Elsewhere(Apart):
    """An engine apart whose process has its code from `tree`."""

    def __init__(self, tree: Path, name: str, cpus: frozenset[int], settings: Settings) -> None:
        self._tree = tree
        super().__init__(name, cpus, settings)

    def _launch(self, name: str, cpus: frozenset[int], settings: Settings) -> Connection:
        near, far = Pipe()
        environment: Mapping[str, str] = os.environ | {"PYTHONPATH": str(self._tree)}
        self._far = subprocess.Popen(
            [sys.executable, "-c", START, str(far.fileno())],
            cwd=self._tree, env=environment, pass_fds=[far.fileno()],
        )  # fmt: skip
        far.close()
        near.send((name, cpus, asdict(settings)))
        return near

    def _end(self) -> None:
        try:
            self._far.wait(REPLY_WITHIN)
        except subprocess.TimeoutExpired:
            self._far.kill()

    async def start(self) -> None:
        """Wait until the engine is there. Raises `RuntimeError` when its process ended, or has others' code."""
        found = Path(await self._reply())
        if not found.resolve().is_relative_to(self._tree.resolve()):
            raise RuntimeError(f"the engine of {self._tree} has its code from {found}")
        await super().start()
