"""The table of attack classes on transport, media and data channel, and that each has a test of its id.

A test in Python is called `test_ID_...`, one in Rust `id_...` in lower case. What each id
means is in the security digest; what must hold is said by the tests.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
RUST = TESTS.parent / "focus" / "native" / "src"

ATTACKS = {
    "N1": "garbage: dropped by first byte and unknown address, not answered, nothing kept for its sender",
    "N2": "reflection of STUN: only a check that proves a known user is answered",
    "N3": "a peer names a victim as its address: no media, no handshake, three bytes for one until it has answered",
    "N9": "datagrams that could be two things: told apart by first byte, unknown ones dropped",
    "D1": "a client hello that races the peer's, from elsewhere",
    "D2": "reflection of handshakes: no byte before the address has answered a check",
    "D3": "fragments that overlap, are empty, never end, or promise megabytes",
    "D4": "a certificate that is not the signalled one, in both roles",
    "R1": "a flood of forged packets from a peer's own address",
    "R2": "replayed packets",
    "R3": "packets shorter than they say",
    "R4": "more padding than packet",
    "K1": "a storm of keyframe requests",
    "K2": "a storm of NACKs",
    "C1": "descriptors that are cut or lie: VP8, VP9, H.264, AV1",
    "C2": "header extensions whose lengths and ids lie",
}


def python_names() -> list[str]:
    found: list[str] = []
    for path in TESTS.rglob("test_*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        found += [node.name for node in nodes if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)]
    return found


def rust_names() -> list[str]:
    found: list[str] = []
    for path in RUST.rglob("*.rs"):
        found += re.findall(r"#\[test\]\s+fn (\w+)\(", path.read_text())
    return found


PYTHON_NAMES, RUST_NAMES = python_names(), rust_names()


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_has_a_test_named_by_its_id(attack: str) -> None:
    by_contract = any(name.startswith(f"test_{attack}_") for name in PYTHON_NAMES)
    natively = any(name.startswith(f"{attack.lower()}_") for name in RUST_NAMES)
    assert by_contract or natively, f"nothing holds {attack}: {ATTACKS[attack]}"


def test_a_test_is_named_by_an_attack_that_exists() -> None:
    named = {found[1] for name in PYTHON_NAMES if (found := re.match(r"test_([NDRKC]\d+)_", name))}
    named |= {found[1].upper() for name in RUST_NAMES if (found := re.match(r"([ndrkc]\d+)_", name))}
    assert named == set(ATTACKS)
