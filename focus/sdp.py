"""SDP as text with structure: parsed without loss, written back as it was (RFC 8866).

It knows lines, sections and attributes, not what they mean: `description.py` reads a
peer's wishes out of them. Whatever the input, it answers in linear time with a session
or a `PeerFault` (security G1).
"""

from __future__ import annotations

from dataclasses import dataclass

from focus.faults import PeerFault

LONGEST = 256 * 1024
"Bytes of one session description."
MOST_LINES = 5000
MOST_SECTIONS = 512
LONGEST_LINE = 4096


@dataclass(frozen=True, slots=True)
class Section:
    """The session part, or one media section: its lines without line ends."""

    lines: tuple[str, ...]

    def values(self, name: str) -> list[str]:
        """Values of all attributes `a=name:value`, in order."""
        prefix = f"a={name}:"
        return [line[len(prefix) :] for line in self.lines if line.startswith(prefix)]

    def value(self, name: str) -> str | None:
        """Value of the first attribute of that name."""
        prefix = f"a={name}:"
        return next((line[len(prefix) :] for line in self.lines if line.startswith(prefix)), None)

    def flag(self, name: str) -> bool:
        """Whether the property attribute `a=name` is there."""
        return f"a={name}" in self.lines

    @property
    def media(self) -> tuple[str, int, str, tuple[str, ...]]:
        """Kind, port, protocol and formats of the m= line. Raises PeerFault when it is none."""
        parts = self.lines[0][2:].split(" ") if self.lines and self.lines[0].startswith("m=") else []
        if len(parts) < 4 or not parts[1].isascii() or not parts[1].isdigit() or len(parts[1]) > 5:
            raise PeerFault("sdp_media_line")
        return parts[0], int(parts[1]), parts[2], tuple(parts[3:])


@dataclass(frozen=True, slots=True)
class Session:
    """A whole session description."""

    head: Section
    sections: tuple[Section, ...]


def parse(text: str) -> Session:
    """Split a description into sections. Raises PeerFault, and nothing else, for any text."""
    if len(text) > LONGEST or not text.isascii() and len(text.encode(errors="replace")) > LONGEST:
        raise PeerFault("sdp_too_long")
    lines = text.replace("\r\n", "\n").split("\n")
    while lines and not lines[-1]:
        lines.pop()
    if len(lines) > MOST_LINES:
        raise PeerFault("sdp_too_many_lines")
    if not lines or lines[0] != "v=0":
        raise PeerFault("sdp_no_version")
    parts: list[list[str]] = [[]]
    for line in lines:
        # Whatever some other parser may take for a line end or a text end is not printable.
        if len(line) > LONGEST_LINE or len(line) < 2 or line[1] != "=" or not line.isprintable():
            raise PeerFault("sdp_line")
        if line.startswith("m="):
            if len(parts) > MOST_SECTIONS:
                raise PeerFault("sdp_too_many_sections")
            parts.append([])
        parts[-1].append(line)
    return Session(Section(tuple(parts[0])), tuple(Section(tuple(part)) for part in parts[1:]))


def dump(session: Session) -> str:
    """Write a description; what `parse` read comes back letter for letter, with CRLF line ends."""
    lines = [*session.head.lines]
    for section in session.sections:
        lines.extend(section.lines)
    return "\r\n".join(lines) + "\r\n"
