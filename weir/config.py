"""Every setting of Weir: one frozen section per table of the file, each key with its rule and default.

`deploy/weir.toml` is this file in words; a test holds the two together. Settings are
read once, here, and passed down as values: no other file opens the configuration.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from focus.codecs import FORMATS, PREFERRED
from focus.engine import Settings
from focus.limits import Limits
from focus.vocabulary import Kind
from signalling.limits import SignallingLimits
from weir.bounds import LIMITS, SIGNALLING
from weir.keys import (
    ADDRESS,
    ADDRESSES,
    DEVICE,
    PATH,
    PORT,
    SERVERS,
    URL,
    USER,
    ConfigError,
    Rule,
    choice,
    key,
    maybe,
    near,
    order,
    read_section,
    real,
    rules,
    whole,
)

ENGINES = ("auto", "native", "python")
VIDEO = tuple(name for name, format in FORMATS.items() if format.kind is Kind.VIDEO)


@dataclass(frozen=True, slots=True)
class Matrix:
    """The focus account and its homeserver."""

    homeserver: str = key(URL)
    user: str = key(USER)
    device: str = key(DEVICE)
    access_token_file: Path = key(PATH)
    store: Path = key(PATH)
    inviters: tuple[str, ...] = key(SERVERS, ())
    "Servers whose users may invite the focus into a room; empty means its own homeserver only."


@dataclass(frozen=True, slots=True)
class Media:
    """Where media arrives, and the engine that carries it."""

    engine: str = key(choice(*ENGINES), "auto")
    codecs: tuple[str, ...] = key(order(*VIDEO), PREFERRED)
    "Formats of pictures that are negotiated, as far as the engine has them, most wanted first. Sound is Opus."
    addresses: tuple[str, ...] = key(ADDRESSES, ())
    announce: tuple[str, ...] = key(ADDRESSES, ())
    port_low: int = key(PORT, 0)
    port_high: int = key(PORT, 0)
    coalesce: float = key(real(0.0, 5.0, "milliseconds"), 0.0)
    workers: int = key(whole(0, 16), 1)

    def settings(self) -> Settings:
        """The engine's view of this section."""
        return Settings(self.addresses, self.announce, self.port_low, self.port_high, self.coalesce, self.workers)


@dataclass(frozen=True, slots=True)
class Http:
    """The page and the health answers."""

    host: str = key(ADDRESS, "127.0.0.1")
    port: int = key(PORT, 8900)
    homeserver: str = key(maybe(URL), "")
    "The homeserver's address as browsers reach it; empty means the one in [matrix]."


@dataclass(frozen=True, slots=True)
class Metrics:
    """The Prometheus listener. It is apart from [http], so that it can stay private."""

    host: str = key(ADDRESS, "127.0.0.1")
    port: int = key(PORT, 8901)


@dataclass(frozen=True, slots=True)
class Log:
    """What is logged. Lines are JSON on standard error."""

    level: str = key(choice("debug", "info", "warning", "error"), "info")


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file."""

    matrix: Matrix
    media: Media = field(default_factory=Media)
    http: Http = field(default_factory=Http)
    metrics: Metrics = field(default_factory=Metrics)
    limits: Limits = field(default_factory=Limits)
    signalling: SignallingLimits = field(default_factory=SignallingLimits)
    log: Log = field(default_factory=Log)


SECTIONS: dict[str, tuple[type[Any], Mapping[str, Rule]]] = {
    "matrix": (Matrix, rules(Matrix)),
    "media": (Media, rules(Media)),
    "http": (Http, rules(Http)),
    "metrics": (Metrics, rules(Metrics)),
    "limits": (Limits, LIMITS),
    "signalling": (SignallingLimits, SIGNALLING),
    "log": (Log, rules(Log)),
}
"Each table of the file: its section and what its keys may hold."


def from_mapping(tables: Mapping[str, Any], folder: Path) -> Config:
    """Check a parsed file and return it as a `Config`; relative paths start from `folder`. Raises `ConfigError`."""
    problems: list[str] = []
    for name, value in tables.items():
        if name not in SECTIONS:
            known = list(SECTIONS)
            problems.append(f"[{name}]: unknown section.{near(name, known)} The sections are {', '.join(known)}.")
        elif not isinstance(value, dict):
            problems.append(f"{name}: must be a section, written [{name}].")
    parts: dict[str, Any] = {}
    for name, (section, known_keys) in SECTIONS.items():
        table = tables.get(name, {})
        if isinstance(table, dict):
            parts[name] = read_section(name, section, known_keys, table, folder, problems)
    if isinstance(parts.get("media"), Media):
        problems += media_problems(parts["media"])
    if problems:
        raise ConfigError(tuple(problems))
    return Config(**parts)


def media_problems(media: Media) -> list[str]:
    """What no single key of [media] can show."""
    found: list[str] = []
    if (media.port_low == 0) != (media.port_high == 0):
        found.append("media.port_high: port_low and port_high are set together, or both are 0 for any port.")
    elif media.port_high < media.port_low:
        found.append(
            f"media.port_high: {media.port_high} is not allowed; give a whole number from port_low"
            f" ({media.port_low}) to 65535."
        )
    if media.announce and len(media.announce) != len(media.addresses):
        found.append(
            f"media.announce: has {len(media.announce)} of them; give as many as media.addresses"
            f" ({len(media.addresses)}), in the same order."
        )
    return found


def load(path: Path) -> Config:
    """Read a configuration file. Raises `ConfigError`, with the file's name when it cannot be read."""
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file)
    except OSError as error:
        raise ConfigError((f"{path}: cannot be read ({error.strerror}).",)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError((f"{path}: not TOML: {error}.",)) from None
    return from_mapping(tables, path.resolve().parent)


def handed_over(path: Path) -> bool:
    """Whether systemd put a file there for us alone: it does so by an ACL, which shows as rights of the group."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return folder is not None and path.parent == Path(folder)


def read_token(path: Path) -> str:
    """Read the access token. Raises `ConfigError` if the file is missing, empty or open to others."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not plain text"
        raise ConfigError((f"matrix.access_token_file: {path} cannot be read ({reason}).",)) from None
    if stat.S_IMODE(mode) & (0o007 if handed_over(path) else 0o077):
        raise ConfigError(
            (f"matrix.access_token_file: {path} can be read by others; allow its owner only (chmod 600).",)
        )
    if not text or any(letter.isspace() for letter in text):
        raise ConfigError((f"matrix.access_token_file: {path} must hold one access token and nothing else.",))
    return text
