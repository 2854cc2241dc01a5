"""What fuzzing once found is replayed, and the search itself finds what there is to find.

The native engine's corpora are replayed by `cargo test` (`focus/native/src/probes.rs`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.fuzz import mutate, probes
from bench.fuzz.__main__ import LONGEST, MOST_FILES, natives
from focus import sdp
from focus.faults import PeerFault

CORPORA = Path(__file__).resolve().parents[1] / "corpora"


@pytest.mark.parametrize("name", probes.ALL)
def test_what_fuzzing_once_found_breaks_no_promise(name: str) -> None:
    files = sorted((CORPORA / name).iterdir())
    assert files
    for path in files:
        probes.ALL[name](path.read_bytes())


@pytest.mark.parametrize("name", probes.ALL)
def test_new_texts_break_no_promise(name: str) -> None:
    begin = [path.read_bytes() for path in sorted((CORPORA / name).iterdir())[:20]]
    found = mutate.search(probes.ALL[name], begin, mutate.WORDS[name], 0.5, seed=7)
    assert not found.broken, found.broken
    assert found.executions > len(begin)


@pytest.mark.parametrize("name", [*natives(), *probes.ALL])
def test_a_corpus_is_small(name: str) -> None:
    sizes = [path.stat().st_size for path in (CORPORA / name).iterdir()]
    assert 0 < len(sizes) <= MOST_FILES
    assert max(sizes) <= LONGEST


def test_every_corpus_has_a_target() -> None:
    assert {path.name for path in CORPORA.iterdir()} == {*natives(), *probes.ALL}


@pytest.mark.slow
def test_a_fault_in_a_parser_is_found() -> None:
    def brittle(data: bytes) -> None:
        try:
            session = sdp.parse(data.decode(errors="replace"))
        except PeerFault:
            return
        assert not any(section.values("rid") for section in session.sections), "layers are beyond it"

    begin = [probes.OFFER.encode()]
    found = mutate.search(brittle, begin, mutate.WORDS["sdp"], 3.0, seed=3)
    ((text, how),) = found.broken
    assert b"a=rid:" in text and "layers are beyond it" in how
