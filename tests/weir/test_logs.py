"""No log line of level info or higher names a user, a room, an address or a token."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from weir.logs import Lines, start, without_people

SECRETS = [
    ("@alice:example.org", "<user>"),
    ("@bob=2fx:localhost:8448", "<user>"),
    ("!AbCdEfGhIjKlMnOp:example.org", "<room>"),
    ("!xQbGv3cZ2jB8yUO6nTzqj0kRrYt_1aWs-dF4hLmPoIe", "<room>"),
    ("#party:example.org", "<room>"),
    ("192.0.2.77", "<address>"),
    ("2001:db8::17", "<address>"),
    ("fe80::1", "<address>"),
    ("::1", "<address>"),
    ("::ffff:192.0.2.77", "<address>"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJAYSJ9.c2lnbmF0dXJl", "<token>"),
    ("syt_YWxpY2U_abcdefghijkl_0aBcDe", "<token>"),
]
HARMLESS = ["at 16:13:29 the call ended", "version 0.1.0", "sha-256 AA:BB:CC:DD:EE:FF:00:11:22", "1920x1080", "a@b"]


@pytest.mark.parametrize(("secret", "word"), SECRETS)
@pytest.mark.parametrize("frame", ["{}", "from {} to it", "('{}', 5)", "url http://x/{}?a=b", "a={},b", "[{}]"])
def test_a_secret_becomes_a_word_wherever_it_stands(secret: str, word: str, frame: str) -> None:
    text = without_people(frame.format(secret))
    assert secret not in text
    assert word in text


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert without_people(text) == text


@pytest.mark.parametrize(("address", "rest"), [("192.0.2.7:5004", ":5004"), ("[2001:db8::1]:5004", "]:5004")])
def test_a_port_may_stay_but_its_address_goes(address: str, rest: str) -> None:
    assert without_people(address).endswith("<address>" + rest)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_text_fields_and_traceback_are_all_cleaned(lines: io.StringIO, level: str) -> None:
    start("info", lines)
    log = logging.getLogger("weir.test")
    for secret, _ in SECRETS:
        try:
            raise ValueError(f"lost {secret}")
        except ValueError:
            number = logging.getLevelNamesMapping()[level.upper()]
            log.log(number, "peer %s gone", secret, exc_info=True, extra={"peer": [{secret: secret}]})
    written = lines.getvalue()
    for secret, _ in SECRETS:
        assert secret not in written
    assert all(json.loads(line)["level"] == level for line in written.splitlines())


def test_debug_records_are_whole_and_only_written_at_debug(lines: io.StringIO) -> None:
    start("info", lines)
    logging.getLogger("weir.test").debug("asked by @alice:example.org")
    assert lines.getvalue() == ""
    start("debug", lines)
    logging.getLogger("weir.test").debug("asked by @alice:example.org")
    assert "@alice:example.org" in lines.getvalue()


def test_a_line_is_one_json_object_with_its_fields() -> None:
    record = logging.makeLogRecord({"name": "weir", "levelno": 20, "levelname": "INFO", "msg": "up\nnow", "peers": 3})
    line = Lines().format(record)
    assert "\n" not in line
    parsed = json.loads(line)
    assert (parsed["message"], parsed["peers"], parsed["logger"]) == ("up\nnow", 3, "weir")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", parsed["time"])
