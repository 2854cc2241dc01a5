"""The native engine, as the control plane sees it. The only Python file that knows the module in Rust.

It says whether the module is there and built from the sources beside it, and joins it to an
event loop: the module rings an eventfd when there are events. It decides nothing about media.
"""

from __future__ import annotations

import asyncio
import importlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from focus.commands import Command, Counters, Event
from focus.engine import Settings

if TYPE_CHECKING:
    from focus.native import _native

HERE = Path(__file__).parent


class Unavailable(Exception):
    """There is no native engine to use; the message says why, and what to run."""


def digest(folder: Path) -> str | None:
    """CRC-32 of the engine's sources, as `build.rs` computes it; None where there are none, as in a wheel."""
    if not (folder / "src").is_dir():
        return None
    files = [folder / name for name in ("Cargo.lock", "Cargo.toml", "build.rs")] + list((folder / "src").rglob("*.rs"))
    state = 0
    for name in sorted(file.relative_to(folder).as_posix() for file in files):
        content = (folder / name).read_bytes()
        state = zlib.crc32(content, zlib.crc32(f"{name}\n{len(content)}\n".encode(), state))
    return f"{state:08x}"


def unfit(built: str, on_disk: str | None) -> str | None:
    """Why a module built from sources of one digest must not run beside sources of another; None if it may."""
    if on_disk is None or built == on_disk:
        return None
    return "the native engine was built from other sources than lie here: run `make setup`, which builds it anew"


def available() -> bool:
    """Whether a `NativeEngine` can be made."""
    try:
        _module()
    except Unavailable:
        return False
    return True


def table() -> type[_native.Table]:
    """The class of the engine's table of media, without transports: for the differential test. Raises `Unavailable`."""
    found: type[_native.Table] = _module().Table
    return found


def crowd() -> type[_native.Crowd]:
    """The class of native synthetic clients, for measurements. Raises `Unavailable`."""
    found: type[_native.Crowd] = _module().Crowd
    return found


def bare_loop() -> Callable[..., dict[str, int]]:
    """What the engine's cost is held against (see `_native.pyi`). Raises `Unavailable`."""
    found: Callable[..., dict[str, int]] = _module().bare_loop
    return found


def virtual() -> tuple[type[_native.Core], type[_native.Caller]]:
    """The classes of the engine and of a client without clock and socket: for `tests/pair.py`. Raises `Unavailable`."""
    module = _module()
    return module.Core, module.Caller


def estimate() -> type[_native.Estimate]:
    """The class of the estimator of a path alone, in virtual time: for `tests/congestion`. Raises `Unavailable`."""
    found: type[_native.Estimate] = _module().Estimate
    return found


def _module() -> ModuleType:
    """The module in Rust, fresh. Raises `Unavailable`."""
    try:
        module = importlib.import_module("focus.native._native")
    except ImportError as error:
        why = "is not built" if not (HERE / "_native.abi3.so").is_file() else f"cannot be loaded ({error})"
        raise Unavailable(f"the native engine {why}: run `make setup`, with cargo (Rust) installed") from None
    why_not = unfit(module.SOURCES, digest(HERE))
    if why_not is not None:
        raise Unavailable(why_not)
    return module


class NativeEngine:
    """See `focus.engine.Engine`. Its workers are threads of their own, which never wait for Python."""

    name = "native"
    codecs = ("opus", "vp8", "vp9", "h264", "av1")
    wide = True

    def __init__(self, settings: Settings) -> None:
        """Bind and start. Raises `Unavailable`, or `OSError` when an address or the port range cannot be bound."""
        self._engine: _native.Engine = _module().Engine(
            settings.addresses,
            settings.announce,
            settings.port_low,
            settings.port_high,
            coalesce_ms=settings.coalesce,
            workers=settings.workers,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: Callable[[], None] = lambda: None

    @property
    def fingerprint(self) -> tuple[str, str]:
        """Of a certificate made for this engine; its key is never written down (security D9)."""
        return self._engine.fingerprint

    def listen(self, wake: Callable[[], None]) -> None:
        """Set whom to wake. Must be called inside the event loop."""
        self._wake = wake
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._engine.eventfd(), self._rung)

    def _rung(self) -> None:
        self._engine.heard()
        self._wake()

    def submit(self, commands: Sequence[Command]) -> None:
        """Have the workers carry out commands in order. `ValueError` or `TypeError` says that one is malformed."""
        self._engine.submit(commands)

    def drain(self) -> list[Event]:
        """Take all events so far: edges in order, then the newest of each level."""
        return self._engine.drain()

    def counters(self) -> Counters:
        """Totals since start, as of each worker's last turn."""
        return self._engine.counters()

    def figures(self) -> Mapping[str, int]:
        """What the pump counts of its own work: turns, system calls, trains by length, hand-offs, allocations, panics.

        Sums of all workers, and with several each one's: `worker_0_received`.
        """
        return self._engine.figures()

    async def close(self) -> None:
        """End every peer and free the sockets. Waits for the workers: a few milliseconds."""
        if self._loop is not None:
            self._loop.remove_reader(self._engine.eventfd())
            self._loop = None
        self._engine.close()
