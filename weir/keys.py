"""How one configuration key is declared, and how a TOML table becomes a frozen section.

This file knows values, bounds and the words of an error. It does not know which keys
there are: `config.py` declares them. Every problem names the key and what is allowed,
and all problems of a file are told at once.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

S = TypeVar("S")


class ConfigError(Exception):
    """A configuration that cannot be used. `problems` has one line per wrong key."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Rule:
    """What a key may hold: `read` turns a TOML value into ours, or raises `ValueError`; `allowed` says it in words."""

    read: Callable[[Any, Path], Any]
    "Called with the TOML value and the folder that relative paths start from."
    allowed: str


def whole(low: int, high: int, unit: str = "") -> Rule:
    """A whole number from `low` to `high`, both included."""

    def read(value: Any, _: Path) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError
        return value

    return Rule(read, f"a whole number from {low} to {high}" + (f" ({unit})" if unit else ""))


def real(low: float, high: float, unit: str = "") -> Rule:
    """A number from `low` to `high`, both included."""

    def read(value: Any, _: Path) -> float:
        if type(value) not in (int, float) or not low <= value <= high:  # NaN fails the comparison
            raise ValueError
        return float(value)

    return Rule(read, f"a number from {low:g} to {high:g}" + (f" ({unit})" if unit else ""))


def choice(*words: str) -> Rule:
    """One of a few words."""

    def read(value: Any, _: Path) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return Rule(read, "one of " + ", ".join(f'"{word}"' for word in words))


def matching(pattern: str, allowed: str) -> Rule:
    """Text that matches `pattern` as a whole."""

    def read(value: Any, _: Path) -> str:
        if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
            raise ValueError
        return value

    return Rule(read, allowed)


def listed(item: Rule, allowed: str) -> Rule:
    """A list whose every item keeps `item`."""

    def read(value: Any, folder: Path) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError
        return tuple(item.read(each, folder) for each in value)

    return Rule(read, allowed)


def order(*words: str) -> Rule:
    """Some of a few words, each once, in an order that means something."""

    def read(value: Any, _: Path) -> tuple[str, ...]:
        known = isinstance(value, list) and all(isinstance(each, str) and each in words for each in value)
        if not known or not value or len(set(value)) != len(value):
            raise ValueError
        return tuple(value)

    return Rule(read, "a list of some of " + ", ".join(f'"{word}"' for word in words) + ", each once")


def maybe(rule: Rule) -> Rule:
    """The same, or an empty text for none."""

    def read(value: Any, folder: Path) -> Any:
        return "" if value == "" else rule.read(value, folder)

    return Rule(read, f'{rule.allowed}; or "" for none')


def _address(value: Any, _: Path) -> str:
    if not isinstance(value, str):
        raise ValueError
    return str(ipaddress.ip_address(value))


def _url(value: Any, _: Path) -> str:
    if not isinstance(value, str):
        raise ValueError
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError
    return value.rstrip("/")


def _path(value: Any, folder: Path) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError
    # Variables, because systemd hands secrets over in $CREDENTIALS_DIRECTORY.
    return folder / os.path.expandvars(value)


ADDRESS = Rule(_address, 'an IP address such as "192.0.2.7" or "2001:db8::7"')
ADDRESSES = listed(ADDRESS, 'a list of IP addresses such as ["192.0.2.7"]')
URL = Rule(_url, 'an address such as "https://matrix.example.org" or "http://localhost:8008"')
PATH = Rule(_path, "a path; relative ones start at the configuration file's folder")
PORT = whole(0, 65535, "0 for any free port")
SERVER = matching(r"[A-Za-z0-9.\-:\[\]]{1,230}", 'a server name such as "example.org"')
SERVERS = listed(SERVER, 'a list of server names such as ["example.org"]')
USER = matching(r"@[!-9;-~]{1,200}:[A-Za-z0-9.\-:\[\]]{1,230}", 'a Matrix user such as "@weir:example.org"')
DEVICE = matching(r"[!-~]{1,255}", 'a device id such as "WEIR1A2B3C"')


def key(rule: Rule, default: Any = dataclasses.MISSING) -> Any:
    """Declare a key of a section. Without a default it must be set."""
    return field(default=default, metadata={"rule": rule})


def rules(section: type[Any]) -> dict[str, Rule]:
    """The rule of each key of a section, in order."""
    return {each.name: each.metadata["rule"] for each in dataclasses.fields(section)}


def near(word: str, known: list[str]) -> str:
    """Return a hint when a word looks like a slip for a known one."""
    close = difflib.get_close_matches(word, known, 1)
    return f' Did you mean "{close[0]}"?' if close else ""


def read_section(
    name: str, section: type[S], known: Mapping[str, Rule], table: Mapping[str, Any], folder: Path, problems: list[str]
) -> S | None:
    """Build a section from a TOML table. Each problem is appended; None is returned if there was any."""
    before = len(problems)
    values: dict[str, Any] = {}
    for word, value in table.items():
        rule = known.get(word)
        if rule is None:
            problems.append(
                f"{name}.{word}: unknown key.{near(word, list(known))} [{name}] takes {', '.join(known)}."
            )
            continue
        try:
            values[word] = rule.read(value, folder)
        except ValueError:
            problems.append(f"{name}.{word}: {show(value)} is not allowed; give {rule.allowed}.")
    for each in dataclasses.fields(section):  # type: ignore[arg-type]
        if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING:
            if each.name not in table:
                problems.append(f"{name}.{each.name}: must be set; give {known[each.name].allowed}.")
    return section(**values) if len(problems) == before else None


def show(value: Any) -> str:
    """A value as the file has it, cut so that a pasted secret is not repeated whole."""
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:40] + "..."
