"""The native engine from Python: a stale build is refused, the choice of an engine, and what a wrong value earns."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from focus import native
from focus.engine import Settings, choose
from focus.native import HERE, NativeEngine, Unavailable, available, digest, unfit
from focus.reference.engine import ReferenceEngine

LOOPBACK = Settings(addresses=("127.0.0.1",))


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(HERE, tmp_path / "native", ignore=shutil.ignore_patterns("target", "*.so"))
    yield tmp_path / "native"


def test_every_change_of_a_source_changes_the_digest(sources: Path) -> None:
    seen = {digest(sources)}
    assert seen == {digest(HERE)}
    for name in ("src/lib.rs", "src/pump/mod.rs", "Cargo.lock", "Cargo.toml", "build.rs"):
        (sources / name).write_bytes((sources / name).read_bytes() + b" ")
        seen.add(digest(sources))
    (sources / "src/more.rs").touch()
    seen.add(digest(sources))
    (sources / "README.md").write_text("no source")
    assert len(seen | {digest(sources)}) == 7


def test_a_module_runs_beside_its_own_sources_or_none() -> None:
    assert unfit("4caf687a", "4caf687a") is None
    assert unfit("4caf687a", None) is None
    assert "make setup" in (unfit("4caf687a", "00000000") or "")


def test_what_is_built_here_was_built_from_what_lies_here() -> None:
    assert available() or not (HERE / "_native.abi3.so").exists()


async def test_without_a_fit_module_it_says_so_and_auto_takes_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "digest", lambda folder: "stale")
    with pytest.raises(Unavailable, match="make setup"):
        choose("native", LOOPBACK)
    for name in ("auto", "python"):
        chosen = choose(name, LOOPBACK)
        assert isinstance(chosen, ReferenceEngine)
        await chosen.close()
    assert not available()


async def test_auto_takes_the_native_engine_where_it_is() -> None:
    chosen = choose("auto", LOOPBACK)
    assert isinstance(chosen, NativeEngine) is available()
    await chosen.close()
