"""The table of what the protocol digest asks for, and that each line of it has a test of its name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent

CHECKLIST = {
    "17_01": "an invite is answered in full",
    "17_02": "messages for others, or without their ids, are ignored",
    "17_03": "early candidates, the empty candidate, order by number, no number",
    "17_04": "another party's answer selected",
    "17_05": "the full set of streams on open, and to all others on change",
    "17_06": "never one's own streams; ownership is the focus's to say",
    "17_07": "one coalesced offer per subscription, idempotent",
    "17_08": "another size is another layer, at a keyframe, without an offer",
    "17_09": "unsubscribing and subscribing again",
    "17_10": "colliding and lost offers",
    "17_11": "pings, missing pongs, channels that never open",
    "17_12": "a new session replaces the old; the focus restarts",
    "17_13": "every end frees what it had",
    "17_14": "simulcast or not, sound alone, channel alone, screens",
    "17_15": "muted cameras and silent microphones",
    "17_16": "encrypted frames and header extensions pass",
    "17_17": "who may enter",
    "17_18": "renegotiation by to-device messages",
    "17_19": "member events of MatrixRTC",
}
"Digest §17, in its order."

SEEN = {
    "20_01": "the first offer can be lost",
    "20_02": "a camera that comes back renames its stream twice",
    "20_03": "no forwarding on the client's own lines",
    "20_04": "metadata on change only, and in the answer",
    "20_05": "the old path lives until the new one works",
    "20_06": "no stale stream beside the new one",
    "20_07": "stale to-device messages",
    "20_08": "oddities of real clients",
    "20_09": "figures to beat",
    "20_10": "what broke the predecessor",
}
"Digest §20."

BROKEN = (
    "colliding_offers", "ice_restart", "second_screen", "page_reload", "malformed_invite", "every_layer_is_stalled",
    "bursts_beyond_every_queue",
)  # fmt: skip
"The breakages that §20.10 lists, each by a word of its test's name."


def names() -> list[str]:
    found: list[str] = []
    for path in HERE.glob("test_*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        found += [node.name for node in nodes if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)]
    return [name for name in found if name.startswith("test_")]


@pytest.mark.parametrize("line", [*CHECKLIST, *SEEN])
def test_a_line_has_a_test_named_after_it(line: str) -> None:
    words = (CHECKLIST | SEEN)[line]
    assert any(name.startswith(f"test_{line}_") for name in names()), f"nothing holds {line}: {words}"


@pytest.mark.parametrize("word", BROKEN)
def test_a_breakage_has_a_test_named_after_it(word: str) -> None:
    assert any(name.startswith("test_20_10_") and word in name for name in names())


def test_a_test_is_named_after_a_line_that_exists() -> None:
    numbered = {name[5:10] for name in names() if name[5:7].isdigit()}
    assert numbered == set(CHECKLIST | SEEN)
