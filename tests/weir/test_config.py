"""The configuration: each bound on both sides, errors that name the key and what is allowed, and the reference file."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from weir.__main__ import main
from weir.config import SECTIONS, Config, from_mapping, load, read_token
from weir.keys import ConfigError

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "deploy" / "weir.toml"
HERE = Path("/etc/weir")
MATRIX = {
    "homeserver": "https://matrix.example.org",
    "user": "@weir:example.org",
    "device": "WEIR1A2B3C",
    "access_token_file": "access-token",
    "store": "store",
}


def config(**sections: dict[str, Any]) -> Config:
    return from_mapping({**sections, "matrix": {**MATRIX, **sections.get("matrix", {})}}, HERE)


def problems(**sections: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        config(**sections)
    return caught.value.problems


# Numbers: section, key, smallest, largest. Each is tried, and each neighbour outside is refused.
BOUNDS: list[tuple[str, str, float, float]] = [
    ("http", "port", 0, 65535),
    ("metrics", "port", 0, 65535),
    ("media", "coalesce", 0.0, 5.0),
    ("media", "workers", 0, 16),
    ("limits", "conferences", 1, 100_000),
    ("limits", "participants", 1, 10_000),
    ("limits", "tracks_each_kind", 1, 100),
    ("limits", "subscriptions", 1, 10_000),
    ("limits", "m_lines", 4, 10_000),
    ("limits", "pictures", 1, 10_000),
    ("limits", "small_call", 0, 10_000),
    ("limits", "voices", 1, 1_000),
    ("limits", "messages_per_second", 1.0, 1_000.0),
    ("limits", "messages_burst", 1, 10_000),
    ("limits", "ping_every", 1.0, 60.0),
    ("limits", "ping_timeout", 2.0, 300.0),
    ("limits", "connect_timeout", 5.0, 300.0),
    ("limits", "channel_timeout", 5.0, 300.0),
    ("limits", "offer_timeout", 1.0, 60.0),
    ("limits", "offer_tries", 1, 100),
    ("limits", "first_offer_hold", 0.0, 30.0),
    ("limits", "idle_hold", 0.0, 60.0),
    ("limits", "rest_hold", 1.0, 3_600.0),
    ("limits", "layer_hold", 0.0, 600.0),
    ("limits", "rise_hold", 0.0, 10.0),
    ("limits", "silent_patience", 1.0, 60.0),
    ("signalling", "joins_per_second", 0.1, 1_000.0),
    ("signalling", "joins_burst", 1, 10_000),
    ("signalling", "messages_per_second", 1.0, 1_000.0),
    ("signalling", "messages_burst", 1, 10_000),
    ("signalling", "calls_per_user", 1, 1_000),
    ("signalling", "waiting", 1, 100_000),
    ("signalling", "wait_for_state", 0.0, 60.0),
    ("signalling", "reorder", 1, 10_000),
    ("signalling", "reorder_timeout", 0.1, 60.0),
    ("signalling", "rooms", 1, 1_000_000),
    ("signalling", "refusals", 1, 1_000_000),
    ("signalling", "text", 16_384, 1_048_576),
    ("signalling", "depth", 8, 100),
]


@pytest.mark.parametrize(("section", "key", "low", "high"), BOUNDS)
def test_a_number_is_taken_up_to_its_bounds_and_refused_beyond(section: str, key: str, low: float, high: float) -> None:
    step = 1 if isinstance(low, int) else 0.001
    for value in (low, high):
        assert getattr(getattr(config(**{section: {key: value}}), section), key) == value
    for value in (low - step, high + step):
        (told,) = problems(**{section: {key: value}})
        assert told.startswith(f"{section}.{key}: {value}")
        assert f"from {low} to {high}" in told or f"from {low:g} to {high:g}" in told


@pytest.mark.parametrize(("section", "key", "low", "high"), BOUNDS)
@pytest.mark.parametrize("value", [True, "5", [5], float("nan")])
def test_a_number_is_never_guessed_from_something_else(
    section: str, key: str, low: float, high: float, value: object
) -> None:
    (told,) = problems(**{section: {key: value}})
    assert told.startswith(f"{section}.{key}:")


def test_every_number_is_in_the_table_above() -> None:
    numeric = {
        (name, key)
        for name, (_, known) in SECTIONS.items()
        for key, rule in known.items()
        if "number" in rule.allowed and not key.startswith("port_")
    }
    assert numeric == {(section, key) for section, key, _, _ in BOUNDS}


@pytest.mark.parametrize("name", SECTIONS)
def test_every_key_of_a_section_has_a_rule_and_the_other_way_round(name: str) -> None:
    section, known = SECTIONS[name]
    assert [each.name for each in dataclasses.fields(section)] == list(known)


@pytest.mark.parametrize(
    ("section", "key", "good", "bad", "allowed"),
    [
        ("matrix", "homeserver", "http://localhost:8008", "ftp://example.org", "https://matrix.example.org"),
        ("matrix", "homeserver", "https://example.org/base", "example.org", "https://matrix.example.org"),
        ("matrix", "homeserver", "https://example.org", "https://u:p@example.org", "https://matrix.example.org"),
        ("matrix", "user", "@weir:localhost:8448", "weir", "@weir:example.org"),
        ("matrix", "user", "@weir:[2001:db8::1]:8448", "@weir", "@weir:example.org"),
        ("matrix", "device", "A", "", "a device id"),
        ("matrix", "device", "x" * 255, "x" * 256, "a device id"),
        ("matrix", "store", "/var/lib/weir", "", "a path"),
        ("matrix", "inviters", ["example.org", "localhost:8448"], ["@a:example.org"], "a list of server names"),
        ("matrix", "inviters", [], "example.org", "a list of server names"),
        ("media", "engine", "native", "rust", '"auto", "native", "python"'),
        ("media", "addresses", ["192.0.2.7", "2001:db8::7"], ["example.org"], "a list of IP addresses"),
        ("media", "addresses", [], "192.0.2.7", "a list of IP addresses"),
        ("http", "host", "0.0.0.0", "localhost", "an IP address"),
        ("http", "homeserver", "", "x", '"" for none'),
        ("log", "level", "debug", "verbose", '"debug", "info", "warning", "error"'),
    ],
)
def test_words_and_lists(section: str, key: str, good: Any, bad: Any, allowed: str) -> None:
    config(**{section: {key: good}})
    (told,) = problems(**{section: {key: bad}})
    assert told.startswith(f"{section}.{key}: ")
    assert allowed in told


@pytest.mark.parametrize(
    ("low", "high", "fits"),
    [(0, 0, True), (1, 1, True), (40000, 49999, True), (65535, 65535, True)]
    + [(0, 5, False), (5, 0, False), (50000, 49999, False), (1, 65536, False), (-1, 5, False)],
)
def test_a_port_range_is_whole_and_in_order(low: int, high: int, fits: bool) -> None:
    media = {"port_low": low, "port_high": high}
    if fits:
        assert config(media=media).media.settings().port_high == high
    else:
        (told,) = problems(media=media)
        assert told.startswith("media.port_")
        assert "65535" in told or "any port" in told


def test_announced_addresses_stand_beside_bound_ones() -> None:
    config(media={"addresses": ["10.0.0.1"], "announce": ["192.0.2.1"]})
    (told,) = problems(media={"addresses": ["10.0.0.1"], "announce": ["192.0.2.1", "192.0.2.2"]})
    assert told.startswith("media.announce: has 2")


def test_an_unknown_key_is_named_with_those_that_exist() -> None:
    (told,) = problems(http={"prot": 80})
    assert told == 'http.prot: unknown key. Did you mean "port"? [http] takes host, port, homeserver.'


def test_an_unknown_section_is_named_with_those_that_exist() -> None:
    (told,) = problems(medai={})
    assert told.startswith('[medai]: unknown section. Did you mean "media"?')


def test_a_section_that_is_a_value_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        from_mapping({"matrix": MATRIX, "log": "info"}, HERE)
    assert caught.value.problems == ("log: must be a section, written [log].",)


@pytest.mark.parametrize("missing", MATRIX)
def test_a_key_that_must_be_set_is_asked_for(missing: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_mapping({"matrix": {key: value for key, value in MATRIX.items() if key != missing}}, HERE)
    assert caught.value.problems[0].startswith(f"matrix.{missing}: must be set; give ")


def test_all_problems_are_told_at_once() -> None:
    assert len(problems(http={"port": -1, "hots": 1}, log={"level": 3}, limits={"participants": 0})) == 4


def test_paths_start_at_the_file_and_know_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
    matrix = config(matrix={"access_token_file": "$CREDENTIALS_DIRECTORY/token", "store": "s"}).matrix
    assert (matrix.access_token_file, matrix.store) == (Path("/run/credentials/token"), HERE / "s")


def test_a_long_value_is_not_repeated_whole() -> None:
    (told,) = problems(log={"level": "syt_" + "a" * 200})
    assert len(told) < 160


# The reference file.


def uncommented() -> dict[str, Any]:
    return tomllib.loads(re.sub(r"^# (?=[a-z_]+ = )", "", REFERENCE.read_text(), flags=re.MULTILINE))


def test_the_reference_file_is_a_valid_configuration() -> None:
    assert load(REFERENCE).matrix.user == "@weir:example.org"


def test_the_reference_file_mentions_every_key_and_no_other() -> None:
    assert {name: list(table) for name, table in uncommented().items()} == {
        name: list(known) for name, (_, known) in SECTIONS.items()
    }


def test_the_reference_file_shows_the_defaults() -> None:
    shown = from_mapping(uncommented(), REFERENCE.parent)
    assert shown == load(REFERENCE)
    assert shown == Config(matrix=dataclasses.replace(shown.matrix, inviters=()))


def test_the_reference_file_tells_the_bounds() -> None:
    text = REFERENCE.read_text()
    for section, key, low, high in BOUNDS:
        if section in ("limits", "signalling"):
            comment = re.search(rf"^# ([^\n]*)\n# {key} = ", text, re.MULTILINE)
            assert comment is not None and comment[1].endswith(f": {low:g} to {int(high)}."), key


# Files and the command.


def written(tmp_path: Path, more: str = "", token: str | None = "syt_secret", mode: int = 0o600) -> Path:
    if token is not None:
        (tmp_path / "access-token").write_text(token)
        (tmp_path / "access-token").chmod(mode)
    file = tmp_path / "weir.toml"
    file.write_text("[matrix]\n" + "".join(f'{key} = "{value}"\n' for key, value in MATRIX.items()) + more)
    return file


def test_check_config_says_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "--config", str(written(tmp_path))]) == 0
    assert "good" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["check-config", "run"])
@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("[http]\nprot = 1\n", "http.prot: unknown key"),
        ("[log]\nlevel = 'loud'\n", "log.level: \"loud\" is not allowed"),
        ("[log\n", "not TOML"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_key(
    verb: str, more: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, "--config", str(written(tmp_path, more))]) == 2
    assert told in capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--config", str(tmp_path / "none.toml")]) == 2
    assert "none.toml: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_token_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match="chmod 600"):
        read_token(load(written(tmp_path, mode=mode)).matrix.access_token_file)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_token_of_its_owner_is_read(tmp_path: Path, mode: int) -> None:
    assert read_token(load(written(tmp_path, token="syt_x\n", mode=mode)).matrix.access_token_file) == "syt_x"


@pytest.mark.parametrize(("mode", "taken"), [(0o440, True), (0o400, True), (0o444, False), (0o640, True)])
def test_a_token_that_systemd_hands_over_may_show_rights_of_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, taken: bool
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    path = load(written(tmp_path, mode=mode)).matrix.access_token_file
    if taken:
        assert read_token(path) == "syt_secret"
    else:
        with pytest.raises(ConfigError, match="chmod 600"):
            read_token(path)


@pytest.mark.parametrize("token", [None, "", "two words", "täken"])
def test_a_token_file_holds_one_token(tmp_path: Path, token: str | None) -> None:
    with pytest.raises(ConfigError, match="access_token_file"):
        read_token(load(written(tmp_path, token=token)).matrix.access_token_file)


# The command line.


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("weir 0.")


@pytest.mark.parametrize("words", [[], ["fly"], ["run", "--colour"]])
def test_a_wrong_command_is_an_error_of_use(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: weir" in capsys.readouterr().err
