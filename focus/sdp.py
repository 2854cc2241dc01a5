"""SDP as text with structure: parsed without loss, written back as it was (RFC 8866).

It knows lines, sections and attributes, not what they mean: `description.py` reads a
peer's wishes out of them. Whatever the input, it answers in linear time with a session
or a `PeerFault` (security G1).
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Set
from dataclasses import dataclass

from focus.faults import PeerFault

LONGEST = 256 * 1024
"Bytes of one session description."
MOST_LINES = 5000
MOST_SECTIONS = 512
LONGEST_LINE = 4096


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes of a section, by name."""

    said: Mapping[str, list[str]]
    "Values of `a=name:value`, in order."
    flags: Set[str]
    "Names of property attributes, `a=name`."

    def values(self, name: str) -> list[str]:
        """Values of all attributes of that name."""
        return self.said.get(name, [])

    def value(self, name: str) -> str | None:
        """Value of the first attribute of that name."""
        found = self.said.get(name)
        return found[0] if found else None

    def flag(self, name: str) -> bool:
        """Whether the property attribute is there."""
        return name in self.flags


@dataclass(frozen=True, slots=True)
class Section:
    """The session part, or one media section: lines with a line feed between them."""

    text: str

    @property
    def lines(self) -> tuple[str, ...]:
        """Its lines without line ends."""
        return tuple(self.text.split("\n"))

    def attributes(self) -> Attributes:
        """Sort the attributes by name."""
        said: dict[str, list[str]] = {}
        flags: set[str] = set()
        for line in self.text.split("\n"):
            if line.startswith("a="):
                name, colon, value = line[2:].partition(":")
                if not colon:
                    flags.add(name)
                elif (found := said.get(name)) is None:
                    said[name] = [value]
                else:
                    found.append(value)
        return Attributes(said, flags)

    def values(self, name: str) -> list[str]:
        """As of its attributes: for a single look."""
        return self.attributes().values(name)

    def value(self, name: str) -> str | None:
        """As of its attributes: for a single look."""
        return self.attributes().value(name)

    def flag(self, name: str) -> bool:
        """As of its attributes: for a single look."""
        return self.attributes().flag(name)

    @property
    def media(self) -> tuple[str, int, str, tuple[str, ...]]:
        """Kind, port, protocol and formats of the m= line. Raises PeerFault when it is none."""
        first = self.text.partition("\n")[0]
        parts = first[2:].split(" ") if first.startswith("m=") else []
        if len(parts) < 4 or not parts[1].isascii() or not parts[1].isdigit() or len(parts[1]) > 5:
            raise PeerFault("sdp_media_line")
        return parts[0], int(parts[1]), parts[2], tuple(parts[3:])


@dataclass(frozen=True, slots=True)
class Session:
    """A whole session description."""

    head: Section
    sections: tuple[Section, ...]


def parse(text: str, known: Container[str] = ()) -> Session:
    """Split a description into sections. Raises PeerFault, and nothing else, for any text.

    `known`: texts of sections that were parsed before, which need no second look.
    """
    if len(text) > LONGEST or not text.isascii() and len(text.encode(errors="replace")) > LONGEST:
        raise PeerFault("sdp_too_long")
    text = text.replace("\r\n", "\n").rstrip("\n")
    if text.count("\n") >= MOST_LINES:
        raise PeerFault("sdp_too_many_lines")
    head, *rest = text.split("\nm=")
    if head != "v=0" and not head.startswith("v=0\n"):
        raise PeerFault("sdp_no_version")
    if len(rest) > MOST_SECTIONS:
        raise PeerFault("sdp_too_many_sections")
    texts = [f"m={part}" for part in rest]
    for part in (head, *texts):
        if part not in known and not _sound(part.split("\n")):
            raise PeerFault("sdp_line")
    return Session(Section(head), tuple(Section(part) for part in texts))


def _sound(lines: list[str]) -> bool:
    """Whether these are lines as they should be, none of which some other parser reads as two."""
    return (
        max(map(len, lines)) <= LONGEST_LINE
        and all(line[1:2] == "=" for line in lines)
        # Whatever may be taken for a line end or a text end is not printable.
        and "".join(lines).isprintable()
    )


def dump(session: Session) -> str:
    """Write a description; what `parse` read comes back letter for letter, with CRLF line ends."""
    texts = [session.head.text, *(section.text for section in session.sections)]
    return "\n".join(texts).replace("\n", "\r\n") + "\r\n"
