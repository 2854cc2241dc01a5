from collections.abc import Iterable, Sequence
from typing import Final, final

from focus.commands import Command, Counters, Event

__all__ = ["SOURCES", "Engine"]

SOURCES: Final[str]

@final
class Engine:
    def __new__(
        cls,
        addresses: Sequence[str],
        announce: Sequence[str],
        port_low: int,
        port_high: int,
        *,
        coalesce_ms: float = 0.0,
        gso: bool = True,
        joined: bool = False,
    ) -> Engine: ...
    @property
    def fingerprint(self) -> tuple[str, str]: ...
    def eventfd(self) -> int: ...
    def heard(self) -> None: ...
    def submit(self, commands: Iterable[Command]) -> None: ...
    def drain(self) -> list[Event]: ...
    def counters(self) -> Counters: ...
    def figures(self) -> dict[str, int]: ...
    def close(self) -> None: ...
