"""The acceptance table: figures are read rightly, a command decides, and no row points at nothing."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from bench.accept import __main__ as accept
from bench.accept.row import TESTS, Row, from_json, last_line, matched
from bench.accept.rows import ROWS

ROOT = Path(__file__).resolve().parents[2]


def test_a_row_is_found_by_issue_and_name() -> None:
    assert max(Counter((row.issue, row.name) for row in ROWS).values()) == 1


@pytest.mark.parametrize("row", [row for row in ROWS if row.command], ids=lambda row: f"{row.issue}-{row.name}")
def test_a_command_names_what_exists(row: Row) -> None:
    assert row.command is not None
    verbs = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for verb in re.findall(r"(?:make|clone\.sh) ([a-z]+)", row.command):
        assert verb in verbs
    for path in re.findall(r"(?:tests|bench)/[\w/.]+\.(?:py|sh)", row.command):
        assert (ROOT / path).is_file(), f"{path} is gone: mend the row"


@pytest.mark.parametrize(
    ("read", "output", "figure"),
    [
        (last_line, "a\nb\n\n", "b"),
        (last_line, "\n", None),
        (matched(r"^(\d+) of (\d+)$"), "1 of 2\nx\n3 of 4\n", "3 4"),
        (matched(r"\d+ pictures"), "made 8 pictures", "8 pictures"),
        (matched("x"), "y", None),
        (from_json(p50="join.0.ms", n="count"), 'log\n{"join": [{"ms": 12.34567}], "count": 50}\n', "p50 12.35, n 50"),
        (from_json(p50="join.ms"), '{"join": {}}', None),
        (from_json(p50="ms"), "no json", None),
        (from_json(p50="ms"), "", None),
        (TESTS, "==== 12 passed, 1 warning in 3.4s ====", "12 passed, 1 warning "),
        (TESTS, "243 passed in 1.93s", "243 passed "),
    ],
)
def test_a_figure_is_read_or_missing(read: object, output: str, figure: str | None) -> None:
    assert callable(read)
    assert read(output) == figure


@pytest.mark.parametrize(
    ("command", "minutes", "state", "word"),
    [
        ("echo 97 %", 1.0, "pass", "97 %"),
        ("echo 80 %; exit 1", 1.0, "short", "80 % (exit code 1"),
        ("true", 1.0, "short", "no figure"),
        ("sleep 30", 0.005, "short", "not done"),
        (None, 1.0, "pending", ""),
    ],
)
def test_the_command_decides(
    command: str | None, minutes: float, state: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "LOGS", tmp_path)
    found, figure = accept.judge(Row(3, "x", "a promise", command, minutes=minutes))
    assert found == state
    assert word in figure


def test_the_tally_is_the_last_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = (
        Row(3, "a", "good", "echo 1", beyond="never said"),
        Row(3, "b", "bad", "echo 2; false", beyond="the sun is too far"),
        Row(4, "c", "later"),
    )
    monkeypatch.setattr(accept, "ROWS", rows)
    monkeypatch.setattr(accept, "LOGS", tmp_path)
    for words, code, tally in (
        ([], 1, "1 passed, 1 short, 1 pending"),
        (["--issue", "3", "--row", "a"], 0, "1 passed, 0 short, 0 pending"),
        (["--issue", "4"], 1, "0 passed, 0 short, 1 pending"),
    ):
        monkeypatch.setattr("sys.argv", ["accept", *words])
        assert accept.main() == code
        printed = capsys.readouterr().out
        assert printed.splitlines()[-1] == tally
        assert ("the sun is too far" in printed) == ("1 short" in tally) and "never said" not in printed
