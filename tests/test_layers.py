"""The imports that the design allows, held over the syntax tree.

weir -> widget -> signalling -> focus, and nothing the other way; pure files know no
event loop, clock, chance or log; no source file outgrows 400 lines.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("focus", "signalling", "widget", "weir", "bench")
MAY_IMPORT: dict[str, set[str]] = {
    "focus": {"focus"},
    "signalling": {"signalling", "focus"},
    "widget": {"widget", "signalling", "focus"},
    "weir": {"weir", "widget", "signalling", "focus", "bench"},
    "bench": {"bench", "widget", "signalling", "focus"},
}
"The command line starts participants, so weir may import bench; nothing imports weir."

PURE = {
    "focus/vocabulary.py",
    "focus/commands.py",
    "focus/snapshot.py",
    "focus/sdp.py",
    "focus/subscribe.py",
    "focus/plan.py",
    "signalling/events.py",
    "signalling/membership.py",
    "signalling/leg.py",
    "signalling/admission.py",
}
IMPURE_MODULES = {"asyncio", "time", "random", "secrets", "logging", "socket", "datetime", "os", "threading"}


def sources() -> list[Path]:
    return sorted(
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "node_modules" not in path.parts
    )


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import: write the whole name"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_its_room_may(path: Path) -> None:
    relative = str(path.relative_to(ROOT))
    package = relative.split("/")[0]
    for name in imported(path):
        top = name.split(".")[0]
        if top in PACKAGES:
            assert top in MAY_IMPORT[package], f"{relative} imports {name}: {package} must not know {top}"
        if relative in PURE:
            assert top not in IMPURE_MODULES, f"{relative} is pure, but imports {name}"


@pytest.mark.parametrize("relative", sorted(PURE))
def test_every_pure_file_exists(relative: str) -> None:
    assert (ROOT / relative).is_file(), f"{relative} moved: say so in PURE"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_one_thought(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= 400, f"{path.relative_to(ROOT)} has {lines} lines: split it by decision"
